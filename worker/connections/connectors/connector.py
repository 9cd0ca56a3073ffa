"""What a connector is: who writes to a CRM, and the words it is spoken to in."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, Protocol


class Kind(StrEnum):
    """What a record becomes in a CRM: its company, and its person."""

    COMPANY = "company"
    PERSON = "person"


Fields = Mapping[str, str]
"""Values by the CRM's own names of its fields; an empty one clears the field."""


class Wanted(NamedTuple):
    """What a company or person is to be in the CRM.

    `id` is ours, `their_id` what the id map remembers; `fields` are all that would be
    written, `match` is what it may be known by without our key: a company's domain, a
    person's e-mail address, or empty.
    """

    id: str
    fields: Fields
    match: str = ""
    their_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Existing:
    """The CRM's record of something wanted, with the values its fields have now.

    They are as `write` would be given them, empty where there is none; `link` is where
    people see the record, and ends in its id (`/view` may follow).
    `has_key` says that it was found by our key or by the id map, and not by `match`;
    `do_not_contact` that the customer has marked the person so. What was merged into
    another record is that one: `their_id` differs from the one that was asked for.
    """

    their_id: str
    fields: Fields
    has_key: bool
    link: str | None = None
    do_not_contact: bool = False


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Several records of the CRM match, none of which has our key.

    Or it does not tell which do, and `why`: then `their_ids` are some, or none.
    """

    their_ids: tuple[str, ...]
    why: str = ""


Match = Existing | Ambiguous


class Row(NamedTuple):
    """One company or person to write; no two of a call have the same `id`.

    Without `their_id` it is created, or updated where our key is there already; with
    it that record is written, and given our key. `company_their_id` is the CRM's id of
    the company that a person belongs to; who belongs to one there already, and
    `keeps_company`, stays with it where the CRM has one company a person.
    """

    id: str
    fields: Fields
    their_id: str | None = None
    company_their_id: str | None = None
    keeps_company: bool = False


class Written(NamedTuple):
    """A row that is in the CRM now; `created` says that it was not before this call.

    That is as the CRM says: the push allows for tries before.
    `incomplete` says what went wrong with it all the same: it will be sent again.
    """

    their_id: str
    created: bool
    link: str | None = None
    incomplete: "Rejected | None" = None


class Rejected(NamedTuple):
    """A row that the CRM does not take, and why: the message is the vendor's own.

    `code` is stable and ours; `field` the CRM's name of the field, where it says so.
    """

    code: str
    message: str
    field: str | None = None
    link: str | None = None


Result = Written | Rejected


class Link(NamedTuple):
    """A person and its company, by our id of the person and by the CRM's of both."""

    person_id: str
    person_their_id: str
    company_their_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field of the CRM; `options` are the values it takes, where they are few.

    Where it takes several of them at once, `separator` stands between them; a value
    that begins with it is added to those there are, where it `appends`. Where it
    `is_open`, it takes others too.
    """

    name: str
    label: str
    type: str
    required: bool = False
    read_only: bool = False
    options: tuple[str, ...] = ()
    separator: str | None = None
    appends: bool = False
    is_open: bool = False

    def takes(self, value: str) -> bool:
        """Whether a value is one of the options, or several."""
        if self.is_open or not self.options:
            return True
        parts = self._parts(value)
        return bool(parts) and all(one in self.options for one in parts)

    def joined(self, value: str) -> str:
        """A value as the CRM joins several: its separator, and nothing around it."""
        parts = self._parts(value)
        if self.separator is None or not parts:
            return value
        is_added = self.appends and value.lstrip().startswith(self.separator)
        first = self.separator if is_added else ""
        return first + self.separator.join(parts)

    def _parts(self, value: str) -> list[str]:
        if self.separator is None:
            return [value.strip()]
        parts = (one.strip() for one in value.split(self.separator))
        return [one for one in parts if one]


@dataclass(frozen=True, slots=True)
class Reply:
    """What a CRM has answered; names of headers are lower case.

    `json` is None where the body was empty or no JSON; `content` is the body itself.
    `sent` says that the request was written in full before the answer came.
    """

    status: int
    headers: Mapping[str, str]
    json: Any
    content: bytes = b""
    sent: bool = True


class Content(NamedTuple):
    """A request's body that is no JSON, and its media type."""

    type: str
    body: bytes


