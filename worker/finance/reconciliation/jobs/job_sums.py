"""A job's sums: reservation, quote, transfers, charges and chunks compared."""

from collections.abc import Mapping
from typing import Any

from pricing.plans import TABLES, Item, PaymentTerm, Plan, Terms
from storage.finance.reconciliation.job_rows import JobRow
from worker.finance.reconciliation.notebook import Notebook

_FINISHED_WITHIN_S = 60.0
"""A job ends in the transaction that closes its reservation."""


def check(row: JobRow, notes: Notebook) -> Terms | None:
    """Note where a job's rows do not say the same; the terms that its quote froze."""
    job, quote = row.job, row.quote
    if not job or not quote:
        what = "job" if not job else "quote"
        notes.differ("jobs", row.job_id, expected=f"a {what}", found="none")
        return None
    for name, number in (("settle", row.settled), ("release", row.released)):
        place = f"reservations.{'settled' if name == 'settle' else 'released'}"
        notes.same(place, row.reservation_id, row.transferred[name], number)
    moved = row.transferred["reserve"]
    notes.same("reservations.amount", row.reservation_id, moved, row.amount)
    notes.same("quotes.max_credits", row.job_id, row.amount, quote["max_credits"])
    notes.same("charges", row.job_id, row.settled, row.charged["credits"])
    notes.same("charges.of_job", row.job_id, 0, row.charged["others"])
    notes.same("transfers.of_job", row.job_id, 0, row.transferred["others"])
    for name in ("license_id", "user_id", "kind"):
        notes.same(f"jobs.{name}", row.job_id, quote[name], job[name])
    notes.same("reservations.license", row.job_id, job["license_id"], row.license_id)
    notes.same("jobs.records", row.job_id, quote["records"], job["records"])
    if not quote["was_valid"]:
        notes.differ(
            "quotes.quoted_at",
            row.job_id,
            expected="before its job, which it had not expired for",
            found=quote["quoted_at"],
        )
    is_over = row.state == "closed"
    notes.same("jobs.finished_at", row.job_id, is_over, job["finished"])
    lag_s = job["finished_after_s"]
    if lag_s is not None and abs(lag_s) > _FINISHED_WITHIN_S:
        notes.differ(
            "jobs.finished_at",
            row.job_id,
            expected="with its reservation",
            found=f"{lag_s:.0f} s after it",
        )
    _check_state(row, notes)
    return _terms(row, notes)


def _check_state(row: JobRow, notes: Notebook) -> None:
    """What a job's end says of its records."""
    if not row.has_ended:
        return
    chunked, job = row.chunked, row.job
    notes.same("chunks.records", row.job_id, job["records"], chunked["records"])
    ended = chunked["delivered"] + chunked["excluded"] + chunked["rejected"]
    state = job["state"]
    if state in ("succeeded", "partial"):
        whole = ended == job["records"] and not chunked["rejected"]
        right = "succeeded" if whole else "partial"
        notes.same("jobs.state", row.job_id, right, state)


def _terms(row: JobRow, notes: Notebook) -> Terms | None:
    """The terms that a quote froze, which the price table must have as they are."""
    frozen = row.quote["terms"]
    try:
        terms = _of_table(frozen)
    except (KeyError, TypeError, ValueError):
        notes.differ(
            "quotes.terms",
            row.job_id,
            expected="a plan of the price table",
            found=frozen,
        )
        return None
    right = {name: getattr(terms, name) for name in Terms.__dataclass_fields__}
    if right == frozen:
        return terms
    notes.differ("quotes.terms", row.job_id, expected=_told(right), found=_told(frozen))
    return None


def _told(terms: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {terms[name]}" for name in sorted(terms))


def _of_table(frozen: Any) -> Terms:  # noqa: ANN401 - whatever stands there
    plan, term = Plan(frozen["plan"]), PaymentTerm(frozen["payment_term"])
    prices = TABLES[frozen["version"]][plan]
    return Terms(
        plan=plan,
        payment_term=term,
        version=frozen["version"],
        view=prices.view,
        company=prices.company,
        email=prices.email,
        phone=prices.phone,
        window_days=prices.window_days[term],
        views_count=prices.views_count,
    )


def items_asked(row: JobRow) -> list[Item]:
    """What the quote asked for of each person; what is no item is none."""
    known = {item.value: item for item in Item}
    return [known[name] for name in row.quote.get("retrieve") or () if name in known]
