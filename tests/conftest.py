# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures of all tests. Those of a cluster stand on ``lab``, which each folder that has one defines."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import (
    Authentication,
    ClusterClient,
)
from tests.support.kubectl import Kubectl
from tests.support.lab import Lab, fresh_namespace
from tests.support.model_server import build_model_server
from tests.support.object_set import ObjectSet
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


@pytest.fixture(scope="session")
def kubeconfig(lab: Lab) -> str:
    """Return the path of the administrator's kubeconfig."""
    return str(lab.kubeconfig)


@pytest.fixture(scope="session")
def api(kubeconfig: str) -> ClusterClient:
    """Return a client of the API server."""
    return ClusterClient(Authentication(kubeconfig=kubeconfig))


@pytest.fixture(scope="session")
def helm_binary(lab: Lab) -> str:
    """Return the path of Helm 4."""
    return str(lab.binary("helm"))


@pytest.fixture
def make_namespace(api: ClusterClient) -> Iterator[Callable[[str], str]]:
    """Return a function that makes a fresh namespace; all go away after the test, which does not wait."""
    with ExitStack() as namespaces:

        def make(prefix: str = "test") -> str:
            return namespaces.enter_context(fresh_namespace(api, prefix))

        yield make


@pytest.fixture
def namespace(make_namespace: Callable[[str], str]) -> str:
    """Return a fresh namespace."""
    return make_namespace("test")


@pytest.fixture(scope="session")
def kubectl(lab: Lab, kubeconfig: str) -> Kubectl:
    """Return kubectl with the administrator's access."""
    return Kubectl(lab.binary("kubectl"), kubeconfig)


@pytest.fixture
def restricted(namespace: str, kubectl: Kubectl) -> str:
    """Return a namespace whose pods must meet the Pod Security level "restricted"; what does not is told."""
    level = ["enforce", "warn", "audit"]
    labels = [f"pod-security.kubernetes.io/{mode}=restricted" for mode in level]
    labelled = kubectl.run("label", "namespace", namespace, *labels)
    assert labelled.returncode == 0, labelled.stderr
    return namespace


@pytest.fixture
def objects(kubeconfig: str, namespace: str) -> ObjectSet:
    """Return a set in a fresh namespace."""
    return ObjectSet(kubeconfig, namespace)
