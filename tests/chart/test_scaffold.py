# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real chart accepts what the scaffold says of models: on each cloud, in each tier, in each pool."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from ansible_collections.llmops.platform.plugins.module_utils._core.scaffold.collection import Collection
from ansible_collections.llmops.platform.plugins.module_utils._core.scaffold.entries import File
from ansible_collections.llmops.platform.plugins.module_utils._core.scaffold.rendering import site_entries
from ansible_collections.llmops.platform.plugins.module_utils._core.scaffold.site import (
    CLOUDS,
    environments_of,
)
from tests.support.chart import ENVIRONMENTS, HelmChart
from tests.support.playbooks import ROOT


@pytest.mark.parametrize("tier", ENVIRONMENTS)
@pytest.mark.parametrize("cloud", CLOUDS)
def test_models_of_a_new_site_are_accepted(chart: HelmChart, cloud: str, tier: str) -> None:
    entries = site_entries(
        Collection.at(str(ROOT)), ROOT / "roles/scaffold/templates", environments_of([tier], {}), cloud
    )

    def read(path: str) -> Any:
        entry = entries[path]
        assert isinstance(entry, File)
        return yaml.safe_load(entry.content)

    (model,) = read("common/models.yml")["all"]["hosts"].values()
    own = read(f"{tier}/host_vars/qwen2-5-7b.yml")["vllm_values"]
    for name, pool in read("common/pools.yml").items():
        layers = [
            read(f"{tier}/group_vars/models.yml")["environment_values"],
            pool["vars"]["pool_values"],
            model["vllm_model_values"],
            own,
        ]
        merged: dict[str, Any] = {}
        for layer in layers:
            merged = _merged(merged, layer)
        pod = chart.render(merged, environment=tier).pod
        wanted = pool["vars"]["pool_values"].get("scheduling", {})
        assert wanted.get("nodeSelector", {}).items() <= (pod.get("nodeSelector") or {}).items(), name
        node_affinity = wanted.get("affinity", {}).get("nodeAffinity")
        assert node_affinity == (pod.get("affinity") or {}).get("nodeAffinity"), name


def _merged(below: Any, above: Any) -> Any:
    """Return what ``combine(recursive=true)`` makes."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return {**below, **{name: _merged(below.get(name), value) for name, value in above.items()}}
