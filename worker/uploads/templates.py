"""Upload templates: how a license's files are read, kept by name and found again.

A template freezes the mapping, the options, how ids are derived, and the version of the
Public Suffix List that they depend on: the list itself is kept, so that the same file
is the same companies after an upgrade that brings another.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from storage.uploads import derivation, templates
from storage.uploads.templates import Template
from worker.infrastructure.dependencies import Deps
from worker.infrastructure.errors import Code, Refused
from worker.infrastructure.ids import check_id
from worker.uploads import domains
from worker.uploads.inspection import order_free
from worker.uploads.mapping_options import (
    Asked,
    check_columns,
    depends_on_suffixes,
)
from worker.uploads.uploads import check_license


def fingerprint_of(names: Sequence[str]) -> str:
    """What tells files with the same columns, in whatever order and case."""
    return hashlib.sha256(order_free(names).encode()).hexdigest()


def put(
    deps: Deps,
    license_id: str,
    name: str,
    asked: Asked,
    headers: Sequence[str] | None,
) -> Template:
    """Keep a template, in place of one of the same name.

    It is proposed for files with these headers. Raises `BadInput` where no file can be
    read so, `Refused` without a license.
    """
    check_id("name", name)
    check_columns(asked.columns)
    check_license(deps, license_id)
    with deps.database.transaction() as connection:
        return put_in(connection, license_id, name, asked, headers)


def put_in(
    connection: Connection,
    license_id: str,
    name: str,
    asked: Asked,
    headers: Sequence[str] | None,
) -> Template:
    """Keep what was checked, in a transaction."""
    version = None
    if depends_on_suffixes(asked.columns):
        version = asked.suffix_list or domains.installed_version()
        if version == domains.installed_version():
            derivation.keep_list(connection, version, domains.installed_list())
    content = {
        "columns": _plain(asked.columns),
        "options": _plain(asked.options),
        "public_suffix_list": version,
    }
    fingerprint = None if headers is None else fingerprint_of(headers)
    template = Template(name, fingerprint, content)
    templates.put(connection, license_id, template)
    return template


def _plain(said: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: dict(one) if isinstance(one, Mapping) else one
        for name, one in said.items()
    }


def get(deps: Deps, license_id: str, name: str) -> Template:
    """A template. Raises `Refused` where there is none of this name."""
    with deps.database.reading() as connection:
        return _found(templates.get(connection, license_id, name), name)


def like(deps: Deps, license_id: str, names: Sequence[str]) -> Template | None:
    """The template that was made for files with these columns, if there is one."""
    with deps.database.reading() as connection:
        return templates.like(connection, license_id, fingerprint_of(names))


def every(deps: Deps, license_id: str, *, after: str, limit: int) -> list[Template]:
    """A license's templates in the order of their names, after one of them."""
    with deps.database.reading() as connection:
        return templates.every(connection, license_id, after=after, limit=limit)


def delete(deps: Deps, license_id: str, name: str) -> Template:
    """Take a template away, and return what it was; uploads stay as they are."""
    with deps.database.transaction() as connection:
        return _found(templates.delete(connection, license_id, name), name)


def applied(deps: Deps, license_id: str, name: str, asked: Asked) -> Asked:
    """What a template says of a file, below what is said itself.

    Raises `Refused` where there is none of this name.
    """
    content = get(deps, license_id, name).content
    return Asked(
        columns={**content["columns"], **asked.columns},
        options={**content["options"], **asked.options},
        suffix_list=content["public_suffix_list"],
    )


def _found(template: Template | None, name: str) -> Template:
    if template is None:
        raise Refused(Code.NOT_FOUND, f"there is no upload template {name!r}")
    return template
