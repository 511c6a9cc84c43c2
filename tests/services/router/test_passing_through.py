# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What goes to a model server and what comes back: unchanged, unbuffered, within limits, without leaks."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from itertools import pairwise
from pathlib import Path

import pytest

from tests.services.router.conftest import RegistryRows, StartEngine, StartRouter
from tests.services.router.test_pages import metric
from tests.services.router.test_routing import chat, error
from tests.support.listeners import closed_port, silent_port
from tests.support.model_server import wait_until
from tests.support.raw_server import Answer, RawServer, Request, reply
from tests.support.router_process import RouterProcess

BODY = json.dumps({"model": "org/chat", "messages": [{"role": "user", "content": "Hello"}]}).encode()
STREAM = "Content-Type: text/event-stream"

StartRaw = Callable[..., RawServer]


@pytest.fixture
def raw(registry: RegistryRows) -> Iterator[StartRaw]:
    """Return a function that starts a server which gives one answer, and registers it."""
    with ExitStack() as running:

        def start(answer: Answer) -> RawServer:
            server = running.enter_context(RawServer(answer))
            registry.put("org/chat", server.url)
            return server

        yield start


def post(
    router: RouterProcess, body: bytes = BODY, headers: Mapping[str, str] | None = None
) -> http.client.HTTPResponse:
    """Send a completion over a connection of its own and return the answer, whose body is not read yet."""
    connection = http.client.HTTPConnection("127.0.0.1", router.port, timeout=10)
    connection.request(
        "POST", "/v1/chat/completions", body, {"Content-Type": "application/json", **(headers or {})}
    )
    return connection.getresponse()


def test_a_stream_is_not_held_back(
    registry: RegistryRows, start_router: StartRouter, start_engine: StartEngine
) -> None:
    engine = start_engine(MODEL_SERVER_ITL_MS="300", MODEL_SERVER_OUTPUT_TOKENS="8")
    registry.put("org/chat", engine.url)
    body = json.loads(BODY) | {"stream": True}
    response = post(start_router(), json.dumps(body).encode())
    assert response.status == 200
    assert response.headers["content-type"].startswith("text/event-stream")
    arrivals = []
    while line := response.readline():
        if line.startswith(b"data:"):
            arrivals.append(time.monotonic())
    # Eight tokens with 0.3 s between them: had they been held back, they would come at once.
    assert arrivals[-1] - arrivals[0] > 1.5
    assert max(later - sooner for sooner, later in pairwise(arrivals)) < 1.2


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_ends_the_work(
    registry: RegistryRows, start_router: StartRouter, start_engine: StartEngine, stream: bool
) -> None:
    engine = start_engine(MODEL_SERVER_ITL_MS="200", MODEL_SERVER_OUTPUT_TOKENS="200")
    registry.put("org/chat", engine.url)
    router = start_router()
    body = json.dumps(json.loads(BODY) | {"stream": stream}).encode()
    with socket.create_connection(("127.0.0.1", router.port)) as client:
        client.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        wait_until(lambda: engine.metric("vllm:num_requests_running") == 1, 3)
    wait_until(lambda: engine.metric("vllm:request_success_total", finished_reason="abort") == 1, 3)
    wait_until(lambda: 'status="499"' in router.get("/metrics").text, 3)
    assert "llmops_router_in_flight 0.0" in router.get("/metrics").text


