"""Requests to others: to nobody they must not reach, by any spelling or detour."""

import contextlib
import datetime as dt
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.receivers import Reply, receiver
from worker.infrastructure.errors import ForbiddenTarget, OutboundError
from worker.infrastructure.outbound_http import OutboundHttp
from worker.infrastructure.public_addresses import not_public_because

PUBLIC = "93.184.215.14"


def _guarded(*addresses: str) -> OutboundHttp:
    """With the guard, and a resolver that knows one answer."""
    return OutboundHttp(resolve=lambda _host, _port: list(addresses))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.127.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.9",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "fc00::1",
        "fd12:3456::1",
        "ff02::1",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "2001:20::1",
        "3fff::1",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "2001:0:4136:e378:8000:63bf:80ff:fffe",
        "nonsense",
    ],
)
def test_an_address_that_is_not_public_is_refused(address):
    assert not_public_because(address)
    with pytest.raises(ForbiddenTarget):
        _guarded(address).check("https://hooks.example/")
    with pytest.raises(ForbiddenTarget):
        _guarded(PUBLIC, address).request("POST", "https://hooks.example/")


@pytest.mark.parametrize(
    "address",
    [
        PUBLIC,
        "1.1.1.1",
        "100.63.255.255",
        "100.128.0.1",
        "172.32.0.1",
        "2606:4700::1",
        f"::ffff:{PUBLIC}",
        "64:ff9b::101:101",
        "2002:101:101::1",
    ],
)
def test_a_public_address_is_not_refused(address):
    assert not_public_because(address) is None
    _guarded(address).check("https://hooks.example/")


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST",
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "127。0。0。1",
        "0",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:0:0:1]",
    ],
)
def test_no_spelling_of_this_machine_is_let_through(host):
    with receiver() as here:
        url = here.url(host=host)
        with pytest.raises(ForbiddenTarget):
            OutboundHttp().check(url)
        with pytest.raises(ForbiddenTarget):
            OutboundHttp().request("POST", url)
    assert here.calls == []


@pytest.mark.parametrize(
    "url",
    [
        "ftp://hooks.example/",
        "file:///etc/passwd",
        "gopher://hooks.example/",
        "hooks.example/hook",
        "//hooks.example/",
        "http://",
        "https:///hook",
        "https://ada@hooks.example/",
        "https://ada:password@hooks.example/",
        "https://:@hooks.example/",
        "https://hooks.example:0/",
        "https://hooks.example:65536/",
        "https://hooks.example:port/",
        "https://hooks.example/\r\nX: 1",
        "https://[::1/",
        "",
    ],
)
@pytest.mark.parametrize("allow_private", [False, True])
def test_what_is_not_a_plain_web_address_is_refused(url, allow_private):
    outbound = OutboundHttp(
        allow_private=allow_private, resolve=lambda _host, _port: [PUBLIC]
    )
    with pytest.raises(ForbiddenTarget):
        outbound.check(url)
    with pytest.raises(ForbiddenTarget):
        outbound.request("POST", url)


def test_the_reason_names_no_address_of_ours():
    with pytest.raises(ForbiddenTarget) as refused:
        _guarded("10.1.2.3").check("https://intranet.example/")
    assert str(refused.value) == "forbidden target: the host's address is private"


def _no_address(_host: str, _port: int) -> list[str]:
    raise socket.gaierror("unknown")


def test_a_name_without_an_address_passes_the_check_and_fails_when_asked():
    outbound = OutboundHttp(resolve=_no_address)
    outbound.check("https://not-yet.example/")
    with pytest.raises(OutboundError, match="no address"):
        outbound.request("POST", "https://not-yet.example/")


def test_a_name_too_long_to_be_one_has_no_address():
    with pytest.raises(OutboundError):
        OutboundHttp().request("POST", f"https://{'a' * 70}.example/")


def test_a_name_that_changes_its_mind_is_asked_once():
    """The second answer would be this machine: no one asks for it."""
    answers = iter([["192.0.2.1"], ["127.0.0.1"]])
    asked = []

    def rebind(host: str, _port: int) -> list[str]:
        asked.append(host)
        return next(answers)

    outbound = OutboundHttp(allow_private=True, resolve=rebind, timeout_s=0.2)
    with receiver() as here, pytest.raises(OutboundError):
        outbound.request("POST", here.url(host="rebind.example"))
    assert (asked, here.calls) == (["rebind.example"], [])


