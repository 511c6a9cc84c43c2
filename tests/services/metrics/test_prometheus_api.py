# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each way in which Prometheus cannot be asked has a message of its own, and none shows a secret."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.metrics.from_prometheus import (
    PrometheusSource,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.metrics.prometheus import PrometheusAPI
from ansible_collections.llmops.platform.plugins.module_utils._core.metrics.window import Subject
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.gates import metrics
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.gates.gate import (
    GateVerdict,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.gates.limits import (
    MetricLimits,
)
from tests.support.listeners import closed_port, silent_port
from tests.support.prometheus import Prometheus
from tests.support.raw_server import RawServer, reply
from tests.support.tls import Pair
from tests.support.told_prometheus import ToldPrometheus, series, vector

USER, PASSWORD = "gate", "p:a sséword"
# bcrypt of the password, as Prometheus wants it.
HASH = "$2b$04$sMtlMfA8zw5haG1zK8z0XOw0Svr7HIRFNpSFXFQULZLZ43b3FYZhO"
SECRET = "s3cret-of-tests"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Prometheus, Path]]:
    """Return a Prometheus below a path, with TLS and a password, and its certificate."""
    folder = tmp_path_factory.mktemp("guarded")
    pair = Pair.issue("prometheus")
    pem = pair.write(folder, "server")
    ca = folder / "ca.pem"
    ca.write_bytes(pair.certificate_pem)
    web = {
        "tls_server_config": {"cert_file": str(pem), "key_file": str(pem)},
        "basic_auth_users": {USER: HASH},
    }
    with Prometheus(folder, prefix="/prometheus", web=web) as running:
        yield running, ca


def now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


def refused(api: PrometheusAPI, expression: str = "up") -> PlatformError:
    """Ask, and return the error."""
    with pytest.raises(PlatformError) as caught:
        api.query(expression, now())
    assert SECRET not in str(caught.value)
    return caught.value


def success(**data: Any) -> bytes:
    """Return an answer in Prometheus' envelope."""
    return json.dumps({"status": "success", "data": data}).encode()


def test_tls_a_password_and_a_path(guarded: tuple[Prometheus, Path]) -> None:
    running, ca = guarded
    api = PrometheusAPI(running.url + "/", username=USER, password=PASSWORD, ca_cert=str(ca))
    assert [series.value for series in api.query("vector(7)", now()).series] == [7]
    anyhow = PrometheusAPI(running.url, username=USER, password=PASSWORD, validate_certs=False)
    assert anyhow.query("up", now() - timedelta(hours=1)).series == ()


@pytest.mark.parametrize("login", [{}, {"username": USER, "password": SECRET}, {"token": SECRET}])
def test_a_wrong_login_is_told(guarded: tuple[Prometheus, Path], login: dict[str, Any]) -> None:
    running, ca = guarded
    error = refused(PrometheusAPI(running.url, ca_cert=str(ca), **login))
    assert error.error_class is ErrorClass.AUTH
    assert "answered 401" in error.message


def test_an_unknown_authority_is_told(guarded: tuple[Prometheus, Path]) -> None:
    error = refused(PrometheusAPI(guarded[0].url, token=SECRET))
    assert error.error_class is ErrorClass.AUTH
    assert "certificate" in error.message


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ('"text"', "answered with a string, not a vector"),
        ("scalar(vector(1))", "answered with a scalar, not a vector"),
        ("up[1m]", "answered with a matrix, not a vector"),
        ("up{", "bad_data"),
        (
            "vector(1) * on () group_left () (vector(1) or label_replace(vector(1), 'a', 'b', '', ''))",
            "execution",
        ),
    ],
)
def test_a_wrong_question_is_told(guarded: tuple[Prometheus, Path], expression: str, said: str) -> None:
    running, ca = guarded
    error = refused(PrometheusAPI(running.url, username=USER, password=PASSWORD, ca_cert=str(ca)), expression)
    assert error.error_class is ErrorClass.INVALID
    assert said in error.message


def test_nobody_there_and_nobody_who_answers() -> None:
    error = refused(PrometheusAPI(f"http://127.0.0.1:{closed_port()}"))
    assert error.error_class is ErrorClass.INFRASTRUCTURE
    assert "cannot be reached" in error.message
    with silent_port() as port:
        began = time.monotonic()
        error = refused(PrometheusAPI(f"http://127.0.0.1:{port}", timeout_s=0.3))
    assert error.error_class is ErrorClass.TIMEOUT
    assert "within 0.3 s" in error.message
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("status", "body", "wanted", "said"),
    [
        ("403 Forbidden", b"no", ErrorClass.AUTH, "answered 403"),
        ("302 Found", b"", ErrorClass.INVALID, "answered 302"),
        ("404 Not Found", b"<html>nothing</html>", ErrorClass.INVALID, "answered 404"),
        ("429 Too Many Requests", b"slower", ErrorClass.INFRASTRUCTURE, "answered 429: slower"),
        ("502 Bad Gateway", b"<html>", ErrorClass.INFRASTRUCTURE, "answered 502"),
        ("200 OK", b"<html>login</html>", ErrorClass.INVALID, "is no Prometheus"),
        ("200 OK", b"[]", ErrorClass.INVALID, "is no Prometheus"),
        ("200 OK", b'{"status": "success"}', ErrorClass.INVALID, "result of no type"),
        ("200 OK", success(resultType="vector", result=[{}]), ErrorClass.INVALID, "no readable value"),
        (
            "503 Service Unavailable",
            b'{"status": "error", "errorType": "timeout", "error": "query timed out"}',
            ErrorClass.TIMEOUT,
            "(503, timeout): query timed out",
        ),
        (
            "200 OK",
            f'{{"status": "error", "errorType": "internal", "error": "token {SECRET}"}}'.encode(),
            ErrorClass.INFRASTRUCTURE,
            "(200, internal): token [hidden]",
        ),
    ],
)  # fmt: skip
def test_other_answers_are_told_apart(status: str, body: bytes, wanted: ErrorClass, said: str) -> None:
    with RawServer(reply(body, status=status)) as server:
        error = refused(PrometheusAPI(server.url, token=SECRET))
    assert (error.error_class, said in error.message) == (wanted, True), error.message


