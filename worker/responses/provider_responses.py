"""Requests to providers as operators see them."""

from storage.findings.lookup_pages import Lookup
from worker.infrastructure.clock import instant
from worker.responses.response import Answer


def of_lookup(lookup: Lookup) -> Answer:
    """A request to a provider."""
    return {
        "id": lookup.id,
        "provider": lookup.provider,
        "job": lookup.job_id,
        "state": lookup.state.value,
        "vendor_id": lookup.vendor_id,
        "persons": lookup.persons,
        "created_at": instant(lookup.created_at),
        "deadline": instant(lookup.deadline),
        "ended_at": instant(lookup.ended_at),
    }
