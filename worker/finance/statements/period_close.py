"""Closing a period, and freezing what it came to: at once, or as soon as that can be.

A period is closed by one transaction. Its statement is frozen by another, once all that
was under way below the closing has ended and is sealed: by whoever closed it, or, where
that one is gone, by a chore. Later refunds make supplements in the same way.
"""

import logging
from typing import NamedTuple

from sqlalchemy import Connection, text

from storage.errors import InvariantBroken
from storage.finance.chain import held_back
from storage.finance.chain.runs import DatabaseRestored, SealerBusy
from storage.finance.statements import (
    ledger_lines,
    sealed_bounds,
    stated_periods,
    statement_runs,
)
from storage.finance.statements.ledger_lines import Range
from storage.finance.statements.lines import Accounts, Kind, Section, Statement
from storage.finance.statements.stated_periods import StatedPeriod
from storage.finance.statements.statement_runs import CloseResult, FrozenRun
from storage.operations import action_log
from storage.operations.action_log import Acting, Target
from storage.webhooks import events
from worker.finance.chain.pins import PinBroken
from worker.finance.chain.sealer import seal
from worker.finance.period_names import starts_of
from worker.finance.statements.statement_document import document_of, encoded
from worker.finance.statements.statements import previous_of, stated
from worker.infrastructure.clock import instant
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import Code, Refused, log_and_go_on
from worker.licenses.licenses import open_license

log = logging.getLogger(__name__)

_NAMED_MAX = 10


def close(deps: Deps, license_id: str, period: str, by: Acting) -> str:
    """Close a period and answer its frozen statement, as it is kept.

    The same again closes nothing and answers the same. Raises `BadInput`, and `Refused`
    where there is no such period, it has not ended, jobs of it are open, or what was
    under way when it was closed has not ended yet: then the statement is frozen later.
    """
    starts = starts_of(period)
    # Where its time is over, this ends it.
    open_license(deps, license_id)
    with deps.database.transaction() as connection:
        found = stated_periods.starting(connection, license_id, *starts)
        if found is None:
            raise Refused(Code.NOT_FOUND, "there is no such period")
        _close(connection, found, by)
    return _frozen(deps, found.id)


def _frozen(deps: Deps, period_id: int) -> str:
    """The first run of a closed period, frozen now where nobody has done so yet."""
    document = _kept(deps, period_id)
    if document is None:
        try:
            seal(deps)
        except SealerBusy:
            log.warning("the chain is being sealed by another, which takes long")
        except (DatabaseRestored, PinBroken) as error:
            raise _not_yet("once the chain is sealed again, which is broken") from error
        freeze(deps, period_id)
        document = _kept(deps, period_id)
    if document is None:
        with deps.database.reading() as connection:
            oldest = held_back.oldest(connection)
        log.warning("the statement of period %s waits for %s", period_id, oldest)
        until = "" if oldest is None else f" (the oldest is {oldest})"
        raise _not_yet(f"once what was under way has ended{until}")
    return document


def _kept(deps: Deps, period_id: int) -> str | None:
    with deps.database.reading() as connection:
        frozen = statement_runs.run(connection, period_id, 1)
    return None if frozen is None else frozen.document


def _not_yet(when: str) -> Refused:
    return Refused(
        Code.UNAVAILABLE,
        f"the period is closed; its statement is frozen {when}: ask again",
    )


def _close(connection: Connection, period: StatedPeriod, by: Acting) -> None:
    locked = stated_periods.locked(connection, period.id)
    match statement_runs.close(connection, locked):
        case CloseResult.NOT_ENDED:
            raise Refused(
                Code.WRONG_STATE, f"the period ends at {instant(period.ends_at)}"
            )
        case CloseResult.STILL_OPEN:
            jobs = statement_runs.open_jobs(connection, period.id, limit=_NAMED_MAX + 1)
            more = " and others" if len(jobs) > _NAMED_MAX else ""
            raise Refused(
                Code.WRONG_STATE,
                "jobs hold reservations of the period: "
                f"{', '.join(jobs[:_NAMED_MAX])}{more}",
            )
        case CloseResult.CLOSED:
            name = f"{period.license_id} {instant(period.starts_at)}"
            target = Target("period", name, period.license_id)
            action_log.note(connection, by, "close_period", target)


