# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever breaks: no request reaches a model whose withdrawal was acknowledged, healthy ones are served."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._module import Context
from ansible_collections.llmops.platform.plugins.modules import audit_info
from tests.services.faults.campaign import Round
from tests.services.faults.faults import FAULTS, Fault
from tests.services.faults.history import judge
from tests.services.faults.world import MODELS, ROUTERS, STEADY, World, running_world
from tests.support.load import Load


class Worlds:
    """Keeps one world for all tests. One that a test failed in is not used again."""

    def __init__(self, make_folder: Callable[[], Path]) -> None:
        """Start nothing yet; ``make_folder`` returns a folder for the logs of each world."""
        self._make_folder = make_folder
        self._stack = ExitStack()
        self._world: World | None = None

    def get(self) -> World:
        """Return the running world, a new one if need be."""
        if self._world is None:
            self._world = self._stack.enter_context(running_world(self._make_folder()))
        return self._world

    def end(self) -> None:
        """Stop everything."""
        self._world = None
        self._stack.close()


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worlds]:
    """Return what keeps the world."""
    kept = Worlds(lambda: tmp_path_factory.mktemp("faults"))
    yield kept
    kept.end()


def play(worlds: Worlds, fault: Fault) -> None:
    """Play one round of a fault under load and judge it."""
    world = worlds.get()
    urls = {name: world.routers[name].url for name in ROUTERS}
    try:
        with Load(urls, MODELS) as load:
            played = Round(world, load, fault)
            played.play()
        assert played.history.promises
        assert played.history.counts
        broken = judge(played.history, load.answers)
        assert not broken, "\n".join(broken)
    except BaseException:
        worlds.end()
        raise


def audit(world: World) -> dict[str, Any]:
    """Verify the audit log with the module ``audit_info``."""
    defaults = {name: option.get("default") for name, option in audit_info.ARGUMENT_SPEC.items()}
    given = {"dsn": world.dsn("deployer"), "verify": True}
    return audit_info.run(defaults | given, Context()).result


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_one_round(worlds: Worlds, fault: Fault) -> None:
    play(worlds, fault)


@pytest.mark.full
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@pytest.mark.parametrize("number", range(2, 21))
def test_more_rounds(worlds: Worlds, fault: Fault, number: int) -> None:
    play(worlds, fault)


def test_the_audit_log_is_whole_after_all_of_that(worlds: Worlds) -> None:
    world = worlds.get()
    # Something besides the registrations, where this is the only test.
    world.entry(STEADY[0], desired_state="disabled", timeout=5.0)
    world.entry(STEADY[0], desired_state="enabled", status="ready", timeout=5.0)
    assert audit(world)["rows"] > len(MODELS)
    # Every change of an entry is in the history and in the log, whatever happened around it.
    changes = "SELECT model_name, count(*) FROM {} WHERE model_name IS NOT NULL GROUP BY 1 ORDER BY 1"
    assert world.query(changes.format("audit_log")) == world.query(changes.format("model_registry_history"))
    # Nobody but a superuser who switches the triggers off can do this.
    forgery = "SET session_replication_role = replica; UPDATE audit_log SET actor = %s WHERE seq = 2"
    (genuine,) = world.query("SELECT actor FROM audit_log WHERE seq = 2")[0]
    world.query(forgery, ("somebody else",))
    with pytest.raises(PlatformError, match="changed") as found:
        audit(world)
    assert found.value.error_class is ErrorClass.VERIFICATION
    world.query(forgery, (genuine,))
    assert audit(world)["verified"]
