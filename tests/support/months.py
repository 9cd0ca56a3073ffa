"""A month of business by the API: jobs, views, top-ups, refunds, what comes late."""

from typing import Any, NamedTuple
from urllib.parse import quote

from tests.api.conftest import Api
from tests.support import job_runs
from tests.support.business_time import DAY_S, shift_to

LATER_DAYS = 33
"""By then a month that began today is over, and the next one runs."""


class Month(NamedTuple):
    """A month that was over while one of its jobs still ran."""

    license_id: str
    starts_at: str
    done: str
    """A job that ended in it, one of whose charges was refunded in it."""
    late: str
    """One that was submitted in it, and settled once it was over."""


def export(api: Api, license_id: str, user: str, *companies: str) -> str:
    """Submit an export of one person of each company, with e-mails and phones."""
    body = {
        "kind": "export",
        "license": license_id,
        "user": user,
        "records": [
            {"company": {"id": company}, "person": {"id": f"p-{company}"}}
            for company in companies
        ],
        "retrieve": ["email", "phone"],
    }
    made = api.admin.post("/v1/jobs", json=body)
    assert made.status_code == 202, made.text
    return str(made.json()["id"])


def charges_of(api: Api, job: str) -> list[dict[str, Any]]:
    """The paid charges of a job."""
    items = api.admin.get(f"/v1/jobs/{job}/charges").json()["items"]
    return [item for item in items if item["credits"]]


def refund(api: Api, charge: int) -> None:
    """Give a charge back."""
    made = api.admin.post(f"/v1/charges/{charge}/refund", json={"reason": "bounced"})
    assert made.status_code == 201, made.text


def make_month(api: Api, license_id: str = "acme") -> Month:
    """A month, and the time moved to after it; its late job has been worked on."""
    api.license(license_id, plan="V3")
    path = f"/v1/licenses/{quote(license_id, safe='')}"
    job_runs.know(api.deps, *(f"p-c{n}" for n in range(6)))
    (period,) = api.admin.get(f"{path}/periods").json()["items"]
    api.admin.post(f"{path}/top-ups", json={"credits": 40, "reference": "invoice =7"})
    done = export(api, license_id, "ada", "c0", "c1", "c2")
    api.ended(done)
    refund(api, charges_of(api, done)[0]["id"])
    for company in ("c9", "c1"):
        body = {"user": "bob", "company_id": company}
        assert api.admin.post(f"{path}/views", json=body).status_code == 200
    late = export(api, license_id, "bob", "c3", "c4")
    shift_to(api.deps.database, LATER_DAYS * DAY_S)
    # The month is over, and so it ends; what the job holds is still reserved.
    api.admin.get(f"{path}/balance")
    api.ended(late)
    return Month(license_id, period["starts_at"], done, late)
