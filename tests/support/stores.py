"""Real S3 servers of the tests' own."""

import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from boto3.session import Session

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

KEYS = {
    "AWS_ACCESS_KEY_ID": "the-tests",
    "AWS_SECRET_ACCESS_KEY": "the-secret-of-the-tests",
    # Nothing of the machine that tests run on may show through.
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""The environment of whoever asks these servers."""

_WITHIN_S = 30.0
_LOOK_S = 0.005


class S3Server:
    """A server on a port of its own, which a test may kill and start again."""

    def __init__(self, folder: Path, words: list[str]) -> None:
        self._folder = folder
        self._words = words
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.endpoint = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [word.format(port=self._port) for word in self._words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        give_up_s = time.monotonic() + _WITHIN_S
        while not self._answers():
            assert time.monotonic() < give_up_s, (self._folder / "log").read_text()
            time.sleep(_LOOK_S)

    def freeze(self) -> None:
        """SIGSTOP: whoever asks it waits, until it is killed."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        """SIGKILL: whoever waits for it hears nothing more."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        with (
            suppress(OSError),
            socket.create_connection(("127.0.0.1", self._port), timeout=1),
        ):
            return True
        return False

    def bucket(self) -> str:
        """The URL of a store of its own."""
        name = f"bucket-{uuid4().hex[:12]}"
        self._client.create_bucket(Bucket=name)
        return f"s3://{name}/some/where?endpoint={self.endpoint}"

    @cached_property
    def _client(self) -> "S3Client":
        return Session(
            aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
        ).client("s3", endpoint_url=self.endpoint)


def _rclone(folder: Path) -> S3Server:
    """`rclone serve s3`: refuses what is unsigned, tampered with or expired."""
    buckets = folder / "buckets"
    buckets.mkdir()
    program = Path(sysconfig.get_path("scripts")) / "rclone"
    words = [str(program), "serve", "s3", str(buckets), "--config", ""]
    keys = f"{KEYS['AWS_ACCESS_KEY_ID']},{KEYS['AWS_SECRET_ACCESS_KEY']}"
    return S3Server(folder, [*words, "--addr", "127.0.0.1:{port}", "--auth-key", keys])


def _moto(folder: Path) -> S3Server:
    """moto's server: answers ranges as S3 does, and forgets all when it ends.

    It looks at no signature.
    """
    return S3Server(folder, [sys.executable, "-m", "moto.server", "--port", "{port}"])


_KINDS = {"rclone": _rclone, "moto": _moto}


Servers = Callable[[str], S3Server]
"""Running servers, by their kinds: `rclone` and `moto`."""


@contextmanager
def running(kind: str, folder: Path) -> Iterator[S3Server]:
    """A server of a kind, as long as the block."""
    server = _KINDS[kind](folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port
