# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is asked for is checked before anything is tried, and becomes values that nobody can override."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.common.names import slug
from ansible_collections.llmops.platform.plugins.module_utils._core.helm.storage import ReleaseRecord
from ansible_collections.llmops.platform.plugins.module_utils._core.release.comparison import (
    Comparison,
    changes_pods,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.release.plan import Plan
from ansible_collections.llmops.platform.plugins.module_utils._core.release.rendering import (
    Rendered,
    rendered_strategy,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.release.request import (
    ReleaseRequest,
    check_owner,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.release.tools import Waits
from tests.support.chart import CHART

MODEL = "meta-llama/Llama-3.1-8B-Instruct"


def request(**changes: Any) -> ReleaseRequest:
    given = {"model": MODEL, "environment": "staging", "namespace": "llm", "chart": str(CHART), **changes}
    return ReleaseRequest.build(**given)


def test_a_request_names_release_and_endpoint() -> None:
    made = request()
    assert made.name == f"{slug(MODEL)}-staging"
    assert made.endpoint == f"http://{made.name}.llm.svc.cluster.local:8000"
    assert made.selector == f"app.kubernetes.io/name=vllm,app.kubernetes.io/instance={made.name}"
    assert made.chart_name == "vllm-deployment"
    assert request(name="mine").name == "mine"


def test_identity_is_added_to_the_values_and_the_environment_has_its_file() -> None:
    values = {"model": {"sizeBillions": 8}, "a": 1}
    spec = request(values=values, environment="development").spec("surge")
    assert spec.values == {
        "model": {"name": MODEL, "sizeBillions": 8},
        "environment": "development",
        "tier": "development",
        "slug": slug(MODEL),
        "a": 1,
        "strategy": "surge",
    }
    assert spec.values_files == (CHART / "values-development.yaml",)
    assert values == {"model": {"sizeBillions": 8}, "a": 1}
    assert "strategy" not in request().spec(None).values


def test_the_identity_may_be_repeated() -> None:
    values = {"model": {"name": MODEL}, "environment": "staging", "tier": "staging", "slug": slug(MODEL)}
    assert request(values=values).spec(None).values == values


@pytest.mark.parametrize(
    ("changes", "field", "shown"),
    [
        ({"model": ""}, "model", "''"),
        ({"model": "{{ x }}"}, "model", "'{{ x }}'"),
        ({"model": "x" * 513}, "model", "characters)"),
        ({"environment": "Q A"}, "environment", "'Q A'"),
        ({"environment": "qa"}, "tier", "'qa'"),
        ({"environment": "qa", "tier": "prod"}, "tier", "'prod'"),
        ({"values": {"tier": "production"}}, "chart_values.tier", "'production'"),
        ({"namespace": "Llm"}, "namespace", "'Llm'"),
        ({"namespace": "../x"}, "namespace", "'../x'"),
        ({"name": "Upper"}, "name", "'Upper'"),
        ({"name": "a" * 54}, "name", "aaa"),
        ({"chart": "/nonexistent"}, "chart_path", "'/nonexistent'"),
        ({"chart": str(CHART / "Chart.yaml")}, "chart_path", "Chart.yaml"),
        ({"values": {"model": "a name"}}, "chart_values.model", "'a name'"),
        ({"values": {"model": ["a"]}}, "chart_values.model", "['a']"),
        ({"values": {"model": {"name": "org/other"}}}, "chart_values.model.name", "'org/other'"),
        ({"values": {"environment": "production"}}, "chart_values.environment", "'production'"),
        ({"values": {"slug": "x"}}, "chart_values.slug", "'x'"),
        ({"values": {"since": date(2026, 1, 31)}}, "chart_values.since", "2026"),
        ({"values": {"ratio": float("nan")}}, "chart_values.ratio", "nan"),
        ({"values": {"a": [{"b": float("inf")}]}}, "chart_values.a[0].b", "inf"),
        ({"values": {"a": {1: date(2026, 1, 31)}}}, "chart_values.a.1", "2026"),
        ({"values": {"a": b"x"}}, "chart_values.a", "b'x'"),
    ],
)
def test_bad_input_names_field_value_and_what_to_do(changes: dict[str, Any], field: str, shown: str) -> None:
    with pytest.raises(PlatformError) as caught:
        request(**changes)
    error = caught.value
    assert error.error_class is ErrorClass.INVALID
    assert error.details == {"field": field}
    assert error.message.startswith(f"{field}: ")
    assert shown in error.message
    assert len(error.resolution) > 20


@pytest.mark.parametrize("content", ["", "just text", "a: [1", "name: x", "[]", "7", "\xff\xfe"])
def test_what_is_no_chart_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "Chart.yaml").write_bytes(content.encode("latin-1"))
    with pytest.raises(PlatformError, match="is not a Helm chart") as caught:
        request(chart=str(tmp_path))
    assert caught.value.details == {"field": "chart_path"}


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ({"type": "Recreate"}, "recreate"),
        ({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}, "surge"),
        (
            {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
            "unavailable-first",
        ),
        ({"rollingUpdate": {"maxSurge": "0%"}}, "unavailable-first"),
        ({"rollingUpdate": {"maxSurge": "0"}}, "unavailable-first"),
        # What Kubernetes does where nothing is said: 25 % of one replica, rounded up, is a second pod.
        ({"type": "RollingUpdate"}, "surge"),
        ({}, "surge"),
        (None, "surge"),
    ],
)
def test_strategy_in_the_words_of_the_chart(strategy: dict[str, Any] | None, expected: str) -> None:
    assert rendered_strategy({"spec": {"strategy": strategy}}) == expected


TEMPLATE = {
    "spec": {"containers": [{"name": "vllm", "args": ["serve"], "env": [{"name": "A", "value": "1"}]}]}
}


def record(**changes: Any) -> ReleaseRecord:
    manifest = {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"template": TEMPLATE}}
    made = ReleaseRecord(
        revision=3,
        status="deployed",
        modified_at=datetime(2026, 11, 21, tzinfo=UTC),
        manifest=json.dumps(manifest),
        config={"model": {"name": MODEL}},
        chart_name="vllm-deployment",
        chart_version="0.1.0",
        description="",
        secret={"metadata": {}},
    )
    return replace(made, **changes)


