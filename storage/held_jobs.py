"""What is held by a pause of more than a job: as SQL, for all who look at jobs.

The pauses are set and lifted in `storage/operations/scope_pauses`.
"""

from sqlalchemy import Connection, text

PROVIDER_PAUSED = "provider_paused"
"""Why a chunk waits that needs a provider which nobody is to ask."""

_HAS_PAUSED = "EXISTS (SELECT FROM scope_pauses WHERE scope = '{}')"
_PAUSED = "(SELECT subject FROM scope_pauses WHERE scope = '{}')"


def is_held(job: str) -> str:
    """SQL that says whether nothing of a job is to be handed out, taken or gone on.

    `job` is what the statement calls its row of `jobs`. Where nothing is paused it
    costs next to nothing, for however many jobs.
    """
    connection = (
        f"coalesce((SELECT push ->> 'connection' FROM quotes"  # noqa: S608 - constants only
        f" WHERE quotes.id = {job}.quote_id), '')"
    )
    return f"""(
      {_HAS_PAUSED.format("everything")}
      OR {job}.license_id IN {_PAUSED.format("license")}
      OR ({_HAS_PAUSED.format("connection")} AND {job}.kind = 'push'
          AND {connection} IN {_PAUSED.format("connection")}))"""


def stops_deadlines(job: str) -> str:
    """SQL that says whether a job's deadlines stand still.

    They do also where it may need a provider that is paused.
    """
    return f"""({is_held(job)}
      OR ({_HAS_PAUSED.format("provider")}
          AND (SELECT retrieve <> '{{}}' FROM quotes
                WHERE quotes.id = {job}.quote_id)))"""  # noqa: S608 - constants only


def waiting_reason(job: str) -> str:
    """SQL for why a job does not go on, as people are told; NULL where it does."""
    return f"""CASE
      WHEN {job}.state NOT IN ('queued', 'running') THEN {job}.waiting_reason
      WHEN {_HAS_PAUSED.format("everything")} THEN 'all_paused'
      WHEN {job}.license_id IN {_PAUSED.format("license")} THEN 'license_paused'
      WHEN {is_held(job)} THEN 'connection_paused'
      ELSE {job}.waiting_reason END"""


def paused_providers(connection: Connection) -> frozenset[str]:
    """The providers that nobody is to ask."""
    rows = connection.execute(
        text("SELECT subject FROM scope_pauses WHERE scope = 'provider'")
    )
    return frozenset(rows.scalars())
