# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bad values are refused, and the message names the field."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.chart import CHART, HelmChart, RenderError

# Values, and the field as the schema's message names it.
REFUSED_BY_SCHEMA: list[tuple[dict[str, Any], str]] = [
    ({"model": {"name": ""}}, "/model/name"),
    ({"model": {"name": None}}, "model"),
    ({"model": {"name": 7}}, "/model/name"),
    ({"model": {"name": "--trust-remote-code"}}, "/model/name"),
    ({"model": {"servedName": "a\x00b"}}, "/model/servedName"),
    ({"model": {"sizeBillions": -7}}, "/model/sizeBillions"),
    ({"model": {"sizeBillions": "7B"}}, "/model/sizeBillions"),
    ({"model": {"maxModelLen": 0}}, "/model/maxModelLen"),
    ({"model": {"dtype": "int3"}}, "/model/dtype"),
    ({"model": {"gpuMemoryUtilization": 1.5}}, "/model/gpuMemoryUtilization"),
    ({"model": {"revision": "main; reboot"}}, "/model/revision"),
    ({"model": {"extraArgs": "--enable-lora"}}, "/model/extraArgs"),
    # What does not fit Go's numbers would be rendered as another number.
    ({"model": {"maxModelLen": 999999999999999999999999}}, "/model/maxModelLen"),
    ({"model": {"extraEnv": [{"name": "A", "value": 1}]}}, "/model/extraEnv/0/value"),
    ({"model": {"modle": "typo"}}, "modle"),
    ({"environment": "Prod"}, "/environment"),
    ({"slug": "Not_A_Label"}, "/slug"),
    ({"image": {"tag": 1.5}}, "/image/tag"),
    ({"image": {"tag": None}}, "/image"),
    ({"image": {"digest": "sha256:12"}}, "/image/digest"),
    ({"replicas": -1}, "/replicas"),
    ({"replicas": 1.5}, "/replicas"),
    ({"replicas": "two"}, "/replicas"),
    ({"strategy": "blue-green"}, "/strategy"),
    ({"gpu": {"count": -1}}, "/gpu/count"),
    ({"gpu": {"resource": "gpu"}}, "/gpu/resource"),
    ({"gpu": {"resources": {"requests": {"memory": "lots"}}}}, "/gpu/resources/requests/memory"),
    ({"gpu": {"resources": {"limits": {"cpu": -1}}}}, "/gpu/resources/limits/cpu"),
    ({"resources": {}}, "resources"),
    ({"probes": {"startup": {"periodSeconds": 0}}}, "/probes/startup/periodSeconds"),
    ({"probes": {"readiness": {"path": "health"}}}, "/probes/readiness/path"),
    ({"probes": {"readiness": {"initialDelay": 3}}}, "initialDelay"),
    ({"secrets": {"hfToken": {"value": "hf_secret"}}}, "/secrets/hfToken"),
    ({"secrets": {"apiKey": "sk-secret"}}, "/secrets/apiKey"),
    ({"persistence": {"accessModes": []}}, "/persistence/accessModes"),
    ({"persistence": {"accessModes": ["ReadOnlyMany"]}}, "/persistence/accessModes/0"),
    ({"service": {"port": 9000}}, "/service/port"),
    ({"scheduling": {"tolerations": [{"key": "a", "effect": "Never"}]}}, "/scheduling/tolerations/0/effect"),
    ({"scheduling": {"nodeSelector": {"a": True}}}, "/scheduling/nodeSelector/a"),
    ({"podSecurityContext": {"runAsUser": 0}}, "/podSecurityContext/runAsUser"),
    ({"commonLabels": {"app.kubernetes.io/name": "other"}}, "/commonLabels"),
    ({"annotations": {"llmops.platform/model-name": "other"}}, "/annotations"),
    ({"alerts": {"latency": {"boundSeconds": 3}}}, "/alerts/latency/boundSeconds"),
    ({"alerts": {"errors": {"ratio": 5}}}, "/alerts/errors/ratio"),
    ({"networkPolicy": {"ingress": {"cidrs": ["everywhere"]}}}, "/networkPolicy/ingress/cidrs/0"),
    ({"ingress": {"enabled": True, "host": "Not A Host"}}, "/ingress/host"),
    ({"podLabels": {"not a key": "x"}}, "/podLabels"),
    ({"podSecurityContext": {"runAsNonRoot": False}}, "runAsNonRoot"),
    ({"securityContext": {"privileged": True}}, "privileged"),
    ({"securityContext": {"runAsUser": 0}}, "/securityContext/runAsUser"),
    ({"gpu": {"extraResources": {"rdma/ib": "half"}}}, "/gpu/extraResources/rdma~1ib"),
    ({"gpu": {"extraResources": {"cpu": 1}}}, "/gpu/extraResources"),
    ({"persistence": {"extraClaims": [{"name": "a"}]}}, "/persistence/extraClaims/0"),
    ({"sidecars": [{"name": "a"}]}, "/sidecars/0"),
    ({"initContainers": [{"name": "A b", "image": "b:1"}]}, "/initContainers/0/name"),
    ({"extraVolumes": [{"name": "a"}]}, "/extraVolumes/0"),
    ({"extraVolumeMounts": [{"name": "a", "mountPath": "relative"}]}, "/extraVolumeMounts/0/mountPath"),
    ({"extraObjects": [7]}, "/extraObjects/0"),
    ({"httpRoute": {"timeouts": {"request": "soon"}}}, "/httpRoute/timeouts/request"),
    ({"rbac": {"create": True}}, "/rbac/rules"),
    ({"rbac": {"rules": [{"apiGroups": [""], "resources": [7], "verbs": []}]}}, "/rbac/rules/0/resources/0"),
]  # fmt: skip

