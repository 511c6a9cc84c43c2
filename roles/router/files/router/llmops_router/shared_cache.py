# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Redis as a shared second level: a copy of the picture, and a second way to hear that it changed.

The copy carries its version, and it only ever moves a router forward within one registry: at start it is
taken where PostgreSQL names the same version, and while PostgreSQL is away where it is newer than what we
have. So it can never bring a disabled model back, whatever it holds.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from . import log
from .catalogue import Catalogue
from .metrics import Metrics
from .settings import Settings
from .snapshot import BadSnapshotError, Snapshot, Version, dump, load, version_of

#: Longer pictures stay out of Redis.
LONGEST_VALUE = 16 << 20
_TIMEOUT_S = 0.5
_CONNECT_S = 0.5
_FAILURES = 3
_OPEN_S = 5.0
_AWAY_INTERVAL_S = 1.0

# Writes unless a newer version of the same registry is there; a key of another type is replaced.
_WRITE = """
local held = redis.pcall('HMGET', KEYS[1], 'registry_id', 'epoch')
local newer = true
if not held.err then
    local same = held[1] == ARGV[1]
    local epoch = tonumber(held[2] or '')
    if same and epoch and epoch > tonumber(ARGV[2]) then return 0 end
    newer = not (same and epoch == tonumber(ARGV[2]))
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'registry_id', ARGV[1], 'epoch', ARGV[2], 'changed_at', ARGV[3], 'body', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
if newer then redis.call('PUBLISH', KEYS[2], ARGV[2]) end
return 1
"""
# Answers nothing where the value is too long to be read in time.
_READ = """
local held = redis.pcall('HMGET', KEYS[1], 'registry_id', 'epoch', 'changed_at', 'body')
if held.err or not (held[1] and held[2] and held[3] and held[4]) then return false end
if #held[4] > tonumber(ARGV[1]) then return false end
return held
"""


