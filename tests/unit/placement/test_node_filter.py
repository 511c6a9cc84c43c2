# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each clause of the node filter excludes exactly its node, with the reason."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from ansible_collections.llmops.platform.plugins.module_utils._core.placement.scheduling import (
    Misfit,
    Node,
    PodShape,
    exclusion,
    shortage,
    slots,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.placement.selectors import (
    label_selector_matches,
    requirement_matches,
    tolerates,
)
from tests.support.kubernetes_objects import GPU, container, node, shape, template

EVERY_ADDRESS = "0.0.0.0"  # noqa: S104
TAINT = {"key": "team", "value": "a", "effect": "NoSchedule"}


def excluded(made: dict[str, Any], asked: PodShape) -> Misfit | None:
    return exclusion(asked, Node.from_object(made))


def with_allocatable(amounts: dict[str, str]) -> dict[str, Any]:
    made = node(gpus=0)
    made["status"]["allocatable"].update(amounts)
    return made


def required(*terms: dict[str, Any]) -> dict[str, Any]:
    return {
        "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}
    }


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


def test_a_plain_node_takes_the_pod() -> None:
    made = Node.from_object(node())
    assert exclusion(shape(), made) is None
    assert shortage(shape(), made) is None
    assert slots(shape(), made) == 8


@pytest.mark.parametrize(
    ("made", "asked", "cause", "heals", "words"),
    [
        (node(), shape(nodeSelector={"pool": "b"}), "node_selector", False, "pool=b (no label pool)"),
        (
            node(labels={"pool": "a"}), shape(nodeSelector={"pool": "b"}),
            "node_selector", False, "pool=b (pool=a)",
        ),
        (node(), shape(affinity=required(expression("x", "Exists"))), "node_affinity", False, "x exists"),
        (node(), shape(nodeName="n2"), "node_name", False, "n2"),
        (node(cordoned=True), shape(), "cordoned", True, "cordoned"),
        (node(taints=[TAINT]), shape(), "taint", False, "team=a:NoSchedule"),
        (
            node(taints=[{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}], ready=False),
            shape(),
            "taint", True, "not Ready",
        ),
        (node(taints=[{"key": "x", "effect": "NoExecute"}]), shape(), "taint", False, "x:NoExecute"),
    ],
)  # fmt: skip
def test_clause(made: dict[str, Any], asked: PodShape, cause: str, heals: bool, words: str) -> None:
    found = excluded(made, asked)
    assert found is not None
    assert (found.cause, found.heals) == (cause, heals)
    assert words in found.reason


def test_preferences_do_not_exclude() -> None:
    soft = {
        "preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 1, "preference": expression("x", "Exists")}
        ]
    }
    prefers = {"key": "x", "effect": "PreferNoSchedule"}
    assert excluded(node(taints=[prefers]), shape(affinity={"nodeAffinity": soft})) is None


