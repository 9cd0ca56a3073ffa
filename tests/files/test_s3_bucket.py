"""S3 stores on their own: links, what was never finished, and a server that dies."""

import threading
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx
import pytest

from storage.errors import ArtifactError, DiskFull, MissingArtifact
from storage.files.artifact_store import open_artifacts
from storage.files.s3_bucket import Bucket
from storage.files.s3_streams import PIECE_BYTES, Pieces
from tests.support import stores
from tests.support.fleet import until
from tests.support.receivers import Reply, receiver

pytestmark = pytest.mark.usefixtures("s3_keys")

_EVER = datetime.max.replace(tzinfo=UTC)
_NAME = "jobs/job-1/job-1.csv"
_DATA = b"company_id\r\nacme\r\n"


def _open(url: str) -> Bucket:
    store = open_artifacts(url, timeout_s=5)
    assert isinstance(store, Bucket)
    return store


def _filled(url: str) -> Bucket:
    store = _open(url)
    with store.create(_NAME) as draft:
        draft.write(_DATA)
    return store


# -- Links: rclone looks at signatures and at the clock -----------------------


@pytest.fixture(scope="module")
def rclone(s3_servers: stores.Servers) -> stores.S3Server:
    return s3_servers("rclone")


@pytest.fixture(scope="module")
def one_bucket(rclone: stores.S3Server) -> Bucket:
    """Connecting costs a tenth of a second."""
    return _open(rclone.bucket())


@pytest.fixture
def store(one_bucket: Bucket, s3_keys) -> Bucket:
    with one_bucket.create(_NAME) as draft:
        draft.write(_DATA)
    return one_bucket


def _link(store: Bucket, *, lasts_s: int = 60) -> str:
    return store.link(_NAME, file_name="job-1.csv", lasts_s=lasts_s)


def test_a_link_needs_no_key(store):
    answer = httpx.get(_link(store))
    assert (answer.status_code, answer.content) == (200, _DATA)


@pytest.mark.parametrize(
    ("signed", "tampered"),
    [
        ("job-1.csv?", "job-2.csv?"),
        ("X-Amz-Expires=60", "X-Amz-Expires=86400"),
        ("filename%3D%22job-1.csv", "filename%3D%22job-1.exe"),
        ("X-Amz-Signature=", "X-Amz-Signature=0"),
        ("X-Amz-Credential=", "X-Amz-Credential=another-"),
    ],
)
def test_a_link_that_was_tampered_with_is_refused(store, signed, tampered):
    with store.create("jobs/job-1/job-2.csv") as draft:
        draft.write(b"of somebody else")
    link = _link(store)
    assert signed in link
    answer = httpx.get(link.replace(signed, tampered))
    assert answer.status_code == 403
    assert b"acme" not in answer.content
    assert httpx.get(link).status_code == 200


def test_without_its_signature_a_link_opens_nothing(store):
    answer = httpx.get(_link(store).partition("?")[0])
    assert answer.status_code in {400, 403}
    assert b"acme" not in answer.content


def test_a_link_opens_nothing_for_what_is_not_read(store):
    link = _link(store)
    for ask in (httpx.delete, httpx.put):
        assert ask(link).status_code == 403
    assert httpx.get(link).content == _DATA


def test_a_link_expires(store):
    # Under load even the first look may come too late for a link of one second.
    link = _link(store, lasts_s=1)
    assert "X-Amz-Expires=1&" in link
    until(lambda: httpx.get(link).is_error, within_s=10)
    assert b"acme" not in httpx.get(link).content
    assert httpx.get(_link(store)).status_code == 200


def test_the_file_of_a_link_can_be_had_again_and_again_until_it_is_removed(store):
    link = _link(store)
    assert [httpx.get(link).content for _ in range(3)] == [_DATA] * 3
    store.remove(_NAME)
    assert httpx.get(link).status_code == 404


def test_links_lead_to_the_public_endpoint_where_there_is_one(rclone):
    # The same server by another name: a link is signed for the one it leads to.
    public = rclone.endpoint.replace("127.0.0.1", "localhost")
    store = _filled(f"{rclone.bucket()}&public_endpoint={public}")
    link = _link(store)
    assert link.startswith(f"{public}/")
    assert httpx.get(link).content == _DATA
    assert httpx.get(link.replace(public, rclone.endpoint)).status_code == 403


