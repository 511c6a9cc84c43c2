# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ASGI application: three paths lead to model servers, a few pages are the router's own, no other exists.

Plain ASGI: a framework's routing and wrapping would cost more than all else here.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Callable

from . import log
from .errors import ApiError
from .exchange import ClientLeftError, Headers, Receive, Scope, Send, request_id, respond
from .forward import Call, Forwarder
from .metrics import UNKNOWN, Metrics
from .pages import Page, Pages

#: The only paths that reach a model server.
COMPLETIONS = frozenset({"/v1/chat/completions", "/v1/completions", "/v1/embeddings"})
_MODELS = "/v1/models"
_JSON = (b"content-type", b"application/json")
# What nginx calls a client that went away; it is only counted, nobody reads it.
_CLIENT_LEFT = 499


class App:
    """Takes requests from uvicorn. ``is_draining`` makes each answer the last one of its connection."""

    def __init__(self, forwarder: Forwarder, pages: Pages, metrics: Metrics, *, access_log: bool) -> None:
        self._forwarder = forwarder
        self._pages = pages
        self._metrics = metrics
        self._access_log = access_log
        self.is_draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        received: Headers = scope["headers"]
        headers = dict(received)
        call = Call(headers, request_id(headers))
        path: str = scope["path"]
        try:
            if path in COMPLETIONS:
                if scope["method"] != "POST":
                    raise _wrong_method("POST")
                await self._forwarder.complete(call, path, received, receive, send, self.is_draining)
            else:
                page = self._page(scope["method"], path, headers)
                call.status = page.status
                await respond(send, page.status, self._with_ours(call, page.headers), page.body)
        except ApiError as error:
            call.status = error.status
            call.code = error.code
            self._metrics.refused(call.label, error.code)
            await respond(send, error.status, self._with_ours(call, [_JSON, *error.headers]), error.body())
        except ClientLeftError:
            call.status = _CLIENT_LEFT
        except asyncio.CancelledError:
            call.status = _CLIENT_LEFT
            raise
        except Exception:  # a mistake must not look as if the client had left
            if call.has_answer:
                # uvicorn tells it and closes the connection.
                raise
            await self._mistake(call, send)
        finally:
            self._finished(call, scope["method"], path)

    async def _mistake(self, call: Call, send: Send) -> None:
        """Answer where this program has a mistake, and tell where."""
        where = traceback.format_exc()
        log.failure("a mistake of the router", where, exception=where, request_id=call.request_id.decode())
        error = ApiError(
            500, "internal_error", "The router failed at this request; its log says why. Tell its operator."
        )
        call.status = error.status
        call.code = error.code
        self._metrics.refused(call.label, error.code)
        await respond(send, error.status, self._with_ours(call, [_JSON]), error.body())

    def _finished(self, call: Call, method: str, path: str) -> None:
        seconds = time.perf_counter() - call.started
        if path in COMPLETIONS:
            self._metrics.answered(call.label, call.status, seconds)
        if self._access_log and path.startswith("/v1/"):
            log.info(
                "request",
                method=method,
                path=path,
                model=None if call.label == UNKNOWN else call.label,
                status=call.status,
                code=call.code or None,
                seconds=round(seconds, 4),
                key=call.key_name or None,
                request_id=call.request_id.decode(),
            )

    def _with_ours(self, call: Call, headers: Headers) -> Headers:
        ours = [*headers, (b"x-request-id", call.request_id)]
        if self.is_draining:
            ours.append((b"connection", b"close"))
        return ours

    def _page(self, method: str, path: str, headers: dict[bytes, bytes]) -> Page:
        page = self._find_page(path, headers)
        if page is None:
            raise ApiError(
                404,
                "unknown_path",
                f"There is no such path. This router serves {', '.join(sorted(COMPLETIONS))} and {_MODELS}.",
            )
        if method not in ("GET", "HEAD"):
            raise _wrong_method("GET, HEAD")
        return page()

    def _find_page(self, path: str, headers: dict[bytes, bytes]) -> Callable[[], Page] | None:
        own = self._pages.find(path)
        if own is not None:
            return own
        authorization = headers.get(b"authorization")
        if path == _MODELS:
            return lambda: self._pages.models(authorization)
        if path.startswith(_MODELS + "/") and len(path) > len(_MODELS) + 1:
            return lambda: self._pages.model(authorization, path[len(_MODELS) + 1 :])
        return None


def _wrong_method(allowed: str) -> ApiError:
    return ApiError(
        405,
        "method_not_allowed",
        f"This path takes {allowed} only.",
        headers=((b"allow", allowed.encode()),),
    )
