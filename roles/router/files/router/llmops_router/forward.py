# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One completion: find the model's server, send the request, pass the answer through as it comes."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from functools import partial
from typing import Any

from . import log
from .access import Access, UpstreamKeys, check
from .body import Body, Budget
from .catalogue import Catalogue, Route
from .errors import ApiError, model_not_found, not_routed, quoted, retry_after
from .exchange import Headers, Limit, Receive, Send, Watch
from .headers import RequestHeaders, answer_headers, is_stream
from .metrics import UNKNOWN, Metrics
from .model_name import model_of
from .settings import Settings
from .synchroniser import Sync, Synchroniser
from .upstream import Answer, ConnectFailedError, ConnectTimeoutError, Upstream, UpstreamError, WithdrawnError

_ATTEMPTS = 3
# A server that refuses connections may be a pod that has just ended: the Service knows in a moment.
_RETRY_PAUSE_S = 0.05
_LAST_WORD_S = 1.0


class Call:
    """What is known so far of one request: for the answer, the metrics and the log."""

    __slots__ = (
        "code",
        "has_answer",
        "headers",
        "key_name",
        "label",
        "request_id",
        "started",
        "status",
        "uses_own_key",
    )

    def __init__(self, headers: dict[bytes, bytes], request_id: bytes) -> None:
        self.headers = headers
        self.request_id = request_id
        self.started = time.perf_counter()
        #: The model, once the registry is known to have it: clients must not invent labels.
        self.label = UNKNOWN
        self.key_name = ""
        self.status = 0
        self.code = ""
        #: Whether the client has got the beginning of an answer, after which no other can be sent.
        self.has_answer = False
        #: Whether the model server sees the client's key, or none, instead of the router's.
        self.uses_own_key = False


