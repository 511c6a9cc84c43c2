# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long a change takes until clients see it, on two replicas that are asked all the time.

A change begins to count when its writer knows that it is saved. A registration ends with the first good
answer of the slower replica. A withdrawal ends with the last good answer of either; it is 0 where none came
after it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import psycopg2

from tests.bench.load import percentile
from tests.bench.measure import Row, RunFailedError
from tests.support.lab import Lab, fresh_database
from tests.support.litellm_proxy import MASTER_KEY, Installation, LiteLLMProxy, prepared_database
from tests.support.model_server import ModelServer
from tests.support.router_process import RouterProcess

CHANGES = 200
MODELS = [f"bench/model-{number}" for number in range(10)]
PEER_MODELS = MODELS[:6]
PEER = f"LiteLLM proxy, {len(PEER_MODELS)} changes"

#: Makes a model routable, or takes it away; returns when that is saved.
Change = Callable[[str, bool], Awaitable[None]]


@dataclass
class Times:
    """Seconds of all changes."""

    register: list[float] = field(default_factory=list)
    disable: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Patience:
    """How often a replica is asked, how long after a withdrawal, and when to give up. Seconds."""

    pause_s: float
    quiet_s: float
    limit_s: float


OUR_PATIENCE = Patience(pause_s=0.001, quiet_s=0.1, limit_s=10)
# Its replicas look every 30 seconds, sooner where Redis tells them.
PEER_PATIENCE = Patience(pause_s=0.05, quiet_s=3, limit_s=60)


@dataclass(frozen=True)
class _Answer:
    ended: float
    good: bool


