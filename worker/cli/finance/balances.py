"""Balances over time: `forecast`, `alerts`, `overview`, `overview-link`."""

import click

from storage.finance.balances.balance_alerts import Alert, AlertKind
from worker.cli.invocation import Cli, command
from worker.cli.operations.command_line_actor import acting
from worker.cli.servers import with_database
from worker.finance.balances import (
    balance_alerts,
    balance_forecast,
    balance_responses,
    license_overview,
    overview_links,
)
from worker.infrastructure.clock import instant
from worker.infrastructure.errors import bad


@command("forecast")
@click.argument("license_id", metavar="LICENSE")
@click.option(
    "--days",
    type=click.IntRange(1, balance_forecast.DAYS_MAX),
    default=balance_forecast.DAYS,
    help="By the use of so many last days.",
)
def forecast(cli: Cli, *, license_id: str, days: int) -> None:
    """Say when credits run out, if they go on as of late."""
    with with_database(cli) as deps:
        found = balance_forecast.of_license(deps, license_id, days=days)
    runs_out = f"run out {instant(found.runs_out_at)}"
    if found.runs_out_at is None:
        runs_out = f"last to the period's end, with {found.left_at_end:,} left"
    human = (
        f"{found.balance.available:,} available, {found.used_per_day:,} used a day: "
        f"they {runs_out}"
    )
    cli.answer(balance_responses.of_forecast(license_id, found), human)


@command("alerts")
@click.argument("license_id", metavar="LICENSE")
@click.option(
    "--used-percent", type=int, multiple=True, help="Told where so much is used."
)
@click.option(
    "--credits-left", type=int, multiple=True, help="Told where so few are left."
)
@click.option("--clear", is_flag=True, help="Have none.")
def alerts(
    cli: Cli,
    *,
    license_id: str,
    used_percent: tuple[int, ...],
    credits_left: tuple[int, ...],
    clear: bool,
) -> None:
    """Show, or set, at which points a license is told of its balance."""
    asked = {Alert(AlertKind.USED_PERCENT, each) for each in used_percent}
    asked |= {Alert(AlertKind.CREDITS_LEFT, each) for each in credits_left}
    with with_database(cli) as deps:
        if asked or clear:
            found = balance_alerts.set_alerts(deps, license_id, asked)
        else:
            found = balance_alerts.of_license(deps, license_id)
    lines = [f"{alert.threshold} {alert.kind.value}" for alert in found]
    human = "\n".join(lines).replace("_", " ") or "no alerts"
    cli.answer(balance_responses.of_alerts(license_id, found), human)


@command("overview")
@click.argument("license_id", metavar="LICENSE")
@click.option("--period", help="Its starts_at or that month; else the running one.")
def overview(cli: Cli, *, license_id: str, period: str | None) -> None:
    """Show what a license has used of a period, and per user."""
    with with_database(cli) as deps:
        found = license_overview.of_license(deps, license_id, period)
    lines = [f"{found.credits.used:,} used, {found.credits.remaining:,} remaining"]
    lines += [
        f"{one.key:<20} {one.credits:>9,} {one.count:>9,}" for one in found.by_user
    ]
    cli.answer(balance_responses.of_overview(found), "\n".join(lines))


@command("overview-link")
@click.argument("license_id", metavar="LICENSE")
@click.option("--days", type=click.IntRange(1, 90), default=7, help="It opens so long.")
@click.option("--url", help="Where the console is, without HOLDFAST_PUBLIC_URL.")
def overview_link(cli: Cli, *, license_id: str, days: int, url: str | None) -> None:
    """Make a link to a license's overview that needs no key."""
    with with_database(cli) as deps:
        base = url or deps.settings.public_url
        if base is None:
            raise bad("url", "is needed where HOLDFAST_PUBLIC_URL is not set")
        lasts_s = days * 24 * 3600
        link = overview_links.make(
            deps, license_id, base, acting(None), lasts_s=lasts_s
        )
    answer = {"url": link.url, "expires_at": instant(link.expires_at)}
    cli.answer(answer, link.url)


COMMANDS: tuple[click.Command, ...] = (forecast, alerts, overview, overview_link)
