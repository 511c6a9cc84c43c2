# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can break: each fault is a block; while it is open something is broken, at its end it is put right."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import psycopg2.extensions

from tests.services.faults.history import History, Outage
from tests.services.faults.world import ENVIRONMENT, LOST, ROUTERS, STEADY, World
from tests.support.model_server import wait_until
from tests.support.postgres import Server
from tests.support.redis_server import RedisServer

#: How long something stays broken where nothing else sets the pace. Longer than a router's poll and timeout.
HOLD_S = 1.5
#: A router that was started has to be ready by then, on a busy machine too.
START_S = 15.0

_TERMINATE = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@dataclass
class Scene:
    """What a fault may use: the world, the history it tells outages to, and Redis as it was before."""

    world: World
    history: History
    stale: dict[bytes, bytes]


@dataclass(frozen=True)
class Fault:
    """One way to break things. ``cut_off`` are the routers that cannot hear of changes meanwhile.

    Where it ``is_shaky``, they can, but lose touch again and again.
    """

    name: str
    broken: Callable[[Scene], AbstractContextManager[None]]
    cut_off: tuple[str, ...] = ()
    is_shaky: bool = False


@contextmanager
def _redis_killed(scene: Scene) -> Iterator[None]:
    scene.world.redis.kill()
    try:
        yield
    finally:
        scene.world.redis.start()


@contextmanager
def _redis_flushed(scene: Scene) -> Iterator[None]:
    with scene.world.redis.client() as client:
        client.flushall()
        yield
        client.flushall()


@contextmanager
def _redis_frozen(scene: Scene) -> Iterator[None]:
    scene.world.redis.freeze()
    try:
        yield
    finally:
        scene.world.redis.thaw()


@contextmanager
def _redis_wrong_types(scene: Scene) -> Iterator[None]:
    with scene.world.redis.client() as client:
        for number, key in enumerate(scene.stale):
            client.delete(key)
            if number % 2:
                client.set(key, b"\xff no snapshot")
            else:
                client.rpush(key, "1", "2")
    yield


@contextmanager
def _redis_set_back(scene: Scene) -> Iterator[None]:
    put_back(scene.world.redis, scene.stale)
    yield
    put_back(scene.world.redis, scene.stale)


@contextmanager
def _postgres_restarted(scene: Scene) -> Iterator[None]:
    scene.world.server.stop()
    time.sleep(HOLD_S)
    try:
        yield
    finally:
        scene.world.server.start()


@contextmanager
def _backends_terminated(scene: Scene) -> Iterator[None]:
    calm = threading.Event()

    def terminate() -> None:
        while not calm.wait(0.3):
            scene.world.query(_TERMINATE)

    scene.world.query(_TERMINATE)
    killer = threading.Thread(target=terminate)
    killer.start()
    try:
        yield
    finally:
        calm.set()
        killer.join()


@contextmanager
def _postgres_crowded(scene: Scene) -> Iterator[None]:
    """Take every connection that users may have, those of the routers too."""
    crowd: list[psycopg2.extensions.connection] = []
    # First of all: those who are just being turned away take even a superuser's place for a moment.
    administrator = scene.world.administrator()
    try:
        deadline = time.monotonic() + HOLD_S
        while time.monotonic() < deadline:
            with suppress(psycopg2.OperationalError):
                while True:
                    crowd.append(psycopg2.connect(scene.world.dsn("deployer")))
            # Whatever the crowd does not hold is taken from the routers; they are slower to come back.
            mine = [connection.info.backend_pid for connection in crowd]
            with administrator.cursor() as cursor:
                cursor.execute(f"{_TERMINATE} AND pid <> ALL(%s)", (mine,))
        yield
    finally:
        for connection in [*crowd, administrator]:
            connection.close()


@contextmanager
def _postgres_frozen(scene: Scene) -> Iterator[None]:
    with frozen(scene.world.server):
        time.sleep(HOLD_S)
        yield


@contextmanager
def _commits_lost(scene: Scene) -> Iterator[None]:
    """Promote a standby that lagged: it lacks the last changes, and routers are ahead of it.

    One of the lost changes registered a model. A router that starts anew finds it in Redis, under an epoch
    that the registry has by now for another change, must not believe it.
    """
    world = scene.world
    data = world.server.folder / "data"
    standby = data.with_name("standby")
    world.server.stop(signal.SIGINT)
    world.server.run("/bin/cp", "-a", str(data), str(standby))
    world.server.start()
    world.register(LOST)
    _wait_until_routers_are_at(world, _epoch(world))
    lost = dump(world.redis)
    world.server.stop(signal.SIGINT)
    shutil.rmtree(data)
    standby.rename(data)
    world.server.run("/bin/touch", str(data / "standby.signal"))
    world.server.start()
    assert world.query("SELECT pg_promote()") == [(True,)]
    # Another text in each round, or nothing would change.
    world.entry(STEADY[0], status_reason=f"first change after failover {time.monotonic()}", timeout=5.0)
    router = world.routers[ROUTERS[1]]
    killed_at = time.monotonic()
    router.kill()
    put_back(world.redis, lost)
    router.start()
    router.wait_ready(START_S)
    scene.history.outages.append(Outage(router.name, killed_at, time.monotonic()))
    # The other one finds out by its next question.
    _wait_until_routers_are_at(world, _epoch(world))
    for each in world.routers.values():
        assert LOST not in {model["id"] for model in each.get("/v1/models").json["data"]}
    yield


