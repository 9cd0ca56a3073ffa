"""The rules of the house as small checks over one source file each.

A rule is a function that is given a file and answers what is wrong in it, each with
its place and with what to do instead. None of them runs the code it looks at.
"""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("pricing", "storage", "worker")
"""What is delivered."""
BESIDE = "bench"
"""What is not delivered and is written with the same care: see `house`."""

# Doors stand at the end: nothing is built on top of them but the command line, which
# starts the API and, where no server is named, the embedded ones.
IMPORTED_BY = {
    "worker.cli": ("worker/cli/",),
    "worker.api": ("worker/api/", "worker/cli/"),
    "worker.embedded": ("worker/embedded/", "worker/cli/"),
}

# Use cases must run without a web server, a terminal or a broker.
FRAMEWORKS = {
    "alembic": ("storage/migrations/",),
    "boto3": ("storage/files/s3_bucket.py",),
    "botocore": ("storage/files/s3_bucket.py", "storage/files/s3_streams.py"),
    "celery": (
        "worker/celery_app.py",
        "worker/celery_tasks.py",
        "worker/jobs/dispatcher.py",
        "worker/jobs/heartbeat.py",
        "worker/jobs/messages/",
    ),
    "click": ("worker/cli/",),
    "fastapi": ("worker/api/",),
    "opentelemetry": ("worker/infrastructure/telemetry/traces.py",),
    "uvicorn": ("worker/cli/", "worker/api/http_protocol.py"),
}

# Everything that gives the same answer to the same question, for ever.
PURE = frozenset(
    {
        "array",
        "calendar",
        "collections",
        "dataclasses",
        "datetime",
        "enum",
        "functools",
        "hashlib",
        "itertools",
        "types",
        "typing",
        "unicodedata",
    }
)

CLOCK = "worker/infrastructure/clock.py"
# A server that hangs is noticed by the client's own clock, below the worker.
PATIENCE = "storage/bounded_connection.py"
# Runs alone, after a kill -9 of the rest, on the standard library only.
GUARDIAN = "worker/embedded/guardian.py"
COMMITS = "storage/database.py"
PUBLISHES = "worker/jobs/dispatcher.py"
ASKS_OTHERS = (
    "worker/infrastructure/outbound_client.py",
    "worker/findings/providers/http.py",
    "worker/sandbox/",
)
"""Whom customers name, whom the house's settings name, and the stand-in of those."""

WRITES_CSV = (
    "worker/exports/writers/",
    "worker/connections/connectors/",
    "worker/sandbox/",
)
"""For people, and for a CRM's bulk interface and its stand-in, which nobody opens."""

MIGRATIONS = "storage/migrations/versions/"
"""Written once, with every table in one function, and never edited again."""

FUNCTION_LINES_MAX = 50
FILE_LINES_MAX = 500


