# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures that reach the lab: a real cluster, a real database, real binaries. Nothing is mocked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import (
    Authentication,
    ClusterClient,
)
from tests.support.lab import Lab, fresh_database, fresh_namespace, running_lab
from tests.support.litellm_proxy import LiteLLMProxy, database_of_proxy, installed
from tests.support.model_server import build_model_server
from tests.support.playbooks import PlayRunner, TaskResult, module_play


class RunModule(Protocol):
    """Runs one module of the collection through real ``ansible-playbook``."""

    def __call__(
        self,
        module: str,
        arguments: dict[str, Any],
        *,
        mode: str = "action",
        check: bool = False,
        diff: bool = False,
        **keywords: Any,
    ) -> TaskResult:
        """Return the task's result, failed or not. ``mode`` is ``action`` or ``module``."""


@pytest.fixture(scope="session")
def lab() -> Lab:
    """Return the running lab; it is started if need be and left running."""
    return running_lab()


@pytest.fixture(scope="session")
def kubeconfig(lab: Lab) -> str:
    """Return the path of the administrator's kubeconfig."""
    return str(lab.kubeconfig)


@pytest.fixture(scope="session")
def api(kubeconfig: str) -> ClusterClient:
    """Return a client of the lab's API server."""
    return ClusterClient(Authentication(kubeconfig=kubeconfig))


@pytest.fixture(scope="session")
def litellm_proxy(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiteLLMProxy]:
    """Return a running LiteLLM proxy with a database of its own; it takes some 10 s to start."""
    installation = installed()
    with database_of_proxy(lab, installation) as url:
        folder = tmp_path_factory.mktemp("litellm")
        with LiteLLMProxy(installation, folder, database=url) as running:
            yield running


@pytest.fixture(scope="session")
def helm_binary(lab: Lab) -> str:
    """Return the path of Helm 4."""
    return str(lab.binary("helm"))


@pytest.fixture(scope="session")
def helm3_binary(lab: Lab) -> str:
    """Return the path of Helm 3."""
    return str(lab.binary("helm3"))


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


@pytest.fixture
def registry_dsn(lab: Lab) -> Iterator[str]:
    """Return the DSN of a fresh, empty database on the lab's PostgreSQL; it is dropped after the test."""
    with fresh_database(lab) as dsn:
        yield dsn


@pytest.fixture(scope="session")
def model_server_binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the binary of the lab's model server, as built from the checkout."""
    return build_model_server(tmp_path_factory.mktemp("model-server"))


@pytest.fixture
def run_module(tmp_path: Path) -> RunModule:
    """Return a function that runs one module, in process (``action``) or by itself (``module``)."""
    # Arguments of a test are data, and hostile ones have to arrive as they are.
    runner = PlayRunner(tmp_path, {"_ANSIBLE_TEMPLAR_UNTRUSTED_TEMPLATE_BEHAVIOR": "ignore"})

    def run(
        module: str,
        arguments: dict[str, Any],
        *,
        mode: str = "action",
        check: bool = False,
        diff: bool = False,
        **keywords: Any,
    ) -> TaskResult:
        play = module_play(module, arguments, in_process=mode == "action", check=check, diff=diff, **keywords)
        finished = runner.run(play)
        assert len(finished.tasks) == 1, finished.output
        return finished.tasks[0]

    return run