def test_headers_are_cleaned(start_router: StartRouter, raw: StartRaw) -> None:
    server = raw(
        reply(
            b"{}",
            "Content-Type: application/json",
            "Server: secret-engine/1",
            "Set-Cookie: a=b",
            "X-Internal: 1",
            "Connection: keep-alive, X-Internal",
            "X-Kept: yes",
        )
    )
    response = post(
        start_router(),
        headers={
            "Authorization": "Bearer client-secret",
            "Cookie": "session=1",
            "X-Forwarded-For": "10.1.2.3",
            "X-Request-Id": "call-1",
            "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        },
    )
    assert response.status == 200
    assert set(dict(response.getheaders())) == {
        "date",
        "content-type",
        "content-length",
        "x-kept",
        "x-request-id",
    }
    assert response.headers["x-request-id"] == "call-1"
    (request,) = server.requests
    assert request.line == "POST /v1/chat/completions HTTP/1.1"
    assert request.body == BODY
    assert request.headers["x-request-id"] == "call-1"
    assert request.headers["traceparent"]
    assert request.headers["host"] == f"127.0.0.1:{server.port}"
    assert not {"authorization", "cookie", "x-forwarded-for"} & set(request.headers)


def test_authorization_goes_on_where_that_is_wanted(start_router: StartRouter, raw: StartRaw) -> None:
    server = raw(reply())
    router = start_router(forward_authorization="true", forward_headers="X-Tenant")
    assert post(router, headers={"Authorization": "Bearer mine", "X-Tenant": "blue"}).status == 200
    assert server.requests[0].headers["authorization"] == "Bearer mine"
    assert server.requests[0].headers["x-tenant"] == "blue"


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
def test_what_the_model_server_says_of_a_key_is_for_its_owner(
    start_router: StartRouter, raw: StartRaw, tmp_path: Path, status: str
) -> None:
    raw(reply(b'{"error": "whose?"}', "WWW-Authenticate: Bearer", status=status))
    router = start_router("own", forward_authorization="true")
    for key in ("Bearer wrong", ""):
        response = post(router, headers={"Authorization": key} if key else None)
        assert (response.status, response.read()) == (int(status[:3]), b'{"error": "whose?"}')
        assert response.headers["www-authenticate"] == "Bearer"
        assert "retry-after" not in response.headers
    keys = tmp_path / "keys.json"
    keys.write_text('{"*": "engine-key"}', encoding="utf-8")
    for name, settings in (
        ("none", {}),
        ("routers", {"forward_authorization": "true", "upstream_keys_file": str(keys)}),
    ):
        response = post(start_router(name, **settings), headers={"Authorization": "Bearer mine"})
        assert response.status == 502
        assert json.loads(response.read())["error"]["code"] == "upstream_unauthorized"


def test_an_odd_request_id_is_replaced(start_router: StartRouter, raw: StartRaw) -> None:
    raw(reply())
    router = start_router()
    made = post(router, headers={"X-Request-Id": "two words"}).headers["x-request-id"]
    assert len(made) == 32
    assert made != post(router).headers["x-request-id"]


def test_a_long_body_is_refused_with_and_without_a_length(start_router: StartRouter, raw: StartRaw) -> None:
    server = raw(reply())
    router = start_router(max_body_bytes="2000")
    response = post(router, b"x" * 2001)
    assert response.status == 413
    assert json.loads(response.read())["error"]["code"] == "request_too_large"
    connection = http.client.HTTPConnection("127.0.0.1", router.port, timeout=10)
    connection.request("POST", "/v1/completions", iter([b"x" * 1500] * 2), encode_chunked=True, headers={
        "Transfer-Encoding": "chunked",
    })  # fmt: skip
    assert connection.getresponse().status == 413
    padded = json.dumps(json.loads(BODY) | {"user": ""}).encode()
    exact = padded.replace(b'"user": ""', b'"user": "%b"' % (b"u" * (2000 - len(padded))))
    assert len(exact) == 2000
    assert post(router, exact).status == 200
    assert len(server.requests) == 1


def test_all_bodies_together_are_bounded(start_router: StartRouter, raw: StartRaw) -> None:
    """Only what was sent counts, and only until an answer begins."""
    long = json.dumps(json.loads(BODY) | {"user": "u" * 90_000}).encode()
    may_end = threading.Event()

    def slow_end(_request: Request, wire: socket.socket) -> bool:
        wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{")
        may_end.wait(10)
        wire.sendall(b"}")
        return False

    server = raw(reply())
    router = start_router(max_body_bytes="100000", max_bodies_bytes="150000")
    with ExitStack() as open_ones:
        clients = [
            open_ones.enter_context(socket.create_connection(("127.0.0.1", router.port), timeout=5))
            for _number in range(5)
        ]
        head = b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(long)
        for client in clients:
            client.sendall(head)
        clients[0].sendall(long[:-1])
        wait_until(lambda: post(router, long).status == 503, 3)
        refused = post(router, long)
        assert json.loads(refused.read())["error"]["code"] == "router_busy"
        assert refused.headers["retry-after"]
        assert post(router).status == 200
        # One whose end no longer fits.
        clients[1].sendall(long)
        assert clients[1].recv(4096).startswith(b"HTTP/1.1 503 ")
        server.answer = slow_end
        clients[0].sendall(long[-1:])
        assert clients[0].recv(4096).startswith(b"HTTP/1.1 200 ")
        begun = [post(router, long) for _number in range(3)]
        may_end.set()
        assert [response.read() for response in begun] == [b"{}"] * 3
    assert {len(request.body) for request in server.requests} == {len(long), len(BODY)}


def test_a_body_that_does_not_arrive_is_given_up(start_router: StartRouter) -> None:
    router = start_router(body_timeout_s="0.3")
    with socket.create_connection(("127.0.0.1", router.port), timeout=5) as client:
        client.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        assert client.recv(4096).startswith(b"HTTP/1.1 408 ")


def test_a_body_without_a_model_is_told_what_is_wrong(start_router: StartRouter) -> None:
    router = start_router()
    for body, code in (
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b"[1]", "invalid_json"),
        (b'{"model": "\xff"}', "invalid_json"),
        (b"[" * 100_000, "invalid_json"),
        (b"{}", "missing_model"),
        (b'{"model": null}', "missing_model"),
        (b'{"model": ""}', "invalid_model"),
        (b'{"model": 7}', "invalid_model"),
        (b'{"model": ["org/chat"]}', "invalid_model"),
        (b'{"model": "%b"}' % (b"m" * 513), "invalid_model"),
    ):
        found = router.request("POST", "/v1/chat/completions", body)
        assert found.status == 400, body[:50]
        assert error(found)["code"] == code, body[:50]
        assert error(found)["type"] == "invalid_request_error"


def test_only_three_paths_reach_a_model_server(start_router: StartRouter, raw: StartRaw) -> None:
    server = raw(reply())
    router = start_router()
    for path in ("/v1/chat/completions", "/v1/completions", "/v1/embeddings"):
        assert router.request("POST", path, BODY).status == 200
        found = router.request("GET", path)
        assert (found.status, found.headers["allow"]) == (405, "POST")
        assert error(found)["code"] == "method_not_allowed"
    for path in (
        "/", "/invocations", "/pooling", "/tokenize", "/v1/load_lora_adapter", "/v1/responses", "/v1/files",
        "/v1/chat/completions/", "/v1//chat/completions", "/v1/../invocations", "/health", "//v1/completions",
    ):  # fmt: skip
        found = router.request("POST", path, BODY)
        assert found.status == 404, path
        assert error(found)["code"] == "unknown_path"
    assert [request.line.split()[1] for request in server.requests] == [
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
    ]


def test_errors_of_the_model_server_pass(start_router: StartRouter, raw: StartRaw) -> None:
    server = raw(reply(b'{"error": {"message": "too long"}}', status="400 Bad Request"))
    router = start_router()
    response = post(router)
    assert response.status == 400
    assert response.read() == b'{"error": {"message": "too long"}}'
    server.answer = reply(b"{}", "Retry-After: 7", status="503 Service Unavailable")
    response = post(router)
    assert (response.status, response.headers["retry-after"]) == (503, "7")


def _sending(data: bytes) -> Answer:
    """Return an answer of these bytes, after which the connection closes."""

    def answer(_request: Request, wire: socket.socket) -> bool:
        wire.sendall(data)
        return False

    return answer


_ODD: dict[str, tuple[Answer, str]] = {
    "redirect": (reply(b"", "Location: http://169.254.169.254/", status="307 Elsewhere"), "upstream_invalid"),
    "key": (reply(b"", status="401 Unauthorized"), "upstream_unauthorized"),
    "status": (reply(b"", status="999 Odd"), "upstream_invalid"),
    "no HTTP": (_sending(b"SSH-2.0-OpenSSH\r\n"), "upstream_broken"),
    "silence": (_sending(b""), "upstream_broken"),
    "no body": (_sending(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), "upstream_broken"),
    "long headers": (
        _sending(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n"),
        "upstream_broken",
    ),
}


def test_an_answer_that_is_none_is_a_bad_gateway(start_router: StartRouter, raw: StartRaw) -> None:
    server = raw(reply())
    router = start_router()
    for number, (name, (answer, code)) in enumerate(_ODD.items(), 1):
        server.answer = answer
        found = chat(router)
        assert (found.status, error(found)["code"]) == (502, code), name
        assert "127.0.0.1" not in found.text
        assert "location" not in found.headers
        # A connection that spoke so is not used again, and what may have been worked on is not sent twice.
        assert len(server.requests) == number


def test_nobody_there_is_told_within_the_limit(registry: RegistryRows, start_router: StartRouter) -> None:
    registry.put("org/chat", f"http://127.0.0.1:{closed_port()}")
    router = start_router(connect_timeout_s="1")
    started = time.monotonic()
    found = chat(router)
    assert (found.status, error(found)["code"]) == (502, "upstream_unreachable")
    assert time.monotonic() - started < 2
    assert "retry-after" in found.headers


def test_silence_is_a_timeout(registry: RegistryRows, start_router: StartRouter) -> None:
    with silent_port() as port:
        registry.put("org/chat", f"http://127.0.0.1:{port}")
        found = chat(start_router(first_byte_timeout_s="0.5"))
    assert (found.status, error(found)["code"]) == (504, "upstream_timeout")


def test_a_server_that_comes_back_at_once_is_tried_again(start_router: StartRouter, raw: StartRaw) -> None:
    server = raw(reply())
    router = start_router()
    server.stop()

    def come_back() -> None:
        time.sleep(0.03)
        with socket.create_server(("127.0.0.1", server.port)) as listener, suppress(TimeoutError):
            listener.settimeout(1)
            wire, _ = listener.accept()
            with wire:
                wire.recv(65536)
                wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")

    def is_tried_again() -> bool:
        before = metric(router, "upstream_retries_total")
        with ThreadPoolExecutor(1) as pool:
            pool.submit(come_back)
            status = chat(router).status
        return status == 200 and metric(router, "upstream_retries_total") > before

    # The attempts span a tenth of a second: on a busy machine it may come back before or after them all.
    assert any(is_tried_again() for _time in range(5))


def test_connections_are_kept_and_a_stale_one_costs_no_request(
    start_router: StartRouter, raw: StartRaw
) -> None:
    server = raw(reply())
    router = start_router()
    for _number in range(3):
        assert chat(router).status == 200
    assert server.connections == 1

    def hang_up_instead(request: Request, wire: socket.socket) -> bool:
        if request.connection == 1:
            return False
        return reply()(request, wire)

    server.answer = hang_up_instead
    assert chat(router).status == 200
    assert [request.connection for request in server.requests] == [1, 1, 1, 1, 2]
    assert "llmops_router_upstream_retries_total 1.0" in router.get("/metrics").text


def test_idle_connections_are_closed_in_time(start_router: StartRouter, raw: StartRaw) -> None:
    server = raw(reply())
    router = start_router(upstream_keepalive_s="0.3")
    assert chat(router).status == 200
    wait_until(lambda: 1 in server.closed, 3)


def _half_stream(_request: Request, wire: socket.socket) -> bool:
    wire.sendall(f"HTTP/1.1 200 OK\r\n{STREAM}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
    wire.sendall(b"a\r\ndata: {}\n\n\r\n")
    return False


def _stalled_stream(request: Request, wire: socket.socket) -> bool:
    _half_stream(request, wire)
    time.sleep(3)
    return False


@pytest.mark.parametrize(
    ("answer", "code"), [(_half_stream, "upstream_broken"), (_stalled_stream, "upstream_timeout")]
)
def test_half_a_stream_is_not_taken_for_a_whole_one(
    start_router: StartRouter, raw: StartRaw, answer: Answer, code: str
) -> None:
    raw(answer)
    router = start_router(idle_timeout_s="0.5")
    response = post(router)
    assert response.status == 200
    with pytest.raises(http.client.IncompleteRead) as broken:
        response.read()
    last = broken.value.partial.strip().split(b"\n\n")[-1]
    assert json.loads(last.removeprefix(b"data: "))["error"]["code"] == code
    assert f'llmops_router_errors_total{{code="{code}",model="org/chat"}} 1.0' in router.get("/metrics").text


def _late_stalled_stream(request: Request, wire: socket.socket) -> bool:
    time.sleep(0.3)
    return _stalled_stream(request, wire)


def test_a_stall_is_noticed_although_the_answer_began_late(start_router: StartRouter, raw: StartRaw) -> None:
    """The long patience until the first byte is over with it."""
    raw(_late_stalled_stream)
    response = post(start_router(idle_timeout_s="1", first_byte_timeout_s="60"))
    assert response.status == 200
    started = time.monotonic()
    with pytest.raises(http.client.IncompleteRead) as broken:
        response.read()
    assert 0.5 < time.monotonic() - started < 4
    assert b"upstream_timeout" in broken.value.partial


def test_half_a_body_is_not_taken_for_a_whole_one(start_router: StartRouter, raw: StartRaw) -> None:
    raw(_sending(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"))
    response = post(start_router())
    with pytest.raises(http.client.IncompleteRead):
        response.read()


def test_an_answer_without_a_length_ends_with_its_connection(
    start_router: StartRouter, raw: StartRaw
) -> None:
    raw(_sending(b"HTTP/1.1 200 OK\r\n\r\nhello"))
    assert post(start_router()).read() == b"hello"


def test_trailers_of_an_answer_are_no_headers(start_router: StartRouter, raw: StartRaw) -> None:
    """They may come together with the headers, and say what headers must not."""

    def answer(request: Request, wire: socket.socket) -> bool:
        wire.sendall(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Late\r\n\r\n2\r\n{}\r\n0\r\n"
            b"X-Late: 1\r\nContent-Type: text/event-stream\r\n\r\n"
        )
        return True

    server = raw(answer)
    router = start_router()
    for _number in range(2):
        response = post(router)
        assert response.read() == b"{}"
        assert not {"x-late", "content-type"} & {name.lower() for name in response.headers}
    # The connection was in order and could be used again.
    assert server.connections == 1


def test_an_interim_answer_is_passed_over(start_router: StartRouter, raw: StartRaw) -> None:
    def answer(request: Request, wire: socket.socket) -> bool:
        wire.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        return reply(b"whole")(request, wire)

    raw(answer)
    router = start_router()
    for _number in range(2):
        assert post(router).read() == b"whole"


def test_a_slow_client_does_not_fill_the_memory(start_router: StartRouter, raw: StartRaw) -> None:
    sent: list[int] = []

    def answer(_request: Request, wire: socket.socket) -> bool:
        wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 200000000\r\n\r\n")
        for _number in range(200):
            wire.sendall(b"x" * 1_000_000)
            sent.append(1_000_000)
        return True

    raw(answer)
    response = post(start_router())
    time.sleep(1)
    # Sockets' buffers take some; the router holds back the rest.
    assert sum(sent) < 50_000_000
    assert len(response.read()) == 200_000_000


def test_endpoints_outside_of_the_list_get_nothing(
    registry: RegistryRows, start_router: StartRouter, raw: StartRaw
) -> None:
    server = raw(reply())
    router = start_router(allowed_endpoints=".svc.cluster.local, 10.0.0.0/8")
    found = chat(router)
    assert (found.status, error(found)["code"]) == (502, "endpoint_not_allowed")
    assert not server.requests
    assert router.get("/v1/models").json["data"] == []
    assert "outside of LLMOPS_ROUTER_ALLOWED_ENDPOINTS" in router.log.read_text()


def test_a_client_that_reads_nothing_is_given_up(start_router: StartRouter, raw: StartRaw) -> None:
    """It holds its connection and takes nothing: the model server does not wait for it for ever."""

    def endless(_request: Request, wire: socket.socket) -> bool:
        wire.sendall(f"HTTP/1.1 200 OK\r\n{STREAM}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        while True:
            wire.sendall(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")

    raw(endless)
    router = start_router(idle_timeout_s="1")
    with socket.create_connection(("127.0.0.1", router.port)) as client:
        client.sendall(
            b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
        )
        # The router's own limit and the kernel's are the same here: either may be the first to give up.
        wait_until(lambda: 'requests_total{model="org/chat"' in router.get("/metrics").text)
        assert "llmops_router_in_flight 0.0" in router.get("/metrics").text
        # The kernel looks at its limit when it probes the client: after 0.2 s, then after twice as long.
        wait_until(lambda: not _established(client), 30)


def _established(client: socket.socket) -> bool:
    """Say whether the kernel still holds the router's end of a client's connection."""
    port = f":{client.getsockname()[1]:04X}"
    lines = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    return any(line.split()[2].endswith(port) for line in lines)