def test_the_connection_goes_to_the_address_under_the_names_own_name():
    outbound = OutboundHttp(
        allow_private=True, resolve=lambda _host, _port: ["127.0.0.1"], timeout_s=5
    )
    with receiver() as here:
        response = outbound.request(
            "POST",
            here.url("/a b?c=d#e", host="hooks.example"),
            headers={"X-One": "1"},
            content=b"body",
        )
    (call,) = here.calls
    assert (response.status, response.body) == (200, b"")
    assert call.headers["Host"] == f"hooks.example:{here.port}"
    assert call.headers["X-One"] == "1"
    assert (call.path, call.body) == ("/a%20b?c=d", b"body")


def test_where_one_address_does_not_answer_the_next_is_tried():
    outbound = OutboundHttp(
        allow_private=True,
        resolve=lambda _host, _port: ["127.0.0.2", "127.0.0.1"],
        timeout_s=5,
    )
    with receiver() as here:
        assert outbound.request("POST", here.url(host="two.example")).status == 200


@contextmanager
def _keeping(*addresses: list[str]) -> Iterator[OutboundHttp]:
    """Keeps connections; its resolver gives these answers, then the last for ever."""
    answers = list(addresses)

    def resolve(_host: str, _port: int) -> list[str]:
        return answers.pop(0) if len(answers) > 1 else answers[0]

    ours = OutboundHttp(
        allow_private=True, resolve=resolve, timeout_s=5, keeps_connections=True
    )
    yield ours
    ours.close()


def _connections_of(ours: OutboundHttp, *, closes: bool = False) -> int:
    """How many connections three requests take to a server that may close each."""
    with _answering(closes=closes) as server:
        for _ in range(3):
            answer = ours.request("POST", f"http://kept.example:{server.port}/")
            assert answer.status == 200
            assert not closes or server.closed.acquire(timeout=5)
    return server.connected


def test_a_connection_that_is_kept_is_used_again():
    with _keeping(["127.0.0.1"]) as ours:
        assert _connections_of(ours) == 1


def test_no_connection_is_kept_that_nobody_asks_to_keep():
    assert _connections_of(_guarded_by_nothing()) == 3


def test_a_kept_connection_is_left_where_its_name_has_other_addresses_by_now():
    with _keeping(["127.0.0.1"], ["127.0.0.1", "127.0.0.2"]) as ours:
        assert _connections_of(ours) == 2


def test_a_kept_connection_that_was_closed_meanwhile_is_not_written_to():
    with _keeping(["127.0.0.1"]) as ours:
        assert _connections_of(ours, closes=True) == 3


def _guarded_by_nothing() -> OutboundHttp:
    return OutboundHttp(allow_private=True, resolve=lambda _host, _port: ["127.0.0.1"])


class _Server:
    """Answers each request; where it `closes`, it then closes the connection."""

    def __init__(self, *, closes: bool) -> None:
        self.connected = 0
        self.closed = threading.Semaphore(0)
        self._closes = closes
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]

    def run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listening.accept()
                self.connected += 1
                threading.Thread(
                    target=self._serve, args=(connection,), daemon=True
                ).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as requests:
            # A request has no body here: it ends with its first empty line.
            while b"\r\n" in iter(requests.readline, b""):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                if self._closes:
                    break
        self.closed.release()


@contextmanager
def _answering(*, closes: bool) -> Iterator[_Server]:
    server = _Server(closes=closes)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield server
    server.listening.shutdown(socket.SHUT_RDWR)
    server.listening.close()
    thread.join()


def test_a_redirect_is_an_answer_and_is_not_followed():
    with receiver() as inside, receiver() as here:
        away = (("Location", inside.url()),)
        here.answer = lambda _: Reply(307, headers=away)
        response = OutboundHttp(allow_private=True).request("POST", here.url())
    assert response.status == 307
    assert response.headers["Location"] == inside.url()
    assert inside.calls == []


def test_a_proxy_of_the_environment_is_not_used(monkeypatch):
    with receiver() as proxy, receiver() as here:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert (
            OutboundHttp(allow_private=True).request("POST", here.url()).status == 200
        )
    assert proxy.calls == []


def test_an_answer_that_is_too_large_is_not_read():
    outbound = OutboundHttp(allow_private=True, response_bytes_max=10)
    with receiver() as here:
        here.answer = lambda _: Reply(200, b"x" * 10)
        assert outbound.request("POST", here.url()).body == b"x" * 10
        here.answer = lambda _: Reply(200, b"x" * 1_000_000)
        with pytest.raises(OutboundError, match="larger than 10 bytes"):
            outbound.request("POST", here.url())


