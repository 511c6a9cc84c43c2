# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The API server is the judge of what the chart renders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from tests.support.chart import ENVIRONMENTS, EVERYTHING, HelmChart
from tests.support.gateway_api import gateway_api
from tests.support.kubectl import Kubectl


@pytest.fixture(scope="module", autouse=True)
def definitions(api: ClusterClient) -> Iterator[None]:
    """Install the Gateway API."""
    with gateway_api(api):
        yield


def assert_accepted(kubectl: Kubectl, manifest: str, expected: int) -> None:
    """POST each object with ``dryRun=All`` and strict field validation: no error and no warning."""
    answer = kubectl.run(
        "create", "--dry-run=server", "--validate=strict", "--output=name", "--filename=-", stdin=manifest
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stderr == ""
    assert len(answer.stdout.splitlines()) == expected


@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["defaults", "everything"])
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_api_server_accepts_every_object(
    helm_binary: str, kubectl: Kubectl, restricted: str, environment: str, values: dict[str, Any]
) -> None:
    rendered = HelmChart(Path(helm_binary)).render(values, environment=environment, namespace=restricted)
    assert_accepted(kubectl, rendered.text, len(rendered.objects))


@pytest.mark.parametrize("strategy", ["surge", "unavailable-first", "recreate"])
def test_api_server_accepts_every_strategy(
    helm_binary: str, kubectl: Kubectl, restricted: str, strategy: str
) -> None:
    rendered = HelmChart(Path(helm_binary)).render({"strategy": strategy}, namespace=restricted)
    assert_accepted(kubectl, rendered.text, len(rendered.objects))


def test_api_server_accepts_the_network_of_the_node(
    helm_binary: str, kubectl: Kubectl, namespace: str
) -> None:
    values = {
        "hostNetwork": True,
        "networkPolicy": {"enabled": False},
        "gpu": {"extraResources": {"rdma/ib": 1}},
        "securityContext": {"capabilities": {"add": ["IPC_LOCK"]}},
    }
    rendered = HelmChart(Path(helm_binary)).render(values, namespace=namespace)
    assert_accepted(kubectl, rendered.text, len(rendered.objects))


def test_the_namespace_really_judges(helm_binary: str, kubectl: Kubectl, restricted: str) -> None:
    rendered = HelmChart(Path(helm_binary)).render(namespace=restricted).text
    spoiled = rendered.replace("runAsNonRoot: true", "runAsNonRoot: false")
    answer = kubectl.run("create", "--dry-run=server", "--output=name", "--filename=-", stdin=spoiled)
    assert "restricted" in answer.stderr
    misspelt = rendered.replace("enableServiceLinks:", "enableServiceLink:")
    answer = kubectl.run("create", "--dry-run=server", "--validate=strict", "--filename=-", stdin=misspelt)
    assert "enableServiceLink" in answer.stderr
