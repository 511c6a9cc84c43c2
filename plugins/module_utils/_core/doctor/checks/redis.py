# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the routers' Redis answers, as far as this machine can tell, and what keeps others out of it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from functools import partial
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from ...cluster.access import Connection, dialler
from ...cluster.proxy import is_loopback
from ...common.redaction import HIDDEN
from ..finding import Finding, Verdict
from ..site import Site, unprotected

CHECK = "redis"
_PORT = 6379
_ANSWER_BYTES = 512
#: What it says while it can be waited for.
_FOR_NOW = frozenset({"LOADING", "BUSY", "MASTERDOWN", "TRYAGAIN"})
_LOGIN = frozenset({"NOAUTH", "WRONGPASS", "NOPERM"})


def look(site: Site) -> Iterator[Finding]:
    """Log in and ask it to answer, where a URL is given."""
    if not site.redis_url:
        seen = "none is given (router_redis_url): each router then counts for itself."
        yield Finding(CHECK, Verdict.SKIPPED, seen)
        return
    parts = parsed(site.redis_url)
    if parts is None:
        advice = (
            "Give redis://host:6379 in router_redis_url, or rediss:// for TLS, with special characters of "
            "user and password percent-encoded."
        )
        yield Finding(CHECK, Verdict.FAIL, "the URL is none of a Redis (it is not shown).", advice)
        return
    # First what needs no answer: a name may take longer to resolve than a check may.
    yield judge_protection(parts, site.known_tier)
    yield _reached(parts, site)


def parsed(url: str) -> SplitResult | None:
    """Return the parts of a URL, None where it is none of a Redis.

    Behind a ``/``, ``?`` or ``#`` that is not encoded the password seems to be a path, and what is before it
    host and port: such a URL is not used, and no error's text shown.
    """
    try:
        parts = urlsplit(url)
        whole = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    misplaced = "@" in f"{parts.path}{parts.query}{parts.fragment}"
    return parts if whole and not misplaced and parts.scheme in ("redis", "rediss") else None


def login(parts: SplitResult) -> tuple[str, str]:
    """Return user and password, each empty where none is given; both may be options of the URL, too."""
    options = parse_qs(parts.query)
    user = unquote(parts.username or "") or options.get("username", [""])[0]
    return user, unquote(parts.password or "") or options.get("password", [""])[0]


def _reached(parts: SplitResult, site: Site) -> Finding:
    where = f"{parts.hostname} port {parts.port or _PORT}"
    try:
        answers = _ask(parts, site)
    except (OSError, ValueError) as error:
        # Routers are elsewhere: a Service of the cluster is no address here.
        why = error if isinstance(error, OSError) else type(error).__name__
        seen = f"{where} cannot be reached from this machine: {why}."
        return Finding(
            CHECK, Verdict.UNKNOWN, seen, "Routers may reach it all the same: see their pods' logs."
        )
    return judge(where, answers)


def _ask(parts: SplitResult, site: Site) -> list[str]:
    limit_s = site.limit_s / 2
    tls = None
    if parts.scheme == "rediss":
        tls = partial(ssl.create_default_context, cafile=site.redis_ca_cert or None)
    connection = dialler(str(parts.hostname), parts.port or _PORT, tls)(limit_s)
    connection.settimeout(limit_s)
    user, password = login(parts)
    try:
        answers = []
        if password:
            told = _command(connection, "AUTH", *([user] if user else []), password)
            answers.append(told.replace(password, HIDDEN))
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


def judge(where: str, answers: list[str]) -> Finding:
    """Judge its answers, the last of which is to a ping."""
    refused = next((answer for answer in answers if answer.startswith("-")), "")
    if refused:
        return _judge_refusal(where, refused[1:])
    if answers[-1] != "+PONG":
        return Finding(
            CHECK, Verdict.FAIL, f"{where} does not answer as a Redis does.", "Check host and port."
        )
    return Finding(CHECK, Verdict.PASS, f"{where} answers.")


def _judge_refusal(where: str, refusal: str) -> Finding:
    # It may repeat what it was sent, which has a password.
    told = refusal.partition(", with args")[0].rstrip(".")
    code = told.partition(" ")[0]
    if code in _FOR_NOW:
        return Finding(CHECK, Verdict.WARN, f"{where} is not ready: {told}.", "Wait, and look again.")
    about_login = code in _LOGIN or "AUTH" in told or "password" in told
    advice = (
        "Correct user and password in router_redis_url." if about_login else "Do as it says; see its log."
    )
    return Finding(CHECK, Verdict.FAIL, f"{where} refuses: {told}.", advice)


def judge_protection(parts: SplitResult, tier: str) -> Finding:
    """Judge the URL: who can write to Redis can send clients' requests elsewhere."""
    lacking = [] if parts.scheme == "rediss" else ["without TLS"]
    lacking += [] if login(parts)[1] else ["without a password"]
    subject = "protection"
    if not lacking:
        return Finding(CHECK, Verdict.PASS, "TLS and a password.", subject=subject)
    seen = ", ".join(lacking)
    if is_loopback(str(parts.hostname)):
        return Finding(CHECK, Verdict.PASS, f"{seen}, on this machine.", subject=subject)
    advice = "Give rediss:// with a password in router_redis_url: routers believe what they read there."
    return Finding(CHECK, unprotected(tier), f"{seen}.", advice, subject)