@dataclass(frozen=True)
class Source:
    """One file of the product, by its path from the root."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    @property
    def package(self) -> str:
        return self.path.split("/")[0]

    @cached_property
    def comments(self) -> list[tokenize.TokenInfo]:
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        return [token for token in tokens if token.type == tokenize.COMMENT]

    def wrong(self, line: int, message: str) -> str:
        return f"{self.path}:{line}: {message}"


Rule = Callable[[Source], list[str]]


def product() -> list[Source]:
    """All that is delivered."""
    return _sources(PACKAGES)


def house() -> list[Source]:
    """The product with what stands beside it: its sizes, words and arrows are held."""
    return _sources((*PACKAGES, BESIDE))


def _sources(packages: Sequence[str]) -> list[Source]:
    return [
        _source(path)
        for package in packages
        for path in sorted((ROOT / package).rglob("*.py"))
    ]


@cache
def _source(path: Path) -> Source:
    """Whoever looks at a file finds it as parsed as the last one left it."""
    return Source(path.relative_to(ROOT).as_posix(), path.read_text("utf-8"))


# -- Walls: who may know whom.


def points_down(source: Source) -> list[str]:
    """Worker imports storage imports pricing, never back."""
    above = {"pricing": ("storage", "worker"), "storage": ("worker",), "worker": ()}
    forbidden = (*above[source.package], "tests")
    return [
        source.wrong(line, f"{source.package} must not know {name}; hand it in")
        for line, name in imports_of(source)
        if any(within(name, package) for package in forbidden)
    ]


def imports_absolutely(source: Source) -> list[str]:
    """One module has one name, so that a search finds all who use it."""
    return [
        source.wrong(node.lineno, "name the module in full")
        for node in source.nodes
        if isinstance(node, ast.ImportFrom) and node.level
    ]


def entries_are_imported_by_nobody(source: Source) -> list[str]:
    """Nothing is built on API or command line: what both need is a use case."""
    return [
        source.wrong(line, f"{name} leads to use cases; move what you need into one")
        for line, name in imports_of(source)
        for entry, entrances in IMPORTED_BY.items()
        if within(name, entry) and not source.path.startswith(entrances)
    ]


def frameworks_stay_in_the_entries(source: Source) -> list[str]:
    """A use case is called by the API, the command line and Celery alike."""
    return [
        source.wrong(line, f"{framework} belongs in {', '.join(places)}")
        for line, name in imports_of(source)
        for framework, places in FRAMEWORKS.items()
        if within(name, framework) and not source.path.startswith(places)
    ]


def guardian_runs_alone(source: Source) -> list[str]:
    """It must start where nothing is installed, and when all else is gone."""
    if source.path != GUARDIAN:
        return []
    return [
        source.wrong(line, f"{name} is not of the standard library")
        for line, name in imports_of(source)
        if name.split(".")[0] not in sys.stdlib_module_names
    ]


# -- Purity: the same question, the same answer.


def pricing_is_pure(source: Source) -> list[str]:
    """No clock, ids, files, network or log: instants come in as arguments."""
    if source.package != "pricing":
        return []
    impure = [
        source.wrong(line, f"{name} is not pure; pass what it gives as an argument")
        for line, name in imports_of(source)
        if name.split(".")[0] not in {*PURE, "pricing"}
    ]
    outside = {"__import__", "eval", "exec", "input", "open", "print"}
    return impure + [
        source.wrong(line, f"{name}() reaches outside")
        for line, name in _calls(source)
        if name in outside
    ]


def credits_are_whole(source: Source) -> list[str]:
    """What is never a fraction is never rounded, and adds up."""
    if source.package != "pricing":
        return []
    fractions = [
        source.wrong(line, f"{name}() makes fractions; credits are whole")
        for line, name in _calls(source)
        if name in {"float", "round"}
    ]
    for node in source.nodes:
        if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div):
            fractions.append(source.wrong(node.lineno, "use // or divmod"))
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            fractions.append(source.wrong(node.lineno, "credits are whole"))
    return fractions


# -- One place for each thing that must not happen twice.


def one_place_reads_the_clock(source: Source) -> list[str]:
    """Instants come from the database, durations from the clock's module."""
    if source.path in {CLOCK, GUARDIAN, PATIENCE}:
        return []
    imported = [
        source.wrong(line, f"{CLOCK} alone knows the time")
        for line, name in imports_of(source)
        if within(name, "time")
    ]
    return imported + [
        source.wrong(node.lineno, "ask the database for the instant")
        for node, name in _method_calls(source)
        if name in {"now", "today", "utcnow"} and not _is_sql(node)
    ]


def one_place_commits(source: Source) -> list[str]:
    """Whoever is given a connection never ends its transaction."""
    ends = {"begin", "begin_nested", "commit", "rollback"}
    if source.path == COMMITS:
        return []
    return [
        source.wrong(node.lineno, f".{name}() belongs in {COMMITS}: transaction()")
        for node, name in _method_calls(source)
        if name in ends
    ]


def one_place_publishes(source: Source) -> list[str]:
    """What is published before its commit may run before there is anything to do."""
    publishes = {"apply_async", "delay", "send_task"}
    if source.path == PUBLISHES:
        return []
    return [
        source.wrong(node.lineno, f".{name}() belongs in {PUBLISHES}; write a row")
        for node, name in _method_calls(source)
        if name in publishes
    ]


