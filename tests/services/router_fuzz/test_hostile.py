# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hostile requests, byte by byte: never a crash, always a proper error, nothing slips through to a server."""

from __future__ import annotations

import json
import re
import socket
import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.services.faults.world import World
from tests.services.router_fuzz.conftest import (
    BODY_TIMEOUT_S,
    MAX_BODY_BYTES,
    MODEL,
    Answer,
    request,
    talk,
)
from tests.support.model_server import parse_metrics, wait_until
from tests.support.router_process import RouterProcess

_SETTINGS = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))
_JSON = (b"Content-Type", b"application/json")
_CLOSE = (b"Connection", b"close")
GOOD = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 2}
GOOD_BODY = json.dumps(GOOD).encode()

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=30), st.just(MODEL)
)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
MEMBERS = ("model", "messages", "stream", "max_tokens", "n", "stop", "stream_options", "prompt", "input")


def encoded(document: Any) -> bytes:
    """Return JSON as Python writes it: with NaN, Infinity and lone surrogates, which others refuse."""
    return json.dumps(document).encode()


#: Objects that look like requests, with members of any type.
objects = st.dictionaries(st.sampled_from(MEMBERS), documents, max_size=6).map(encoded)
#: A name given twice, or under escapes.
doubles = st.tuples(documents, documents).map(
    lambda pair: b'{"model": %s, "mod\\u0065l": %s, "messages": []}' % (encoded(pair[0]), encoded(pair[1]))
)
#: A right request with one run of bytes replaced by another.
damaged = st.tuples(st.integers(0, len(GOOD_BODY)), st.integers(0, 8), st.binary(max_size=8)).map(
    lambda cut: GOOD_BODY[: cut[0]] + cut[2] + GOOD_BODY[cut[0] + cut[1] :]
)
bodies = st.one_of(st.binary(max_size=200), documents.map(encoded), objects, doubles, damaged)

_TOKEN = st.text("!#$%&'*+-.^_`|~0123456789abcXYZ", min_size=1, max_size=20).map(str.encode)
_VALUE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF), max_size=60).map(
    lambda text: text.encode("latin-1").replace(b"\x7f", b"")
)
_MEANT = st.sampled_from(
    [
        (b"Content-Type", b"text/plain"),
        (b"Content-Type", b"application/json; charset=utf-16"),
        (b"Content-Encoding", b"gzip"),
        (b"Accept", b"text/event-stream"),
        (b"Accept-Encoding", b"br;q=1, *;q=0"),
        (b"Authorization", b"Bearer " + b"x" * 5000),
        (b"Authorization", b"\xff\xfe"),
        (b"Expect", b"100-continue"),
        (b"Upgrade", b"websocket"),
        (b"Upgrade", b"h2c"),
        (b"Connection", b"upgrade, x-request-id, host"),
        (b"Connection", b"content-length"),
        (b"X-Request-Id", b"a b"),
        (b"X-Request-Id", b"\xc3\xa4" * 100),
        (b"X-Forwarded-For", b"127.0.0.1"),
        (b"Host", b"another"),
        (b"Range", b"bytes=0-1"),
        (b"Trailer", b"X-Late"),
        (b"TE", b"trailers"),
        (b"Cookie", b"a=b; " * 400),
        (b"Proxy-Authorization", b"Basic Og=="),
        (b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    ]
)
headers = st.lists(st.one_of(_MEANT, st.tuples(_TOKEN, _VALUE)), max_size=6).map(tuple)
targets = st.one_of(
    st.sampled_from(
        [
            b"*",
            b"//v1/chat/completions",
            b"/v1/chat/completions/",
            b"/v1/chat/completions/../../../health",
            b"/v1/chat/completions%2f..%2f..%2fhealth",
            b"/v1/chat/completions;x",
            b"/v1/%63hat/completions",
            b"/v1/chat/completions%00",
            b"/V1/chat/completions",
            b"/v1/load_lora_adapter",
            b"/v1/models/" + b"a" * 3000,
            b"/v1/models/%ff%fe",
            b"/v1/models/..%2f..%2fmetrics",
            b"/metrics/../v1/chat/completions",
            b"/control",
            b"/health",
            b"/tokenize",
            b"/invocations",
            b"http://127.0.0.1:1/v1/chat/completions",
            b"/v1/chat/completions?model=x#fragment",
        ]
    ),
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=40).map(
        lambda t: b"/" + t.encode()
    ),
)
methods = st.sampled_from(
    [b"GET", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"HEAD", b"TRACE", b"POST", b"PROPFIND"]
)