class Forwarder:
    """Sends completions to the model servers."""

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        synchroniser: Synchroniser,
        upstream: Upstream,
        access: Access,
        upstream_keys: UpstreamKeys,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._synchroniser = synchroniser
        self._upstream = upstream
        self._access = access
        self._upstream_keys = upstream_keys
        self._metrics = metrics
        self._budget = Budget(settings.max_bodies_bytes)
        self._request_headers = RequestHeaders(
            settings.forward_headers, authorization=settings.forward_authorization
        )

    async def complete(
        self, call: Call, path: str, received: Headers, receive: Receive, send: Send, closing: bool
    ) -> None:
        """Answer a request for a completion or embedding.

        :raises ApiError: where the router itself has to answer; nothing was sent to the client then.
        :raises ClientLeftError: where the client went away.
        """
        settings = self._settings
        key = self._access.identify(call.headers.get(b"authorization"))
        call.key_name = key.name
        body = Body(self._budget, settings.retry_after_s)
        try:
            await body.read(
                call.headers.get(b"content-length"), receive, settings.max_body_bytes, settings.body_timeout_s
            )
            call.started = time.perf_counter()
            model = model_of(body.data)
            check(key, model)
            await self._forward(call, model, path, received, body, receive, send, closing)
        finally:
            body.drop()

    async def _forward(
        self,
        call: Call,
        model: str,
        path: str,
        received: Headers,
        body: Body,
        receive: Receive,
        send: Send,
        closing: bool,
    ) -> None:
        route = await self._route(call, model)
        upstream_key = self._upstream_keys.header(model)
        call.uses_own_key = self._settings.forward_authorization and upstream_key is None
        headers = self._request_headers.build(received, call.request_id, upstream_key)
        in_flight = self._metrics.in_flight
        in_flight[model] += 1
        try:
            await self._exchange(call, route, path, headers, body, receive, send, closing)
        finally:
            in_flight[model] -= 1
            if not in_flight[model]:
                del in_flight[model]

    async def _route(self, call: Call, model: str) -> Route:
        """Return the way to a model, having asked the registry if need be."""
        route = self._catalogue.find(model)
        if route is None or route.target is None:
            route = await self._look_again(model)
        if route is None:
            raise model_not_found(model)
        call.label = model
        if route.target is not None:
            return route
        entry = route.entry
        if route.refusal:
            log.failure("endpoint not allowed", model, model=model, reason=route.refusal)
            raise ApiError(
                502,
                "endpoint_not_allowed",
                f"The registry's endpoint for the model {quoted(model)} is not allowed. Ask its operator.",
            )
        raise not_routed(model, entry.status, entry.desired_state, self._settings.retry_after_s)

    async def _look_again(self, model: str) -> Route | None:
        """Ask the registry before saying no: the model may have been registered a moment ago."""
        catalogue = self._catalogue
        if catalogue.is_known_absent(model) and self._synchroniser.is_busy:
            self._metrics.misses.labels("remembered").inc()
            return catalogue.find(model)
        outcome = await self._synchroniser.ask(self._settings.registry_timeout_s)
        route = catalogue.find(model)
        if outcome is Sync.OK:
            found = route is not None and route.target is not None
            self._metrics.misses.labels("found" if found else "absent").inc()
            if not found:
                catalogue.remember_absent(model)
            return route
        self._metrics.misses.labels("unavailable").inc()
        if route is None:
            seconds = self._settings.retry_after_s
            raise ApiError(
                503,
                "registry_unavailable",
                f"The model {quoted(model)} is not known here, and the registry cannot be asked now. "
                f"Try again in {seconds} s.",
                headers=retry_after(seconds),
            )
        return route

    async def _exchange(
        self,
        call: Call,
        route: Route,
        path: str,
        headers: Headers,
        body: Body,
        receive: Receive,
        send: Send,
        closing: bool,
    ) -> None:
        answer: Answer | None = None
        try:
            with Watch(receive, self._settings.first_byte_timeout_s) as watch:
                answer = await self._send(call, route, path, headers, body.data)
                # It is not sent again from here on, and an answer may take long.
                body.drop()
                await self._pass_through(call, answer, watch, send, closing)
        except (TimeoutError, UpstreamError) as error:
            failure = self._failure(call, error)
            if answer is None or not call.has_answer:
                raise failure from None
            await self._break_off(call, answer, send, failure)
        finally:
            if answer is not None:
                answer.close()

    async def _send(self, call: Call, route: Route, path: str, headers: Headers, body: bytes) -> Answer:
        """Return the answer's beginning; send again only what certainly was not received."""
        for attempt in range(1, _ATTEMPTS + 1):
            now = self._catalogue.find(route.entry.model)
            if now is None or now.target is None:
                raise WithdrawnError
            still = partial(self._catalogue.is_current, now)
            try:
                return await self._upstream.post(now.target, path, headers, body, still)
            except UpstreamError as error:
                if not error.may_repeat or attempt == _ATTEMPTS:
                    raise
                self._metrics.retries.inc()
                log.failure("sent again", call.label, model=call.label, reason=str(error))
                if isinstance(error, ConnectFailedError):
                    await asyncio.sleep(_RETRY_PAUSE_S)
        raise AssertionError("the last attempt returns or raises")

    async def _pass_through(
        self, call: Call, answer: Answer, watch: Watch, send: Send, closing: bool
    ) -> None:
        self._refuse_unusable(call, answer)
        headers = answer_headers(answer.headers, call.request_id)
        if closing:
            headers.append((b"connection", b"close"))
        # An answer begins with its first byte: until then a failure can still be told with a status.
        chunk, is_last = await answer.read()
        if is_stream(answer.headers):
            self._metrics.first_byte(call.label, time.perf_counter() - call.started)
        call.status = answer.status
        call.has_answer = True
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        while True:
            await send({"type": "http.response.body", "body": chunk, "more_body": not is_last})
            if is_last:
                return
            watch.move(self._settings.idle_timeout_s)
            chunk, is_last = await answer.read()

    def _refuse_unusable(self, call: Call, answer: Answer) -> None:
        """Refuse answers that must not reach a client: they are about the router, not about the request."""
        if answer.status in (401, 403) and not call.uses_own_key:
            raise self._failed(call, 502, "upstream_unauthorized", "does not accept the router's key")
        if not 200 <= answer.status < 300 and not 400 <= answer.status < 600:
            raise self._failed(call, 502, "upstream_invalid", f"answered with status {answer.status}")

    def _failure(self, call: Call, error: TimeoutError | UpstreamError) -> ApiError:
        """Return what to tell about an answer that did not come, or not to its end."""
        settings = self._settings
        if isinstance(error, WithdrawnError):
            route = self._catalogue.find(call.label)
            if route is None:
                return model_not_found(call.label)
            entry = route.entry
            return not_routed(call.label, entry.status, entry.desired_state, settings.retry_after_s)
        if isinstance(error, TimeoutError):
            seconds = settings.idle_timeout_s if call.has_answer else settings.first_byte_timeout_s
            return self._failed(call, 504, "upstream_timeout", f"sent nothing for {seconds:g} s")
        if isinstance(error, ConnectTimeoutError):
            seconds = settings.connect_timeout_s
            return self._failed(call, 504, "upstream_timeout", f"took no connection within {seconds:g} s")
        if isinstance(error, ConnectFailedError):
            return self._failed(call, 502, "upstream_unreachable", "takes no connections", reason=str(error))
        return self._failed(call, 502, "upstream_broken", "broke off its answer", reason=str(error))

    def _failed(self, call: Call, status: int, code: str, what: str, **more: Any) -> ApiError:
        """Return the error for a model server that failed. Its address is for the log only."""
        route = self._catalogue.find(call.label)
        log.failure(
            f"model server {what}",
            call.label,
            model=call.label,
            endpoint=route.entry.endpoint if route else None,
            code=code,
            request_id=call.request_id.decode(),
            **more,
        )
        seconds = self._settings.retry_after_s
        return ApiError(
            status,
            code,
            f"The server of the model {quoted(call.label)} {what}. Try again in {seconds} s.",
            headers=retry_after(seconds),
        )

    async def _break_off(self, call: Call, answer: Answer, send: Send, failure: ApiError) -> None:
        """End an answer that cannot be completed so that no client takes it for complete.

        A stream gets an event that says why; then the connection closes without the answer's end.
        """
        call.code = failure.code
        self._metrics.refused(call.label, failure.code)
        if is_stream(answer.headers):
            event = b"\n\ndata: " + failure.body() + b"\n\n"
            # A client that reads nothing is not waited for.
            with suppress(TimeoutError), Limit(_LAST_WORD_S):
                await send({"type": "http.response.body", "body": event, "more_body": True})