def one_place_writes_csv(source: Source) -> list[str]:
    """What a spreadsheet opens comes from others: the writers keep it from living."""
    if source.path.startswith(WRITES_CSV):
        return []
    return [
        source.wrong(node.lineno, f"csv.{name} lets formulas live; use {WRITES_CSV[0]}")
        for node, name in _method_calls(source)
        if name in {"writer", "DictWriter"} and getattr(node.value, "id", None) == "csv"
    ]


def one_place_asks_others(source: Source) -> list[str]:
    """A request of ours goes nowhere that the guard on addresses has not looked at."""
    clients = ("aiohttp", "httpcore", "httpx", "requests", "urllib.request", "urllib3")
    if source.path.startswith(ASKS_OTHERS):
        return []
    return [
        source.wrong(line, f"{name} belongs in {', '.join(ASKS_OTHERS)}")
        for line, name in imports_of(source)
        for client in clients
        if within(name, client)
    ]


# -- Size and words.


def functions_are_short(source: Source) -> list[str]:
    """At most 50 lines; a comment costs nothing, for it says why."""
    if source.path.startswith(MIGRATIONS):
        return []
    alone = {
        token.start[0] for token in source.comments if token.line.lstrip()[0] == "#"
    }
    long = []
    for node in source.nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(mark.lineno for mark in node.decorator_list)])
            lines = set(range(first, (node.end_lineno or first) + 1)) - alone
            if len(lines) > FUNCTION_LINES_MAX:
                message = f"{node.name} has {len(lines)} lines; find its parts"
                long.append(source.wrong(node.lineno, message))
    return long


def files_are_short(source: Source) -> list[str]:
    """At most 500 lines: a file is one idea."""
    lines = len(source.text.splitlines())
    if lines <= FILE_LINES_MAX or source.path.startswith(MIGRATIONS):
        return []
    return [source.wrong(1, f"has {lines} lines; find its parts")]


def modules_say_what_they_are(source: Source) -> list[str]:
    """A sentence at the top tells a reader whether to go on."""
    if ast.get_docstring(source.tree):
        return []
    return [source.wrong(1, "begin with a sentence that says what this is")]


def nothing_is_left_for_later(source: Source) -> list[str]:
    """What is delivered is done; what is not done is an issue."""
    unfinished = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")
    return [
        source.wrong(number, f"{found[0]}: do it, or open an issue")
        for number, line in enumerate(source.text.splitlines(), start=1)
        if (found := unfinished.search(line))
    ]


def exceptions_have_a_reason(source: Source) -> list[str]:
    """Whoever silences a check names it, and for the linter says why."""
    silences = re.compile(r"#\s*(noqa|type:\s*ignore)", re.IGNORECASE)
    reasoned = re.compile(r"# noqa: [A-Z]+\d+(, ?[A-Z]+\d+)* - \S.*")
    coded = re.compile(r"# type: ignore\[[a-z, -]+\]")
    return [
        source.wrong(token.start[0], f"name the check and the reason: {token.string}")
        for token in source.comments
        if silences.search(token.string)
        and not reasoned.search(token.string)
        and not coded.search(token.string)
    ]


# -- How to look at a file.


def imports_of(source: Source) -> Iterator[tuple[int, str]]:
    """What is imported, by its full name: `from a import b` as `a.b`."""
    for node in source.nodes:
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"


def within(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")


def _calls(source: Source) -> Iterator[tuple[int, str]]:
    """Calls of a plain name."""
    for node in source.nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.lineno, node.func.id


def _method_calls(source: Source) -> Iterator[tuple[ast.Attribute, str]]:
    """Calls of something's attribute."""
    for node in source.nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node.func, node.func.attr


def _is_sql(node: ast.Attribute) -> bool:
    """Whether it is SQLAlchemy's `func.now`: the database's own clock."""
    base = node.value
    name = base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "")
    return name == "func"
