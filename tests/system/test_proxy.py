"""The proxy of the compose file: nginx with our configuration before a real API."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.api.conftest import serving
from tests.support.fleet import until

_ROOT = Path(__file__).parents[2]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


_NGINX = shutil.which("nginx", path=f"{os.defpath}:/usr/sbin:/usr/local/sbin")


@contextmanager
def _proxy(folder: Path, api: str) -> Iterator[str]:
    """nginx with our configuration before an API; the URL that clients use."""
    port = _free_port()
    site = (_ROOT / "docs/deployment/proxy.conf").read_text()
    site = site.replace("http://api:8000", api)
    # So slowly that no machine is too slow to be bounded.
    site = site.replace("rate=50r/s", "rate=1r/m")
    site = site.replace("listen 8080", f"listen 127.0.0.1:{port}")
    main = folder / "nginx.conf"
    main.write_text(
        f"pid {folder}/pid; error_log stderr; daemon off; events {{}} http {{ "
        "access_log off; "
        + "".join(
            f"{kind}_temp_path {folder}/{kind}; "
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        + site
        + "}"
    )
    running = subprocess.Popen([str(_NGINX), "-c", str(main), "-p", str(folder)])
    try:
        url = f"http://127.0.0.1:{port}"
        until(lambda: _answers(url))
        yield url
    finally:
        running.terminate()
        running.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz").status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(_NGINX is None, reason="no nginx is installed")
def test_the_proxy_passes_requests_on_and_bounds_them(database_url, tmp_path):
    with (
        serving(database_url, tmp_path / "home", {}) as api,
        _proxy(tmp_path, str(api.admin.base_url).rstrip("/")) as url,
        httpx.Client(base_url=url, headers=api.admin.headers) as client,
    ):
        assert client.get("/v1/licenses").status_code == 200
        assert client.get("/metrics").status_code == 404
        # Above what a body may hold, and no more than an upload may.
        large = b"company_id\n" + b"c1\n" * (6 << 20)
        assert client.post("/v1/quotes", content=large).status_code == 413
        kept = client.post(
            "/v1/uploads?license=acme&skip_bad=true",
            content=large,
            headers={"Content-Type": "text/csv"},
        )
        assert kept.headers["Content-Type"] == "application/problem+json"
        many = [client.get("/healthz").status_code for _ in range(300)]
        assert set(many) == {200, 429}