@pytest.mark.parametrize(
    "owned",
    [None, record(), record(config={}), record(config={"model": None}), record(config={"model": "x"})],
)
def test_our_own_release_may_be_changed(owned: ReleaseRecord | None) -> None:
    wanted = request()
    check_owner(owned, wanted.name, wanted.model, wanted.chart_name)


@pytest.mark.parametrize(
    ("foreign", "shown"),
    [
        (record(chart_name="postgresql"), "another chart, postgresql"),
        (record(config={"model": {"name": "org/other"}}), "another model, 'org/other'"),
    ],
)
def test_the_release_of_somebody_else_is_not_touched(foreign: ReleaseRecord, shown: str) -> None:
    wanted = request()
    with pytest.raises(PlatformError, match=shown) as caught:
        check_owner(foreign, wanted.name, wanted.model, wanted.chart_name)
    assert caught.value.error_class is ErrorClass.INVALID


def live(template: dict[str, Any]) -> dict[str, Any]:
    """Return the Deployment as the API server holds it, with a default of its own."""
    made: dict[str, Any] = json.loads(json.dumps({"spec": {"template": template}}))
    made["spec"]["template"]["spec"]["restartPolicy"] = "Always"
    return made


def changed(**fields: Any) -> dict[str, Any]:
    container = {**TEMPLATE["spec"]["containers"][0], **fields}
    return {"spec": {"containers": [container]}}


def test_the_same_template_makes_no_new_pods() -> None:
    assert not changes_pods(TEMPLATE, record(), live(TEMPLATE))


@pytest.mark.parametrize(
    "template",
    [
        changed(env=[]),
        changed(args=[]),
        changed(args=["serve", "--x"]),
        changed(env=[{"name": "A", "value": "2"}]),
        changed(env=[{"name": "A", "value": "1"}, {"name": "B", "value": "1"}]),
        changed(image="x:2"),
    ],
)
def test_a_changed_template_makes_new_pods_also_where_something_was_removed(template: dict[str, Any]) -> None:
    assert changes_pods(template, record(), live(TEMPLATE))


def test_new_pods_are_expected_where_the_cluster_or_the_record_is_not_as_it_should_be() -> None:
    assert changes_pods(TEMPLATE, record(), live(changed(args=["serve", "--drifted"])))
    assert changes_pods(TEMPLATE, record(status="failed"), live(TEMPLATE))
    assert changes_pods(TEMPLATE, record(manifest=""), live(TEMPLATE))
    assert changes_pods(TEMPLATE, None, live(TEMPLATE))


def plan(
    action: str,
    *,
    replicas: int = 3,
    surge: int = 1,
    strategy: str = "RollingUpdate",
    new_pods: bool = True,
    there: bool = True,
) -> Plan:
    """Return a plan for a Deployment that is ``there`` or not, with ``new_pods`` or without."""
    how: dict[str, Any] = {"type": strategy}
    if strategy == "RollingUpdate":
        how["rollingUpdate"] = {"maxSurge": surge, "maxUnavailable": 1 - surge}
    template = changed(image="x:2") if new_pods else TEMPLATE
    spec = {"replicas": replicas, "progressDeadlineSeconds": 1200, "strategy": how, "template": template}
    manifest = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "m"}, "spec": spec}
    rendered = Rendered(request().spec(None), json.dumps(manifest), "")
    found = Comparison(rendered, record() if there else None, live(TEMPLATE) if there else None)
    return Plan(action, found, rendered.strategy)


@pytest.mark.parametrize(
    ("planned", "seconds"),
    [
        (plan("install", there=False), 1260),
        (plan("upgrade"), 3660),
        (plan("upgrade", surge=0), 3660),
        (plan("upgrade", replicas=1), 1260),
        (plan("upgrade", replicas=0), 1260),
        # All pods are new at the same time.
        (plan("upgrade", strategy="Recreate"), 1260),
        (plan("upgrade", new_pods=False), 1260),
        # What an earlier run began is followed to its end.
        (plan("none"), 3660),
    ],
)
def test_a_rollout_has_time_for_each_pod_that_waits_for_another(planned: Plan, seconds: float) -> None:
    assert Waits().rollout(planned).seconds == seconds
    assert Waits(rollout_s=5).rollout(planned).seconds == 5


def test_no_part_gets_more_than_what_is_left_of_the_whole() -> None:
    now = [0.0]
    waits = Waits(Deadline(1000, clock=lambda: now[0]), rollout_s=5000)
    now[0] = 900
    assert waits.rollout(plan("none")).seconds == 100
    assert waits.helm().seconds == 100