def chunked(body: bytes, sizes: list[int], decoration: bytes, trailer: bytes) -> bytes:
    """Return a body in chunks of these sizes, with extensions and a trailer."""
    parts = []
    for size in sizes:
        part, body = body[:size], body[size:]
        if part:
            parts.append(b"%x%s\r\n%s\r\n" % (len(part), decoration, part))
    if body:
        parts.append(b"%X%s\r\n%s\r\n" % (len(body), decoration, body))
    return b"".join(parts) + b"0\r\n" + trailer + b"\r\n"


class Witness:
    """Counts what reaches the model's server while hostile requests are sent."""

    def __init__(self, world: World) -> None:
        self._server = world.models[MODEL]

    def requests(self) -> dict[tuple[str, str], float]:
        """Return the number of requests by (method, handler), those of this question left out."""
        counted: dict[tuple[str, str], float] = {}
        for sample in self._server.samples():
            if sample.name == "http_requests_total" and sample.labels["handler"] != "/metrics":
                key = (sample.labels["method"], sample.labels["handler"])
                counted[key] = counted.get(key, 0) + sample.value
        return counted


@pytest.fixture
def witness(world: World) -> Witness:
    """Return a count of what reaches the model's server."""
    return Witness(world)


def proper(answer: Answer | None) -> Answer:
    """Check what every answer has to be."""
    assert answer is not None, "no answer at all"
    assert answer.status < 500, answer
    if answer.status >= 400 and not answer.is_no_http and answer.body:
        assert answer.error
    return answer


def hostile(examples: int, strategy: Any, check: Callable[[Any], None]) -> None:
    """Try a check on so many examples."""

    # The short run is the same each time, so that it does not fail by chance; the long one looks further.
    @settings(_SETTINGS, max_examples=examples, derandomize=examples < 1000)
    @given(example=strategy)
    def run(example: Any) -> None:
        check(example)

    run()


def try_bodies(router: RouterProcess, examples: int) -> None:
    """Send bodies of any kind."""

    def check(body: bytes) -> None:
        answer = proper(talk(router, request(body, _JSON, _CLOSE)))
        if answer.status == 200:
            assert isinstance(json.loads(body), dict)

    hostile(examples, bodies, check)


def try_headers(router: RouterProcess, examples: int) -> None:
    """Send a right request with odd headers."""

    def check(odd: tuple[tuple[bytes, bytes], ...]) -> None:
        proper(talk(router, request(GOOD_BODY, _JSON, *odd, _CLOSE)))

    hostile(examples, headers, check)


def try_targets(router: RouterProcess, witness: Witness, examples: int) -> None:
    """Ask for paths that lead nowhere, by any method; none of them reaches a server."""
    before = witness.requests()

    def check(asked: tuple[bytes, bytes]) -> None:
        method, target = asked
        sent = request(GOOD_BODY, _JSON, _CLOSE, method=method, target=target)
        answer = proper(talk(router, sent, method=method.decode()))
        assert answer.status != 200 or method in (b"GET", b"HEAD", b"POST")

    hostile(examples, st.tuples(methods, targets), check)
    after = witness.requests()
    changed = {key for key in after if after[key] != before.get(key)}
    assert changed <= {("POST", "/v1/chat/completions")}


def try_chunks(router: RouterProcess, examples: int) -> None:
    """Send a right body in chunks of any shape: it is answered as if it came whole."""
    sizes = st.lists(st.integers(1, 40), max_size=20)
    decoration = st.sampled_from([b"", b";a=b", b'; q="; \\""', b";" + b"x" * 300])
    trailer = st.sampled_from([b"", b"X-Late: 1\r\n", b"Content-Length: 5\r\n", b"Host: other\r\n"])

    def check(shape: tuple[list[int], bytes, bytes]) -> None:
        sent = request(
            chunked(GOOD_BODY, *shape), _JSON, (b"Transfer-Encoding", b"chunked"), _CLOSE, framing=False
        )
        assert proper(talk(router, sent)).status in (200, 400)

    hostile(examples, st.tuples(sizes, decoration, trailer), check)