class Limit(NamedTuple):
    """What a CRM says of its limit: requests in a window, and how many are left."""

    requests: int
    window_s: float
    remaining: int | None = None


class Http(Protocol):
    """The one client of all connectors: it keeps the limits and guards addresses."""

    def ask(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: object = None,
        lane: str = "",
        undoes: bool = False,
    ) -> Reply:
        """Ask once; a body is sent as JSON, `Content` as it is.

        Where the connection has an access token, it is sent along as a bearer's.
        A `lane` is named by requests that have a limit of their own besides. What
        `undoes` only stops what was begun: it is sent even by a worker that has lost
        its chunk. Whatever the status, it is an answer. Raises `Unavailable` where none
        came, `Throttled` where the connection rests.
        """

    def notice(self, limit: Limit, lane: str = "") -> None:
        """Keep to what the CRM's headers have said of its limit, or of a lane's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a connection was made with: how to reach its CRM, and as whom."""

    settings: Mapping[str, Any]
    secrets: Mapping[str, str] = field(repr=False)


class HeldKey(Protocol):
    """One of our keys that nobody else creates a record by meanwhile."""

    their_id: str | None
    """The record that was made by it, where that is known."""
    in_doubt: bool
    """Whether somebody may have made one before, and nobody knows."""

    def made(self, their_id: str) -> None:
        """Remember, for whoever holds it next, what was made or found by it.

        From then on nothing is in doubt, and the next one finds `their_id`.
        """


class Keys(Protocol):
    """Our keys in one CRM that cannot upsert by them."""

    def held(self, kind: Kind, our_id: str) -> AbstractContextManager[HeldKey]:
        """Hold a key, which one worker at a time may do.

        Raises `Unavailable` where somebody else does not let go of it.
        """


class Connector(Protocol):
    """Writes to one CRM; every method may raise a `ConnectorError`."""

    batch_max: int
    """Rows that one call of `find` or `write` takes."""
    defaults: Mapping[Kind, Mapping[str, str]]
    """The usual fields: our field's name to the CRM's."""
    owner_field: str
    """The field that holds the id that `owner` answers."""

    def test(self) -> None:
        """Ask something harmless: whether the CRM is there and takes the secrets."""

    def prepare(self) -> None:
        """Make what our key needs in the CRM, where it is not there yet."""

    def fields(self, kind: Kind) -> Mapping[str, Field] | None:
        """The CRM's fields by name; None where it takes any name."""

    def owner(self, named: str) -> str:
        """The CRM's id of a user, named by e-mail address, id, login or name.

        Raises `Misconfigured` where there is none, or several.
        """

    def find(self, kind: Kind, wanted: Sequence[Wanted]) -> Mapping[str, Match]:
        """What the CRM has already, by our ids; it only reads.

        By `match` it finds nothing that has the key of another of ours.
        """

    def write(self, kind: Kind, rows: Sequence[Row]) -> Mapping[str, Result]:
        """Write rows, each to its end: every row is in the answer, by our id.

        A batch that one row poisons is halved until that row stands alone; what a CRM
        says too little about is asked again by its key, here or, where `Unavailable` is
        raised, by the push.
        """

    def link(self, links: Sequence[Link]) -> Mapping[str, Rejected]:
        """Link persons to their companies, where `write` has not; who was refused.

        It is called after `write` for all that were created or updated, and again
        after silence: linking twice is no error.
        """

    def tag(self, kind: Kind, their_ids: Sequence[str], tags: Sequence[str]) -> None:
        """Add tags to records, making those that the CRM does not have yet."""