# -- Ranges and names: moto answers as S3 does --------------------------------


@pytest.fixture(scope="module")
def moto(s3_servers: stores.Servers) -> stores.S3Server:
    return s3_servers("moto")


def test_a_link_gives_ranges_and_the_name_that_the_file_is_saved_under(moto):
    link = _link(_filled(moto.bucket()))
    whole = httpx.get(link)
    assert whole.headers["Content-Disposition"] == 'attachment; filename="job-1.csv"'
    assert whole.headers["Content-Type"] == "application/octet-stream"
    answer = httpx.get(link, headers={"Range": "bytes=2-5"})
    assert (answer.status_code, answer.content) == (206, _DATA[2:6])
    assert answer.headers["Content-Range"] == f"bytes 2-5/{len(_DATA)}"
    beyond = httpx.get(link, headers={"Range": "bytes=1000-"})
    assert beyond.status_code == 416


def test_a_file_is_kept_with_its_media_type_and_a_link_says_another(moto):
    store = _open(moto.bucket())
    for name, data in (("jobs/small", b"x"), ("jobs/large", b"x" * (PIECE_BYTES + 1))):
        with store.create(name, media_type="application/x-ndjson") as draft:
            draft.write(data)
        # Asked without a link, which would say it itself.
        client, bucket, key = store._place(name)
        kept = client.head_object(Bucket=bucket, Key=key)
        assert kept["ContentType"] == "application/x-ndjson"
    link = store.link(
        "jobs/small", file_name="a.zip", lasts_s=60, media_type="application/zip"
    )
    assert httpx.get(link).headers["Content-Type"] == "application/zip"


def _read_while_it_is_replaced(store: Bucket) -> None:
    with store.open(_NAME) as stream:
        assert stream.read(1) == b"1"
        with store.create(_NAME) as draft:
            draft.write(b"2" * PIECE_BYTES)
        stream.read()


@pytest.mark.parametrize("kind", ["rclone", "moto"])
def test_ranges_of_two_files_are_never_put_together(s3_servers, kind):
    store = _open(s3_servers(kind).bucket())
    with store.create(_NAME) as draft:
        draft.write(b"1" * PIECE_BYTES)
    with pytest.raises(ArtifactError, match="replaced while it was read"):
        _read_while_it_is_replaced(store)


# -- What was never finished --------------------------------------------------


@pytest.mark.parametrize("kind", ["rclone", "moto"])
def test_the_pieces_of_a_killed_writer_are_found_and_removed(s3_servers, kind):
    store = _open(s3_servers(kind).bucket())
    Pieces(store._place("jobs/large.csv")).write(b"x" * PIECE_BYTES)
    (name,) = store.names("jobs", before=_EVER)
    assert name.startswith("jobs/large.csv?uploadId=")
    for _ in range(2):
        store.remove(name)
    assert list(store.names("jobs", before=_EVER)) == []


# -- A store that is away, full, or not there ---------------------------------


def test_a_server_that_dies_in_the_middle_is_an_error_and_leaves_nothing(tmp_path):
    with stores.running("rclone", tmp_path) as server:
        store = _filled(server.bucket())
        with pytest.raises(ArtifactError, match="jobs/large"):
            _write_while_it_dies(store, server)
        with pytest.raises(ArtifactError), store.open(_NAME) as stream:
            stream.read()
        with pytest.raises(ArtifactError):
            list(store.names("jobs", before=_EVER))
        with pytest.raises(ArtifactError):
            store.remove(_NAME)
        server.start()
        assert list(store.names("jobs", before=_EVER)) == [_NAME]
        with store.open(_NAME) as stream:
            assert stream.read() == _DATA


def _write_while_it_dies(store: Bucket, server: stores.S3Server) -> None:
    with store.create("jobs/large.csv") as draft:
        draft.write(b"x" * PIECE_BYTES)
        server.kill()
        draft.write(b"x" * PIECE_BYTES)


def _answered(status: int) -> tuple[Exception, int]:
    """What comes of a store that answers so, and how often it is asked."""
    with receiver() as server:
        server.answer = lambda _: Reply(status)
        store = _open(f"s3://bucket?endpoint={server.url('')}")
        with pytest.raises(ArtifactError) as raised, store.create("a.csv") as draft:
            draft.write(b"x" * PIECE_BYTES)
        return raised.value, len(server.calls)


