"""Licenses and their credits: `license`, `top-up`, `balance`, `periods`."""

from datetime import datetime

import click

from pricing.permission import USER_PERMISSIONS
from pricing.plans import PaymentTerm, Plan
from storage.ledger.balances import Balance
from storage.licenses import licenses as kept_licenses
from worker.cli.finance.statements import close
from worker.cli.invocation import Cli, command, group
from worker.cli.servers import with_database
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import Code, Refused, bad
from worker.ledger import balances, ended_periods
from worker.licenses import licenses
from worker.responses import credit_responses, license_responses


@group("license")
def license_() -> None:
    """The paying accounts."""


@command("create")
@click.argument("license_id", metavar="ID")
@click.option("--name", required=True, help="What people call it.")
@click.option("--plan", required=True, type=click.Choice([plan.value for plan in Plan]))
@click.option(
    "--payment-term",
    required=True,
    type=click.Choice([term.value for term in PaymentTerm]),
)
@click.option("--credits", "credits_granted", required=True, type=int)
@click.option(
    "--feature", "features", multiple=True, type=click.Choice([USER_PERMISSIONS])
)
def create(
    cli: Cli,
    *,
    license_id: str,
    name: str,
    plan: str,
    payment_term: str,
    credits_granted: int,
    features: tuple[str, ...],
) -> None:
    """Create a license; CREDITS are granted at the start of each period."""
    wanted = licenses.NewLicense(
        id=license_id,
        name=name,
        plan=Plan(plan),
        payment_term=PaymentTerm(payment_term),
        credits=credits_granted,
        features=frozenset(features),
    )
    with with_database(cli) as deps:
        licenses.create_license(deps, wanted)
        _show_license(cli, deps, license_id)


@command("show")
@click.argument("license_id", metavar="ID")
def show(cli: Cli, *, license_id: str) -> None:
    """Show a license."""
    with with_database(cli) as deps:
        _show_license(cli, deps, license_id)


def _show_license(cli: Cli, deps: Deps, license_id: str) -> None:
    with deps.database.transaction() as connection:
        found = kept_licenses.get(connection, license_id)
    if found is None:
        raise Refused(Code.NOT_FOUND, f"there is no license {license_id}")
    cli.answer(
        license_responses.of_license(found),
        f"{found.id}  {found.name}\n"
        f"plan {found.plan}, {found.payment_term}, {found.credits:,} credits a period",
    )


@command("top-up", negative_numbers=True)
@click.argument("license_id", metavar="LICENSE")
@click.argument("credits_added", metavar="CREDITS", type=int)
@click.option("--reference", required=True, help="Counts once: an invoice, say.")
def top_up(
    cli: Cli,
    *,
    license_id: str,
    credits_added: int,
    reference: str,
) -> None:
    """Add credits to the running period."""
    with with_database(cli) as deps:
        balances.top_up(deps, license_id, credits_added, reference)
        _show_balance(cli, balances.balance_of(deps, license_id))


@command("balance")
@click.argument("license_id", metavar="LICENSE")
def balance(cli: Cli, *, license_id: str) -> None:
    """Show the running period's credits."""
    with with_database(cli) as deps:
        _show_balance(cli, balances.balance_of(deps, license_id))


def _show_balance(cli: Cli, found: Balance) -> None:
    cli.answer(credit_responses.of_balance(found), balance_text(found))


def balance_text(found: Balance) -> str:
    """A balance for a person."""
    return (
        f"{found.available:,} credits available "
        f"(granted {found.granted:,}, reserved {found.reserved:,}, "
        f"spent {found.spent:,}, expired {found.expired:,}; "
        f"until {found.ends_at:%Y-%m-%d %H:%M} UTC)"
    )


@group("periods")
def periods() -> None:
    """The periods of licenses."""


@command("reopen")
@click.argument("license_id", metavar="LICENSE")
@click.argument("starts_at", metavar="STARTS_AT")
def reopen(cli: Cli, *, license_id: str, starts_at: str) -> None:
    """Let a period run again that was ended before its end, with all that expired."""
    instant = _instant(starts_at)
    with with_database(cli) as deps:
        period = ended_periods.reopen(deps, license_id, instant)
    answer = license_responses.of_period(period)
    cli.answer(
        {"license": license_id} | answer,
        f"{license_id} from {answer['starts_at']}: {answer['available']:,} credits are "
        f"available until {answer['ends_at']}",
    )


def _instant(given: str) -> datetime:
    try:
        instant = datetime.fromisoformat(given)
    except ValueError as error:
        raise bad("STARTS_AT", "is no instant such as 2026-02-01T00:00:00Z") from error
    if instant.tzinfo is None:
        raise bad("STARTS_AT", "needs its time zone: 2026-02-01T00:00:00Z")
    return instant


license_.add_command(create)
license_.add_command(show)
license_.name = "license"
periods.add_command(reopen)
periods.add_command(close)

COMMANDS: tuple[click.Command, ...] = (license_, top_up, balance, periods)
