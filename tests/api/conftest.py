# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A control plane of the tests' own: its nodes exist in the API only, so nothing here runs a container."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.cluster_fixtures import (
    api,
    helm_binary,
    kubeconfig,
    kubectl,
    make_namespace,
    namespace,
    objects,
    restricted,
)
from tests.support.control_plane import running_control_plane
from tests.support.lab import Lab

__all__ = [
    "api",
    "helm_binary",
    "kubeconfig",
    "kubectl",
    "lab",
    "make_namespace",
    "namespace",
    "objects",
    "restricted",
]


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Return a lab without a kubelet; it ends with the tests."""
    with running_control_plane(tmp_path_factory.mktemp("control-plane")) as running:
        yield running
