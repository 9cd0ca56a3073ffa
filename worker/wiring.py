"""The composition root: settings become the few things that use cases need."""

import os
import secrets
import socket
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from pricing.findings import Finding
from storage.database import Database
from storage.files.artifact_store import open_artifacts
from storage.files.artifacts import Artifacts
from storage.findings import directory
from worker.crms import Crms
from worker.errors import NotConfigured
from worker.outbound import Outbound
from worker.providers.directory import Directory
from worker.secrets import Keyring
from worker.settings import Settings
from worker.vendors import Vendors


@dataclass(frozen=True, slots=True, kw_only=True)
class Deps:
    """What use cases are given.

    `owner` is unique to this boot of this process; `draining` says that the process
    has been asked to stop, and is read between batches.
    """

    settings: Settings
    database: Database
    artifacts: Artifacts
    directory: Directory
    vendors: Vendors
    crms: Crms
    keyring: Keyring
    outbound: Outbound
    owner: str
    draining: Callable[[], bool]


def new_owner() -> str:
    """A name for this boot of this process, never used again."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def connect(settings: Settings, *, pool: int = 5) -> Database:
    """The database that the settings name."""
    if not settings.database_url:
        raise NotConfigured("HOLDFAST_DATABASE_URL is not set")
    return Database(
        settings.database_url,
        clock_offset_s=settings.clock_offset_s,
        # A frozen worker lets go of its locks before its lease has lapsed.
        idle_s=min(60, settings.lease_s / 2),
        pool=pool,
    )


def _never() -> bool:
    return False


def wire(
    settings: Settings,
    *,
    draining: Callable[[], bool] = _never,
    pool: int = 5,
) -> Deps:
    """Everything, from settings."""
    database = connect(settings, pool=pool)

    def look_up(persons: Collection[str]) -> Mapping[str, Finding]:
        with database.transaction() as connection:
            return directory.look_up(connection, persons)

    keyring = Keyring(settings)
    return Deps(
        settings=settings,
        database=database,
        # Three tries and their pauses end before a lease does.
        artifacts=open_artifacts(settings.store_url, timeout_s=settings.lease_s / 6),
        directory=Directory(look_up),
        vendors=Vendors(settings),
        crms=Crms(settings, keyring, database),
        keyring=keyring,
        outbound=Outbound(
            allow_private=settings.webhook_allow_private,
            timeout_s=settings.webhook_timeout_s,
        ),
        owner=new_owner(),
        draining=draining,
    )
