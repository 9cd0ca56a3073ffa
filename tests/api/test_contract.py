"""The API keeps to its own document, whatever it is sent."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from schemathesis.checks import CHECKS, load_all_checks

from tests.api.conftest import ADMIN_KEY

load_all_checks()

_SLOW = pytest.mark.slow
_BUSINESS = ["402", "413", "422"]
"""What valid data can meet as well: a document does not know the business."""


@pytest.fixture
def settings() -> dict[str, object]:
    # Connections need a Redis to be named; that it does not answer is allowed.
    return {"rate_a_minute": 1_000_000, "redis_url": "redis://127.0.0.1:1"}


@pytest.fixture
def document(api):
    """The document of an API that has a license with a job."""
    api.license()
    body = {
        "kind": "export",
        "license": "acme",
        "user": "u",
        "records": [{"company": {"id": "c"}}],
    }
    api.ended(api.admin.post("/v1/jobs", json=body).json()["id"])
    document = schemathesis.openapi.from_url(f"{api.url}/v1/openapi.json")
    check = document.config.checks.positive_data_acceptance
    check.expected_statuses = [*check.expected_statuses, *_BUSINESS]
    return document


def _holds(operation, examples: int) -> None:
    @effort(
        max_examples=examples,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(case=operation.as_strategy())
    def holds(case) -> None:
        case.call_and_validate(
            headers={"Authorization": f"Bearer {ADMIN_KEY}"}, checks=CHECKS.get_all()
        )

    holds()


@pytest.mark.parametrize(
    "share", [pytest.param(50, id="few"), pytest.param(10, id="all", marks=_SLOW)]
)
def test_the_api_keeps_to_its_document(document, subtests, share):
    for found in document.get_all_operations():
        operation = found.ok()
        if operation.path.endswith("/events"):
            continue  # it does not end before its job; followed in test_jobs
        with subtests.test(operation.label):
            _holds(operation, effort().max_examples // share)
