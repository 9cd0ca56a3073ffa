"""What derived ids stand on: a license's key, and lists of public suffixes."""

from sqlalchemy import Connection, text


def key_of(connection: Connection, license_id: str) -> str | None:
    """The encrypted key of a license, if it has one."""
    found: str | None = connection.execute(
        text("SELECT secret FROM derivation_keys WHERE license_id = :license_id"),
        {"license_id": license_id},
    ).scalar_one_or_none()
    return found


def put_key(connection: Connection, license_id: str, sealed: str) -> None:
    """Give a license its key, once: one that is there stays."""
    connection.execute(
        text("""
            INSERT INTO derivation_keys (license_id, secret)
            VALUES (:license_id, :secret) ON CONFLICT (license_id) DO NOTHING"""),
        {"license_id": license_id, "secret": sealed},
    )


def keep_list(connection: Connection, version: str, suffixes: str) -> None:
    """Keep a list of public suffixes; the same version again changes nothing."""
    connection.execute(
        text("""
            INSERT INTO suffix_lists (version, list) VALUES (:version, :suffixes)
            ON CONFLICT (version) DO NOTHING"""),
        {"version": version, "suffixes": suffixes},
    )


def list_of(connection: Connection, version: str) -> str | None:
    """The list of public suffixes of a version, where a template has kept it."""
    found: str | None = connection.execute(
        text("SELECT list FROM suffix_lists WHERE version = :version"),
        {"version": version},
    ).scalar_one_or_none()
    return found