@pytest.mark.parametrize(
    ("toleration", "covers"),
    [
        ({"key": "team", "operator": "Equal", "value": "a", "effect": "NoSchedule"}, True),
        ({"key": "team", "value": "a"}, True),
        ({"key": "team", "operator": "Exists"}, True),
        ({"operator": "Exists"}, True),
        ({"operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "team", "value": "b"}, False),
        ({"key": "team"}, False),
        ({"key": "other", "operator": "Exists"}, False),
    ],
)
def test_toleration(toleration: dict[str, Any], covers: bool) -> None:
    assert tolerates([toleration], TAINT) is covers


def test_cordon_can_be_tolerated() -> None:
    toleration = {"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}
    assert excluded(node(cordoned=True), shape(tolerations=[toleration])) is None


@pytest.mark.parametrize(
    ("operator", "values", "label", "matches"),
    [
        ("In", ["a", "b"], "a", True), ("In", ["a"], "c", False), ("In", ["a"], None, False),
        ("NotIn", ["a"], "c", True), ("NotIn", ["a"], "a", False), ("NotIn", ["a"], None, True),
        ("Exists", [], "", True), ("Exists", [], None, False),
        ("DoesNotExist", [], None, True), ("DoesNotExist", [], "a", False),
        ("Gt", ["5"], "6", True), ("Gt", ["5"], "5", False), ("Gt", ["5"], "six", False),
        ("Gt", ["5"], None, False), ("Gt", ["5"], "\u0666", False),
        ("Lt", ["5"], "-4", True), ("Lt", ["5"], "5", False), ("Lt", ["5"], "", False),
    ],
)  # fmt: skip
def test_requirement(operator: str, values: list[str], label: str | None, matches: bool) -> None:
    labels = {} if label is None else {"k": label}
    assert requirement_matches(labels, "k", operator, values) is matches


def test_terms_are_alternatives_and_an_empty_term_matches_nothing() -> None:
    both = {
        "matchExpressions": [
            *expression("x", "Exists")["matchExpressions"],
            *expression("y", "Exists")["matchExpressions"],
        ]
    }
    asked = shape(
        affinity=required(
            {}, both, {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n9"]}]}
        )
    )
    assert excluded(node(labels={"x": "1", "y": "1"}), asked) is None
    assert excluded(node("n9"), asked) is None
    assert excluded(node(labels={"x": "1"}), asked) is not None
    assert excluded(node(), shape(affinity=required({}))) is not None


def test_label_selectors_none_and_empty() -> None:
    assert not label_selector_matches(None, {"a": "b"})
    assert label_selector_matches({}, {})


@pytest.mark.parametrize(
    "resource", ["cpu", "memory", "ephemeral-storage", GPU, "nvidia.com/mig-1g.10gb", "hugepages-2Mi"]
)
def test_every_resource_counts(resource: str) -> None:
    amount = {"cpu": "4", "memory": "4Gi", "ephemeral-storage": "4Gi", "hugepages-2Mi": "4Mi"}.get(
        resource, "4"
    )
    asked = PodShape.from_pod_template(
        {"spec": {"containers": [container(limits={resource: amount})]}}, "mine"
    )
    free = {resource: amount}
    roomy = Node.from_object(with_allocatable(free))
    assert slots(asked, roomy) == 1
    roomy.take(asked.requests)
    found = shortage(asked, roomy)
    assert slots(asked, roomy) == 0
    assert found is not None
    assert (found.cause, found.resource, found.heals) == ("resource", resource, True)
    tiny = Node.from_object(with_allocatable({resource: "1" if amount == "4" else "1Mi"}))
    found = shortage(asked, tiny)
    assert found is not None
    assert not found.heals


def test_number_of_pods_counts_even_without_requests() -> None:
    full = Node.from_object(node(pods="1"))
    full.take({})
    found = shortage(shape(0), full)
    assert found is not None
    assert found.resource == "pods"


def test_an_overcommitted_node_still_takes_what_asks_for_nothing_there() -> None:
    shrunk = Node.from_object(node(gpus=2))
    shrunk.take({GPU: 8})
    assert slots(shape(0, cpu="1"), shrunk) == 32
    assert slots(shape(1), shrunk) == 0


def test_host_ports() -> None:
    asked = shape(containers=[container(ports=[{"containerPort": 80, "hostPort": 8000}])])
    free = Node.from_object(node())
    assert slots(asked, free) == 1
    free.host_ports.add(("127.0.0.1", "TCP", 8000))
    found = shortage(asked, free)
    assert found is not None
    assert found.cause == "host_port"
    udp = Node.from_object(node())
    udp.host_ports.add((EVERY_ADDRESS, "UDP", 8000))
    assert slots(asked, udp) == 1
    on_host = shape(hostNetwork=True, containers=[container(ports=[{"containerPort": 8000}])])
    assert on_host.host_ports == frozenset({(EVERY_ADDRESS, "TCP", 8000)})


@given(st.integers(0, 16), st.integers(1, 8), st.integers(0, 64), st.integers(1, 16), st.integers(0, 20))
def test_slots_are_how_often_a_pod_can_be_taken(
    gpus: int, need: int, cores: int, cpu: int, pods: int
) -> None:
    asked = shape(need, cpu=str(cpu))
    made = Node.from_object(node(gpus=gpus, cpu=str(cores), pods=str(pods)))
    expected = slots(asked, made)
    taken = 0
    while shortage(asked, made) is None:
        made.take(asked.requests)
        taken += 1
    assert taken == expected


@pytest.mark.parametrize(
    "broken",
    [
        {}, {"spec": {}}, {"spec": None}, {"spec": {"containers": "x"}}, {"spec": {"containers": [1]}},
        template(tolerations=1), template(affinity=[1]),
        template(affinity=required({"matchExpressions": [{"key": "x"}]})),
        template(topologySpreadConstraints=[{"whenUnsatisfiable": "DoNotSchedule"}]),
        template(affinity=required(expression("x", "in", "a"))),
        template(volumes=[{"persistentVolumeClaim": {"x": 1}}]),
    ],
)  # fmt: skip
def test_broken_template_is_an_invalid_error(broken: dict[str, Any]) -> None:
    with pytest.raises(PlatformError) as caught:
        PodShape.from_pod_template(broken, "mine")
    assert caught.value.error_class.value == "invalid"


def test_bad_quantity_names_its_place() -> None:
    bad = {"spec": {"containers": [container(), container(limits={"memory": "lots"})]}}
    with pytest.raises(PlatformError, match=r"spec\.containers\[1\]\.resources\.requests\.memory: 'lots'"):
        PodShape.from_pod_template(bad, "mine")
