# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asks one endpoint over HTTP. Every way in which no proper answer comes ends as a verdict."""

from __future__ import annotations

import errno
from typing import Any

import aiohttp

from .answers import Result, Verdict, judge_completion, judge_health, one_line
from .keys import UpstreamKeys
from .settings import Settings

_MAX_BODY_BYTES = 256 * 1024
_DNS_CACHE_S = 30
_PROMPT = "Say hello."


class Probe:
    """An HTTP client for checks; close it at the end."""

    def __init__(self, settings: Settings, keys: UpstreamKeys) -> None:
        self._settings = settings
        self._keys = keys
        # A new connection for each check goes the way of a new client: through the Service to any pod.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True, ttl_dns_cache=_DNS_CACHE_S),
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
        """Ask for one small completion, as a client of the model would."""
        body = {
            "model": model,
            "messages": [{"role": "user", "content": _PROMPT}],
            "max_tokens": self._settings.max_tokens,
            "temperature": 0,
        }
        key = self._keys.of(model)
        answer = await self._ask(
            "POST",
            endpoint,
            "/v1/chat/completions",
            self._settings.completion_timeout_s,
            json=body,
            headers={"Authorization": f"Bearer {key}"} if key else None,
        )
        if isinstance(answer, Verdict):
            return answer
        status, seen = answer
        # Some servers show the key that they refuse; the reason of a verdict is for everybody.
        return judge_completion(status, seen.replace(key.encode(), b"***") if key else seen, model)

    async def answers(self, url: str) -> bool:
        """Tell whether anything answers at a URL, whatever it says."""
        return not isinstance(await self._ask("GET", url, "", self._settings.health_timeout_s), Verdict)

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
            refused = isinstance(error, aiohttp.ClientConnectorDNSError) or error.errno == errno.ECONNREFUSED
            result = Result.UNREACHABLE if refused else Result.SILENT
            return Verdict(result, f"{what}: no connection: {error.os_error.strerror or error.os_error}")
        except aiohttp.ConnectionTimeoutError:
            limit_s = self._settings.connect_timeout_s
            return Verdict(Result.SILENT, f"{what}: no connection within {limit_s:g} s")
        except TimeoutError:
            return Verdict(Result.FAILED, f"{what} did not answer within {timeout_s:g} s")
        except (aiohttp.ClientError, ValueError) as error:
            return Verdict(Result.FAILED, f"{what}: {one_line(str(error)) or type(error).__name__}")
