"""What `--help` shows of a command in use. A test types each of them."""

EXAMPLES: dict[str, tuple[str, ...]] = {
    "license": (
        (
            "holdfast license create acme --name Acme --plan V2 --payment-term monthly "
            "--credits 1000"
        ),
    ),
    "top-up": ("holdfast top-up acme 500 --reference invoice-2026-11",),
    "balance": ("holdfast balance acme", "holdfast balance acme --json"),
    "quote": (
        "holdfast quote contacts.csv --license acme --user ada --retrieve email,phone",
    ),
    "export": (
        (
            "holdfast export contacts.csv --license acme --user ada --retrieve email "
            "--out found.csv"
        ),
        (
            "holdfast export contacts.csv --license acme --user ada --format xlsx "
            "--max-credits 200 --out found.xlsx --watch"
        ),
    ),
    "jobs": ("holdfast jobs --license acme --state running",),
    "job": ("holdfast job job_0123456789 --watch",),
    "pause": ('holdfast pause job_0123456789 --reason "the CRM is being moved"',),
    "cancel": ('holdfast cancel job_0123456789 --reason "asked for twice"',),
    "retry": ("holdfast retry job_0123456789 --max-credits 50",),
    "keys": (
        "holdfast keys create --name backend --scope producer --license acme",
        "holdfast keys revoke key_0123456789",
    ),
    "statement": (
        "holdfast statement acme --period 2026-11 --out november.pdf",
        "holdfast statement acme",
    ),
    "periods": ("holdfast periods close acme 2026-10",),
    "reconcile": ("holdfast reconcile --period 2026-11 --license acme",),
    "explain": ("holdfast explain 4711",),
    "refunds": (
        "holdfast refunds preview 4711 4712",
        'holdfast refunds make 4711 --reason "found twice"',
    ),
    "directory": ("holdfast directory load persons.jsonl",),
    "audit": ("holdfast audit", "holdfast audit --chain"),
    "check": (
        "holdfast check",
        "holdfast check --json",
    ),
    "up": ("holdfast up --port 8000", "holdfast up --home ./try --port 0"),
}
"""By the name that is typed."""


def epilog_of(name: str) -> str | None:
    """What stands below a command's options; None where there are no examples."""
    lines = EXAMPLES.get(name)
    if lines is None:
        return None
    # Click leaves the ends of lines alone below its mark.
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])
