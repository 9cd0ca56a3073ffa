"""Topics, which are Salesforce's tags: made where they are missing, and assigned."""

from collections.abc import Sequence
from typing import Any

from worker.connections.connectors.errors import Misconfigured, Unavailable
from worker.connections.connectors.salesforce.api import (
    Refused,
    SalesforceApi,
    literal_of,
)
from worker.connections.connectors.salesforce.record_writes import CALL_MAX
from worker.connections.connectors.salesforce.row_errors import (
    DUPLICATE_VALUE,
    code_of,
    is_crowded,
    is_passing,
    rejected_of,
)


def assign(api: SalesforceApi, name: str, their_ids: Sequence[str]) -> None:
    """Give records a topic. Raises `Misconfigured` where the org does not let us."""
    topic_id = _topic(api, name)
    rows = [
        {
            "attributes": {"type": "TopicAssignment"},
            "EntityId": their_id,
            "TopicId": topic_id,
        }
        for their_id in their_ids
    ]
    for start in range(0, len(rows), CALL_MAX):
        _create(api, name, rows[start : start + CALL_MAX])


def _topic(api: SalesforceApi, name: str) -> str:
    for _ in range(2):
        found = api.query(
            f"SELECT Id FROM Topic WHERE Name = {literal_of(name)}"  # noqa: S608 - SOQL, quoted
        )
        for row in found:
            return str(row["Id"])
        _create(api, name, [{"attributes": {"type": "Topic"}, "Name": name}])
    raise Unavailable(f"Salesforce makes no topic {name!r}")


def _create(api: SalesforceApi, name: str, records: list[dict[str, Any]]) -> None:
    """Create records of which somebody may have made the same: that is fine."""
    made = {"allOrNone": False, "records": records}
    try:
        answer = api.send("POST", "/composite/sobjects", made)
    except Refused as refused:
        answer = [{"errors": refused.errors}]
    if not isinstance(answer, list):
        raise Unavailable("Salesforce answered without a list")
    for told in answer:
        errors = told.get("errors") or ()
        if told.get("success") or any(code_of(e) == DUPLICATE_VALUE for e in errors):
            continue
        words = f"Salesforce gives nobody the topic {name!r}: "
        words += rejected_of(errors).message
        raise (
            Unavailable(words)
            if is_passing(errors) or is_crowded(errors)
            else Misconfigured("forbidden", words)
        )
