# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Environments are set apart: each pair of pods, both ways, by connections that are opened or are not."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from tests.support.isolation import Matrix, World, isolated_environments, table
from tests.support.lab import Lab
from tests.support.lab_runs import identity, lab_run, wait
from tests.support.playbooks import ROOT

POLICIES = "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies"
#: What must hold whatever else the documented matrix says: source, target, answer.
REQUIRED = [
    ("router", "model", "yes"),
    ("router", "model, by its Service", "yes"),
    ("health checker", "model", "yes"),
    ("health checker", "router", "yes"),
    ("Prometheus", "model", "yes"),
    ("Prometheus", "router", "yes"),
    ("Prometheus", "health checker", "yes"),
    ("verifier", "model", "yes"),
    ("model", "router", "no"),
    ("plain pod", "model", "no"),
    ("plain pod", "router", "no"),
    ("pod elsewhere", "model", "no"),
    ("model", "mirror in a private network", "yes"),
    ("router", "mirror in a private network", "no"),
    ("model", "public address, port 443", "yes"),
    ("router", "public address, port 443", "no"),
    ("router", "public address, port 53", "no"),
    ("health checker", "public address, port 53", "no"),
    ("router", "PostgreSQL outside", "yes"),
    ("model", "PostgreSQL outside", "no"),
    # It is there, and only policies keep pods from it.
    ("pod elsewhere", "metadata service", "yes"),
    ("pod with API access", "API server", "yes"),
    ("pod elsewhere", "API server", "yes"),
    ("plain pod", "API server", "no"),
]
INSIDE = ("model", "router", "health checker", "verifier", "pod with API access", "plain pod")
#: By policy of staging, what it decides: source, target, answer with it, answer without.
SINGLE = {
    "llmops-default-deny": [
        ("pod elsewhere", "plain pod", "no", "yes"),
        # The policy for DNS selects every pod, and so keeps all of them in, too.
        ("plain pod", "metadata service", "no", "no"),
    ],
    "llmops-allow-dns": [("plain pod", "DNS of the cluster", "yes", "no")],
    "llmops-allow-model-sources": [("model", "mirror in a private network", "yes", "no")],
    "llmops-allow-verifier": [("verifier", "model", "yes", "no")],
    "llmops-allow-api-server": [("pod with API access", "API server", "yes", "no")],
    "router": [("router", "model", "yes", "no"), ("pod elsewhere", "router", "yes", "no")],
    "health-checker": [("health checker", "model", "yes", "no")],
    "model-{name}": [
        ("Prometheus", "model", "yes", "no"),
        ("model", "public address, port 443", "yes", "no"),
    ],
}


@pytest.fixture(scope="module")
def world(lab: Lab, api: ClusterClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Make two environments and what is around them."""
    with isolated_environments(lab, api, tmp_path_factory.mktemp("isolation")) as made:
        yield made


@pytest.fixture(scope="module")
def matrices(world: World) -> dict[str, Matrix]:
    """Return who reaches whom, as seen from each environment."""
    with ThreadPoolExecutor(len(world.sources)) as pool:
        return dict(zip(world.sources, pool.map(world.matrix, world.sources), strict=True))


def test_what_must_hold_holds_in_both_environments(matrices: dict[str, Matrix]) -> None:
    for tier, matrix in matrices.items():
        wrong = [case for case in REQUIRED if matrix[case[0]][case[1]] != case[2]]
        assert not wrong, tier
        for source in INSIDE:
            row = matrix[source]
            assert row["DNS of the cluster"] == "yes"
            crossing = {target: answer for target, answer in row.items() if target.startswith("the other's")}
            assert set(crossing.values()) == {"no"}, f"{tier}: {source}: {crossing}"
            assert row["metadata service"] == "no"


def test_the_matrix_is_the_documented_one(matrices: dict[str, Matrix]) -> None:
    assert matrices["staging"] == matrices["production"]
    page = (ROOT / "docs/environment-separation.md").read_text(encoding="utf-8")
    documented = "\n".join(re.findall(r"^\| to, from .*(?:\n\|.*)*", page, re.MULTILINE))
    assert documented == table(matrices["staging"]), "make isolation prints the new one"


@pytest.mark.parametrize("policy", SINGLE)
def test_each_policy_decides_what_it_is_there_for(
    world: World, matrices: dict[str, Matrix], api: ClusterClient, policy: str
) -> None:
    """Without it the answer is another one, and with it again the first."""
    cases = SINGLE[policy]
    namespace = world.namespaces["staging"]
    path = POLICIES.format(namespace)
    name = policy.format(name=namespace.removeprefix("llm-"))
    found = api.get(f"{path}/{name}")
    kept = {
        key: found["metadata"][key] for key in ("name", "labels", "annotations") if key in found["metadata"]
    }

    def answers() -> list[str]:
        with ThreadPoolExecutor(len(cases)) as pool:
            return list(pool.map(lambda case: world.reach("staging", case[0], case[1]), cases))

    assert [matrices["staging"][source][target] for source, target, *_ in cases] == [
        case[2] for case in cases
    ]
    api.delete(f"{path}/{name}")
    try:
        wait(f"an end of {name}", lambda: answers() == [case[3] for case in cases], 15)
    finally:
        api.create(path, {**found, "metadata": kept})
    wait(f"the effect of {name}", lambda: answers() == [case[2] for case in cases], 15)


def test_nothing_passes_while_nobody_judges(world: World, lab: Lab) -> None:
    """A pod without any policy is let through, but not unseen."""

    def reach() -> str:
        return world.reach("staging", "pod elsewhere", "public address, port 443")

    assert reach() == "yes"
    os.kill(identity(lab, "network-policies")["pid"], signal.SIGKILL)
    try:
        assert reach() == "no"
    finally:
        lab_run()
    assert reach() == "yes"
