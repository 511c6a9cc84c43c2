# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Verify that an endpoint serves: health, the right model, and real completions that are fast enough.

What may heal (a refused connection, a 503 while loading) is waited for until the deadline. An answer that is
wrong is not: it ends the verification at once, or after three if it could have been chance.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from ..cluster.access import NotReadyError, Route
from ..cluster.timed_http import TooLargeError, TooSlowError
from ..common.deadline import Backoff, Deadline
from ..common.errors import ErrorClass, PlatformError
from ..common.redaction import HIDDEN
from .answers import (
    Again,
    Answer,
    Completion,
    Rejection,
    ServedModel,
    check_health,
    check_models,
    parse_completion,
    parse_models,
)
from .exchange import Conversation

CHECKS = ("health", "models", "completion")
_CHANCES = 3
_LAST_CHANCE_S = 0.25
_HEALTH_LIMIT_S = 5.0
_MODELS_LIMIT_S = 10.0


@dataclass(frozen=True)
class Expectation:
    """What the endpoint has to do. Times in seconds.

    The very first completion may take ``warmup_s`` (first requests may compile or capture graphs); it counts
    only if it was within ``max_latency_s`` all the same.
    """

    model: str
    root: str | None = None
    health_path: str = "/health"
    api: str = "chat"
    stream: bool = True
    prompt: str = "Say hello."
    max_tokens: int = 16
    max_latency_s: float = 3.0
    max_first_token_s: float | None = None
    warmup_s: float = 30.0
    successes: int = 1

    @property
    def completion_path(self) -> str:
        """Path of the completion API in use."""
        return "/v1/chat/completions" if self.api == "chat" else "/v1/completions"

    def completion_body(self) -> dict[str, Any]:
        """Return the request for one small, deterministic completion."""
        asked: dict[str, Any] = {"messages": [{"role": "user", "content": self.prompt}]}
        body = {
            "model": self.model,
            **(asked if self.api == "chat" else {"prompt": self.prompt}),
            "max_tokens": self.max_tokens,
            "temperature": 0,
        }
        if self.stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return body


@dataclass
class Check:
    """One step of the verification: ``reason`` says why it is not ``ok``."""

    name: str
    ok: bool = False
    duration_s: float | None = None
    reason: str = "not tried"


@dataclass
class Report:
    """What was seen so far; the same shape whether it ends well or not."""

    endpoint: str
    access: str
    healthy: bool = False
    served_models: list[str] = field(default_factory=list)
    completion: Completion | None = None
    warmup_s: float | None = None
    successes: int = 0
    attempts: int = 0
    waited_s: float = 0.0
    checks: list[Check] = field(default_factory=lambda: [Check(name) for name in CHECKS])

    def as_result(self, secret: str = "") -> dict[str, Any]:
        """Return JSON data; the secret is hidden wherever a server may have echoed it."""
        result: dict[str, Any] = _rounded(asdict(self))
        return _without(result, secret) if secret else result


def verify(
    route: Route,
    endpoint: str,
    wanted: Expectation,
    deadline: Deadline,
    progress: Callable[[str], None],
    api_key: str = "",
) -> dict[str, Any]:
    """Verify the endpoint; return the report as JSON data or raise an error that carries it.

    The key is hidden in all that is told, since a server may echo it.
    """
    report = Report(endpoint, route.access)

    def told(text: str) -> str:
        return text.replace(api_key, HIDDEN) if api_key else text

    def say(line: str) -> None:
        progress(told(line))

    try:
        with Conversation(route, api_key) as conversation:
            _Verification(conversation, wanted, deadline, say, report).run()
    except PlatformError as error:
        report.waited_s = deadline.elapsed()
        details = {**report.as_result(), **error.details}
        raise PlatformError(
            error.error_class,
            told(error.message),
            error.resolution,
            _without(details, api_key) if api_key else details,
        ) from None
    report.healthy = True
    report.waited_s = deadline.elapsed()
    return report.as_result(api_key)


