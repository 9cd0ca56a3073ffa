"""Streams to and from an S3-compatible store, a bounded number of bytes at a time."""

import io
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import ClientError

from storage.errors import ArtifactError
from storage.files.artifacts import UNTOLD

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client
    from types_boto3_s3.type_defs import CompletedPartTypeDef

PIECE_BYTES = 8 << 20
"""S3 takes at most 10,000 pieces, so a file has at most 80 GB."""
_AHEAD_BYTES = 1 << 20
"""What is read first: a slice of a job's records, or a part, is most often less."""

_BEYOND_THE_END = 416


class Place(NamedTuple):
    """One file of a bucket."""

    client: "S3Client"
    bucket: str
    key: str


class Pieces:
    """A file on its way up; it is there when it is finished, and not before."""

    def __init__(self, place: Place, media_type: str = UNTOLD) -> None:
        self._place = place
        self._media_type = media_type
        self._waiting = bytearray()
        self._upload_id: str | None = None
        self._sent: list[CompletedPartTypeDef] = []

    def write(self, data: bytes, /) -> None:
        """Append bytes; each piece goes up as soon as it is full."""
        self._waiting += data
        while len(self._waiting) >= PIECE_BYTES:
            self._send()

    def finish(self) -> None:
        """Let the file be there: one request where it is small."""
        client, bucket, key = self._place
        if self._upload_id is None:
            client.put_object(
                Bucket=bucket,
                Key=key,
                Body=bytes(self._waiting),
                ContentType=self._media_type,
            )
            return
        if self._waiting:
            self._send()
        client.complete_multipart_upload(
            Bucket=bucket,
            Key=key,
            UploadId=self._upload_id,
            MultipartUpload={"Parts": self._sent},
        )

    def abandon(self) -> None:
        """Let the store forget the pieces that it has."""
        if self._upload_id is not None:
            client, bucket, key = self._place
            client.abort_multipart_upload(
                Bucket=bucket, Key=key, UploadId=self._upload_id
            )

    def _send(self) -> None:
        client, bucket, key = self._place
        if self._upload_id is None:
            begun = client.create_multipart_upload(
                Bucket=bucket, Key=key, ContentType=self._media_type
            )
            self._upload_id = begun["UploadId"]
        number = len(self._sent) + 1
        answer = client.upload_part(
            Bucket=bucket,
            Key=key,
            UploadId=self._upload_id,
            PartNumber=number,
            Body=bytes(memoryview(self._waiting)[:PIECE_BYTES]),
        )
        del self._waiting[:PIECE_BYTES]
        self._sent.append({"PartNumber": number, "ETag": answer["ETag"]})


class Ranges(io.RawIOBase):
    """A file read range by range; whoever reads on is given longer ones.

    Nothing is asked before the first read, so that a seek costs nothing. The end of
    the file is not known before either: no seek is counted from it.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._at = 0
        self._ahead = _AHEAD_BYTES
        self._block = b""
        self._block_at = 0
        self._size: int | None = None
        self._etag: str | None = None

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go on reading somewhere else."""
        if whence == io.SEEK_END:
            raise io.UnsupportedOperation("the end is not known")
        self._at = offset + (self._at if whence == io.SEEK_CUR else 0)
        return self._at

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401 - any buffer; it has no name before Python 3.12
        """Fill a buffer as far as what was fetched last reaches; 0 at the end."""
        if not self._block_at <= self._at < self._block_at + len(self._block):
            self._fetch(len(buffer))
        begin = self._at - self._block_at
        data = self._block[begin : begin + len(buffer)]
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def _fetch(self, wanted: int) -> None:
        """Fetch a range from here, of `wanted` bytes or more as far as there are."""
        reads_on = self._at == self._block_at + len(self._block)
        self._block, self._block_at = b"", self._at
        if self._size is not None and self._at >= self._size:
            return
        length = max(wanted, self._ahead)
        self._ahead = min(length * 2, PIECE_BYTES) if reads_on else _AHEAD_BYTES
        client, bucket, key = self._place
        try:
            answer = client.get_object(
                Bucket=bucket,
                Key=key,
                Range=f"bytes={self._at}-{self._at + length - 1}",
            )
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == _BEYOND_THE_END:
                return
            raise
        self._size = int(answer["ContentRange"].rpartition("/")[2])
        if self._etag not in {None, answer["ETag"]}:
            # Ranges of two make no file. Not every store looks at If-Match.
            raise ArtifactError(f"{key} was replaced while it was read")
        self._etag = answer["ETag"]
        self._block = answer["Body"].read()
