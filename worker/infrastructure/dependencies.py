"""What every use case is given: settings, the database, files, keys, and a way out.

Folders whose use cases need more have a class of their own on top of this one.
"""

import os
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass

from storage.database import Database
from storage.files.artifact_store import open_artifacts
from storage.files.artifacts import Artifacts
from storage.files.local_folder import close_to_others
from worker.infrastructure.errors import NotConfigured
from worker.infrastructure.keyring import Keyring
from worker.infrastructure.name_resolution import resolve
from worker.infrastructure.outbound_http import OutboundHttp
from worker.infrastructure.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Deps:
    """What use cases are given.

    `owner` is unique to this boot of this process; `draining` says that the process
    has been asked to stop, and is read between batches.
    """

    settings: Settings
    database: Database
    artifacts: Artifacts
    keyring: Keyring
    outbound: OutboundHttp
    owner: str
    draining: Callable[[], bool]


def never() -> bool:
    return False


def bare(
    settings: Settings,
    *,
    draining: Callable[[], bool] = never,
    pool: int = 5,
    owner: str | None = None,
) -> Deps:
    """What every use case is given, from settings.

    `owner` is another name than that of this boot, for whoever is a worker's child.
    """
    return Deps(
        settings=settings,
        database=connect(settings, pool=pool),
        artifacts=_artifacts(settings),
        keyring=Keyring(settings),
        outbound=OutboundHttp(
            allow_private=settings.webhook_allow_private,
            timeout_s=settings.webhook_timeout_s,
        ),
        owner=owner or new_owner(),
        draining=draining,
    )


def _artifacts(settings: Settings) -> Artifacts:
    if settings.artifacts_url is None:
        # In the home, and ours: a folder that somebody has named keeps its mode.
        close_to_others(settings.files_folder)
    # Three tries and their pauses end before a lease does.
    return open_artifacts(
        settings.store_url, timeout_s=settings.lease_s / 6, resolve=resolve
    )


def new_owner(of: str | None = None) -> str:
    """A name for this boot of this process, never used again.

    A child's begins with the name of the worker that it belongs to, and a slash.
    """
    if of is not None:
        return f"{of}/{os.getpid()}:{secrets.token_hex(4)}"
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def connect(
    settings: Settings, *, pool: int = 5, answer_s: float | None = None
) -> Database:
    """The database that the settings name; a statement is given `answer_s`."""
    if not settings.database_url:
        raise NotConfigured("HOLDFAST_DATABASE_URL is not set")
    return Database(
        settings.database_url,
        # A frozen worker lets go of its locks before its lease has lapsed.
        idle_s=min(60, settings.lease_s / 2),
        answer_s=answer_s or settings.database_timeout_s,
        pool=pool,
        resolve=resolve,
    )
