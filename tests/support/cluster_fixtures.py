# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures of tests that have a cluster, on top of ``lab``, which each folder defines for itself.

Each folder imports them into its ``conftest.py``: defined once for all folders, pytest would keep what stands
on the first ``lab`` of a run for the other folder too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import (
    Authentication,
    ClusterClient,
)
from tests.support.kubectl import Kubectl
from tests.support.lab import Lab, fresh_namespace
from tests.support.object_set import ObjectSet


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
