"""A journal in hledger's language, https://hledger.org/hledger.html."""

from collections.abc import Iterable, Iterator

from worker.finance.warehouse.journal import COMMODITY, Entry, Held, Posted, one_line


def lines(entries: Iterable[Entry]) -> Iterator[str]:
    """The journal, line by line."""
    yield f"commodity 1000. {COMMODITY}\n"
    declared: set[str] = set()
    for entry in entries:
        for account in _accounts(entry):
            if account not in declared:
                declared.add(account)
                yield f"account {account}\n"
        if isinstance(entry, Posted):
            yield _posted(entry)
        else:
            yield _held(entry)
            # No other period has an account of this one, but for where all comes from.
            declared = {one for one in declared if one.startswith("Equity:")}


def _accounts(entry: Entry) -> Iterable[str]:
    if isinstance(entry, Held):
        return entry.by_account
    return entry.source, entry.target


def _posted(entry: Posted) -> str:
    about = one_line(entry.about)
    return (
        f"\n{entry.at} * {entry.kind} | {about}  ; transfer: {entry.id}\n"
        f"    {entry.source}  {-entry.credits} {COMMODITY}\n"
        f"    {entry.target}  {entry.credits} {COMMODITY}\n\n"
    )


def _held(held: Held) -> str:
    # What moves nothing says what there is, accounts below an account counted.
    postings = "".join(
        f"    {account}  0 {COMMODITY} =* {credits_} {COMMODITY}\n"
        for account, credits_ in held.by_account.items()
    )
    return f"\n{held.at} * balances\n{postings}\n"
