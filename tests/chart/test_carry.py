# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is carried to another environment is what was recorded in the first, as a real helm renders it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import Authentication
from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.manifests import dump_manifest
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.common.names import release_name
from ansible_collections.llmops.platform.plugins.module_utils._core.helm.binary import Helm
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.carried import (
    check_keys,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.carry import (
    Carried,
    Wish,
    carry,
    require_same_server,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.source import Source
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.entry_fields import Entry
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.manifests import (
    Content,
    Manifest,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.release.rendering import (
    Rendered,
    Renderer,
    server_container,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.release.request import (
    ReleaseRequest,
    ReleaseTarget,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.release.tools import Tools, Waits
from tests.support.chart import CHART, MODEL, HelmChart

Values = dict[str, Any]

#: As the inventory of staging says it.
STAGED: Values = {
    "model": {"revision": "0123456789abcdef", "maxModelLen": 8192, "extraArgs": ["--enable-lora"]},
    "image": {"tag": "v0.33.0", "pullPolicy": "Always"},
    "gpu": {"count": 2, "resources": {"requests": {"cpu": "1"}, "limits": {"memory": "64Gi"}}},
    "drain": {"preStopSeconds": 20},
    "replicas": 1,
    "scheduling": {"nodeSelector": {"pool": "staging"}},
}
#: What staging ran, and what production's inventory says.
INVENTORY: Values = {
    "model": {"revision": "main", "maxModelLen": 4096},
    "gpu": {"resources": {"requests": {"cpu": "4"}}},
    "scheduling": {"nodeSelector": {"pool": "production"}},
    "persistence": {"size": "200Gi"},
}
WISH = Wish(str(CHART), INVENTORY, None, check_keys(()))
TARGET = ReleaseTarget.named(model=MODEL, environment="production", namespace="llm-prod")
PIN = f"sha256:{'d' * 64}"


@pytest.fixture(scope="module")
def tools(chart: HelmChart) -> Tools:
    """Return tools that only render."""
    helm = Helm(str(chart.binary), Authentication(kubeconfig=os.devnull))
    return Tools(None, helm, lambda _line: None)  # type: ignore[arg-type]


def render(request: ReleaseRequest, tools: Tools, strategy: str | None = None) -> Rendered:
    return Renderer(tools.helm.template, request, Waits().helm).render(strategy)


@pytest.fixture(scope="module")
def source(tools: Tools) -> Source:
    """Return what a deployment in staging leaves on record."""
    request = ReleaseRequest.build(
        model=MODEL, environment="staging", namespace="llm", chart=str(CHART), values=STAGED
    )
    renderer = Renderer(tools.helm.template, request, Waits().helm)
    made = renderer.render("surge")
    name = release_name(MODEL, "staging")
    entry = Entry(MODEL, "staging", status="ready", namespace="llm", release_name=name, release_revision=3)
    manifest = Manifest(
        7,
        name,
        3,
        made.digest,
        request.chart_version,
        renderer.chart_digest,
        "vllm/vllm-openai:v0.33.0",
        PIN,
        None,
        "0123456789abcdef",
        datetime(2026, 11, 30, tzinfo=UTC),
    )
    return Source(
        replace(entry, manifest_digest=made.digest), manifest, Content(made.spec.values, objects=made.objects)
    )


def carried(source: Source, tools: Tools, pin: str | None = None, **wish: Any) -> Carried:
    return carry(source, TARGET, replace(WISH, **wish), tools, Waits(), pin)


def test_what_is_rendered_here_is_what_was_recorded(source: Source, tools: Tools) -> None:
    found = carried(source, tools)
    assert found.original.digest == source.digest
    assert found.original.objects == source.objects


def test_what_was_proven_is_carried_and_the_rest_is_the_targets(source: Source, tools: Tools) -> None:
    asked = carried(source, tools).request
    assert asked.values == {
        "model": {**STAGED["model"], "name": MODEL},
        "image": {"tag": "v0.33.0"},
        "gpu": {"count": 2, "resources": {"requests": {"cpu": "4"}, "limits": {"memory": "64Gi"}}},
        "drain": {"preStopSeconds": 20},
        "scheduling": {"nodeSelector": {"pool": "production"}},
        "persistence": {"size": "200Gi"},
    }
    assert (asked.environment, asked.tier, asked.namespace) == ("production", "production", "llm-prod")


def test_what_will_differ_is_said_that_of_the_tiers_too_and_what_the_inventory_says_otherwise(
    source: Source, tools: Tools
) -> None:
    found = carried(source, tools)
    assert found.differences == (
        "environment: staging -> production",
        "values.gpu.resources.requests.cpu: 1 -> 4",
        "values.image.pullPolicy: Always -> IfNotPresent",
        "values.persistence.accessModes: ['ReadWriteOnce'] -> ['ReadWriteMany']",
        "values.persistence.enabled: False -> True",
        "values.persistence.size: 100Gi -> 200Gi",
        "values.replicas: 1 -> 2",
        "values.scheduling.nodeSelector.pool: staging -> production",
    )
    assert found.contradictions == (
        "values.model.maxModelLen: 4096 -> 8192",
        "values.model.revision: main -> 0123456789abcdef",
    )


def test_the_image_is_pinned_by_the_digest_that_ran(source: Source, tools: Tools) -> None:
    found = carried(source, tools, PIN)
    assert found.request.values["image"] == {"tag": "v0.33.0", "digest": PIN}
    assert f"values.image.digest: nothing -> {PIN}" in found.differences
    wanted = render(found.request, tools)
    image = wanted.deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image.endswith(f"@{PIN}")
    require_same_server(found.original, wanted)


def test_a_source_that_names_no_image_gets_the_pin_all_the_same(tools: Tools, source: Source) -> None:
    values = {name: value for name, value in source.content.values.items() if name != "image"}
    asked = ReleaseRequest.build(
        model=MODEL, environment="staging", namespace="llm", chart=str(CHART), values=values
    )
    made = render(asked, tools)
    plain = replace(source, content=Content(values), manifest=replace(source.manifest, digest=made.digest))
    assert carried(plain, tools, PIN).request.values["image"] == {"digest": PIN}


def refused(source: Source, tools: Tools, field: str, **wish: Any) -> PlatformError:
    with pytest.raises(PlatformError) as caught:
        carried(source, tools, **wish)
    assert caught.value.error_class is ErrorClass.INVALID
    assert caught.value.message.startswith(f"{field}: ")
    return caught.value


def leaf(values: Mapping[str, Any], path: str) -> tuple[Values, str]:
    *above, name = path.split(".")
    found: Any = values
    for key in above:
        found = found[key]
    return found, name


#: A place in the recorded values, and the least of another value there.
TAMPERED = [
    ("model.revision", "0123456789abcdee"),
    ("model.maxModelLen", 8193),
    ("model.extraArgs", ["--enable-lorb"]),
    ("model.extraArgs", []),
    ("image.tag", "v0.33.1"),
    ("gpu.count", 1),
    ("gpu.resources.limits.memory", "65Gi"),
    ("drain.preStopSeconds", 21),
]


@pytest.mark.parametrize(("path", "value"), TAMPERED)
def test_a_recorded_value_that_was_changed_stops_it(
    source: Source, tools: Tools, path: str, value: Any
) -> None:
    values = deepcopy(dict(source.content.values))
    below, name = leaf(values, path)
    assert below[name] != value
    below[name] = value
    changed = replace(source, content=replace(source.content, values=values))
    assert "renders here to" in refused(changed, tools, "chart_path").message


def test_a_value_that_was_added_to_the_record_stops_it(source: Source, tools: Tools) -> None:
    values = {**source.content.values, "command": ["sh"]}
    changed = replace(source, content=replace(source.content, values=values))
    assert "renders here to" in refused(changed, tools, "chart_path").message


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"chart_digest": f"sha256:{'e' * 64}"}, "but staging runs revision 3"),
        ({"digest": f"sha256:{'e' * 64}"}, "renders here to"),
        # Where the digest of the chart is not on record, that of what it renders has to do.
        ({"digest": f"sha256:{'e' * 64}", "chart_digest": None}, "renders here to"),
    ],
)
def test_another_digest_on_record_stops_it(
    source: Source, tools: Tools, changes: dict[str, Any], said: str
) -> None:
    assert (
        said
        in refused(replace(source, manifest=replace(source.manifest, **changes)), tools, "chart_path").message
    )


def test_the_digest_of_the_chart_may_be_missing(source: Source, tools: Tools) -> None:
    carried(replace(source, manifest=replace(source.manifest, chart_digest=None)), tools)


def test_a_changed_file_of_the_chart_stops_it(source: Source, tools: Tools, tmp_path: Path) -> None:
    copy = tmp_path / "chart"
    shutil.copytree(CHART, copy)
    carried(source, tools, chart=str(copy))
    # It is rendered nowhere.
    with (copy / "README.md").open("a", encoding="utf-8") as file:
        file.write("\n")
    assert "has the digest" in refused(source, tools, "chart_path", chart=str(copy)).message


def served(tools: Tools, change: Callable[[Values], object]) -> Rendered:
    """Return the source's manifest after a change of its values."""
    values = deepcopy(STAGED)
    change(values)
    asked = ReleaseRequest.build(
        model=MODEL, environment="staging", namespace="llm", chart=str(CHART), values=values
    )
    return render(asked, tools)


#: An additional key of an environment, what its inventory says there, and what is named.
OTHER_SERVERS: list[tuple[str, Values, str]] = [
    ("gpu.count", {"gpu": {"count": 3}}, "args: ['2'] -> ['3']"),
    ("gpu.count", {"gpu": {"count": 1}}, "args: ['--tensor-parallel-size', '2'] -> []"),
    ("drain", {"drain": {"shutdownTimeoutSeconds": 50}}, "args: ['45'] -> ['50']"),
    ("gpu.resources.limits", {"gpu": {"resources": {"limits": {"memory": "32Gi"}}}}, "memory: 64Gi -> 32Gi"),
    ("gpu.resource", {"gpu": {"resource": "nvidia.com/mig-1g.5gb"}}, "limits.nvidia.com/gpu: 2 -> nothing"),
    (
        "extraVolumeMounts",
        {"extraVolumeMounts": [{"name": "tmp", "mountPath": "/weights"}]},
        "mounts./weights: nothing -> all",
    ),
    (
        "initContainers",
        {"initContainers": [{"name": "fetch", "image": "b:1", "args": ["x"]}]},
        "init.fetch: nothing -> ['b:1', 'x']",
    ),
    # A volume of the environment's own may change nothing about where the server finds what.
    (
        "persistence",
        {"persistence": {"extraClaims": [{"name": "w", "mountPath": "/w"}]}},
        "mounts./w: nothing -> all",
    ),
    # Arguments name these by $(SERVER_HOST), which stands in a ConfigMap.
    ("service.host", {"service": {"host": "::"}}, "config.SERVER_HOST: 0.0.0.0 -> ::"),
]


@pytest.mark.parametrize(("key", "inventory", "said"), OTHER_SERVERS)
def test_what_an_environment_owns_must_not_make_another_server(
    source: Source, tools: Tools, key: str, inventory: Values, said: str
) -> None:
    found = carried(source, tools, values=inventory, keys=check_keys([key]))
    with pytest.raises(PlatformError) as caught:
        require_same_server(found.original, render(found.request, tools))
    assert caught.value.error_class is ErrorClass.INVALID
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda values: values["model"].update(source="other/model"), "config.MODEL_PATH: "),
        (
            lambda values: values["model"].update(extraEnv=[{"name": "A", "value": "b"}]),
            "env.A: nothing -> b",
        ),
        (lambda values: values.update(command=["sh"]), "command: ['vllm'] -> ['sh']"),
    ],
)
def test_another_command_variable_or_model_is_another_server(
    source: Source, tools: Tools, change: Callable[[Values], object], said: str
) -> None:
    with pytest.raises(PlatformError) as caught:
        require_same_server(served(tools, lambda _values: None), served(tools, change))
    assert said in caught.value.message


def test_the_environments_own_secrets_nodes_and_volumes_make_the_same_server(
    source: Source, tools: Tools
) -> None:
    secrets = {"hfToken": {"existingSecret": "hub"}, "apiKey": {"existingSecret": "keys"}}
    found = carried(source, tools, values={**INVENTORY, "secrets": secrets})
    require_same_server(found.original, render(found.request, tools))


def test_what_is_added_to_the_pod_is_never_taken_for_the_server(tools: Tools) -> None:
    added = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a-template"}, "data": {"A": "b"}}
    beside = served(
        tools,
        lambda values: values.update(
            sidecars=[{"name": "log", "image": "busybox:1.37", "command": ["sh"]}], extraObjects=[added]
        ),
    )
    # In whichever order they stand.
    beside = replace(beside, manifest=dump_manifest(beside.objects[::-1]))
    beside.deployment["spec"]["template"]["spec"]["containers"].reverse()
    require_same_server(served(tools, lambda _values: None), beside)
    assert server_container(beside.deployment)["name"] == "vllm"
