# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Questions to Prometheus, or to what speaks its API (Thanos, Mimir): one value a series."""

from __future__ import annotations

import base64
import http.client
import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import SplitResult, quote, quote_plus, urlencode, urlsplit

from ..cluster.access import Route, dialler
from ..cluster.timed_http import Fetched, TooLargeError, TooSlowError, fetch
from ..common.deadline import Deadline
from ..common.errors import ErrorClass, PlatformError, invalid
from ..common.redaction import HIDDEN, excerpt

_PATH = "/api/v1/query"
_MAX_BODY_BYTES = 16 * 1024 * 1024
#: Default of the option for the limit of one question.
TIMEOUT_S = 5.0
_HERE = ("localhost", "127.0.0.1", "::1")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*([eE][+-]?[0-9]+)?|Inf|NaN)")


@dataclass(frozen=True)
class Series:
    """One series of an answer; the value may be NaN or infinite."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class Vector:
    """The series of an answer, and what the server has to say against it."""

    series: tuple[Series, ...]
    warnings: tuple[str, ...] = ()


class PrometheusAPI:
    """Asks one server. Nothing is kept open between questions."""

    def __init__(
        self,
        url: str,
        *,
        token: str = "",
        username: str = "",
        password: str = "",
        tenant: str = "",
        ca_cert: str | None = None,
        validate_certs: bool = True,
        timeout_s: float = TIMEOUT_S,
        total: Deadline | None = None,
    ) -> None:
        """Check what is given; nothing is sent yet.

        ``url`` may have a path (Mimir: ``/prometheus``). ``tenant`` becomes the header ``X-Scope-OrgID``.
        A question gets ``timeout_s``, and no more than is left of ``total``.
        """
        parts = _checked(url)
        if not 0 < timeout_s <= 600:
            raise invalid("timeout", timeout_s, "is not between 0 and 600", "Give a number of seconds.")
        if token and (username or password):
            raise invalid("username", username, "is given beside a token", "Give one of both.")
        if ":" in username:
            raise invalid("username", username, "holds a colon, which ends a user's name", "Give another.")
        token = token.strip()  # a file's last line end
        self._where = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._timeout_s = timeout_s
        self._total = total
        basic = base64.b64encode(f"{username}:{password}".encode()).decode() if username or password else ""
        self._secrets = _shapes(token, password, basic)
        away = parts.scheme == "http" and parts.hostname not in _HERE
        #: Where a secret is sent in plain text over a network, or empty.
        self.plain = self._where if self._secrets and away else ""
        self._route = _route(parts, ca_cert, validate_certs)
        self._headers = {"Accept": "application/json"}
        if token or basic:
            self._headers["Authorization"] = _header(
                "token", f"Bearer {token}" if token else f"Basic {basic}"
            )
        if tenant:
            self._headers["X-Scope-OrgID"] = _header("tenant", tenant)

    def query(self, expression: str, at: datetime | None) -> Vector:
        """Evaluate an expression at a time, or at the server's own.

        Raises ``timeout``, ``auth``, ``infrastructure`` or ``invalid``, each with its own message. That
        there are no series is no error here.
        """
        limit_s = self._limit_s()
        form = {"query": expression}
        if at is not None:
            form["time"] = f"{at.timestamp():.3f}"
        form["timeout"] = f"{max(1, round(limit_s * 1000))}ms"
        answer = self._ask(urlencode(form).encode(), limit_s)
        if answer.status in (401, 403):
            raise PlatformError(
                ErrorClass.AUTH,
                f"Prometheus at {self._where} answered {answer.status}: who asks may not read there.",
                "Check token, or username and password.",
            )
        content = _json(answer.body)
        if isinstance(content, dict) and content.get("status") == "error":
            raise self._error(answer.status, content)
        if answer.status != 200:
            raise self._status(answer)
        if not isinstance(content, dict) or content.get("status") != "success":
            raise self._foreign(answer, "its answer is not that of Prometheus' API")
        data = content.get("data")
        kind = data.get("resultType") if isinstance(data, dict) else None
        if kind != "vector" or not isinstance(data, dict):
            raise PlatformError(
                ErrorClass.INVALID,
                f"Prometheus at {self._where} answered with a {kind or 'result of no type'}, not a vector.",
                "A gate needs one number a series: ask for an instant vector.",
                {"query": expression},
            )
        try:
            series = _all_series(data["result"])
        except (KeyError, TypeError, ValueError):
            raise self._foreign(answer, "a series of its answer has no readable value") from None
        warnings = content.get("warnings") or []
        if not isinstance(warnings, list):
            raise self._foreign(answer, "its warnings are no list")
        return Vector(series, tuple(self._clean(str(text)) for text in warnings))

    def _limit_s(self) -> float:
        """Return the seconds that a question may take. Raises ``timeout`` where there are none."""
        if self._total is None:
            return self._timeout_s
        if self._total.expired():
            raise self._total.timeout_error(
                f"A question to Prometheus at {self._where}", "it was not asked any more", "Raise timeout."
            )
        return min(self._timeout_s, self._total.remaining())

    def _ask(self, form: bytes, limit_s: float) -> Fetched:
        try:
            return fetch(self._route, _PATH, limit_s, _MAX_BODY_BYTES, headers=self._headers, form=form)
        except TooSlowError as error:
            raise PlatformError(
                ErrorClass.TIMEOUT,
                f"Prometheus at {self._where} did not answer in time: {error}.",
                "Look at its load, or raise the limit of a question.",
            ) from None
        except TooLargeError as error:
            raise PlatformError(
                ErrorClass.INVALID,
                f"The answer of Prometheus at {self._where} is too large: {error}.",
                "Shorten the window.",
            ) from None
        except ssl.SSLCertVerificationError as error:
            raise PlatformError(
                ErrorClass.AUTH,
                f"The certificate of Prometheus at {self._where} cannot be trusted: {error.verify_message}.",
                "Give the authority's certificate with ca_cert.",
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise PlatformError(
                ErrorClass.INFRASTRUCTURE,
                f"Prometheus at {self._where} cannot be reached: {self._clean(str(error))}.",
                "Check the address, and whether it runs.",
            ) from None

    def _error(self, status: int, content: Mapping[str, Any]) -> PlatformError:
        """Return what the server says in its own envelope."""
        kind = str(content.get("errorType") or "unknown")
        text = self._clean(str(content.get("error") or "no reason"))
        message = f"Prometheus at {self._where} refused the question ({status}, {kind}): {text}"
        if kind in ("timeout", "canceled"):
            return PlatformError(ErrorClass.TIMEOUT, message, "Shorten the window, or look at its load.")
        if kind in ("bad_data", "execution"):
            return PlatformError(
                ErrorClass.INVALID, message, "The question or the series are not as expected."
            )
        return PlatformError(ErrorClass.INFRASTRUCTURE, message, "Its log says more.")

    def _status(self, answer: Fetched) -> PlatformError:
        text = self._clean(answer.body.decode(errors="replace"))
        message = f"Prometheus at {self._where} answered {answer.status}: {text}"
        if answer.status == 429 or answer.status >= 500:
            return PlatformError(ErrorClass.INFRASTRUCTURE, message, "Look at it, and at what is before it.")
        return PlatformError(
            ErrorClass.INVALID,
            message,
            "Check the address: it is what comes before /api/v1, without a redirection.",
        )

    def _foreign(self, answer: Fetched, why: str) -> PlatformError:
        text = self._clean(answer.body.decode(errors="replace"))
        return PlatformError(
            ErrorClass.INVALID,
            f"{self._where} is no Prometheus: {why}: {text}",
            "Check the address: it is what comes before /api/v1.",
        )

    def _clean(self, text: str) -> str:
        # Before anything is cut: what is left of a secret would not be known as one.
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return " ".join(excerpt(text, 300).split())


def _checked(url: str) -> SplitResult:
    advice = "Give the server's address, such as https://prometheus.example.com:9090."
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        # As a resolver does, which refuses a name with an empty or an endless part.
        str(parts.hostname).encode("idna")
    except ValueError:
        valid = False
    if valid and ("@" in parts.netloc or parts.query or parts.fragment):
        raise invalid("url", parts.hostname, "comes with a user, a password or a query", advice)
    if not valid or not url.isascii() or not url.isprintable() or " " in url:
        raise invalid("url", HIDDEN if "@" in url else url, "is no address of an HTTP server", advice)
    return parts


def _route(parts: SplitResult, ca_cert: str | None, validate_certs: bool) -> Route:
    host = str(parts.hostname)
    if parts.scheme == "http":
        return Route("url", parts.netloc, dialler(host, parts.port or 80, None), parts.path.rstrip("/"))
    try:
        context = ssl.create_default_context(cafile=ca_cert)
    except (OSError, ssl.SSLError) as error:
        raise invalid(
            "ca_cert", ca_cert, f"cannot be used ({error})", "Give a file with PEM certificates."
        ) from None
    if not validate_certs:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    dial = dialler(host, parts.port or 443, lambda: context)
    return Route("url", parts.netloc, dial, parts.path.rstrip("/"))


def _header(field: str, value: str) -> str:
    """Return a value that can be a header's; the error never shows it."""
    if value.isascii() and value.isprintable():
        return value
    raise invalid(field, HIDDEN, "holds what no header can", "Give printable ASCII text in one line.")


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _all_series(result: Any) -> tuple[Series, ...]:
    """Return the series of an answer. Raises ``ValueError`` and its like for what Prometheus never sends."""
    if not isinstance(result, list):
        raise TypeError("no list")
    series = tuple(_series(item) for item in result)
    if len({frozenset(each.labels.items()) for each in series}) < len(series):
        raise ValueError("one comes twice")
    return series


def _series(item: Mapping[str, Any]) -> Series:
    labels, point = item["metric"], item["value"]
    if not isinstance(labels, dict) or not all(isinstance(text, str) for text in labels.values()):
        raise TypeError("no labels")
    if not isinstance(point, list) or len(point) != 2:
        raise TypeError("no time with a value")
    if not isinstance(point[1], str) or not _NUMBER.fullmatch(point[1]):
        raise ValueError("no number")
    return Series(labels, float(point[1]))


def _shapes(*secrets: str) -> tuple[str, ...]:
    """Return secrets as they may come back, in JSON and in forms too; the longest is looked for first."""
    shapes = {
        shape
        for secret in secrets
        if secret
        for shape in (secret, json.dumps(secret)[1:-1], quote(secret, safe=""), quote_plus(secret))
    }
    return tuple(sorted(shapes, key=len, reverse=True))
