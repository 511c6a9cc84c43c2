# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the routers' Redis answers, as far as this machine can tell."""

from __future__ import annotations

import ssl
from functools import partial
from urllib.parse import SplitResult, unquote, urlsplit

from ...cluster.access import Connection, dialler
from ..finding import Finding, Verdict
from ..site import Site

CHECK = "redis"
_PORT = 6379
_ANSWER_BYTES = 512


def look(site: Site) -> list[Finding]:
    """Log in and ask it to answer, where a URL is given."""
    if not site.redis_url:
        return [
            Finding(
                CHECK,
                Verdict.SKIPPED,
                "none is given (router_redis_url): each router then counts for itself.",
            )
        ]
    parts = urlsplit(site.redis_url)
    if parts.scheme not in ("redis", "rediss") or not parts.hostname:
        advice = "Give redis://:password@host:6379 in router_redis_url, or rediss:// for TLS."
        return [Finding(CHECK, Verdict.FAIL, "the URL is none of a Redis (it is not shown).", advice)]
    where = f"{parts.hostname} port {parts.port or _PORT}"
    try:
        answers = _ask(parts, site)
    except (OSError, ValueError) as error:
        # Routers are elsewhere: a Service of the cluster is no address here.
        seen = f"{where} cannot be reached from this machine: {error}."
        return [
            Finding(CHECK, Verdict.UNKNOWN, seen, "Routers may reach it all the same: see their pods' logs.")
        ]
    return [judge(where, answers, encrypted=parts.scheme == "rediss")]


def _ask(parts: SplitResult, site: Site) -> list[str]:
    limit_s = site.limit_s / 2
    tls = None
    if parts.scheme == "rediss":
        tls = partial(ssl.create_default_context, cafile=site.redis_ca_cert or None)
    connection = dialler(str(parts.hostname), parts.port or _PORT, tls)(limit_s)
    connection.settimeout(limit_s)
    try:
        answers = []
        if parts.password:
            names = [unquote(parts.username)] if parts.username else []
            answers.append(_command(connection, "AUTH", *names, unquote(parts.password)))
        return [*answers, _command(connection, "PING")]
    finally:
        connection.close()


def _command(connection: Connection, *words: str) -> str:
    sent = [word.encode() for word in words]
    parts = b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in sent)
    connection.sendall(b"*%d\r\n%s" % (len(sent), parts))
    buffer = memoryview(bytearray(_ANSWER_BYTES))
    received = 0
    while received < _ANSWER_BYTES and b"\n" not in bytes(buffer[:received]):
        more = connection.recv_into(buffer[received:])
        if not more:
            break
        received += more
    return bytes(buffer[:received]).decode(errors="replace").strip()


def judge(where: str, answers: list[str], *, encrypted: bool) -> Finding:
    """Judge its answers, the last of which is to a ping."""
    refused = next((answer for answer in answers if answer.startswith("-")), "")
    if refused:
        advice = "Correct user and password in router_redis_url."
        return Finding(CHECK, Verdict.FAIL, f"{where} refuses: {refused[1:].rstrip('.')}.", advice)
    if answers[-1] != "+PONG":
        return Finding(
            CHECK, Verdict.FAIL, f"{where} does not answer as a Redis does.", "Check host and port."
        )
    return Finding(CHECK, Verdict.PASS, f"{where} answers, {'with' if encrypted else 'without'} TLS.")