@pytest.mark.parametrize("status", ["404 Not Found", "200 OK"])
def test_a_secret_is_hidden_before_anything_is_cut(status: str) -> None:
    """Wherever it is cut, no half of it is left."""
    for length in (2000, 4 * 2000):
        body = f"{'.' * (length - 5)}{SECRET}{'.' * 100}".encode()
        with RawServer(reply(body, status=status)) as server:
            error = refused(PrometheusAPI(server.url, token=SECRET))
        assert SECRET[:5] not in error.message


def test_a_secret_is_known_in_the_shapes_in_which_it_comes_back() -> None:
    said = json.dumps({"password": PASSWORD})
    with RawServer(reply(f"{said} {quote_plus(PASSWORD)}".encode(), status="404 Not Found")) as server:
        error = refused(PrometheusAPI(server.url, username=USER, password=PASSWORD))
    assert "sséword" not in error.message
    assert "word" not in error.message.replace("password", "")


@pytest.mark.parametrize(
    ("url", "login", "plain"),
    [
        ("http://prometheus.monitoring:9090/x/", {"token": SECRET}, "http://prometheus.monitoring:9090/x"),
        ("http://10.0.0.1", {"username": "u", "password": SECRET}, "http://10.0.0.1"),
        ("http://prometheus.monitoring", {}, ""),
        ("https://prometheus.monitoring", {"token": SECRET}, ""),
        ("http://localhost:9090", {"token": SECRET}, ""),
        ("http://[::1]:9090", {"token": SECRET}, ""),
    ],
)
def test_a_secret_in_plain_text_is_known(url: str, login: dict[str, str], plain: str) -> None:
    assert PrometheusAPI(url, **login).plain == plain  # type: ignore[arg-type]


def test_what_is_sent_and_what_the_server_warns_of() -> None:
    content = json.loads(success(resultType="vector", result=[{"metric": {"pod": "a"}, "value": [1, "NaN"]}]))
    body = json.dumps({**content, "warnings": ["a store is away"]}).encode()
    with RawServer(reply(body)) as server:
        vector = PrometheusAPI(f"{server.url}/tenant/", token=f"{SECRET}\n", tenant="ours").query(
            "a+b", now()
        )
        (request,) = server.requests
    assert vector.warnings == ("a store is away",)
    assert math.isnan(vector.series[0].value)
    assert request.line == "POST /tenant/api/v1/query HTTP/1.1"
    # Whatever routes by name in front of it needs it right.
    assert request.headers["host"] == f"127.0.0.1:{server.port}"
    assert request.headers["authorization"] == f"Bearer {SECRET}"
    assert request.headers["x-scope-orgid"] == "ours"
    assert request.body.startswith(b"query=a%2Bb&time=")


def test_a_warning_is_a_gap() -> None:
    warned = vector(series(100, pod="router-1", status="200"), warnings=["a store is away"])
    with ToldPrometheus(answers={"requests": warned}) as server:
        gates = metrics.metric_gates(
            PrometheusSource(PrometheusAPI(server.url)),
            Subject("m", "e", "llm", "r", "routers"),
            MetricLimits(),
        )
    assert gates[0].verdict is GateVerdict.INCONCLUSIVE
    assert "Prometheus warns: a store is away" in gates[0].reason


def test_an_api_that_fails_is_an_error_of_each_gate() -> None:
    source = PrometheusSource(PrometheusAPI(f"http://127.0.0.1:{closed_port()}"))
    gates = metrics.metric_gates(source, Subject("m", "e", "n", "r", "n"), MetricLimits())
    assert [gate.name for gate in gates] == ["errors", "latency", "queue"]
    assert {gate.verdict for gate in gates} == {GateVerdict.ERROR}
    assert [(gate.limit, gate.window_s) for gate in gates] == [(0.01, 300), (3, 300), (10, 300)]


@pytest.mark.parametrize(
    ("url", "options", "field"),
    [
        ("ftp://a", {}, "url"),
        ("http://", {}, "url"),
        (f"http://user:{SECRET}@host", {}, "url"),
        (f"http://host?token={SECRET}", {}, "url"),
        # What a resolver cannot even ask for.
        ("http://a..b:9090", {}, "url"),
        (f"http://{'a' * 64}", {}, "url"),
        ("http://host", {"timeout_s": 0}, "timeout"),
        ("http://host", {"timeout_s": float("nan")}, "timeout"),
        ("http://host", {"token": SECRET, "username": "u"}, "username"),
        ("http://host", {"token": f"{SECRET}\nX: y"}, "token"),
        ("http://host", {"username": "a:b", "password": SECRET}, "username"),
        ("https://host", {"ca_cert": "/nowhere"}, "ca_cert"),
    ],
)
def test_what_cannot_be_meant_is_refused(url: str, options: dict[str, Any], field: str) -> None:
    with pytest.raises(PlatformError) as caught:
        PrometheusAPI(url, **options)
    assert caught.value.details == {"field": field}
    assert SECRET not in str(caught.value)
