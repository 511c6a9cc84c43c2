# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wanted of a release, checked: valid names, values that Helm can take, a chart that is there."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..common.errors import invalid
from ..common.names import (
    check_environment,
    check_model,
    check_namespace,
    check_release_name,
    endpoint_url,
    release_name,
    slug_in,
    tier_of,
)
from ..helm.binary import ReleaseSpec
from ..helm.chart import chart_metadata
from ..helm.storage import ReleaseRecord

CHART = "vllm-deployment"


def server_labels(name: str) -> dict[str, str]:
    """Return the labels of a release's model servers, which the pod of ``helm test`` has not."""
    return {"app.kubernetes.io/name": "vllm", "app.kubernetes.io/instance": name}


def selector(name: str) -> str:
    """Return the label selector of a release's model servers."""
    return ",".join(f"{key}={value}" for key, value in server_labels(name).items())


@dataclass(frozen=True)
class ReleaseTarget:
    """A release by its names."""

    model: str
    environment: str
    namespace: str
    name: str

    @classmethod
    def named(cls, *, model: str, environment: str, namespace: str, name: str | None = None) -> ReleaseTarget:
        """Check the names; raises ``invalid`` errors that name field and value."""
        check_model(model)
        check_environment(environment)
        checked = check_release_name(name or release_name(model, environment))
        return cls(model, environment, check_namespace(namespace), checked)

    @property
    def selector(self) -> str:
        """Label selector of the release's model servers."""
        return selector(self.name)

    @property
    def services(self) -> tuple[str, ...]:
        """The chart's Service has the release's name."""
        return (self.name,)

    @property
    def endpoint(self) -> str:
        """URL of the model server inside the cluster."""
        return endpoint_url(self.name, self.namespace)


@dataclass(frozen=True, kw_only=True)
class ReleaseRequest(ReleaseTarget):
    """What is wanted, checked: names are valid and the chart is there."""

    chart: Path
    chart_name: str
    chart_version: str
    values: Mapping[str, Any] = field(default_factory=dict)
    tier: str = "development"
    strategy: str = "auto"
    create_namespace: bool = False
    force_conflicts: bool = False

    @classmethod
    def build(
        cls,
        *,
        model: str,
        environment: str,
        namespace: str,
        chart: str,
        name: str | None = None,
        values: Mapping[str, Any] | None = None,
        tier: str | None = None,
        strategy: str = "auto",
        create_namespace: bool = False,
        force_conflicts: bool = False,
    ) -> ReleaseRequest:
        """Check the input; raises ``invalid`` errors that name field and value."""
        target = ReleaseTarget.named(model=model, environment=environment, namespace=namespace, name=name)
        tier = tier_of(environment, tier)
        _check_values(values or {}, model, environment, tier)
        chart_path = Path(chart).expanduser()
        chart_name, chart_version = chart_metadata(chart_path)
        return cls(
            model=target.model,
            environment=target.environment,
            namespace=target.namespace,
            name=target.name,
            chart=chart_path,
            chart_name=chart_name,
            chart_version=chart_version,
            values=values or {},
            tier=tier,
            strategy=strategy,
            create_namespace=create_namespace,
            force_conflicts=force_conflicts,
        )

    def spec(self, strategy: str | None) -> ReleaseSpec:
        """Return the Helm specification: chart defaults < the tier's file < ``values`` < identity."""
        tier_values = self.chart / f"values-{self.tier}.yaml"
        values = dict(self.values)
        values["model"] = {**(values.get("model") or {}), "name": self.model}
        values["environment"] = self.environment
        values["tier"] = self.tier
        values["slug"] = slug_in(self.model, self.environment)
        if strategy is not None:
            values["strategy"] = strategy
        return ReleaseSpec(
            name=self.name,
            namespace=self.namespace,
            chart=self.chart,
            values_files=(tier_values,) if tier_values.is_file() else (),
            values=values,
            create_namespace=self.create_namespace,
            force_conflicts=self.force_conflicts,
        )


def _check_values(values: Mapping[str, Any], request_model: str, environment: str, tier: str) -> None:
    advice = "Write it as the chart's README shows."
    model = values.get("model")
    if model is not None and not isinstance(model, Mapping):
        raise invalid("chart_values.model", model, "is not a mapping", advice)
    for name, value, wanted in (
        ("model.name", (model or {}).get("name"), request_model),
        ("environment", values.get("environment"), environment),
        ("tier", values.get("tier"), tier),
        ("slug", values.get("slug"), slug_in(request_model, environment)),
    ):
        if value not in (None, "", wanted):
            raise invalid(
                f"chart_values.{name}", value, f"is not {wanted!r}", "Leave it out: it is set here."
            )
    for path, value in _leaves(values, "chart_values"):
        # A date, a set or NaN is written in YAML with ease, and is no JSON.
        if not isinstance(value, str | bool | int | None) and not _is_number(value):
            raise invalid(path, value, "cannot be handed to Helm, which takes JSON", advice)


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield what values are made of, each with its path."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                yield f"{path}.{key}", key
            yield from _leaves(item, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{path}[{index}]")
    else:
        yield path, value


def _is_number(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value)


def check_owner(record: ReleaseRecord | None, name: str, model: str, chart_name: str = CHART) -> None:
    """Refuse to touch a release of that name which belongs to another chart or another model."""
    if record is None:
        return
    advice = "Choose another name or namespace, or uninstall that release first."
    if record.chart_name not in ("", chart_name):
        raise invalid("name", name, f"is a release of another chart, {record.chart_name}", advice)
    values = record.config.get("model")
    other = values.get("name") if isinstance(values, Mapping) else None
    if other not in (None, model):
        raise invalid("name", name, f"is the release of another model, {other!r}", advice)
