# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""TLS: at the router's own port, with a certificate that is renewed under load, and to Redis."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest
from cryptography import x509

from tests.services.router.conftest import RegistryRows, StartEngine, StartRouter
from tests.services.router.test_passing_through import BODY
from tests.services.router.test_shared_cache import cache_count
from tests.support.model_server import parse_metrics, wait_until
from tests.support.ports import free_port
from tests.support.tls import Pair

HEADERS = {"Content-Type": "application/json"}


class Mounted:
    """A Secret as the kubelet mounts it: all files change at one time."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder / name
        self._versions = folder / f"{name}.versions"
        self._versions.mkdir()
        self._count = 0

    def put(self, certificate: bytes, key: bytes) -> None:
        """Put another version into its place."""
        self._count += 1
        version = self._versions / str(self._count)
        version.mkdir()
        (version / "tls.crt").write_bytes(certificate)
        (version / "tls.key").write_bytes(key)
        link = self._versions / "new"
        link.symlink_to(version)
        link.rename(self.folder)

    @property
    def settings(self) -> dict[str, str]:
        """The router's settings for it."""
        return {
            "tls_certificate_file": str(self.folder / "tls.crt"),
            "tls_key_file": str(self.folder / "tls.key"),
        }


@pytest.fixture(scope="module")
def authority() -> Pair:
    return Pair.issue("authority")


@pytest.fixture(scope="module")
def trusting(authority: Pair) -> ssl.SSLContext:
    """Return what a client knows of the authority."""
    return ssl.create_default_context(cadata=authority.certificate_pem.decode())


def serial(port: int, trusting: ssl.SSLContext, name: str) -> int:
    """Return the number of the certificate that a new connection gets."""
    context = trusting
    if name != "127.0.0.1":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), 5) as wire,
        context.wrap_socket(wire, server_hostname=name) as secured,
    ):
        shown = secured.getpeercert(binary_form=True)
    assert shown
    return x509.load_der_x509_certificate(shown).serial_number


def test_a_certificate_is_renewed_and_no_request_notices(
    tmp_path: Path,
    registry: RegistryRows,
    start_router: StartRouter,
    start_engine: StartEngine,
    authority: Pair,
    trusting: ssl.SSLContext,
) -> None:
    registry.put("org/chat", start_engine(MODEL_SERVER_TTFT_MS="20").url)
    first, second = (Pair.issue("router", authority, days=days) for days in (1, 9))
    mounted = Mounted(tmp_path, "tls")
    mounted.put(first.certificate_pem, first.key_pem)
    port = free_port()
    router = start_router(tls_port=str(port), **mounted.settings)
    over, answers, failures = threading.Event(), [], []

    def ask(anew: bool) -> None:
        """Ask again and again: over one connection, or over new ones."""
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=trusting)
        try:
            while not over.is_set():
                connection.request("POST", "/v1/chat/completions", BODY, HEADERS)
                response = connection.getresponse()
                response.read()
                answers.append(response.status)
                if anew:
                    connection.close()
        except (OSError, http.client.HTTPException) as error:
            failures.append(error)
        finally:
            connection.close()

    clients = [threading.Thread(target=ask, args=(number % 2 == 0,)) for number in range(6)]
    for client in clients:
        client.start()
    try:
        wait_until(lambda: len(answers) > 50)
        # By a name, and by an address, which no client names.
        for name in ("127.0.0.1", "router.example.com"):
            assert serial(port, trusting, name) == first.certificate.serial_number

        mounted.put(second.certificate_pem, first.key_pem)
        wait_until(lambda: "the old certificate stays" in router.log.read_text(), 10)
        assert serial(port, trusting, "127.0.0.1") == first.certificate.serial_number

        mounted.put(second.certificate_pem, second.key_pem)
        wait_until(lambda: serial(port, trusting, "127.0.0.1") == second.certificate.serial_number, 10)
        assert serial(port, trusting, "router.example.com") == second.certificate.serial_number
        seen = len(answers)
        wait_until(lambda: len(answers) > seen + 50)
    finally:
        over.set()
        for client in clients:
            client.join(10)
    assert not failures
    assert set(answers) == {200}
    # Probes, Prometheus and the platform's own programs ask as before.
    shown = {sample.name: sample.value for sample in parse_metrics(router.get("/metrics").text)}
    end = second.certificate.not_valid_after_utc.timestamp()
    assert shown["llmops_router_certificate_end_timestamp_seconds"] == end


def test_a_stream_ends_whole_when_the_router_leaves(
    tmp_path: Path,
    registry: RegistryRows,
    start_router: StartRouter,
    start_engine: StartEngine,
    authority: Pair,
    trusting: ssl.SSLContext,
) -> None:
    registry.put("org/chat", start_engine(MODEL_SERVER_ITL_MS="100", MODEL_SERVER_OUTPUT_TOKENS="10").url)
    pair = Pair.issue("router", authority)
    mounted = Mounted(tmp_path, "tls")
    mounted.put(pair.certificate_pem, pair.key_pem)
    port = free_port()
    router = start_router(tls_port=str(port), drain_delay_s="0.2", **mounted.settings)
    assert router.process is not None
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=trusting)
    body = json.dumps(json.loads(BODY) | {"stream": True}).encode()
    connection.request("POST", "/v1/chat/completions", body, HEADERS)
    response = connection.getresponse()
    # Proxies built on nginx hold it back otherwise.
    assert response.headers["X-Accel-Buffering"] == "no"
    router.send(signal.SIGTERM)
    assert response.read().rstrip().endswith(b"data: [DONE]")
    connection.close()
    assert router.process.wait(10) == 0


def test_a_certificate_that_is_none_is_told_at_the_start(
    tmp_path: Path, start_router: StartRouter, authority: Pair
) -> None:
    mounted = Mounted(tmp_path, "tls")
    mounted.put(Pair.issue("router", authority).certificate_pem, authority.key_pem)
    router = start_router(wait=False, **mounted.settings)
    assert router.process is not None
    assert router.process.wait(15) == 2
    assert "tls.key are no certificate and its key: KEY_VALUES_MISMATCH" in router.log.read_text()


@pytest.mark.parametrize("trusted", [True, False])
def test_redis_is_asked_by_tls(
    tmp_path: Path, registry: RegistryRows, start_router: StartRouter, authority: Pair, trusted: bool
) -> None:
    pair = Pair.issue("redis", authority)
    files = {"crt": pair.certificate_pem, "key": pair.key_pem}
    files["ca"] = (authority if trusted else Pair.issue("other")).certificate_pem
    for name, content in files.items():
        (tmp_path / f"redis.{name}").write_bytes(content)
    port = free_port()
    command = [
        "redis-server", "--port", "0", "--tls-port", str(port), "--bind", "127.0.0.1", "--save", "",
        "--dir", str(tmp_path), "--tls-cert-file", str(tmp_path / "redis.crt"),
        "--tls-key-file", str(tmp_path / "redis.key"), "--tls-auth-clients", "no",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            router = start_router(
                redis_url=f"rediss://127.0.0.1:{port}/0", redis_ca_file=str(tmp_path / "redis.ca")
            )
            outcome = "written" if trusted else "error"
            wait_until(lambda: cache_count(router, "write", outcome) > 0, 10)
        finally:
            server.kill()
