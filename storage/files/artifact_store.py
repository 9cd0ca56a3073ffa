"""The store that a URL names: a folder, or a bucket of an S3-compatible store."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from storage.bounded_connection import Resolve
from storage.errors import ArtifactError
from storage.files.artifacts import Artifacts
from storage.files.local_folder import LocalFolder


def open_artifacts(
    url: str, *, timeout_s: float, resolve: Resolve | None = None
) -> Artifacts:
    """The store that a URL names: `file:///an/absolute/folder` or `s3://bucket/prefix`.

    Where it is not on this machine, it must answer within `timeout_s`, or is asked
    again, twice. `resolve` says in bounded time whether its name has an address.
    """
    parts = urlsplit(url)
    if parts.scheme == "s3":
        return _open_bucket(url, timeout_s, resolve)
    if parts.scheme != "file" or not parts.path.startswith("/") or parts.netloc:
        known = "file:///an/absolute/folder or s3://bucket/prefix"
        raise ArtifactError(f"{url!r} is no store: use {known}")
    return LocalFolder(Path(unquote(parts.path)))


def _open_bucket(url: str, timeout_s: float, resolve: Resolve | None) -> Artifacts:
    try:
        from storage.files import s3_bucket  # noqa: PLC0415 - an extra: a folder does without it
    except ModuleNotFoundError as error:
        missing = "s3:// needs the extra s3: pip install 'holdfast[s3]'"
        raise ArtifactError(missing) from error
    return s3_bucket.open_bucket(url, timeout_s=timeout_s, resolve=resolve)