class SharedCache:
    """The copy of one environment's picture in Redis. Requests of clients never wait for it."""

    def __init__(self, settings: Settings, catalogue: Catalogue, metrics: Metrics) -> None:
        self._catalogue = catalogue
        self._metrics = metrics
        self._key = f"{settings.redis_prefix}:registry:{settings.environment}"
        self._channel = f"{self._key}:changed"
        self._ttl_s = settings.cache_ttl_s
        self._changed = asyncio.Event()
        self._failures = 0
        self._closed_until = 0.0
        self.on_announcement: Callable[[int], None] = lambda _epoch: None
        self.registry_is_down: Callable[[], bool] = lambda: False
        self._redis: redis.asyncio.Redis | None = None
        if settings.redis_url:
            self._redis = _client(settings.redis_url, settings.redis_ca_file)

    @property
    def state(self) -> str:
        """Return ``off``, ``ok`` or ``unavailable``."""
        if self._redis is None:
            return "off"
        return "unavailable" if self._failures else "ok"

    def keep(self) -> None:
        """Write the picture soon."""
        self._changed.set()

    async def recall(self, version: Version, changed_at: str) -> Snapshot | None:
        """Return the copy if it is of exactly this version."""
        found = await self._read()
        if found is None or (found.version, found.changed_at) != (version, changed_at):
            return None
        return found

    async def run(self) -> None:
        """Keep the copy fresh and listen for others' changes, until cancelled."""
        if self._redis is None:
            await asyncio.Event().wait()
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_fresh())
            group.create_task(self._subscribe(self._redis))

    async def close(self) -> None:
        """Close the connections."""
        if self._redis is not None:
            await self._redis.aclose()

    async def _keep_fresh(self) -> None:
        while True:
            try:
                # Before the copy expires, spread over the routers.
                async with asyncio.timeout(self._ttl_s * random.uniform(0.4, 0.7)):  # noqa: S311 - no secret
                    await self._changed.wait()
            except TimeoutError:
                pass
            self._changed.clear()
            if self.registry_is_down():
                await self._move_forward()
                await asyncio.sleep(_AWAY_INTERVAL_S)
                self._changed.set()
                continue
            snapshot = self._catalogue.snapshot
            if snapshot is not None and not await self._write(snapshot):
                # The copy is back soon after Redis is.
                await asyncio.sleep(_AWAY_INTERVAL_S)
                self._changed.set()

    async def _move_forward(self) -> None:
        """Take a newer picture that a router wrote which still reaches the registry."""
        current = self._catalogue.version
        found = await self._read()
        if (
            found is not None
            and current is not None
            and found.version.registry_id == current.registry_id
            and self._catalogue.advance(found, by_registry=False)
        ):
            log.info("moved forward by the shared cache", epoch=found.version.epoch)

    async def _read(self) -> Snapshot | None:
        found = await self._ask("read", _READ, [self._key], [str(LONGEST_VALUE)])
        if not isinstance(found, list) or len(found) != 4:
            self._metrics.cache.labels("read", "miss").inc()
            return None
        try:
            registry_id, epoch, changed_at, body = found
            snapshot = load(version_of(registry_id.decode(), epoch), body, changed_at.decode())
        except (BadSnapshotError, AttributeError, UnicodeDecodeError, TypeError) as error:
            self._metrics.cache.labels("read", "invalid").inc()
            log.failure("the shared cache holds something else", reason=str(error)[:200])
            return None
        self._metrics.cache.labels("read", "hit").inc()
        return snapshot

    async def _write(self, snapshot: Snapshot) -> bool:
        """Write a picture; return whether Redis took note of it."""
        body = dump(snapshot)
        if len(body) > LONGEST_VALUE:
            log.failure("the picture is too long for the shared cache", size_bytes=len(body))
            return True
        ttl_ms = int(self._ttl_s * random.uniform(0.9, 1.1) * 1000)  # noqa: S311 - no secret
        version = snapshot.version
        written = await self._ask(
            "write",
            _WRITE,
            [self._key, self._channel],
            [version.registry_id, str(version.epoch), snapshot.changed_at, body, str(ttl_ms)],
        )
        if written is None:
            return False
        self._metrics.cache.labels("write", "written" if written else "older").inc()
        return True

    async def _ask(self, operation: str, script: str, keys: list[str], values: list[str | bytes]) -> Any:
        """Run a script; ``None`` where Redis is away, slow, or refuses."""
        if self._redis is None or time.monotonic() < self._closed_until:
            return None
        try:
            async with asyncio.timeout(_TIMEOUT_S + _CONNECT_S):
                answer = await self._redis.eval(script, len(keys), *keys, *values)
        except (RedisError, OSError, TimeoutError) as error:
            self._failed(operation, error)
            return None
        if self._failures:
            log.info("the shared cache answers again")
        self._failures = 0
        return answer

    def _failed(self, operation: str, error: BaseException) -> None:
        self._metrics.cache.labels(operation, "error").inc()
        if not self._failures:
            log.warning("the shared cache does not answer: it is not needed", reason=type(error).__name__)
        self._failures += 1
        if self._failures >= _FAILURES:
            self._closed_until = time.monotonic() + _OPEN_S

    async def _subscribe(self, client: redis.asyncio.Redis) -> None:
        """Wake the synchroniser when another router has written a newer picture."""
        while True:
            try:
                async with client.pubsub() as subscription:
                    await subscription.subscribe(self._channel)
                    # After a restart it is empty.
                    self._changed.set()
                    while True:
                        message = await subscription.get_message(ignore_subscribe_messages=True, timeout=5)
                        if message is None:
                            await asyncio.wait_for(subscription.ping(), _TIMEOUT_S)
                        else:
                            self._announced()
            except (RedisError, OSError, TimeoutError):
                await asyncio.sleep(random.uniform(1, 3))  # noqa: S311 - no secret

    def _announced(self) -> None:
        if self.registry_is_down():
            self._changed.set()
        else:
            self.on_announcement(0)


def _client(url: str, authorities: Path | None) -> redis.asyncio.Redis:
    """Return a client that never waits for long and never tries again by itself.

    :raises ValueError: where the URL cannot be parsed; the text does not quote it.
    """
    trusted: dict[str, Any] = {}
    if authorities:
        if not url.startswith("rediss://"):
            raise ValueError("Redis' authorities are given, but its URL does not begin with rediss://.")
        trusted["ssl_ca_certs"] = str(authorities)
    try:
        return redis.asyncio.Redis.from_url(
            url,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_CONNECT_S,
            retry=Retry(NoBackoff(), 0),
            client_name="llmops-router",
            **trusted,
        )
    except (ValueError, TypeError):
        raise ValueError(
            "Redis' URL cannot be parsed (it is not shown, because it may hold a password). "
            "It must look like redis://:password@host:6379/0."
        ) from None