def test_nobody_listens():
    with receiver() as here:
        gone = here.url()
    with pytest.raises(OutboundError, match="ConnectError"):
        OutboundHttp(allow_private=True).request("POST", gone)


def _hung_up_after(last: bytes) -> tuple[int, threading.Thread]:
    """A server that reads one request up to these bytes, and hangs up."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = server.accept()
        read = b""
        while last not in read and (piece := connection.recv(1_000)):
            read += piece
        linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        connection.close()
        server.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return server.getsockname()[1], thread


@pytest.mark.parametrize(
    ("body_bytes", "last", "sent"),
    [(10, b"\r\n\r\nxxxxxxxxxx", True), (64 << 20, b"\r\n\r\n", False)],
)
def test_it_is_known_whether_a_request_was_sent_in_full(body_bytes, last, sent):
    port, thread = _hung_up_after(last)
    ours = OutboundHttp(allow_private=True, timeout_s=20)
    with pytest.raises(OutboundError) as caught:
        ours.request("POST", f"http://127.0.0.1:{port}/", content=b"x" * body_bytes)
    thread.join()
    assert caught.value.sent is sent
    with pytest.raises(OutboundError) as caught:
        ours.request("POST", "http://127.0.0.1:9/", content=b"x")
    assert caught.value.sent is False


def test_what_is_not_http_is_no_answer():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        _serve(listening, [b"SSH-2.0-OpenSSH_9.9\r\n"])
        with pytest.raises(OutboundError, match="ProtocolError"):
            _ask(listening)


@pytest.mark.parametrize(
    "head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"]
)
def test_a_server_that_drips_meets_the_deadline(head):
    """Each byte comes in time; all of them together do not."""
    drops = [head, *([b"H"] if not head else []), *[b"x"] * 40]
    with socket.create_server(("127.0.0.1", 0)) as listening:
        _serve(listening, drops, pause_s=0.1)
        began_s = time.monotonic()
        with pytest.raises(OutboundError, match="no answer within"):
            _ask(listening)
        assert time.monotonic() - began_s < 2


def _ask(listening: socket.socket) -> None:
    port = listening.getsockname()[1]
    OutboundHttp(allow_private=True, timeout_s=0.5).request(
        "POST", f"http://127.0.0.1:{port}/"
    )


def _serve(listening: socket.socket, drops: list[bytes], *, pause_s: float = 0) -> None:
    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            try:
                connection.recv(1 << 16)
                for drop in drops:
                    connection.sendall(drop)
                    time.sleep(pause_s)
            except OSError:
                return  # whoever asked has gone

    threading.Thread(target=serve, daemon=True).start()


@pytest.fixture
def authority(tmp_path):
    """A server's TLS for hooks.example, and a client's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hooks.example")])
    now = dt.datetime.now(dt.UTC)
    day = dt.timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("hooks.example")]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = tmp_path / "server.pem"
    path.write_bytes(pem + secret)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    return server, ssl.create_default_context(cadata=pem.decode())


@pytest.mark.parametrize(
    ("host", "trusted"), [("hooks.example", True), ("other.example", False)]
)
def test_over_tls_the_certificate_must_be_of_the_name_and_not_of_the_address(
    authority, host, trusted
):
    server, client = authority
    outbound = OutboundHttp(
        allow_private=True, resolve=lambda _host, _port: ["127.0.0.1"], tls=client
    )
    with receiver(server) as here:
        url = f"https://{host}:{here.port}/"
        if trusted:
            assert outbound.request("POST", url).status == 200
        else:
            with pytest.raises(OutboundError, match="CERTIFICATE_VERIFY_FAILED"):
                outbound.request("POST", url)


def test_an_unknown_authority_is_not_trusted(authority):
    server, _ = authority
    outbound = OutboundHttp(
        allow_private=True, resolve=lambda _host, _port: ["127.0.0.1"]
    )
    with receiver(server) as here, pytest.raises(OutboundError, match="CERTIFICATE"):
        outbound.request("POST", f"https://hooks.example:{here.port}/")


def test_every_kind_has_a_name():
    kinds = {
        not_public_because(str(ipaddress.ip_address(address)))
        for address in (
            "0.0.0.0",
            "127.0.0.1",
            "169.254.0.1",
            "224.0.0.1",
            "100.64.0.1",
        )
    }
    assert kinds == {
        "unspecified",
        "loopback",
        "link-local",
        "multicast",
        "shared by a provider's customers",
    }
