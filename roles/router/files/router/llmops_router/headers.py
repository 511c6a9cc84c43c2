# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which headers pass in which direction. Requests: a list of allowed ones. Answers: all but a list."""

from __future__ import annotations

Headers = list[tuple[bytes, bytes]]

# Keys, cookies and addresses of clients are not the model server's business.
_REQUEST = frozenset(
    {b"accept", b"accept-encoding", b"baggage", b"content-type", b"traceparent", b"tracestate", b"user-agent"}
)
# What belongs to one connection only, and what tells about the server behind.
_NOT_IN_ANSWER = frozenset(
    {
        b"alt-svc",
        b"connection",
        b"date",
        b"keep-alive",
        b"location",
        b"proxy-authenticate",
        b"proxy-connection",
        b"server",
        b"set-cookie",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"via",
        b"x-accel-buffering",
        b"x-powered-by",
        b"x-request-id",
    }
)


class RequestHeaders:
    """Makes the headers of the request to a model server."""

    def __init__(self, more: frozenset[bytes], *, authorization: bool) -> None:
        self._passed = _REQUEST | (more - {b"host", b"content-length", b"transfer-encoding", b"connection"})
        self._authorization = authorization

    def build(self, received: Headers, request_id: bytes, upstream_key: bytes | None) -> Headers:
        """Return what is sent on. The server's own key goes before a client's."""
        passed = self._passed
        sent = [item for item in received if item[0] in passed]
        sent.append((b"x-request-id", request_id))
        if upstream_key is not None:
            sent.append((b"authorization", upstream_key))
        elif self._authorization:
            sent += [item for item in received if item[0] == b"authorization"]
        return sent


def answer_headers(received: Headers, request_id: bytes) -> Headers:
    """Return what the client gets of a model server's headers."""
    hidden = _NOT_IN_ANSWER
    # A server may name more headers that are for the connection only.
    for name, value in received:
        if name == b"connection" and value.lower() not in (b"keep-alive", b"close"):
            hidden = hidden | {part.strip().lower() for part in value.split(b",")}
    sent = [item for item in received if item[0] not in hidden]
    sent.append((b"x-request-id", request_id))
    if is_stream(sent):
        # nginx, and what is built on it, holds an answer back otherwise until its buffers are full.
        sent.append((b"x-accel-buffering", b"no"))
    return sent


def is_stream(headers: Headers) -> bool:
    """Say whether an answer is a stream of events."""
    return any(name == b"content-type" and value.startswith(b"text/event-stream") for name, value in headers)
