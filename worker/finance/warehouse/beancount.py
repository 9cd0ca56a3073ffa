"""A journal in beancount's language, https://beancount.github.io/docs/."""

from collections.abc import Iterable, Iterator
from datetime import timedelta

from worker.finance.warehouse.journal import COMMODITY, Entry, Held, Posted, one_line

_OPENED = "1970-01-01"
"""Before any transfer: two that pass midnight at once may come in either order."""


def lines(entries: Iterable[Entry]) -> Iterator[str]:
    """The journal, line by line."""
    yield f'option "title" "Credits"\noption "operating_currency" "{COMMODITY}"\n'
    yield f"{_OPENED} commodity {COMMODITY}\n"
    opened: set[str] = set()
    for entry in entries:
        for account in _accounts(entry):
            if account not in opened:
                opened.add(account)
                yield f"{_OPENED} open {account} {COMMODITY}\n"
        if isinstance(entry, Posted):
            yield _posted(entry)
        else:
            yield from _held(entry)
            # No other period has an account of this one, but for where all comes from.
            opened = {account for account in opened if account.startswith("Equity:")}


def _accounts(entry: Entry) -> Iterable[str]:
    if isinstance(entry, Held):
        return entry.by_account
    return entry.source, entry.target


def _posted(entry: Posted) -> str:
    return (
        f'\n{entry.at} * "{entry.kind}" "{one_line(entry.about)}"\n'
        f'  transfer: "{entry.id}"\n'
        f"  {entry.source}  {-entry.credits} {COMMODITY}\n"
        f"  {entry.target}  {entry.credits} {COMMODITY}\n"
    )


def _held(held: Held) -> Iterator[str]:
    # A balance is that of the morning.
    at = held.at + timedelta(days=1)
    yield "\n"
    for account, credits_ in held.by_account.items():
        yield f"{at} balance {account}  {credits_} {COMMODITY}\n"
