"""Files in an S3-compatible store: whole or not at all, and streamed in flat memory.

Keys and region come as they do for every program that asks S3: from `AWS_...`
variables, a profile, or the machine's own role.
"""

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from boto3.session import Session
from botocore.awsrequest import AWSPreparedRequest
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
)

from storage.bounded_connection import Resolve
from storage.errors import ArtifactError, DiskFull, MissingArtifact
from storage.files.artifacts import UNTOLD, Draft, is_name
from storage.files.s3_streams import Pieces, Place, Ranges

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_UNFINISHED = "?uploadId="
"""Between the name of a file that was never finished and the id of its upload."""

_NONE_UNFINISHED = frozenset({"NoSuchUpload", "NotImplemented"})
"""What some stores answer where there is none, or where they list none."""

_TRIES = 3
_CONNECT_TIMEOUT_S = 5.0
_CONNECTIONS = 40
"""As many as an API process has threads."""
_BUFFER_BYTES = 64 << 10
_NO_ROOM = 507
_NO_SUCH_FILE = "NoSuchKey"


class Address(NamedTuple):
    """What `s3://bucket/prefix?endpoint=...` says."""

    bucket: str
    prefix: str
    endpoint: str | None = None
    public_endpoint: str | None = None
    region: str | None = None
    style: str = "auto"


