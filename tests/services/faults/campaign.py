# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One round: models are disabled, enabled and registered while something is broken, under steady load.

What the module ``registry_entry`` acknowledges becomes a promise, for exactly the routers that it names. What
it does not acknowledge is tried again when all is well, and has to succeed within the bounds below.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from tests.services.faults.faults import Fault, Scene, dump
from tests.services.faults.history import Count, History, Promise
from tests.services.faults.world import BORN, FLIPPED, KEPT_OUT, ROUTERS, STEADY, World
from tests.support.load import Answer, Load, wait_for_answer

#: From the end of a fault, all routers have to confirm a change within this time, by themselves.
RECOVERY_S = 8.0
#: From the acknowledgement of a registration, the model has to be served by each router that can know of it.
PROPAGATION_S = 3.0
# How long a withdrawn model is watched.
_WATCH_S = 0.6
# While something is broken nobody waits long.
_PATIENCE_S = 1.5


@dataclass
class Round:
    """Plays one fault. ``history`` holds what was promised."""

    world: World
    load: Load
    fault: Fault
    history: History = field(default_factory=History)
    _served: dict[tuple[str, str], float] = field(default_factory=dict)
    _withdrawn: dict[tuple[str, str], float] = field(default_factory=dict)
    _counted: dict[str, tuple[float, int]] = field(default_factory=dict)
    _asks_for_born: bool = False
    _listed: dict[tuple[str, str], float] = field(default_factory=dict)
    _draining: dict[tuple[str, str], float] = field(default_factory=dict)

    def play(self) -> None:
        """Break, change, put right, change again; at the end all is as before."""
        self._enable(KEPT_OUT)
        for model in (*STEADY, *FLIPPED):
            self._expect_served(model)
        stale = self._picture_in_redis()
        self._disable(KEPT_OUT, RECOVERY_S)
        scene = Scene(self.world, self.history, stale)
        with self.fault.broken(scene), ThreadPoolExecutor() as pool:
            _all(pool, [*(self._task(self._change, model) for model in FLIPPED), self._bear])
        with ThreadPoolExecutor() as pool:
            _all(pool, [*(self._task(self._change_again, model) for model in FLIPPED), self._bear_again])
        # Time for witnesses of the end.
        time.sleep(0.3)
        for model in (*STEADY, *FLIPPED):
            self._end_served(model)
        self._end_withdrawn(KEPT_OUT)

    @staticmethod
    def _task(act: Callable[[str], None], model: str) -> Callable[[], None]:
        return lambda: act(model)

    def _picture_in_redis(self) -> dict[bytes, bytes]:
        """Return what Redis holds, once a router has written it."""
        deadline = time.monotonic() + RECOVERY_S
        while not (picture := dump(self.world.redis)):
            assert time.monotonic() < deadline, "no router writes to Redis"
            time.sleep(0.05)
        return picture

    def _change(self, model: str) -> None:
        """Disable while it is broken, and enable again if all routers can know."""
        confirmed = self._disable(model, _PATIENCE_S if self.fault.cut_off else RECOVERY_S)
        if not self.fault.cut_off:
            assert len(confirmed) == len(ROUTERS), f"{model}: only {confirmed} confirmed"
            self._watch(model)
            self._enable(model, RECOVERY_S if self.fault.is_shaky else PROPAGATION_S)

    def _change_again(self, model: str) -> None:
        """Disable, watch and enable; everything is acknowledged now."""
        confirmed = self._disable(model, RECOVERY_S)
        assert len(confirmed) == len(ROUTERS), f"{model}: only {confirmed} confirmed after the recovery"
        self._watch(model)
        self._enable(model)

    def _bear(self) -> None:
        """Register a model that nobody has asked for; its first request works where a router can know."""
        if self._acknowledged(lambda: self.world.register(BORN, timeout=_PATIENCE_S)):
            unable = ROUTERS if self.fault.is_shaky else self.fault.cut_off
            able = [name for name in ROUTERS if name not in unable]
            self._expect_served(BORN, able)
            # The list comes from memory: it does not ask the registry for a model that nobody mentioned.
            self._list_from(BORN, able, time.monotonic() + PROPAGATION_S)
            self._ask_for_born()
            self._watch(BORN)

    def _bear_again(self) -> None:
        """Register it if that was not possible before, and remove it."""
        self.world.register(BORN, timeout=RECOVERY_S)
        begun = time.monotonic()
        self._ask_for_born()
        for name in ROUTERS:
            if (name, BORN) not in self._served:
                self._wait_served(name, BORN, begun, RECOVERY_S)
        self._watch(BORN)
        self._end_served(BORN)
        outcome = self.world.entry(BORN, state="absent", routers_timeout=RECOVERY_S, drain_timeout=5.0)
        self._begin_withdrawn(BORN, outcome.result["routers"]["confirmed"])
        self._wait_gone(BORN)
        self._watch(BORN)
        self._end_withdrawn(BORN)
        self.load.drop(BORN)

    def _ask_for_born(self) -> None:
        if not self._asks_for_born:
            self._asks_for_born = True
            self.load.add(BORN)

    def _disable(self, model: str, patience_s: float) -> list[str]:
        """Disable a model; return the routers that confirmed, for which it counts from now on."""
        self._end_served(model)
        try:
            outcome = self.world.entry(
                model, desired_state="disabled", timeout=patience_s, routers_timeout=patience_s
            )
        except PlatformError as error:
            if error.error_class not in (ErrorClass.INFRASTRUCTURE, ErrorClass.TIMEOUT):
                raise
            routers: dict[str, Any] = error.details.get("routers", {})
        else:
            routers = outcome.result["routers"]
        confirmed: list[str] = routers.get("confirmed", [])
        self._begin_withdrawn(model, confirmed)
        return confirmed

    def _enable(self, model: str, within_s: float = PROPAGATION_S) -> None:
        self._end_withdrawn(model)
        self.world.entry(model, desired_state="enabled", status="ready", timeout=RECOVERY_S)
        begun = time.monotonic()
        for name in ROUTERS:
            self._wait_served(name, model, begun, within_s)

    def _watch(self, model: str) -> None:
        """Give a promise time to be broken, and wait for witnesses: on a busy machine they may be late."""
        time.sleep(_WATCH_S)
        for router in ROUTERS:
            begun = self._served.get((router, model)) or self._withdrawn.get((router, model))
            if begun is not None:
                self._wait_witness(router, model, begun)

    def _wait_witness(self, router: str, model: str, since: float) -> None:
        """Wait for an answer, whatever it says: that is for the judge."""
        wait_for_answer(
            self.load,
            lambda answer: (answer.router, answer.model) == (router, model),
            RECOVERY_S,
            since,
        )

    def _wait_served(self, router: str, model: str, since: float, timeout_s: float) -> None:
        """Wait for the first good answer; from then on all have to be good."""
        first = self._wait_status(router, model, 200, since, timeout_s)
        self._served[router, model] = first.started
        self._list_from(model, [router], first.ended)

    def _wait_status(self, router: str, model: str, status: int, since: float, timeout_s: float) -> Answer:
        return wait_for_answer(
            self.load,
            lambda answer: (answer.router, answer.model, answer.status) == (router, model, status),
            timeout_s,
            since,
        )

    def _wait_gone(self, model: str) -> None:
        """Wait until each router has heard that the entry is gone.

        Routers confirmed that it is drained. That it was removed thereafter they hear a moment later; until
        then they say 503 and not 404.
        """
        for router in ROUTERS:
            if (begun := self._withdrawn.get((router, model))) is not None:
                first = self._wait_status(router, model, 404, begun, PROPAGATION_S)
                self._draining[router, model] = first.started

    def _expect_served(self, model: str, routers: list[str] | tuple[str, ...] = ROUTERS) -> None:
        for router in routers:
            self._served[router, model] = time.monotonic()

    def _list_from(self, model: str, routers: list[str], moment: float) -> None:
        for router in routers:
            self._listed[router, model] = moment

    def _end_served(self, model: str) -> None:
        end = time.monotonic()
        for router in ROUTERS:
            begin = self._served.pop((router, model), None)
            if begin is not None:
                lists_from = self._listed.pop((router, model), begin)
                promise = Promise(router, model, True, begin, end, _least(begin, end), lists_from)
                self.history.promises.append(promise)

    def _begin_withdrawn(self, model: str, routers: list[str]) -> None:
        begin = time.monotonic()
        for router in routers:
            self._withdrawn.setdefault((router, model), begin)
        if len(routers) == len(ROUTERS) and model not in self._counted:
            self._counted[model] = (begin, self.world.finished(model))

    def _end_withdrawn(self, model: str) -> None:
        if model in self._counted:
            begin, before = self._counted.pop(model)
            self.history.counts.append(Count(model, begin, before, self.world.finished(model)))
        end = time.monotonic()
        for router in ROUTERS:
            begun = self._withdrawn.pop((router, model), None)
            if begun is not None:
                draining_until = self._draining.pop((router, model), begun)
                least = _least(begun, end)
                promise = Promise(router, model, False, begun, end, least, draining_until=draining_until)
                self.history.promises.append(promise)

    def _acknowledged(self, act: Callable[[], object]) -> bool:
        """Try a change of the registry, which may be away."""
        try:
            act()
        except PlatformError as error:
            if error.error_class not in (ErrorClass.INFRASTRUCTURE, ErrorClass.TIMEOUT):
                raise
            return False
        return True


def _least(begin: float, end: float) -> int:
    """Return how many answers a period of this length has to have at the least."""
    return 1 if end - begin > _WATCH_S / 2 else 0


def _all(pool: ThreadPoolExecutor, tasks: list[Callable[[], None]]) -> None:
    """Do all at once, and raise what the first of them raised."""
    for future in [pool.submit(task) for task in tasks]:
        future.result()