def try_leaving(router: RouterProcess, examples: int) -> None:
    """Send some of a request and go away, with or without a word; nothing of it stays behind."""

    def check(asked: tuple[dict[str, Any], float, bool]) -> None:
        more, share, is_rude = asked
        sent = request(json.dumps({**GOOD, **more}).encode(), _JSON)
        with socket.create_connection(("127.0.0.1", router.port), timeout=5) as connection:
            connection.sendall(sent[: int(len(sent) * share)])
            if is_rude:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    more = st.sampled_from([{}, {"stream": True, "max_tokens": 500}, {"max_tokens": 500}])
    hostile(examples, st.tuples(more, st.sampled_from([0.1, 0.5, 0.9, 0.99, 1.0]), st.booleans()), check)

    def is_quiet() -> bool:
        samples = parse_metrics(router.get("/metrics").text)
        (in_flight,) = (sample for sample in samples if sample.name == "llmops_router_in_flight")
        return in_flight.value == 0

    wait_until(is_quiet, BODY_TIMEOUT_S + 5)


def try_pipelines(router: RouterProcess, examples: int) -> None:
    """Send several requests at once over one connection: each has its answer, in order."""

    def check(kinds: list[bool]) -> None:
        parts = [request(GOOD_BODY if is_good else b"{}", _JSON) for is_good in kinds]
        parts.append(request(b"", _CLOSE, method=b"GET", target=b"/v1/models"))
        with socket.create_connection(("127.0.0.1", router.port), timeout=5) as connection:
            connection.sendall(b"".join(parts))
            with connection.makefile("rb") as stream:
                text = stream.read()
        statuses = [int(number) for number in re.findall(rb"HTTP/1\.1 (\d{3}) ", text)]
        assert statuses == [*(200 if is_good else 400 for is_good in kinds), 200]

    hostile(examples, st.lists(st.booleans(), min_size=1, max_size=8), check)


def test_bodies(router: RouterProcess) -> None:
    try_bodies(router, 300)


def test_headers(router: RouterProcess) -> None:
    try_headers(router, 150)


def test_targets(router: RouterProcess, witness: Witness) -> None:
    try_targets(router, witness, 200)


def test_chunks(router: RouterProcess) -> None:
    try_chunks(router, 60)


def test_leaving(router: RouterProcess) -> None:
    try_leaving(router, 60)


def test_pipelines(router: RouterProcess) -> None:
    try_pipelines(router, 30)


@pytest.mark.full
def test_all_at_length(router: RouterProcess, witness: Witness) -> None:
    try_bodies(router, 20_000)
    try_headers(router, 10_000)
    try_targets(router, witness, 10_000)
    try_chunks(router, 5_000)
    try_leaving(router, 3_000)
    try_pipelines(router, 1_000)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "invalid_json"),
        (b"{", 400, "invalid_json"),
        (b"null", 400, "invalid_json"),
        (b"[]", 400, "invalid_json"),
        (b'"' + MODEL.encode() + b'"', 400, "invalid_json"),
        (b"[" * 30_000 + b"]" * 30_000, 400, "invalid_json"),
        (b'{"model": ' * 500 + b"1" + b"}" * 500, 400, "invalid_model"),
        (b'{"model": 1, "model": "a"}', 404, "model_not_found"),
        (b'{"model": "a", "x": "\\ud800"}', 400, "invalid_json"),
        (b'{"model": "a", "x": "\xed\xa0\x80"}', 400, "invalid_json"),
        (b'{"model": "a", "\xff": 1}', 400, "invalid_json"),
        (b'{"model": "a", "x": [01]}', 400, "invalid_json"),
        (b'{"model": "a"} x', 400, "invalid_json"),
        (b'{"model": "a", "x": "\xff\xfe"}', 400, "invalid_json"),
        (b'{"model": "\\ud800"}', 400, "invalid_json"),
        (b'{"model": "a", "x": NaN}', 400, "invalid_json"),
        (b"\xef\xbb\xbf" + GOOD_BODY, 400, "invalid_json"),
        (GOOD_BODY.decode().encode("utf-16"), 400, "invalid_json"),
        (b"{}", 400, "missing_model"),
        (b'{"model": null}', 400, "missing_model"),
        (b'{"model": ""}', 400, "invalid_model"),
        (b'{"model": 1}', 400, "invalid_model"),
        (b'{"model": ["' + MODEL.encode() + b'"]}', 400, "invalid_model"),
        (b'{"model": {"a": 1}}', 400, "invalid_model"),
        (b'{"model": "' + b"a" * 5_000 + b'"}', 400, "invalid_model"),
        (b'{"model": "a\\u0000b"}', 404, "model_not_found"),
        (b'{"model": "../../etc/passwd"}', 404, "model_not_found"),
        (b'{"model": "a\\r\\nX-Injected: 1"}', 404, "model_not_found"),
        (b'{"model": "\\u202egnirts"}', 404, "model_not_found"),
        (b'{"model": "' + MODEL.upper().encode() + b'"}', 404, "model_not_found"),
        (b'{"model": " ' + MODEL.encode() + b'"}', 404, "model_not_found"),
        (b'{"model": "' + MODEL.encode() + b'", "model": "other"}', 404, "model_not_found"),
        (b"x" * (MAX_BODY_BYTES + 1), 413, "request_too_large"),
    ],
    ids=lambda value: repr(value[:30]) if isinstance(value, bytes) else str(value),
)
def test_known_bad_bodies(router: RouterProcess, body: bytes, status: int, code: str) -> None:
    answer = proper(talk(router, request(body, _JSON, _CLOSE)))
    assert (answer.status, answer.error["code"]) == (status, code)
    assert "x-injected" not in answer.headers