# Values that contradict each other, and what the message says.
REFUSED_BY_RULE: list[tuple[dict[str, Any], str]] = [
    ({"progressDeadlineSeconds": 600}, "progressDeadlineSeconds (600) must exceed the startup budget (600 s"),
    ({"progressDeadlineSeconds": 1000, "model": {"sizeBillions": 70}}, "startup budget (1200 s"),
    (
        {"drain": {"terminationGracePeriodSeconds": 60}},
        "drain.terminationGracePeriodSeconds (60) must exceed drain.preStopSeconds plus",
    ),
    (
        {"secrets": {"apiKey": {"existingSecret": "k"}}, "probes": {"readiness": {"path": "/v1/models"}}},
        "probes.readiness.path lies under /v1",
    ),
    (
        {"replicas": 2, "persistence": {"enabled": True, "accessModes": ["ReadWriteOncePod"]}},
        "persistence.accessModes ReadWriteOncePod",
    ),
    (
        {
            "rbac": {
                "create": True,
                "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
            }
        },
        "rbac.create without serviceAccount.automountToken",
    ),
    ({"ingress": {"enabled": True}}, "ingress.enabled needs ingress.host"),
    ({"model": {"extraArgs": ["--api_key=sk-secret"]}}, "--api-key belongs to the value secrets.apiKey"),
    ({"model": {"extraArgs": ["--port", "9000"]}}, "--port belongs to the value service.port"),
    ({"model": {"extraArgs": ["-tp", "2"]}}, "-tp belongs to the value gpu.count"),
    # As argparse reads them: any beginning of a long option, and a value right behind a letter.
    *(
        ({"model": {"extraArgs": [argument]}}, f"the engine reads {flag} as {option}, which")
        for argument, flag, option in (
            ("--served-model=x", "--served-model", "--served-model-name"),
            ("--serv", "--serv", "--served-model-name"),
            ("--max_model=1", "--max-model", "--max-model-len"),
            ("--api=sk-secret", "--api", "--api-key"),
            ("--conf=/tmp/x.yaml", "--conf", "--config"),
            ("-t=2", "-t", "-tp"),
            ("--served_model.x=1", "--served-model", "--served-model-name"),
            ("-qawq", "-qawq", "-q"),
        )
    ),
    ({"model": {"extraArgs": ["--config=/x.yaml"]}}, "--config reads further arguments from a file"),
    ({"model": {"extraArgs": ["--uds", "/tmp/x"]}}, "--uds listens on a socket file"),
    ({"model": {"extraArgs": ["--headless"]}}, "--headless starts no API server"),
    ({"model": {"extraArgs": ["--grpc"]}}, "--grpc serves no HTTP"),
    ({"model": {"extraArgs": ["--api-server-count=0"]}}, "--api-server-count 0 starts no API server"),
    ({"model": {"extraArgs": ["-asc", "0"]}}, "-asc 0 starts no API server"),
    ({"model": {"extraArgs": ["--api-key.a=b"]}}, "--api-key belongs to the value secrets.apiKey"),
    (
        {"model": {"extraArgs": ["--device-memory-utilization=0.5"]}},
        "--device-memory-utilization belongs to the value model.gpuMemoryUtilization",
    ),
    ({"model": {"extraArgs": ["--", "x"]}}, "-- ends the options"),
    *(
        ({"image": {"tag": tag}}, f"image.tag: {tag} is another image tomorrow")
        for tag in ("latest", "nightly", "main", "stable")
    ),
    *(
        (
            {"rbac": {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"], **wide}]}},
            f'rbac.rules: "{word}" gives the pod more',
        )
        for word, wide in (
            ("*", {"resources": ["pods", "*"]}),
            ("*", {"apiGroups": ["*"]}),
            ("escalate", {"verbs": ["get", "escalate"]}),
            ("impersonate", {"verbs": ["impersonate"]}),
        )
    ),
    (
        {"model": {"extraEnv": [{"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}]}},
        "model.extraEnv: A has a value and a valueFrom",
    ),
    (
        {"model": {"extraEnv": [{"name": "HF_TOKEN", "value": "hf_secret"}]}},
        "HF_TOKEN belongs to the value secrets.hfToken",
    ),
    (
        {"model": {"extraEnv": [{"name": "AWS_SECRET_ACCESS_KEY", "value": "x"}]}},
        "AWS_SECRET_ACCESS_KEY looks like a secret",
    ),
]


@pytest.mark.parametrize(("values", "field"), REFUSED_BY_SCHEMA, ids=str)
def test_schema_refuses_and_names_the_field(each_helm: HelmChart, values: dict[str, Any], field: str) -> None:
    with pytest.raises(RenderError) as refusal:
        each_helm.render(values)
    message = str(refusal.value)
    assert "values don't meet the specifications of the schema" in message
    assert field in message


@pytest.mark.parametrize(("values", "words"), REFUSED_BY_RULE, ids=str)
def test_contradictions_are_explained(chart: HelmChart, values: dict[str, Any], words: str) -> None:
    with pytest.raises(RenderError) as refusal:
        chart.render(values)
    assert words in str(refusal.value)


def test_no_message_repeats_a_secret(chart: HelmChart) -> None:
    for values in (
        {"secrets": {"hfToken": {"value": "hf_secret"}}},
        {"secrets": {"apiKey": "sk-secret"}},
        {"model": {"extraArgs": ["--api-key=sk-secret"]}},
        {"model": {"extraEnv": [{"name": "HF_TOKEN", "value": "hf_secret"}]}},
    ):
        with pytest.raises(RenderError) as refusal:
            chart.render(values)
        assert "_secret" not in str(refusal.value)
        assert "-secret" not in str(refusal.value)


def test_production_wants_a_pinned_image(chart: HelmChart) -> None:
    with pytest.raises(RenderError) as refusal:
        chart.render({"image": {"tag": "our-build"}}, environment="production")
    assert "/image/tag" in str(refusal.value)
    assert chart.render({"image": {"tag": "our-build"}}, environment="staging").objects
    pinned = {"image": {"tag": "our-build", "digest": "sha256:" + "a" * 64}}
    assert chart.render(pinned, environment="production").objects


def test_production_refuses_the_development_mode_of_the_server(chart: HelmChart) -> None:
    values = {"model": {"extraEnv": [{"name": "VLLM_SERVER_DEV_MODE", "value": "1"}]}}
    assert chart.render(values).objects
    with pytest.raises(RenderError, match="VLLM_SERVER_DEV_MODE opens administrative calls"):
        chart.render(values, environment="production")


def test_sizes_must_rise(chart: HelmChart) -> None:
    row = {"cpu": {"request": 1, "limit": 2}, "memory": {"request": "1Gi", "limit": "2Gi"}, "shm": "1Gi"}
    rows = [{**row, "upToBillions": 70}, {**row, "upToBillions": 13}]
    with pytest.raises(RenderError, match="sizes must rise by upToBillions"):
        chart.render({"sizes": rows})


@pytest.mark.parametrize("release", ["1-model", "my.model", "x" * 54])
def test_release_name_must_be_able_to_name_a_service(chart: HelmChart, release: str) -> None:
    with pytest.raises(RenderError, match="release name"):
        chart.render(release=release)


def _numbers(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each part of a schema that allows a number."""
    if isinstance(schema, list):
        schema = dict(enumerate(schema))
    if not isinstance(schema, dict):
        return
    kinds = schema.get("type")
    if any(kind in ("integer", "number") for kind in (kinds if isinstance(kinds, list) else [kinds])):
        yield path, schema
    for name, part in schema.items():
        yield from _numbers(part, f"{path}/{name}")


def test_no_rule_is_told_as_what_it_is_not() -> None:
    """Helm would say: at '/image/tag': 'not' failed."""
    assert '"not"' not in (CHART / "values.schema.json").read_text(encoding="utf-8")


def test_every_number_has_bounds_that_templates_keep() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    found = dict(_numbers(schema))
    assert len(found) > 15
    for path, number in found.items():
        # Values reach templates as float64, which holds whole numbers up to there.
        assert number["maximum"] < 2**53, path
        assert "minimum" in number or "exclusiveMinimum" in number, path


@pytest.mark.parametrize(
    "arguments",
    [
        ["--tokenizer", "x"],
        ["--tokenizer-mode=auto"],
        ["--model-impl", "vllm"],
        ["-O3"],
        ["-1"],
        ["-asc", "2"],
        ["--hf-overrides.a=1", "-asc=10"],
    ],
)
def test_what_only_resembles_an_owned_argument_is_passed_on(chart: HelmChart, arguments: list[str]) -> None:
    rendered = chart.render({"model": {"extraArgs": arguments}})
    assert rendered.container["args"][-len(arguments) :] == arguments
