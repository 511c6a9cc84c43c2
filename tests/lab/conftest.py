# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shared lab: a real cluster whose node runs containers, a real database, real binaries."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from pathlib import Path

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
from tests.support.lab import Lab, fresh_database, lab_folder, running_lab

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
def lab() -> Iterator[Lab]:
    """Return the running lab; it is started if need be and left running. It is one run's alone."""
    with Path(f"{lab_folder()}.tests.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pytest.exit("another run of tests uses the lab; they would break it for each other", 1)
        yield running_lab()


@pytest.fixture
def registry_dsn(lab: Lab) -> Iterator[str]:
    """Return the DSN of a fresh, empty database on the lab's PostgreSQL; it is dropped after the test."""
    with fresh_database(lab) as dsn:
        yield dsn