def test_a_longest_body_passes(router: RouterProcess) -> None:
    filler = "x" * (MAX_BODY_BYTES - len(json.dumps({**GOOD, "user": ""})))
    body = json.dumps({**GOOD, "user": filler}).encode()
    assert len(body) == MAX_BODY_BYTES
    assert proper(talk(router, request(body, _JSON, _CLOSE))).status == 200


def test_more_than_the_longest_in_chunks(router: RouterProcess) -> None:
    sent = request(
        chunked(b"x" * MAX_BODY_BYTES * 4, [1000] * 300, b"", b""),
        (b"Transfer-Encoding", b"chunked"), _CLOSE, framing=False,
    )  # fmt: skip
    assert proper(talk(router, sent)).error["code"] == "request_too_large"


def test_length_that_is_a_lie(router: RouterProcess) -> None:
    sent = request(GOOD_BODY[:20], _JSON, (b"Content-Length", b"%d" % len(GOOD_BODY)), framing=False)
    answer = proper(talk(router, sent, timeout_s=BODY_TIMEOUT_S + 4))
    assert (answer.status, answer.error["code"]) == (408, "request_timeout")
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize(
    "framing",
    [
        [(b"Content-Length", b"5"), (b"Transfer-Encoding", b"chunked")],
        [(b"Transfer-Encoding", b"chunked"), (b"Content-Length", b"5")],
        [(b"Content-Length", b"5"), (b"Content-Length", b"6")],
        [(b"Transfer-Encoding", b"chunked, identity")],
        [(b"Transfer-Encoding", b"xchunked")],
        [(b"Transfer-Encoding", b"chunked"), (b"Transfer-Encoding", b"x")],
        [(b"Transfer-Encoding ", b"chunked")],
        [(b"Content-Length", b"+%d" % len(GOOD_BODY))],
        [(b"Content-Length", b"-1")],
        [(b"Content-Length", b"0x10")],
        [(b"Content-Length", b"9" * 40)],
        [(b"Content-Length", b"1_0")],
        [(b"X", b"a\nTransfer-Encoding: chunked"), (b"Content-Length", b"5")],
    ],
)
def test_smuggling(router: RouterProcess, witness: Witness, framing: list[tuple[bytes, bytes]]) -> None:
    """Two readings of where a request ends: the second request hidden in it reaches no server."""
    before = sum(witness.requests().values())
    hidden = request(GOOD_BODY, _JSON)
    answer = talk(
        router, request(b"0\r\n\r\n" + hidden, _JSON, *framing, framing=False), timeout_s=BODY_TIMEOUT_S + 3
    )
    # Hanging up without a word is an answer too, here.
    if answer is not None:
        proper(answer)
        assert answer.status >= 400
    assert sum(witness.requests().values()) - before == 0