def address_of(url: str) -> Address:
    """An address, from its URL. Raises `ArtifactError` where it is none."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    prefix = parts.path.strip("/")
    if "@" in parts.netloc:
        # Without the URL itself: this message is logged.
        raise ArtifactError("s3://...: keys are read from AWS_ACCESS_KEY_ID and others")
    if not _BUCKET.fullmatch(parts.netloc) or parts.fragment:
        raise ArtifactError(f"{url!r} is no store: use s3://bucket/prefix")
    if prefix and not is_name(prefix):
        raise ArtifactError(f"{prefix!r} is no prefix: use letters, digits, _ . - /")
    if not options.keys() <= {"endpoint", "public_endpoint", "region", "style"}:
        known = "endpoint, public_endpoint, region, style"
        raise ArtifactError(f"{', '.join(options)}: a store's URL knows {known}")
    if options.get("style", "auto") not in {"auto", "path", "virtual"}:
        raise ArtifactError(f"style={options['style']} is none of auto, path, virtual")
    return Address(parts.netloc, f"{prefix}/" if prefix else "", **options)


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == _NO_ROOM:
            raise DiskFull(f"no room left for {what}") from error
        if error.response["Error"]["Code"] == _NO_SUCH_FILE:
            raise MissingArtifact(f"{what}: {error}") from error
        raise ArtifactError(f"{what}: {error}") from error
    except BotoCoreError as error:
        raise ArtifactError(f"{what}: {error}") from error


class Bucket:
    """Files below a prefix of a bucket, which nobody else writes to."""

    def __init__(
        self, address: Address, *, timeout_s: float, resolve: Resolve | None = None
    ) -> None:
        self._address = address
        self._resolve = resolve
        self._timeout_s = timeout_s

    @contextmanager
    def create(self, name: str, *, media_type: str = UNTOLD) -> Iterator[Draft]:
        """Write a file, whole or not at all."""
        pieces = Pieces(self._place(name), media_type)
        with _translated(name):
            try:
                yield Draft(pieces)
                pieces.finish()
            except BaseException:
                # What the store keeps of it all the same is listed with the names.
                with suppress(BotoCoreError, ClientError):
                    pieces.abandon()
                raise

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """Read a file from its beginning; its absence shows at the first read."""
        ranges = Ranges(self._place(name))
        with _translated(name), io.BufferedReader(ranges, _BUFFER_BYTES) as stream:
            yield cast("BinaryIO", stream)

    def locate(self, name: str) -> str:
        """The file's address."""
        return f"s3://{self._address.bucket}/{self._key(name)}"

    def link(
        self, name: str, *, file_name: str, lasts_s: int, media_type: str = UNTOLD
    ) -> str:
        """A signed URL of the store itself; nobody is asked for it."""
        with _translated(name):
            return self._public_client.generate_presigned_url(
                "get_object",
                Params={
                    "Bucket": self._address.bucket,
                    "Key": self._key(name),
                    "ResponseContentType": media_type,
                    "ResponseContentDisposition": f'attachment; filename="{file_name}"',
                },
                ExpiresIn=lasts_s,
            )

    def remove(self, name: str) -> None:
        """Take a file away, or the pieces of one that was never finished."""
        file_name, _, upload_id = name.partition(_UNFINISHED)
        client, bucket, key = self._place(file_name)
        with _translated(name):
            if not upload_id:
                client.delete_object(Bucket=bucket, Key=key)
                return
            with suppress(client.exceptions.NoSuchUpload):
                client.abort_multipart_upload(
                    Bucket=bucket, Key=key, UploadId=unquote(upload_id)
                )

    def names(self, folder: str, *, before: datetime) -> Iterator[str]:
        """What lies below a folder and was last written before an instant."""
        for key, written_at in self._keys(f"{self._key(folder)}/"):
            name = key.removeprefix(self._address.prefix)
            if written_at < before and is_name(name.partition(_UNFINISHED)[0]):
                yield name

    def _keys(self, prefix: str) -> Iterator[tuple[str, datetime]]:
        """All keys with their ages, then those of uploads that never ended."""
        with _translated(prefix):
            listing = self._client.get_paginator("list_objects_v2")
            for page in listing.paginate(Bucket=self._address.bucket, Prefix=prefix):
                for found in page.get("Contents", []):
                    yield found["Key"], found["LastModified"]
            yield from self._unfinished(prefix)

    def _unfinished(self, prefix: str) -> Iterator[tuple[str, datetime]]:
        listing = self._client.get_paginator("list_multipart_uploads")
        try:
            for page in listing.paginate(Bucket=self._address.bucket, Prefix=prefix):
                for begun in page.get("Uploads", []):
                    upload_id = quote(begun["UploadId"], safe="")
                    yield f"{begun['Key']}{_UNFINISHED}{upload_id}", begun["Initiated"]
        except ClientError as error:
            if error.response["Error"]["Code"] not in _NONE_UNFINISHED:
                raise

    def _place(self, name: str) -> Place:
        return Place(self._client, self._address.bucket, self._key(name))

    def _key(self, name: str) -> str:
        if not is_name(name):
            raise MissingArtifact(f"{name!r} is no name of a file here")
        return self._address.prefix + name

    @cached_property
    def _client(self) -> "S3Client":
        """Made by whoever needs it first, so that no process inherits connections."""
        return self._connected(self._address.endpoint)

    @cached_property
    def _public_client(self) -> "S3Client":
        """Signs links for the address that the store has for everybody else."""
        if self._address.public_endpoint is None:
            return self._client
        return self._connected(self._address.public_endpoint)

    def _connected(self, endpoint: str | None) -> "S3Client":
        config = Config(
            # The old signatures that some regions still get by default say less.
            signature_version="s3v4",
            connect_timeout=min(self._timeout_s, _CONNECT_TIMEOUT_S),
            read_timeout=self._timeout_s,
            retries={"mode": "standard", "total_max_attempts": _TRIES},
            max_pool_connections=_CONNECTIONS,
            s3={  # type: ignore[arg-type]
                "addressing_style": self._address.style,
                # The store compares what it got with a digest in the signature.
                "payload_signing_enabled": True,
            },
            # Checksums in trailers, the default, are refused by many other stores.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        region = self._address.region or os.environ.get("AWS_REGION")
        with _translated(self._address.bucket):
            try:
                client = Session().client(
                    "s3", endpoint_url=endpoint, region_name=region, config=config
                )
            except ValueError as error:
                raise ArtifactError(f"{self._address.bucket}: {error}") from error
        if self._resolve is not None:
            client.meta.events.register("before-send.s3", partial(_find, self._resolve))
        return client


def _find(resolve: Resolve, request: AWSPreparedRequest, **_: object) -> None:
    """Let no request wait for the name of a store that nobody resolves now.

    botocore's own bounds begin once the name has an address.
    """
    parts = urlsplit(request.url)
    port = parts.port or (80 if parts.scheme == "http" else 443)
    try:
        resolve(parts.hostname or "", port)
    except OSError as error:
        raise EndpointConnectionError(endpoint_url=request.url, error=error) from error


def open_bucket(
    url: str, *, timeout_s: float, resolve: Resolve | None = None
) -> Bucket:
    """The bucket that a URL names; a request fails after three times `timeout_s`."""
    return Bucket(address_of(url), timeout_s=timeout_s, resolve=resolve)