@dataclass
class _Verification:
    conversation: Conversation
    wanted: Expectation
    deadline: Deadline
    progress: Callable[[str], None]
    report: Report
    #: Wrong answers with the names of their checks.
    wrong_answers: list[tuple[str, Rejection]] = field(default_factory=list)

    def run(self) -> None:
        backoff = Backoff(0.2, 5.0)
        while True:
            self.report.attempts += 1
            try:
                self._attempt()
                return
            except Rejection as rejection:
                self._settle(rejection)
                self.progress(
                    f"{self.report.endpoint} does not serve yet: {rejection.reason} "
                    f"({self.deadline.elapsed():.0f} s of {self.deadline.seconds:g} s)"
                )
            # Never past the point where a last attempt still has time to see something.
            latest = self.deadline.remaining() - _LAST_CHANCE_S
            self.deadline.pause(max(0.0, min(backoff.next(), latest)))

    def _settle(self, rejection: Rejection) -> None:
        """Return if it is worth another attempt, else raise the final error."""
        self.report.successes = 0
        failed = next(check.name for check in self.report.checks if not check.ok)
        if rejection.again is not Again.WAIT:
            self.wrong_answers.append((failed, rejection))
            if rejection.again is Again.NEVER or len(self.wrong_answers) >= _CHANCES:
                raise self._failure(failed, rejection)
        if self.deadline.remaining() > _LAST_CHANCE_S:
            return
        if not self.wrong_answers:
            error = self.deadline.timeout_error(
                f"The verification of {self.report.endpoint}", f"{rejection.reason}.", rejection.advice
            )
            error.details["of_the_server"] = rejection.of_the_server
            raise error
        # It was up and answered wrongly; that it is now gone, if it is, belongs to the same failure.
        failed, wrong = self.wrong_answers[-1]
        after = "" if wrong is rejection else f"; afterwards: {rejection.reason}"
        raise self._failure(failed, wrong, after)

    def _failure(self, failed: str, rejection: Rejection, after: str = "") -> PlatformError:
        return PlatformError(
            rejection.error_class,
            f"{self.report.endpoint} failed the check {failed!r}: {rejection.reason}{after}.",
            rejection.advice,
            {"failed_check": failed},
        )

    def _attempt(self) -> None:
        """Do all checks once; the first that fails raises its ``Rejection``."""
        wanted, report = self.wanted, self.report
        report.checks = [Check(name) for name in CHECKS]
        health, models, completion = report.checks
        with self._judged(health):
            check_health(self._ask("GET", wanted.health_path, _HEALTH_LIMIT_S, health), wanted.health_path)
        with self._judged(models):
            served = parse_models(self._ask("GET", "/v1/models", _MODELS_LIMIT_S, models))
            report.served_models = [model.name for model in served]
            check_models(served, wanted.model, wanted.root)
        with self._judged(completion):
            while report.successes < wanted.successes:
                self._complete(completion, served)

    def _complete(self, check: Check, served: list[ServedModel]) -> None:
        wanted, report = self.wanted, self.report
        first = report.warmup_s is None
        limit = max(wanted.warmup_s, wanted.max_latency_s) if first else wanted.max_latency_s
        answer = self._ask("POST", wanted.completion_path, limit, check, wanted.completion_body())
        done = parse_completion(
            answer, wanted.completion_path, wanted.model, [model.name for model in served]
        )
        if first:
            report.warmup_s = done.latency_s
            if self._too_slow(done):
                self.progress(
                    f"{report.endpoint}: first completion took {done.latency_s:.1f} s; asking again"
                )
                return
        report.completion = max(
            (seen for seen in (report.completion, done) if seen), key=lambda seen: seen.latency_s
        )
        problem = self._too_slow(done)
        if problem:
            raise Rejection(problem, _SLOW_ADVICE, Again.FEW)
        report.successes += 1

    def _too_slow(self, done: Completion) -> str:
        wanted = self.wanted
        if done.latency_s > wanted.max_latency_s:
            return f"a completion took {done.latency_s:.2f} s, more than {wanted.max_latency_s:g} s"
        if wanted.max_first_token_s is not None and (done.first_token_s or 0.0) > wanted.max_first_token_s:
            return (
                f"the first token took {done.first_token_s:.2f} s, more than {wanted.max_first_token_s:g} s"
            )
        return ""

    def _ask(
        self, method: str, path: str, limit_s: float, check: Check, body: dict[str, Any] | None = None
    ) -> Answer:
        """Send a request; turn every way in which no answer comes into a ``Rejection``."""
        limit = min(limit_s, self.deadline.remaining())
        try:
            if limit <= 0:
                raise TooSlowError(0.0, 0, None)
            answer = self.conversation.request(method, path, limit, body)
        except TooSlowError as error:
            check.duration_s = error.limit_s
            raise self._slow(error, path, completing=body is not None) from error
        except TooLargeError as error:
            raise Rejection(f"{path} answered with {error}", _STRANGE_ADVICE, Again.NEVER) from error
        except NotReadyError as error:
            advice = "Read the state of the Service's pods."
            raise Rejection(str(error), advice, Again.WAIT, of_the_server=True) from error
        except PlatformError as error:
            if error.error_class is not ErrorClass.INFRASTRUCTURE:
                raise
            raise Rejection(error.message.rstrip("."), error.resolution, Again.WAIT) from error
        except (OSError, http.client.HTTPException) as error:
            raise _broken(error, path, completing=body is not None) from error
        check.duration_s = answer.seconds
        return answer

    def _slow(self, error: TooSlowError, path: str, *, completing: bool) -> Rejection:
        if not completing:
            # Health and models cost the server nothing: it is starting, overloaded or cut off.
            return Rejection(f"{path}: {error}", "Read the pod's log.", Again.WAIT)
        waited = f"{path}: {error}, although {self.wanted.health_path} is fine"
        if error.first_byte_s is not None:
            waited += f"; the first byte came after {error.first_byte_s:.2f} s"
        if error.limit_s < self.wanted.max_latency_s:
            return Rejection(waited, _SLOW_ADVICE, Again.WAIT)  # Our own deadline cut it short.
        if self.report.warmup_s is None:
            # The first completion had its generous limit: the engine hangs, and would again.
            return Rejection(waited, _HANG_ADVICE, Again.NEVER)
        return Rejection(waited, _SLOW_ADVICE, Again.FEW)

    @contextmanager
    def _judged(self, check: Check) -> Iterator[None]:
        check.reason = ""
        try:
            yield
        except Rejection as rejection:
            check.reason = rejection.reason
            raise
        except PlatformError as error:
            check.reason = error.message
            raise
        check.ok = True


