# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asks one endpoint over HTTP. Every way in which no proper answer comes ends as a verdict."""

from __future__ import annotations

import errno
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver

from .answers import (
    Result,
    Verdict,
    is_offered,
    judge_completion,
    judge_health,
    judge_models,
    model_named,
    one_line,
)
from .apis import APIS, Api
from .keys import UpstreamKeys
from .resolver import Resolver, does_not_exist
from .settings import Settings

_MAX_BODY_BYTES = 256 * 1024


class Probe:
    """An HTTP client for checks; close it at the end."""

    def __init__(
        self, settings: Settings, keys: UpstreamKeys, resolver: AbstractResolver | None = None
    ) -> None:
        self._settings = settings
        self._keys = keys
        #: What each model was last asked for with success.
        self._worked: dict[str, Api] = {}
        # A new connection for each check goes the way of a new client: through the Service to any pod. Names
        # are not remembered: without a name service, those that still are would speak for the network.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                force_close=True,
                use_dns_cache=False,
                resolver=resolver or Resolver(settings.connect_timeout_s / 2),
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "llmops-health-checker"},
            trust_env=False,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def health(self, endpoint: str) -> Verdict:
        """Ask for ``/health``."""
        answer = await self._ask("GET", endpoint, "/health", self._settings.health_timeout_s)
        return answer if isinstance(answer, Verdict) else judge_health(*answer)

    async def completion(self, endpoint: str, model: str) -> Verdict:
        """Ask for a small completion, as a client would; a model that gives none, for what it does give."""
        known = self._worked.get(model, APIS[0])
        for api in (known, *(other for other in APIS if other is not known)):
            body = api.body(model, self._settings.max_tokens)
            limit_s = self._settings.completion_timeout_s
            answer = await self._ask_as_client(model, "POST", endpoint, api.path, limit_s, json=body)
            if isinstance(answer, Verdict):
                return answer
            if not is_offered(*answer, model):
                continue
            verdict = judge_completion(*answer, api)
            if verdict.healthy:
                self._worked[model] = api
                named = model_named(answer[1])
                if named != model:
                    return await self._listed(endpoint, model, f"{api.path} answered for {named!r}")
            return verdict
        tried = "none of " + ", ".join(api.path for api in APIS)
        listed = await self._listed(endpoint, model, tried)
        return Verdict(Result.INCONCLUSIVE, f"{tried} is offered") if listed.healthy else listed

    async def _listed(self, endpoint: str, model: str, why: str) -> Verdict:
        """Ask whether the model is served here, although ``why``.

        A server with several names puts the first into its answers, whichever it was asked by.
        """
        answer = await self._ask_as_client(
            model, "GET", endpoint, "/v1/models", self._settings.health_timeout_s
        )
        verdict = answer if isinstance(answer, Verdict) else judge_models(*answer, model)
        return verdict if verdict.healthy else Verdict(verdict.result, f"{why}, and {verdict.reason}")

    async def answers(self, url: str) -> bool:
        """Tell whether anything answers at a URL, whatever it says."""
        return not isinstance(await self._ask("GET", url, "", self._settings.health_timeout_s), Verdict)

    async def _ask_as_client(
        self, model: str, method: str, base: str, path: str, timeout_s: float, **request: Any
    ) -> tuple[int, bytes] | Verdict:
        """Ask with the model's key, if it has one."""
        key = self._keys.of(model)
        headers = {"Authorization": f"Bearer {key}"} if key else None
        answer = await self._ask(method, base, path, timeout_s, headers=headers, **request)
        if isinstance(answer, Verdict) or not key:
            return answer
        status, seen = answer
        # Some servers show the key that they refuse; the reason of a verdict is for everybody.
        return status, seen.replace(key.encode(), b"***")

    async def _ask(
        self, method: str, base: str, path: str, timeout_s: float, **request: Any
    ) -> tuple[int, bytes] | Verdict:
        """Return status and body, or the verdict where no whole answer came."""
        what = path or base
        timeout = aiohttp.ClientTimeout(total=timeout_s, connect=self._settings.connect_timeout_s)
        try:
            async with self._session.request(
                method, base.rstrip("/") + path, timeout=timeout, allow_redirects=False, **request
            ) as response:
                body = await response.content.read(_MAX_BODY_BYTES)
                while not response.content.at_eof() and len(body) < _MAX_BODY_BYTES:
                    body += await response.content.read(_MAX_BODY_BYTES - len(body))
                return response.status, body
        except aiohttp.ClientSSLError as error:
            return Verdict(Result.FAILED, f"{what}: {one_line(str(error)) or type(error).__name__}")
        except aiohttp.ClientConnectorError as error:
            problem = error.os_error.strerror or error.os_error
            return Verdict(_without_connection(error), f"{what}: no connection: {problem}")
        except aiohttp.ConnectionTimeoutError:
            limit_s = self._settings.connect_timeout_s
            return Verdict(Result.SILENT, f"{what}: no connection within {limit_s:g} s")
        except TimeoutError:
            return Verdict(Result.FAILED, f"{what} did not answer within {timeout_s:g} s")
        except (aiohttp.ClientError, ValueError) as error:
            return Verdict(Result.FAILED, f"{what}: {one_line(str(error)) or type(error).__name__}")


def _without_connection(error: aiohttp.ClientConnectorError) -> Result:
    """Return what it says of an endpoint that there is no connection to it."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Result.UNREACHABLE if does_not_exist(error.os_error) else Result.UNRESOLVED
    return Result.UNREACHABLE if error.errno == errno.ECONNREFUSED else Result.SILENT
