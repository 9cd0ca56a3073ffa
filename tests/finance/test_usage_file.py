"""A vendor's usage file: what both have, or one alone, or at another price."""

import io
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal

import pytest
from sqlalchemy import text

from storage.finance.reconciliation.usage_rows import UsageOf
from storage.findings import provider_costs
from storage.findings.provider_costs import Cost
from tests.support import job_runs
from tests.support.stored_jobs import end_job, make_job
from worker.finance.reconciliation import usage_file, usage_match
from worker.finance.reconciliation.usage_match import UsageMatch, Vendor
from worker.infrastructure.errors import BadInput, Refused
from worker.wiring import Wired

_HUNTER = Vendor(UsageOf.JOB, "hunter")
_COLUMNS = {"id": "job", "amount": "credits", "at": "when"}


@pytest.fixture
def deps(database_url, tmp_path) -> Iterator[Wired]:
    deps = job_runs.wire_to(database_url, tmp_path)
    with closing(deps.database):
        job_runs.create_license(deps)
        with deps.database.transaction() as connection:
            for number in range(3):
                make_job(connection, f"job-{number}", 1)
                for paid in ("0.5", "1"):
                    cost = Cost("hunter", 1, Decimal(paid))
                    provider_costs.add(connection, f"job-{number}", cost)
                end_job(connection, f"job-{number}")
            connection.execute(
                text("""
                    INSERT INTO provider_costs
                           (job_id, provider, answers, paid, paid_at)
                    VALUES ('job-0', 'pdl', 1, 7, now())""")
            )
        yield deps


def _matched(deps: Wired, *lines: str, columns: dict[str, str]) -> UsageMatch:
    data = "\r\n".join(lines).encode()
    return usage_match.match(deps, io.BytesIO(data), _HUNTER, columns)


def _by_id(found: UsageMatch) -> dict[str, tuple[str, str | None, str | None]]:
    return {
        one.id: (
            one.state.value,
            None if one.ours is None else f"{one.ours.normalize():f}",
            None if one.theirs is None else f"{one.theirs.normalize():f}",
        )
        for one in found.matches
    }


def test_each_id_is_matched_alone_or_at_another_amount(deps):
    found = _matched(
        deps,
        "job,credits",
        "job-0,1",
        "job-0,0.50",
        "job-1,2",
        "job-9,3",
        columns={"id": "job", "amount": "credits"},
    )
    assert _by_id(found) == {
        "job-0": ("matched", "1.5", "1.5"),
        "job-1": ("different_amount", "1.5", "2"),
        "job-2": ("ours_only", "1.5", None),
        "job-9": ("theirs_only", None, "3"),
    }
    assert found.differs
    assert usage_match.as_csv(found).decode().splitlines() == [
        "state,id,ours,theirs",
        "different_amount,job-1,1.5,2",
        "ours_only,job-2,1.5,",
        "theirs_only,job-9,,3",
        "matched,job-0,1.5,1.5",
    ]


def test_what_lies_outside_the_times_of_the_file_is_not_missed(deps):
    lines = ("job,credits,when", "job-7,1,2001-01-01T00:00:00Z")
    found = _matched(deps, *lines, columns=_COLUMNS)
    assert _by_id(found) == {"job-7": ("theirs_only", None, "1")}


def test_a_file_that_says_the_same_differs_in_nothing(deps):
    lines = ["job", *(f"job-{number}" for number in range(3))]
    assert not _matched(deps, *lines, columns={"id": "job"}).differs


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["job,credits"], "line 1: when: is not among the columns job, credits"),
        (["job,job,credits,when"], "line 1: job: is twice among the columns"),
        (["job,credits,when", ",1,x"], "line 2: job: is empty"),
        (["job,credits,when", "a,x,x"], "line 2: credits: is no number"),
        (["job,credits,when", "a,NaN,x"], "line 2: credits: is no number"),
        (["job,credits,when", "a,1,x"], "line 2: when: is no instant"),
        (["job,credits,when", "a,1,2026-01-01"], "line 2: when: has no offset"),
        (["job,credits,when", "a,1"], "line 2: when: is missing"),
        (["job,credits,when", "a,1e99,x"], "line 2: credits: is no number that fits"),
        (["job,credits,when", "a,1,9999-12-31T23:59:59-09:00"], "when: is no instant"),
        (["job,credits,when", "a,1,9999-01-01T00:00:00Z"], "when: is of no year"),
        (["job,credits,when", '"a'], "is no CSV"),
    ],
)
def test_what_cannot_be_read_is_told_by_line_and_column(deps, lines, told):
    with pytest.raises(BadInput, match=told):
        _matched(deps, *lines, columns=_COLUMNS)


def test_what_is_ours_alone_has_an_end_and_the_file_may_name_its_time(
    deps, monkeypatch
):
    monkeypatch.setattr(usage_match, "OURS_MAX", 2)
    with pytest.raises(Refused, match="name a column at"):
        _matched(deps, "job", "another", columns={"id": "job"})
    lines = ("job,credits,when", "another,1,2001-01-01T00:00:00Z")
    assert len(_matched(deps, *lines, columns=_COLUMNS).matches) == 1


def test_a_file_with_too_many_lines_is_refused(deps, monkeypatch):
    monkeypatch.setattr(usage_file, "LINES_MAX", 2)
    with pytest.raises(Refused, match="more than 2 lines"):
        _matched(deps, "job", "a", "b", "c", columns={"id": "job"})