@contextmanager
def _listen_swallowed(scene: Scene) -> Iterator[None]:
    """Lose LISTEN without a word, the first time a change is due; questions go through."""
    _wait_until_routers_listen(scene.world)
    for link in scene.world.links.values():
        assert link.swallow(b"LISTEN") == 1, "the router has no connection that listens"
    yield


@contextmanager
def _link_swallowed(scene: Scene) -> Iterator[None]:
    """Cut one router off from PostgreSQL without a word; Redis stays."""
    _wait_until_routers_listen(scene.world)
    link = scene.world.links[ROUTERS[1]]
    assert link.swallow() >= 2, "a router has one connection to ask and one to listen"
    time.sleep(HOLD_S)
    try:
        yield
    finally:
        link.heal()


@contextmanager
def _router_killed(scene: Scene) -> Iterator[None]:
    router = scene.world.routers[ROUTERS[1]]
    killed_at = time.monotonic()
    router.kill()
    try:
        yield
    finally:
        router.start()
    router.wait_ready(START_S)
    scene.history.outages.append(Outage(router.name, killed_at, time.monotonic()))


@contextmanager
def _router_frozen(scene: Scene) -> Iterator[None]:
    router = scene.world.routers[ROUTERS[1]]
    frozen_at = time.monotonic()
    router.send(signal.SIGSTOP)
    try:
        yield
    finally:
        router.send(signal.SIGCONT)
    router.wait_ready()
    scene.history.outages.append(Outage(router.name, frozen_at, time.monotonic()))


@contextmanager
def _router_started_alone(scene: Scene) -> Iterator[None]:
    """Start a router that finds no database, but a Redis that still has a picture from before."""
    router = scene.world.routers[ROUTERS[1]]
    killed_at = time.monotonic()
    scene.world.server.stop()
    router.kill()
    put_back(scene.world.redis, scene.stale)
    router.start()
    try:
        router.wait_alive(START_S)
        for _look in range(10):
            ready = router.get("/readyz")
            assert (ready.status, ready.json["status"]) == (503, "loading")
            assert router.get("/v1/models").status == 503
            time.sleep(HOLD_S / 10)
        yield
    finally:
        scene.world.server.start()
    router.wait_ready()
    scene.history.outages.append(Outage(router.name, killed_at, time.monotonic()))


FAULTS = (
    Fault("redis-killed", _redis_killed),
    Fault("redis-flushed", _redis_flushed),
    Fault("redis-frozen", _redis_frozen),
    Fault("redis-wrong-types", _redis_wrong_types),
    Fault("redis-set-back", _redis_set_back),
    Fault("postgres-restarted", _postgres_restarted, ROUTERS),
    Fault("postgres-backends-terminated", _backends_terminated, is_shaky=True),
    Fault("postgres-crowded", _postgres_crowded, ROUTERS),
    Fault("postgres-frozen", _postgres_frozen, ROUTERS),
    Fault("postgres-commits-lost", _commits_lost),
    Fault("listen-swallowed", _listen_swallowed),
    Fault("link-swallowed", _link_swallowed, ROUTERS[1:]),
    Fault("router-killed", _router_killed, ROUTERS[1:]),
    Fault("router-frozen", _router_frozen, ROUTERS[1:]),
    Fault("router-started-alone", _router_started_alone, ROUTERS),
)


def dump(server: RedisServer) -> dict[bytes, bytes]:
    """Return all keys as Redis serialises them."""
    with server.client() as client:
        dumped = {key: client.dump(key) for key in client.keys(f"*{ENVIRONMENT}*")}
    return {key: value for key, value in dumped.items() if value is not None}


def put_back(server: RedisServer, dumped: dict[bytes, bytes]) -> None:
    """Put old values in the place of what Redis holds now, to live for two minutes."""
    assert dumped, "there was nothing in Redis"
    with server.client() as client:
        for key, value in dumped.items():
            client.restore(key, 120_000, value, replace=True)


@contextmanager
def frozen(server: Server) -> Iterator[None]:
    """Stop all processes of PostgreSQL where they are: nothing is closed, nothing answers."""
    assert server.process is not None
    parent = server.process.pid
    # The parent first, or it would start others.
    os.kill(parent, signal.SIGSTOP)
    stopped = [parent]
    try:
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii")
        for child in map(int, children.split()):
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGSTOP)
                stopped.append(child)
        yield
    finally:
        for process in reversed(stopped):
            os.kill(process, signal.SIGCONT)


def _epoch(world: World) -> int:
    ((epoch,),) = world.query("SELECT epoch FROM registry_epoch")
    return int(epoch)


def _wait_until_routers_listen(world: World) -> None:
    """After the fault before, they may be at rest between two attempts."""
    for router in world.routers.values():
        wait_until(lambda router=router: router.get("/readyz").json["listening"]["ok"], START_S)


def _wait_until_routers_are_at(world: World, epoch: int) -> None:
    deadline = time.monotonic() + START_S
    while world.query("SELECT count(*) FROM router_instances WHERE epoch >= %s", (epoch,)) != [
        (len(ROUTERS),)
    ]:
        assert time.monotonic() < deadline, f"the routers do not reach epoch {epoch}"
        time.sleep(0.02)
