# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A steady load on routers that writes every answer down, for a judge who looks at the whole afterwards."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

import aiohttp

#: A request without an answer by then counts as unanswered.
PATIENCE_S = 4.0
_MODELS = "/v1/models"
_CHAT = "/v1/chat/completions"


@dataclass(frozen=True)
class Answer:
    """One request and what came of it. Times are of the monotonic clock, which all of a machine share.

    ``status`` is 0 where no whole answer came, and ``detail`` says why; else ``detail`` is the error's code.
    ``model`` is empty for a request of the list of models, and ``listed`` is what that named.
    """

    router: str
    model: str
    started: float
    ended: float
    status: int
    detail: str = ""
    listed: frozenset[str] = frozenset()


class Load:
    """Asks each router for each model, one request at a time, and for the list of models; a context manager.

    ``pause_s`` is the rest between two requests of one (router, model). Every fourth answer is a stream.
    Models come and go with :meth:`add` and :meth:`drop`.
    """

    def __init__(self, routers: Mapping[str, str], models: Iterable[str], pause_s: float = 0.05) -> None:
        """Take base URLs by name of the router, and the models' names; nothing is sent yet."""
        self._routers, self._models, self._pause_s = dict(routers), {"", *models}, pause_s
        self._wanted: asyncio.Queue[str | None] = asyncio.Queue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._failure: BaseException | None = None
        self.answers: list[Answer] = []

    def __enter__(self) -> Load:
        self._thread.start()
        assert self._running.wait(10), "the load does not start"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Let the last requests end, and raise what broke the load itself."""
        self._models.clear()
        self._tell(None)
        self._thread.join(PATIENCE_S + 5)
        assert not self._thread.is_alive(), "the load does not end"
        if self._failure is not None:
            raise AssertionError("the load broke off") from self._failure

    def add(self, model: str) -> None:
        """Ask for one more model from now on."""
        self._models.add(model)
        self._tell(model)

    def drop(self, model: str) -> None:
        """Ask for a model no more."""
        self._models.remove(model)

    def since(self, moment: float) -> list[Answer]:
        """Return the answers to requests that started at or after a moment, so far."""
        # Answers are in the order of their ends, and none took longer than the client's patience.
        found = []
        for answer in reversed(self.answers):
            if answer.ended < moment:
                break
            if answer.started >= moment:
                found.append(answer)
        return found[::-1]

    def _tell(self, model: str | None) -> None:
        assert self._loop is not None
        # A load that broke off has no loop any more; stop() tells why.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._wanted.put_nowait, model)

    def _run(self) -> None:
        try:
            asyncio.run(self._ask_all())
        except Exception as error:  # noqa: BLE001 - told to the test by stop()
            self._failure = error

    async def _ask_all(self) -> None:
        self._loop = asyncio.get_running_loop()
        timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
        connector = aiohttp.TCPConnector(limit=0)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            asyncio.TaskGroup() as group,
        ):
            for model in list(self._models):
                self._begin(group, session, model)
            self._running.set()
            while (added := await self._wanted.get()) is not None:
                self._begin(group, session, added)

    def _begin(self, group: asyncio.TaskGroup, session: aiohttp.ClientSession, model: str) -> None:
        for router, url in self._routers.items():
            group.create_task(self._ask(session, router, url, model))

    async def _ask(self, session: aiohttp.ClientSession, router: str, url: str, model: str) -> None:
        number = 0
        while model in self._models:
            number += 1
            started = time.monotonic()
            attempt = self._chat(session, url, model, number % 4 == 0) if model else self._list(session, url)
            status, detail, listed = await _told(attempt)
            self.answers.append(Answer(router, model, started, time.monotonic(), status, detail, listed))
            await asyncio.sleep(self._pause_s)

    async def _list(self, session: aiohttp.ClientSession, url: str) -> _Told:
        async with session.get(url + _MODELS) as response:
            body = await response.read()
            if response.status != 200:
                return response.status, _code(body), frozenset()
            return 200, "", frozenset(str(model["id"]) for model in json.loads(body)["data"])

    async def _chat(self, session: aiohttp.ClientSession, url: str, model: str, stream: bool) -> _Told:
        message = {"role": "user", "content": "Hello"}
        body = {"model": model, "messages": [message], "max_tokens": 4, "stream": stream}
        async with session.post(url + _CHAT, json=body) as response:
            answer = await response.read()
            if response.status != 200:
                return response.status, _code(answer), frozenset()
            if stream and not answer.endswith(b"data: [DONE]\n\n"):
                return 0, f"broken stream: {answer[-200:]!r}", frozenset()
            first = answer.split(b"\n\n")[0].removeprefix(b"data: ") if stream else answer
            # The right model's answer, not just any.
            said = json.loads(first)["model"]
            return (200, "", frozenset()) if said == model else (0, f"answer of {said}", frozenset())


_Told = tuple[int, str, frozenset[str]]


async def _told(attempt: Awaitable[_Told]) -> _Told:
    try:
        return await attempt
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError) as error:
        return 0, f"{type(error).__name__}: {error}", frozenset()


def _code(body: bytes) -> str:
    """Return the code of an error of OpenAI's shape, or say that it has another."""
    try:
        return str(json.loads(body)["error"]["code"])
    except (ValueError, KeyError, TypeError):
        return f"not OpenAI's shape: {body[:200]!r}"


def wait_for_answer(
    load: Load, wanted: Callable[[Answer], bool], timeout_s: float, since: float | None = None
) -> Answer:
    """Return the first answer of that kind to a request that starts from now (or ``since``) on."""
    begun = time.monotonic() if since is None else since
    deadline = time.monotonic() + timeout_s
    while True:
        for answer in load.since(begun):
            if wanted(answer):
                return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"no such answer within {timeout_s} s; the last: {load.answers[-3:]}")
        time.sleep(0.02)
