# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make a request of what is carried, and prove that it is what was recorded: each part by its digest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...cluster.client import JSONObject
from ...cluster.manifests import find_object, parse_manifest
from ...common.errors import PlatformError, invalid
from ...helm.binary import ReleaseSpec
from ...release.rendering import Rendered, Renderer, server_container
from ...release.request import ReleaseRequest, ReleaseTarget
from ...release.tools import Tools, Waits
from ..differences import leaves, shown, value_differences
from .carried import contradictions, divide, merged
from .source import Source


@dataclass(frozen=True)
class Wish:
    """What the target's side brings to a promotion."""

    chart: str
    values: Mapping[str, Any]  #: of the inventory, of which the environment's own keys count
    tier: str | None
    keys: Sequence[str]  #: that the environment owns
    strategy: str = "auto"
    create_namespace: bool = False
    force_conflicts: bool = False


@dataclass(frozen=True)
class Carried:
    """What is promoted: a request for the target, and how that differs from the source."""

    request: ReleaseRequest
    original: Rendered  #: what the source runs, rendered here
    differences: tuple[str, ...]  #: between source and target, all of them the environment's own
    contradictions: tuple[str, ...]  #: what the target's inventory says otherwise


def carry(
    source: Source, target: ReleaseTarget, wish: Wish, tools: Tools, waits: Waits, pin: str | None
) -> Carried:
    """Return what is carried to a target. Raises ``invalid`` where it is not word for word what was proven.

    ``pin`` is the digest of the image that ran, where it can be pulled by that.
    """
    original = _proven(source, wish.chart, tools, waits)
    values = dict(divide(source.content.values, wish.keys).carried)
    if pin is not None:
        values["image"] = {**(values.get("image") or {}), "digest": pin}
    request = ReleaseRequest.build(
        model=target.model,
        environment=target.environment,
        namespace=target.namespace,
        name=target.name,
        chart=wish.chart,
        values=merged(values, divide(wish.values, wish.keys).owned),
        tier=wish.tier,
        strategy=wish.strategy,
        create_namespace=wish.create_namespace,
        force_conflicts=wish.force_conflicts,
    )
    changed = (
        line
        for line in value_differences(_values(original.spec), _values(request.spec(None)))
        if not line.startswith(("values.environment:", "values.tier:", "values.slug:"))
    )
    return Carried(
        request,
        original,
        (f"environment: {source.environment} -> {target.environment}", *changed),
        tuple(contradictions(values, wish.values, wish.keys)),
    )


def require_same_server(original: Rendered, wanted: Rendered) -> None:
    """Raise ``invalid`` where the target's pods would start the server otherwise than the source's do."""
    changed = list(_server_differences(_server(original), _server(wanted)))
    if changed:
        raise invalid(
            "chart_values",
            "; ".join(changed),
            "would start another server than was proven",
            "What an environment owns must not reach the server's command, arguments, variables or mounts, "
            "nor the containers that start before it.",
        )


def _proven(source: Source, chart: str, tools: Tools, waits: Waits) -> Rendered:
    """Return what the source runs as it is rendered here, which has to be what was recorded there."""
    manifest, values, entry = source.manifest, source.content.values, source.entry
    request = ReleaseRequest.build(
        model=entry.model,
        environment=entry.environment,
        namespace=entry.namespace or "",
        name=entry.release_name,
        chart=chart,
        values=values,
        tier=values.get("tier"),
    )
    renderer = Renderer(tools.helm.template, request, waits.helm)
    if manifest.chart_digest and renderer.chart_digest != manifest.chart_digest:
        raise _other_chart(
            chart,
            f"has the digest {renderer.chart_digest[:19]}, but {source.environment} runs {manifest} of "
            f"{manifest.chart_version} {manifest.chart_digest[:19]}",
        )
    rendered = renderer.render(values.get("strategy"))
    if rendered.digest != manifest.digest:
        raise _other_chart(
            chart,
            f"renders here to {rendered.digest[:19]}, but {source.environment} runs {manifest}",
        )
    return rendered


def _other_chart(chart: str, problem: str) -> PlatformError:
    return invalid(
        "chart_path",
        chart,
        problem,
        "Use the chart and Helm that the source was deployed with, or deploy the source with these.",
    )


def _values(spec: ReleaseSpec) -> dict[str, Any]:
    """Return all that the chart is rendered with: what a tier brings differs, and stands in no inventory."""
    found: dict[str, Any] = {}
    for path in (spec.chart / "values.yaml", *spec.values_files):
        if path.is_file():
            found = merged(found, next(iter(parse_manifest(path.read_text("utf-8"))), {}))
    return merged(found, spec.values)


def _server_differences(source: JSONObject, target: JSONObject) -> Iterator[str]:
    was, will = dict(leaves(source)), dict(leaves(target))
    for name in sorted({*was, *will}):
        if was.get(name) != will.get(name):
            before, after = was.get(name), will.get(name)
            yield f"{name}: {shown(_apart(before, after))} -> {shown(_apart(after, before))}"


def _apart(value: Any, other: Any) -> Any:
    """Return of a list what the other one has not: the first hundred of its characters may be the same."""
    if not (isinstance(value, list) and isinstance(other, list)):
        return value
    return [item for item in value if item not in other]


def _server(rendered: Rendered) -> dict[str, Any]:
    """Return what decides what the server answers. Which Secret a variable comes from does not."""
    deployment = rendered.deployment
    container = server_container(deployment)
    env = {item["name"]: item.get("value", "of a reference") for item in container.get("env") or ()}
    limits = (container.get("resources") or {}).get("limits")
    return {
        "command": container.get("command"),
        "args": container.get("args"),
        "limits": limits,
        "env": {name: value for name, value in env.items() if name not in _OF_A_SECRET},
        "config": (find_object(rendered.objects, "ConfigMap", deployment["metadata"]["name"]) or {}).get(
            "data"
        ),
        "mounts": {
            item["mountPath"]: item.get("subPath", item.get("subPathExpr", "all"))
            for item in container.get("volumeMounts") or ()
        },
        # These may fetch or change what the server loads.
        "init": {
            item["name"]: [item["image"], *(item.get("command") or ()), *(item.get("args") or ())]
            for item in deployment["spec"]["template"]["spec"].get("initContainers") or ()
        },
    }


#: There where the environment has such a Secret.
_OF_A_SECRET = ("HF_TOKEN", "VLLM_API_KEY")