class _Watch:
    """Asks each replica for one model, one request at a time, and keeps the answers."""

    def __init__(
        self, session: aiohttp.ClientSession, replicas: Sequence[str], model: str, key: str, pause_s: float
    ) -> None:
        self._session, self._model, self._key, self._pause_s = session, model, key, pause_s
        self.answers: dict[str, list[_Answer]] = {url: [] for url in replicas}
        self._tasks = [asyncio.create_task(self._ask(url)) for url in replicas]

    async def _ask(self, url: str) -> None:
        message = {"role": "user", "content": "Hello there"}
        body = {"model": self._model, "messages": [message], "max_tokens": 1}
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        while True:
            async with self._session.post(f"{url}/v1/chat/completions", json=body, headers=headers) as answer:
                await answer.read()
            self.answers[url].append(_Answer(time.monotonic(), answer.status == 200))
            await asyncio.sleep(self._pause_s)

    async def until(self, condition: Callable[[list[_Answer]], bool], what: str, limit_s: float) -> None:
        """Wait until the condition holds for the answers of every replica."""
        deadline = time.monotonic() + limit_s
        while not all(condition(answers) for answers in self.answers.values()):
            for task in self._tasks:
                if task.done():
                    task.result()
            if time.monotonic() > deadline:
                raise RunFailedError(f"{self._model}: not {what} everywhere after {limit_s:g} s")
            await asyncio.sleep(0.002)

    async def stop(self) -> None:
        """Stop asking."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _one_model(watch: _Watch, model: str, change: Change, patience: Patience, times: Times) -> None:
    """Register a model and withdraw it again."""
    await watch.until(bool, "asked", patience.limit_s)
    await change(model, True)
    saved = time.monotonic()
    await watch.until(
        lambda answers: any(answer.good and answer.ended > saved for answer in answers),
        "reachable",
        patience.limit_s,
    )
    times.register.append(
        max(
            next(answer.ended for answer in answers if answer.good and answer.ended > saved) - saved
            for answers in watch.answers.values()
        )
    )
    await change(model, False)
    withdrawn = time.monotonic()

    def is_quiet(answers: list[_Answer]) -> bool:
        recent = [answer for answer in answers if answer.ended > withdrawn]
        last_good = max((answer.ended for answer in recent if answer.good), default=withdrawn)
        return bool(recent) and recent[-1].ended - last_good > patience.quiet_s

    await watch.until(is_quiet, "withdrawn", patience.limit_s + patience.quiet_s)
    times.disable.append(
        max(
            max((answer.ended for answer in answers if answer.good), default=0.0)
            for answers in watch.answers.values()
        )
        - withdrawn
    )


async def _measure(
    replicas: Sequence[str],
    key: str,
    models: Sequence[str],
    change: Change,
    patience: Patience,
    apart_s: float | None,
) -> Times:
    """Change one model after the other; with ``apart_s`` all side by side, begun so many seconds apart."""
    times = Times()
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:

        async def one(model: str, delay_s: float) -> None:
            await asyncio.sleep(delay_s)
            watch = _Watch(session, replicas, model, key, patience.pause_s)
            try:
                await _one_model(watch, model, change, patience, times)
            finally:
                await watch.stop()

        if apart_s is None:
            for model in models:
                await one(model, 0)
        else:
            await asyncio.gather(*(one(model, number * apart_s) for number, model in enumerate(models)))
    return Times(times.register, [max(0.0, seconds) for seconds in times.disable])


def ours(dsn: str, redis_url: str, engine: ModelServer, folder: Path, changes: int = CHANGES) -> Times:
    """Measure two replicas of the router."""
    connection = psycopg2.connect(dsn)
    connection.autocommit = True

    def write(model: str, ready: bool) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO model_registry_entries (model_name, deployment_environment, deployment_status,"
                " deployment_endpoint) VALUES (%(model)s, 'development', %(status)s, %(endpoint)s)"
                " ON CONFLICT (model_name, deployment_environment) DO UPDATE"
                " SET deployment_status = excluded.deployment_status",
                {"model": model, "status": "ready" if ready else "disabled", "endpoint": engine.url},
            )

    async def change(model: str, ready: bool) -> None:
        await asyncio.to_thread(write, model, ready)

    settings = {"redis_url": redis_url, "redis_prefix": folder.name, "environment": "development"}
    with ExitStack() as running:
        running.callback(connection.close)
        replicas = [running.enter_context(RouterProcess(name, folder, dsn, **settings)) for name in "ab"]
        urls = [replica.wait_ready().url for replica in replicas]
        models = [MODELS[number % len(MODELS)] for number in range(changes)]
        return asyncio.run(_measure(urls, "", models, change, OUR_PATIENCE, None))


def litellm(lab: Lab, installation: Installation, redis_url: str, engine: ModelServer, folder: Path) -> Times:
    """Measure two proxies with one database and one Redis; the changes go to the first."""
    redis = urlsplit(redis_url)
    coordination = {"host": redis.hostname, "port": redis.port, "password": redis.password}
    settings = {"coordination_redis": {name: value for name, value in coordination.items() if value}}
    with ExitStack() as running:
        database = prepared_database(installation, running.enter_context(fresh_database(lab)))
        proxies = [LiteLLMProxy(installation, folder, database=database, settings=settings) for _ in range(2)]
        for proxy in proxies:
            proxy.start()
        for proxy in proxies:
            running.enter_context(proxy)

        def write(model: str, ready: bool) -> None:
            params = {"model": f"hosted_vllm/{model}", "api_base": f"{engine.url}/v1", "api_key": "none"}
            new = {"model_name": model, "litellm_params": params, "model_info": {"id": model}}
            path, body = ("/model/new", new) if ready else ("/model/delete", {"id": model})
            status, answer = proxies[0].call(path, body)
            if status != 200:
                raise RunFailedError(f"LiteLLM answered {status} to {path}: {answer}")

        async def change(model: str, ready: bool) -> None:
            await asyncio.to_thread(write, model, ready)

        urls = [proxy.url for proxy in proxies]
        return asyncio.run(_measure(urls, MASTER_KEY, PEER_MODELS, change, PEER_PATIENCE, 1.0))


def rows(own: Times, peer: Times | None) -> list[Row]:
    """Return the rows; the peer's p99 of few changes is its slowest."""
    found = []
    for name, mine, other in (
        ("register", own.register, peer.register if peer else []),
        ("disable", own.disable, peer.disable if peer else []),
    ):
        for share, what in ((0.5, "p50"), (0.99, "p99")):
            theirs = percentile(other, share) if other else None
            found.append(Row(f"{name}_propagation_{what}_s", "s", percentile(mine, share), theirs, PEER))
    return found
