# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever breaks: no request reaches a model whose withdrawal was acknowledged, healthy ones are served."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.faults.campaign import Round
from tests.integration.faults.faults import FAULTS, Fault
from tests.integration.faults.history import judge
from tests.integration.faults.world import FLIPPED, KEPT_OUT, ROUTERS, STEADY, World, running_world
from tests.support.load import Load


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Return all processes, running."""
    with running_world(tmp_path_factory.mktemp("faults")) as running:
        yield running


def play(world: World, fault: Fault) -> None:
    """Play one round of a fault under load and judge it."""
    urls = {name: world.routers[name].url for name in ROUTERS}
    with Load(urls, [*STEADY, *FLIPPED, KEPT_OUT]) as load:
        played = Round(world, load, fault)
        played.play()
    assert played.history.promises
    assert played.history.counts
    broken = judge(played.history, load.answers)
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_one_round(world: World, fault: Fault) -> None:
    play(world, fault)
