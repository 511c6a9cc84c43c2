# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures of all tests, and their order. Those of a cluster: tests/support/cluster_fixtures.py."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.model_server import build_model_server
from tests.support.playbooks import ROOT, PlayRunner
from tests.support.recorder import Recorder
from tests.support.run_module import RunModule, module_runner

#: The folders, by what they occupy: quick ones first, and last what breaks the lab on purpose.
FOLDERS = ("unit", "chart", "services", "api", "lab", "lab/disruptive")


_LONG_CASE_S = 3600.0


def folder_of(path: Path) -> str:
    """Return the folder of a test; a new one has to be given its place above."""
    parents = [str(parent) for parent in path.relative_to(ROOT / "tests").parents]
    return next(parent for parent in parents if parent in FOLDERS)


def pytest_configure(config: pytest.Config) -> None:
    """Keep a record of what each folder costs; asked to end, put everything away as for Ctrl-C."""
    # Beside other lanes, a test may be kept waiting in the middle of an example.
    patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile("patient", patient)
    settings.load_profile("patient")
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    config.pluginmanager.register(Recorder(folder_of, config.rootpath))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the folders in their order; long cases get the time that they need."""
    items.sort(key=lambda item: FOLDERS.index(folder_of(item.path)))
    for item in items:
        if item.get_closest_marker("full") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(_LONG_CASE_S))


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the folder of the checkout."""
    return ROOT


@pytest.fixture
def play(tmp_path: Path) -> PlayRunner:
    """Return a runner of real playbooks, with files of its own."""
    return PlayRunner(tmp_path)


@pytest.fixture
def run_module(tmp_path: Path) -> RunModule:
    """Return a function that runs one module, in process (``action``) or by itself (``module``)."""
    # Arguments of a test are data, and hostile ones have to arrive as they are.
    return module_runner(PlayRunner(tmp_path, {"_ANSIBLE_TEMPLAR_UNTRUSTED_TEMPLATE_BEHAVIOR": "ignore"}))


@pytest.fixture(scope="session")
def model_server_binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the binary of the lab's model server, as built from the checkout."""
    return build_model_server(tmp_path_factory.mktemp("model-server"))
