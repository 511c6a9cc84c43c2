# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How an update of the real chart is planned on small clusters in memory: by surge, or old pods first."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import Authentication
from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.manifests import (
    find_object,
    parse_manifest,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.helm.binary import Helm
from ansible_collections.llmops.platform.plugins.module_utils._core.helm.storage import ReleaseRecord
from ansible_collections.llmops.platform.plugins.module_utils._core.release import result
from ansible_collections.llmops.platform.plugins.module_utils._core.release.capacity import assess_room
from ansible_collections.llmops.platform.plugins.module_utils._core.release.comparison import compare
from ansible_collections.llmops.platform.plugins.module_utils._core.release.plan import (
    Plan,
    plan_change,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.release.rendering import (
    Renderer,
    asked_strategy,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.release.request import ReleaseRequest
from tests.support.chart import CHART, MODEL
from tests.support.kubernetes_objects import Cluster, node
from tests.support.lab import lab_folder

Object = dict[str, Any]
CORE = "/api/v1/namespaces/llm"
GPU_NODE = {"pool": "old"}


@pytest.fixture(scope="module")
def helm() -> Helm:
    """Return a helm that reaches no cluster."""
    return Helm(str(lab_folder() / "bin/helm"), Authentication(kubeconfig=os.devnull))


def request(values: Object, strategy: str = "auto") -> ReleaseRequest:
    return ReleaseRequest.build(
        model=MODEL,
        environment="staging",
        namespace="llm",
        chart=str(CHART),
        values=values,
        strategy=strategy,
    )


def planned(
    helm: Helm,
    before: Object,
    after: Object,
    *nodes: Object,
    strategy: str = "auto",
    claims: list[Object] | None = None,
    status: Object | None = None,
    check_capacity: bool = True,
    deleted: bool = False,
) -> Plan:
    """Plan the update of a release whose pods run, where there is room, unless its Deployment was deleted."""
    asked = request(before)
    spec = asked.spec(None)
    manifest = helm.template(spec, Deadline(60))
    deployment = find_object(parse_manifest(manifest), "Deployment")
    assert deployment is not None
    replicas = deployment["spec"]["replicas"]
    deployment["status"] = status or dict.fromkeys(
        ("replicas", "updatedReplicas", "availableReplicas"), replicas
    )
    template = deployment["spec"]["template"]
    pods = [
        {
            "metadata": {"name": f"p{number}", "namespace": "llm", "labels": template["metadata"]["labels"]},
            "spec": {**template["spec"], "nodeName": nodes[number % len(nodes)]["metadata"]["name"]},
            "status": {"phase": "Running"},
        }
        for number in range(0 if deleted else replicas)
    ]
    others = {
        "/api/v1/namespaces": [{"metadata": {"name": "llm"}}],
        "/apis/apps/v1/namespaces/llm/deployments": [] if deleted else [deployment],
        f"{CORE}/persistentvolumeclaims": claims or [],
        "/api/v1/persistentvolumes": [{"metadata": {"name": "pv"}, "spec": {}}],
    }
    record = ReleaseRecord(
        revision=1,
        status="deployed",
        modified_at=datetime(2026, 11, 21, tzinfo=UTC),
        manifest=manifest,
        config=dict(spec.values),
        chart_name="vllm-deployment",
        chart_version="0.1.0",
        description="",
        secret={"metadata": {}},
    )
    cluster = Cluster(*nodes, pods=pods, others=others)
    wanted = request(after, strategy)
    renderer = Renderer(helm.template, wanted, lambda: Deadline(60))
    assess = partial(assess_room, cluster, None) if check_capacity else None
    return plan_change(
        compare(cluster, renderer, wanted, record), asked_strategy(wanted), assess, renderer.render
    )


def gpus(count: int, replicas: int = 1, **more: Any) -> Object:
    return {"replicas": replicas, "gpu": {"count": count}, **more}


def gpu_node(name: str = "a", count: int = 8, **more: Any) -> Object:
    return node(name, count, labels=GPU_NODE, **{"memory": "2000Gi", **more})


LONGER: Object = {"model": {"maxModelLen": 1024}}


def outcome(plan: Plan) -> tuple[str, int]:
    assert plan.verdict is not None
    assert plan.verdict.fits
    assert plan.room is not None
    return plan.strategy, plan.room.pods


def test_one_free_slot_goes_round_where_new_pods_are_no_larger(helm: Helm) -> None:
    assert outcome(planned(helm, gpus(2, 3), gpus(2, 3, **LONGER), gpu_node())) == ("surge", 1)
    assert outcome(planned(helm, gpus(4, 1), gpus(2, 1), gpu_node())) == ("surge", 1)
    assert outcome(planned(helm, gpus(2, 2), gpus(2, 3, **LONGER), gpu_node())) == ("surge", 2)


def test_larger_pods_surge_only_where_all_of_them_fit_beside_the_old_ones(helm: Helm) -> None:
    before, after = gpus(2, 2), gpus(4, 2)
    # 4 are free: for the first new pod, but not for the second, which an old one of 2 makes no room for.
    assert outcome(planned(helm, before, after, gpu_node())) == ("unavailable-first", 2)
    assert outcome(planned(helm, before, after, gpu_node(count=12))) == ("surge", 2)


@pytest.mark.parametrize(
    "grown",
    [
        {"gpu": {"count": 2, "resources": {"requests": {"cpu": "12"}}}},
        {"gpu": {"count": 2, "resources": {"requests": {"memory": "40Gi"}}}},
        {"scheduling": {"nodeSelector": {"pool": "new"}}},
        {"scheduling": {"tolerations": []}},
        {"scheduling": {"runtimeClassName": "nvidia"}},
        {"persistence": {"enabled": True, "accessModes": ["ReadWriteMany"]}},
    ],
    ids=lambda values: next(iter(values)),
)
def test_old_places_count_only_where_the_same_rules_hold(helm: Helm, grown: Object) -> None:
    nodes = [gpu_node("a", 4), node("b", 2, labels={**GPU_NODE, "pool": "new"}, memory="2000Gi")]
    plan = planned(helm, gpus(2, 2), {**gpus(2, 2), **grown}, *nodes, strategy="surge")
    assert plan.room is not None
    assert plan.room.pods == 2


def test_old_places_do_not_count_while_an_earlier_update_is_under_way(helm: Helm) -> None:
    # The Deployment asks for 4 GPUs a pod by now; its pods of before may have been smaller.
    status = {"replicas": 3, "updatedReplicas": 1}
    plan = planned(helm, gpus(4, 2), gpus(4, 2, **LONGER), gpu_node(count=12), status=status)
    assert outcome(plan) == ("unavailable-first", 2)


def test_more_replicas_alone_need_no_slot_to_replace_one(helm: Helm) -> None:
    plan = planned(helm, gpus(4, 1), gpus(4, 2), gpu_node(), strategy="surge")
    assert outcome(plan) == ("surge", 1)


def claim(name: str, *modes: str) -> Object:
    return {"metadata": {"name": name}, "spec": {"accessModes": list(modes), "volumeName": "pv"}}


@pytest.mark.parametrize(("mode", "strategy"), [("ReadWriteMany", "surge"), ("ReadWriteOnce", "recreate")])
def test_turning_on_persistence_brings_its_own_claim(helm: Helm, mode: str, strategy: str) -> None:
    after = gpus(1, persistence={"enabled": True, "accessModes": [mode]})
    plan = planned(helm, gpus(1), after, gpu_node())
    assert outcome(plan) == (strategy, 1)
    assert plan.wanted.claims == (f"{plan.wanted.spec.name}-cache",)


@pytest.mark.parametrize(("mode", "strategy"), [("ReadWriteMany", "surge"), ("ReadWriteOnce", "recreate")])
def test_a_claim_of_somebody_else_decides_as_well(helm: Helm, mode: str, strategy: str) -> None:
    before = gpus(1, persistence={"enabled": True, "existingClaim": "weights"})
    plan = planned(helm, before, {**before, **LONGER}, gpu_node(), claims=[claim("weights", mode)])
    assert outcome(plan) == (strategy, 1)


def test_the_strategy_of_the_last_update_does_not_stand_against_new_values(helm: Helm) -> None:
    after = gpus(1, persistence={"enabled": True, "accessModes": ["ReadWriteOncePod"]})
    plan = planned(helm, {**gpus(1), "strategy": "surge"}, after, gpu_node())
    assert outcome(plan) == ("recreate", 1)


def test_a_claim_that_nobody_brings_never_fits(helm: Helm) -> None:
    after = gpus(1, persistence={"enabled": True, "existingClaim": "weights"})
    plan = planned(helm, gpus(1), after, gpu_node())
    assert plan.verdict is not None
    assert plan.verdict.permanent


@pytest.mark.parametrize(
    ("mode", "strategy"), [("ReadWriteMany", "unavailable-first"), ("ReadWriteOnce", "recreate")]
)
def test_without_the_capacity_check_no_free_slot_is_counted_on(helm: Helm, mode: str, strategy: str) -> None:
    before = gpus(1, persistence={"enabled": True, "existingClaim": "weights"})
    shared = [claim("weights", mode)]
    # What an earlier run chose is on record, and says nothing about now.
    plan = planned(helm, {**before, "strategy": "surge"}, {**before, **LONGER}, gpu_node(), claims=shared,
                   check_capacity=False)  # fmt: skip
    assert (plan.strategy, plan.verdict) == (strategy, None)


def warnings(plan: Plan, after: Object) -> list[str]:
    name = plan.wanted.spec.name
    return [text.removeprefix(f"{name}: ") for text in result.warnings(request(after), plan)]


def test_warnings_say_what_the_capacity_check_saw_and_why_the_model_is_away(helm: Helm) -> None:
    before = gpus(1, persistence={"enabled": True, "existingClaim": "weights"})
    after = {**before, "replicas": 2, **LONGER}
    shared = [claim("weights", "ReadWriteOnce")]
    plan = planned(helm, before, after, gpu_node(), claims=shared)
    assert warnings(plan, after) == [
        "Claim weights is ReadWriteOnce: replicas on different nodes will not all start.",
        "all old pods go before a new one starts (strategy recreate), so the model is away meanwhile.",
    ]
    after = gpus(8, 1, **LONGER)
    (warning,) = warnings(planned(helm, gpus(8, 1), after, gpu_node()), after)
    assert warning.startswith("the only pod goes before a new one starts (strategy unavailable-first), so ")


def test_a_model_that_does_not_serve_is_away_however_its_pods_are_replaced(helm: Helm) -> None:
    """Then no row may go on saying that it is ready; and nobody is warned of what is so already."""
    before, after = gpus(1), gpus(1, **LONGER)
    serving = planned(helm, before, after, gpu_node())
    assert (serving.strategy, serving.interrupts) == ("surge", False)
    # One failed readiness probe takes nobody's route away.
    for since, interrupts in ((timedelta(seconds=20), False), (timedelta(minutes=5), True)):
        changed = (datetime.now(UTC) - since).isoformat()
        condition = {"type": "Available", "status": "False", "lastTransitionTime": changed}
        status = {"replicas": 1, "updatedReplicas": 1, "conditions": [condition]}
        away = planned(helm, before, after, gpu_node(), status=status)
        assert (away.strategy, away.interrupts, warnings(away, after)) == ("surge", interrupts, [])
    gone = planned(helm, before, before, gpu_node(), deleted=True)
    assert (gone.action, gone.interrupts, warnings(gone, before)) == ("upgrade", True, [])
    assert planned(helm, before, before, gpu_node()).interrupts is False
