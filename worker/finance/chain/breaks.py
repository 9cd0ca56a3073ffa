"""Breaks: where a run's seals are not those of its rows, as near as can be told.

Each run is judged by what stands before it in the database, so that one changed row is
one break, and not one in every run after it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from storage.finance.chain.runs import NOTHING, Link, Run, total_of
from storage.finance.chain.sealed_rows import TABLES, SealedRow
from worker.finance.chain.seals import (
    RowsSeal,
    are_same,
    link_head,
    other_row,
    run_head,
)


class Break(NamedTuple):
    """Where the chain is broken, and how."""

    what: str
    run: int | None = None
    license_id: str | None = None
    table: str | None = None
    row: int | None = None

    def __str__(self) -> str:
        """A sentence: `license acme, run 7, table charges, row 12: is another one`."""
        places = {
            "license": self.license_id,
            "run": self.run,
            "table": self.table,
            "row": self.row,
        }
        where = ", ".join(
            f"{name} {at}" for name, at in places.items() if at is not None
        )
        return f"{where}: {self.what}" if where else self.what


@dataclass(slots=True)
class Chain:
    """Where the house's chain and those of licenses stand, while runs are followed."""

    run: Run | None = None
    heads: dict[str, tuple[int, bytes]] = field(default_factory=dict)

    def follow(
        self,
        run: Run,
        key: bytes | None,
        links: Sequence[Link],
        rows: Mapping[str, RowsSeal],
    ) -> Iterator[Break]:
        """All that is wrong with the next run, which the ones after it stand on.

        Without its key it is told whether runs and links follow each other, no more.
        """
        yield from self._out_of_line(run)
        for link in links:
            yield from self._link_out_of_line(link)
            self.heads[link.license_id] = link.position, link.head
        self.run = run
        if key is not None:
            yield from _of_links(run, key, links, rows)
            yield from _of_run(run, key, links)

    def _out_of_line(self, run: Run) -> Iterator[Break]:
        before = self.run
        n, to, era, head = (
            (before.n, before.to_transaction, before.era, before.head)
            if before
            else (0, 0, 0, NOTHING)
        )
        if run.n != n + 1:
            yield Break(f"run {n + 1} is gone", run.n)
        elif run.previous_head != head:
            yield Break("does not follow the head of the run before it", run.n)
        if run.from_transaction != to:
            yield Break("does not begin where the run before it ends", run.n)
        if run.era < era:
            yield Break("is of an era that was over", run.n)

    def _link_out_of_line(self, link: Link) -> Iterator[Break]:
        position, head = self.heads.get(link.license_id, (0, NOTHING))
        if link.position != position + 1:
            what = f"link {position + 1} is gone"
        elif link.previous_head != head:
            what = "does not follow the head of the link before it"
        else:
            return
        yield Break(what, link.run, link.license_id)


def _of_links(
    run: Run, key: bytes, links: Sequence[Link], rows: Mapping[str, RowsSeal]
) -> Iterator[Break]:
    by_license = {link.license_id: link for link in links}
    for license_id in sorted(by_license.keys() | rows.keys()):
        link = by_license.get(license_id)
        sealed = rows.get(license_id) or RowsSeal(key)
        if link is None:
            yield from _never_sealed(run, license_id, sealed)
        elif link_head(key, link, run, sealed.digest) != link.head:
            yield from _differences(link, sealed)


def _never_sealed(run: Run, license_id: str, rows: RowsSeal) -> Iterator[Break]:
    for place, table in enumerate(TABLES):
        if rows.counts[place]:
            row = other_row(RowsSeal(b"").locators, rows.locators, place)
            yield Break(
                f"{rows.counts[place]} rows were never sealed and lie in what was",
                run.n,
                license_id,
                table,
                row,
            )


def _differences(link: Link, rows: RowsSeal) -> Iterator[Break]:
    """Where rows are others than were sealed: by table, and by row where it is one."""
    found = False
    for place, table in enumerate(TABLES):
        kept, now = link.counts[place], rows.counts[place]
        row = other_row(link.locators, rows.locators, place)
        if kept == now and are_same(link.locators, rows.locators, place):
            continue
        found = True
        what = _difference(kept, now, of_one=row is not None)
        yield Break(what, link.run, link.license_id, table, row)
    if not found:
        yield Break("the link is not what was sealed", link.run, link.license_id)


def _difference(kept: int, now: int, *, of_one: bool) -> str:
    if kept == now:
        return "is not what was sealed" if of_one else "rows are not what was sealed"
    if not of_one:
        return f"{kept} rows were sealed, {now} are there"
    return "was removed" if now < kept else "was added after it was sealed"


def _of_run(run: Run, key: bytes, links: Sequence[Link]) -> Iterator[Break]:
    sums = total_of(links)
    if len(links) != run.links or sums != run.counts:
        yield Break(
            f"{run.links} links of {sum(run.counts)} rows were sealed, "
            f"{len(links)} of {sum(sums)} are there",
            run.n,
        )
    elif run_head(key, run, links) != run.head:
        yield Break("the run is not what was sealed", run.n)


def words_differ(run: Run, row: SealedRow) -> Break:
    """What a person wrote is not what was sealed, and was not erased."""
    what = "its words are not those that were sealed"
    return Break(what, run.n, row.license_id, TABLES[row.table], row.id)


def below_all_runs(row: SealedRow) -> Break:
    """A row says to be of a transaction that came before all there were."""
    what = "is of no transaction that there was"
    return Break(what, None, row.license_id, TABLES[row.table], row.id)


def never_was(row: SealedRow) -> Break:
    """A row says to be of a transaction that is still to come."""
    what = "is of a transaction that has not been"
    return Break(what, None, row.license_id, TABLES[row.table], row.id)