def test_a_store_without_room_is_a_full_disk(tmp_path):
    error, calls = _answered(507)
    assert (type(error), str(error)) == (DiskFull, "no room left for a.csv")
    assert calls == 1


def test_a_store_that_stumbles_is_asked_three_times(tmp_path):
    error, calls = _answered(503)
    assert type(error) is ArtifactError
    assert calls == 3


def _silent_until(over: threading.Event) -> Reply:
    over.wait(30)
    return Reply(503)


def test_a_store_that_does_not_answer_is_not_waited_for_for_long():
    over = threading.Event()
    with receiver() as server:
        server.answer = lambda _: _silent_until(over)
        store = open_artifacts(f"s3://bucket?endpoint={server.url('')}", timeout_s=0.1)
        with (
            pytest.raises(ArtifactError, match="Read timeout"),
            store.create("a.csv") as draft,
        ):
            draft.write(b"x" * PIECE_BYTES)
        # The last one may have been given up before the server has looked at it.
        until(lambda: len(server.calls) >= 3)
        assert len(server.calls) == 3
        over.set()


def test_a_bucket_that_is_not_there_is_an_error(rclone):
    url = rclone.bucket().replace("bucket-", "another-")
    with pytest.raises(ArtifactError, match="NoSuchBucket"):
        _filled(url)
    with pytest.raises(ArtifactError) as told, _open(url).open(_NAME) as stream:
        stream.read()
    assert not isinstance(told.value, MissingArtifact)


def test_without_keys_it_says_so(rclone, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(ArtifactError, match="credentials"):
        _filled(rclone.bucket())


def test_with_wrong_keys_nothing_is_read_or_written(rclone, monkeypatch):
    url = rclone.bucket()
    _filled(url)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret")
    store = _open(url)
    with pytest.raises(ArtifactError) as told, store.open(_NAME) as stream:
        stream.read()
    assert not isinstance(told.value, MissingArtifact)
    with pytest.raises(ArtifactError), store.create(_NAME) as draft:
        draft.write(b"x")


# -- How a store is named -----------------------------------------------------


def test_endpoint_and_region_may_come_from_the_environment(rclone, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", rclone.endpoint)
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    store = _filled(rclone.bucket().partition("?")[0])
    assert "%2Feu-west-3%2F" in _link(store)
    assert httpx.get(_link(store)).content == _DATA


def test_two_prefixes_of_a_bucket_know_nothing_of_each_other(rclone):
    url = rclone.bucket()
    one = _filled(url)
    other = _open(url.replace("/some/where", "/some/wherever"))
    with other.create("jobs/b.csv") as draft:
        draft.write(b"x")
    assert list(one.names("jobs", before=_EVER)) == [_NAME]
    assert list(other.names("jobs", before=_EVER)) == ["jobs/b.csv"]
    bucket = urlsplit(url).netloc
    assert other.locate("jobs/b.csv") == f"s3://{bucket}/some/wherever/jobs/b.csv"
    assert _open(f"s3://{bucket}").locate("a.csv") == f"s3://{bucket}/a.csv"


@pytest.mark.parametrize(
    "url",
    [
        "s3:bucket",
        "s3:///prefix",
        "s3://b",
        "s3://Bucket/prefix",
        "s3://bucket/../prefix",
        "s3://bucket/pre fix",
        "s3://bucket#part",
        "s3://bucket?endpint=http://localhost",
        "s3://bucket?style=other",
    ],
)
def test_what_names_no_bucket_is_refused(url):
    with pytest.raises(ArtifactError):
        open_artifacts(url, timeout_s=5)


def test_keys_in_the_url_are_refused_and_not_repeated():
    with pytest.raises(ArtifactError) as refused:
        open_artifacts("s3://key:very-secret@bucket/prefix", timeout_s=5)
    assert "very-secret" not in str(refused.value)


def test_an_endpoint_that_is_none_is_an_error():
    store = _open("s3://bucket?endpoint=not-a-url")
    with pytest.raises(ArtifactError, match="Invalid endpoint"):
        _link(store)