_SLOW_ADVICE = (
    "Compare max_latency_s (vllm_max_latency_s) with what the model can do on this GPU, and look for "
    "other load on the server."
)
_HANG_ADVICE = "The engine hangs while its API answers: read the pod's log, then restart the pod."
_STRANGE_ADVICE = "Something else than a model server answers there: check service, port and url."


def _broken(error: Exception, path: str, *, completing: bool) -> Rejection:
    """Tell a server that is not there yet from one that breaks when asked."""
    seen = f"{path}: {str(error) or type(error).__name__}"
    if isinstance(error, ssl.SSLError):
        return Rejection(
            f"TLS failed: {error}",
            "Check the server's certificate; SSL_CERT_FILE names further authorities.",
            Again.NEVER,
            ErrorClass.AUTH,
        )
    if isinstance(error, socket.gaierror):
        return Rejection(
            f"the host name does not resolve here: {error.strerror}",
            "Cluster names resolve only in the cluster's network: use access: port_forward.",
            Again.FEW,
            ErrorClass.INFRASTRUCTURE,
        )
    if isinstance(error, ConnectionRefusedError):
        return Rejection(
            f"connection refused: {error}", "vLLM opens its port when the model is loaded.", Again.WAIT
        )
    if completing:
        return Rejection(
            f"the server broke the connection during a completion: {seen}",
            "It may have crashed: read the pod's log and its last state.",
            Again.FEW,
        )
    if isinstance(error, http.client.HTTPException) and not isinstance(error, ConnectionError):
        return Rejection(f"no valid HTTP answer: {seen}", _STRANGE_ADVICE, Again.FEW)
    return Rejection(f"no connection: {seen}", "Read the state of the Service's pods.", Again.WAIT)


def _rounded(value: Any) -> Any:
    """Round seconds to milliseconds, everywhere in JSON data."""
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return round(value, 3) if isinstance(value, float) else value


def _without(value: Any, secret: str) -> Any:
    if isinstance(value, dict):
        return {key: _without(item, secret) for key, item in value.items()}
    if isinstance(value, list):
        return [_without(item, secret) for item in value]
    return value.replace(secret, HIDDEN) if isinstance(value, str) else value