class StatementFreezer:
    """The chore: freezes what is due, and lets nobody's failure keep the rest."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def turn(self) -> None:
        """Freeze all that can be frozen now."""
        with self._deps.database.reading() as connection:
            due = statement_runs.due(connection)
        for period_id in due:
            with log_and_go_on():
                freeze(self._deps, period_id)


def freeze(deps: Deps, period_id: int) -> bool:
    """Freeze the next run of a closed period, where it is due and all of it is sealed.

    Raises `InvariantBroken` where its lines do not add up: then nothing is frozen.
    """
    with deps.database.transaction(patient=True) as connection:
        period = stated_periods.locked(connection, period_id)
        wanted = _wanted(connection, period)
        if wanted is None:
            return False
        statement = _statement(connection, period, wanted)
        if wanted.run > 1 and not _has_moved(statement):
            return False
        check_adds_up(statement)
        _keep(connection, period, wanted, statement)
        return True


class _Wanted(NamedTuple):
    """The run that is to be frozen."""

    run: int
    range: Range
    opening: Accounts


def _wanted(connection: Connection, period: StatedPeriod) -> _Wanted | None:
    if period.closed_in is None:
        return None
    last = statement_runs.last(connection, period.id)
    bound = sealed_bounds.bound(connection)
    if last is None:
        if bound <= period.closed_in:
            return None
        return _Wanted(1, Range(0, bound), Accounts())
    if bound <= last.until:
        return None
    return _Wanted(last.run + 1, Range(last.until, bound), last.closing)


def _statement(
    connection: Connection, period: StatedPeriod, wanted: _Wanted
) -> Statement:
    lines = ledger_lines.lines_of(
        connection, stated(period), wanted.range, wanted.opening
    )
    now = connection.execute(text("SELECT holdfast_now()")).scalar_one()
    return Statement(
        license_id=period.license_id,
        starts_at=period.starts_at,
        ends_at=period.ends_at,
        run=wanted.run,
        lines=lines,
        previous=previous_of(connection, period),
        head=sealed_bounds.head(connection, period.license_id, wanted.range.until),
        frozen_at=now,
    )


def _has_moved(statement: Statement) -> bool:
    return any(line.credits for line in statement.of(Section.MOVEMENT))


def check_adds_up(statement: Statement) -> None:
    """Raise `InvariantBroken` where charges are not what transfers have moved."""
    moved = {line.key: line.credits or 0 for line in statement.of(Section.MOVEMENT)}
    charged = moved[Kind.SETTLED] + moved[Kind.VIEWED]
    noted = sum(line.credits or 0 for line in statement.of(Section.CREDIT_NOTE))
    if noted != moved[Kind.REFUNDED]:
        raise InvariantBroken(
            f"the statement of {statement.license_id} from {statement.starts_at}: "
            f"{noted} credits were refunded, its transfers say {moved[Kind.REFUNDED]}"
        )
    for section in (Section.ITEM, Section.USER, Section.JOB):
        lines = statement.of(section)
        sums = (
            sum(line.credits or 0 for line in lines),
            sum(line.refunded or 0 for line in lines),
        )
        if sums != (charged, moved[Kind.REFUNDED]):
            raise InvariantBroken(
                f"the statement of {statement.license_id} from {statement.starts_at}: "
                f"by {section} {sums[0]} credits were charged and {sums[1]} refunded, "
                f"its transfers say {charged} and {moved[Kind.REFUNDED]}"
            )


def _keep(
    connection: Connection, period: StatedPeriod, wanted: _Wanted, statement: Statement
) -> None:
    assert wanted.range.until is not None  # noqa: S101 - a frozen range has an end
    assert statement.frozen_at is not None  # noqa: S101 - it is being frozen
    frozen = FrozenRun(
        period_id=period.id,
        run=wanted.run,
        license_id=period.license_id,
        since=wanted.range.since,
        until=wanted.range.until,
        closing=statement.closing,
        head=statement.head,
        document=encoded(document_of(statement)),
        frozen_at=statement.frozen_at,
    )
    statement_runs.keep(connection, frozen)
    events.statement_frozen(
        connection,
        period.license_id,
        f"{period.id}:{wanted.run}",
        starts_at=period.starts_at,
        ends_at=period.ends_at,
        run=wanted.run,
        closing=statement.closing._asdict(),
        head=statement.head,
        sha256=frozen.sha256,
    )
