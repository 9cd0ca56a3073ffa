"""Files that others' programs export, known by their columns' names.

Each is what its vendor's or, where that says nothing, public importers' documentation
calls the columns; a vendor's further columns do not matter. Sales Navigator has no
export of its own, and none is made up here: LinkedIn's file of connections is known.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from worker.quotes.readers.column_mapping import folded


class Derived(NamedTuple):
    """An id that the file lacks, and how it can be derived from one of its columns."""

    way: str
    column: str


class KnownExport(NamedTuple):
    """A file by the columns that it has at least, and what they mean to us."""

    name: str
    marks: tuple[str, ...]
    columns: Mapping[str, str]
    derived: Mapping[str, Derived]


_PERSON = {"first_name": "First Name", "last_name": "Last Name"}

KNOWN_EXPORTS: tuple[KnownExport, ...] = (
    # developers.hubspot.com, "Exports" and "Imports": columns are headed by the labels
    # of properties, and the id is "Record ID"; a file of two kinds of records says of
    # which, as in "Record ID - Company".
    KnownExport(
        "HubSpot's export of contacts with their companies",
        ("Record ID - Contact", "Record ID - Company"),
        {
            **_PERSON,
            "company_id": "Record ID - Company",
            "company_name": "Company name",
            "company_domain": "Company Domain Name",
            "person_id": "Record ID - Contact",
            "title": "Job Title",
        },
        {},
    ),
    # The same: "Primary Associated Company ID" is the label of `associatedcompanyid`
    # in the reference of a contact's default properties.
    KnownExport(
        "HubSpot's export of contacts",
        ("Record ID", "First Name", "Last Name", "Primary Associated Company ID"),
        {
            **_PERSON,
            "company_id": "Primary Associated Company ID",
            "company_name": "Associated Company",
            "person_id": "Record ID",
            "title": "Job Title",
        },
        {},
    ),
    # The same: labels of a company's default properties.
    KnownExport(
        "HubSpot's export of companies",
        ("Record ID", "Company name", "Company Domain Name"),
        {
            "company_id": "Record ID",
            "company_name": "Company name",
            "company_domain": "Company Domain Name",
        },
        {},
    ),
    # developer.salesforce.com, "Object Reference": Contact, and "Sample CSV Files" of
    # Bulk API 2.0; the Data Loader writes the names of the fields in upper case.
    KnownExport(
        "Salesforce's export of contacts",
        ("Id", "AccountId", "FirstName", "LastName"),
        {
            "company_id": "AccountId",
            "company_name": "Account.Name",
            "company_domain": "Account.Website",
            "person_id": "Id",
            "first_name": "FirstName",
            "last_name": "LastName",
            "title": "Title",
        },
        {},
    ),
    # The same: Account.
    KnownExport(
        "Salesforce's export of accounts",
        ("Id", "Name", "Website", "BillingCountry"),
        {"company_id": "Id", "company_name": "Name", "company_domain": "Website"},
        {},
    ),
    # getcapt.com, "Pipedrive Import CSV: Formatting Guide", for the form "Person -
    # Name"; the ids as in public importers of Pipedrive's exports.
    KnownExport(
        "Pipedrive's export of people",
        ("Person - ID", "Person - Name"),
        {
            "company_id": "Organization - ID",
            "company_name": "Person - Organization",
            "person_id": "Person - ID",
            "first_name": "Person - First name",
            "last_name": "Person - Last name",
        },
        {},
    ),
    KnownExport(
        "Pipedrive's export of organizations",
        ("Organization - ID", "Organization - Name"),
        {"company_id": "Organization - ID", "company_name": "Organization - Name"},
        {},
    ),
    # help.zoho.com, "When should you map the Contact ID", says that exports have the
    # record's id; "Record Id" and "Account Name.id" as public importers read them.
    KnownExport(
        "Zoho CRM's export of contacts",
        ("Record Id", "Account Name.id", "Account Name", "Last Name"),
        {
            **_PERSON,
            "company_id": "Account Name.id",
            "company_name": "Account Name",
            "person_id": "Record Id",
            "title": "Title",
        },
        {},
    ),
    KnownExport(
        "Zoho CRM's export of accounts",
        ("Record Id", "Account Name", "Account Owner"),
        {
            "company_id": "Record Id",
            "company_name": "Account Name",
            "company_domain": "Website",
        },
        {},
    ),
    # odoo.com/documentation, "Export and import data": an export that can be imported
    # again has the technical names, `id` for the external id and `parent_id/id` for
    # that of the company that a contact is of.
    KnownExport(
        "Odoo's export of contacts",
        ("id", "name", "parent_id/id"),
        {
            "company_id": "parent_id/id",
            "company_name": "parent_id/name",
            "person_id": "id",
            "title": "function",
        },
        {},
    ),
    # linkedin.com/help, "Export connections from LinkedIn", names what is exported;
    # the columns as several public importers of Connections.csv read them.
    KnownExport(
        "LinkedIn's file of connections",
        ("First Name", "Last Name", "URL", "Company", "Position", "Connected On"),
        {**_PERSON, "company_name": "Company", "title": "Position"},
        {
            "company_id": Derived("domain", "Email Address"),
            "person_id": Derived("profile_url", "URL"),
        },
    ),
    # Google describes no columns: these are the ones that public importers of its file
    # name, before and since they were renamed.
    KnownExport(
        "Google Contacts' export",
        ("First Name", "Last Name", "Organization Name", "E-mail 1 - Value"),
        {
            **_PERSON,
            "company_name": "Organization Name",
            "title": "Organization Title",
        },
        {
            "company_id": Derived("domain", "E-mail 1 - Value"),
            "person_id": Derived("email", "E-mail 1 - Value"),
        },
    ),
    KnownExport(
        "Google Contacts' export",
        ("Given Name", "Family Name", "Organization 1 - Name", "E-mail 1 - Value"),
        {
            "company_name": "Organization 1 - Name",
            "first_name": "Given Name",
            "last_name": "Family Name",
            "title": "Organization 1 - Title",
        },
        {
            "company_id": Derived("domain", "E-mail 1 - Value"),
            "person_id": Derived("email", "E-mail 1 - Value"),
        },
    ),
)


def recognised(names: Sequence[str]) -> KnownExport | None:
    """The export that has such columns, its names as they stand in the file."""
    theirs = {folded(name): name for name in names}
    for known in KNOWN_EXPORTS:
        if all(folded(mark) in theirs for mark in known.marks):
            return _as_named(known, theirs)
    return None


def _as_named(known: KnownExport, theirs: Mapping[str, str]) -> KnownExport:
    columns = {
        field: theirs[folded(column)]
        for field, column in known.columns.items()
        if folded(column) in theirs
    }
    derived = {
        field: Derived(one.way, theirs[folded(one.column)])
        for field, one in known.derived.items()
        if folded(one.column) in theirs
    }
    return known._replace(columns=columns, derived=derived)
