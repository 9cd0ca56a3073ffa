"""The contacts that all sides are given: always the same, and with known totals.

Five contacts a company; four of five have an e-mail, three of five a phone.
"""

import json
from collections.abc import Iterator
from pathlib import Path

COLUMNS = (
    *("company_id", "company_name", "company_domain"),
    *("person_id", "first_name", "last_name", "title"),
)
FOUND_COLUMNS = ("email", "email_status", "phone")
CONTACTS_A_COMPANY = 5
COMPANY_PRICE, EMAIL_PRICE, PHONE_PRICE = 1, 1, 2
RETRIEVED = ("email", "phone")


def has_email(number: int) -> bool:
    """Whether the directory knows an e-mail of this contact."""
    return number % 5 != 0


def has_phone(number: int) -> bool:
    """Whether the directory knows a phone of this contact."""
    return number % 5 < 3  # noqa: PLR2004 - three of five


def row(number: int) -> list[str]:
    """One contact as a row of the file."""
    company = number // CONTACTS_A_COMPANY
    return [
        f"company-{company:08d}",
        f"Company {company} Limited",
        f"company{company}.example",
        f"person-{number:08d}",
        "Ada",
        f"Lovelace {number}",
        "Head of Sales",
    ]


def csv_of(count: int, first: int = 0) -> bytes:
    """A file of `count` contacts, with its headings."""
    lines = [",".join(COLUMNS)]
    lines += [",".join(row(number)) for number in range(first, first + count)]
    return ("\n".join(lines) + "\n").encode()


def found_of(number: int) -> tuple[str, str, str]:
    """E-mail, its status and phone of a contact, as the directory has them."""
    company = number // CONTACTS_A_COMPANY
    email = f"ada.lovelace{number}@company{company}.example"
    return (
        email if has_email(number) else "",
        "valid" if has_email(number) else "unknown",
        f"+1 555 {number:08d}" if has_phone(number) else "",
    )


def credits_of(count: int) -> int:
    """What the first `count` contacts cost where nothing was paid before."""
    emails = sum(has_email(number) for number in range(count))
    phones = sum(has_phone(number) for number in range(count))
    companies = -(-count // CONTACTS_A_COMPANY)
    return companies * COMPANY_PRICE + emails * EMAIL_PRICE + phones * PHONE_PRICE


def write_directory(path: Path, count: int) -> None:
    """Write what the directory knows of the first `count` contacts."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in _directory_lines(count))


def _directory_lines(count: int) -> Iterator[str]:
    for number in range(count):
        email, status, phone = found_of(number)
        entry = {"person_id": f"person-{number:08d}"}
        if email:
            entry |= {"email": email, "email_status": status}
        if phone:
            entry["phone"] = phone
        yield json.dumps(entry)
