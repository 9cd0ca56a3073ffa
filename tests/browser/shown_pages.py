"""The pages of the console, and what each says of the house that is shown."""

from typing import NamedTuple


class ShownPage(NamedTuple):
    """Where a page is, by jobs' names in braces, and words that stand on it."""

    path: str
    says: tuple[str, ...]
    of_finance: bool = False


PAGES = {
    "overview": ShownPage(
        "/console/",
        (
            "Overview",
            "Jobs that are open",
            "All contacts of 2026",
            "Queues",
            "Workers and dispatchers",
            "Providers",
            "hunter",
            "Last sweep",
        ),
    ),
    "exports": ShownPage(
        "/console/jobs", ("Newsletter, October", "Sent by mistake", "Pause all")
    ),
    "pushes": ShownPage(
        "/console/jobs?kind=push", ("All contacts of 2026", "Old address book")
    ),
    "filtered": ShownPage(
        "/console/jobs?license=acme&state=partial&kind=push", ("Leads of the fair",)
    ),
    "job-running": ShownPage(
        "/console/jobs/{running}",
        ("All contacts of 2026", "running", "Pause", "Cancel", "Chunks"),
    ),
    "job-queued": ShownPage(
        "/console/jobs/{queued}", ("Why it does not run", "paused its license")
    ),
    "job-paused": ShownPage(
        "/console/jobs/{paused}", ("Resume", "asked for by the customer")
    ),
    "job-parked": ShownPage(
        "/console/jobs/{parked}",
        ("Why it does not run", "rejected", "invalid_email", "Resume"),
    ),
    "job-partial": ShownPage(
        "/console/jobs/{partial}",
        ("partial", "Retry the rejected", "A push leaves no file."),
    ),
    "job-succeeded": ShownPage(
        "/console/jobs/{succeeded}",
        ("succeeded", "SHA-256", "Webhooks", "job.finished", "500", "send again"),
    ),
    "job-cancelled": ShownPage(
        "/console/jobs/{cancelled}",
        ("cancelled", "Ada of operations", "Retry the rejected"),
    ),
    "job-failed": ShownPage("/console/jobs/{failed}", ("failed", "given up")),
    "job-stuck": ShownPage("/console/jobs/{stuck}", ("finishing", "Give up")),
    "queues": ShownPage(
        "/console/queues",
        ("Whose turn it is", "initech", "their CRM is being moved", "Outbox"),
    ),
    "workers": ShownPage("/console/workers", ("Worker", "Dispatcher", "Drain")),
    "connections": ShownPage(
        "/console/connections", ("Sales, Pipedrive", "Marketing, HubSpot", "active")
    ),
    "providers": ShownPage("/console/providers", ("hunter", "asked")),
    "actions": ShownPage(
        "/console/actions",
        ("give up", "pause", "cancel", "asked for by the customer"),
    ),
    "confirmation": ShownPage(
        "/console/act/priority/{paused}", ("Change priority", "Reason", "Leave it")
    ),
    "bulk": ShownPage(
        "/console/act-on-all/pause?kind=export&license=initech",
        ("can take this now", "Reason"),
    ),
    "finance": ShownPage(
        "/console/finance", ("Finance", "Initech", "Available"), of_finance=True
    ),
    "finance-license": ShownPage(
        "/console/finance/licenses/acme", ("Plan V3", "running"), of_finance=True
    ),
    "finance-statement": ShownPage(
        "/console/finance/licenses/acme/statement",
        ("Opening", "Closing", "By item", "By job", "not closed", "XLSX"),
        of_finance=True,
    ),
    "finance-charges": ShownPage(
        "/console/finance/charges?license=acme&item=email",
        ("Charges", "email", "price"),
        of_finance=True,
    ),
    "finance-charge": ShownPage(
        "/console/finance/charges/1", ("Charge 1", "Credits", "Rule"), of_finance=True
    ),
    "finance-reconciliations": ShownPage(
        "/console/finance/reconciliations",
        ("Reconciliations", "Period", "License, or all"),
        of_finance=True,
    ),
    "finance-usage": ShownPage(
        "/console/finance/usage",
        ("A vendor's usage file", "File (CSV)", "Column with the ids"),
        of_finance=True,
    ),
}
