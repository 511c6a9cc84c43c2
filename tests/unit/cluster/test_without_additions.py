# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What others have put into the pods' template is taken out, and nothing else is touched."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.managed_fields import (
    without_additions,
)

OWN = ("helm",)
PORT = {"containerPort": 8000}
CONTAINER = 'k:{"name":"vllm"}'


def deployment(**container: Any) -> dict[str, Any]:
    """Return a Deployment of one container."""
    own = {"name": "vllm", "image": "a", "env": [{"name": "A", "value": "1"}], "args": ["x"], "ports": [PORT]}
    spec = {"containers": [own | container]}
    return {"metadata": {"name": "m"}, "spec": {"replicas": 2, "template": {"spec": spec}}}


def edited(fields: dict[str, Any], manager: str = "kubectl-edit", **container: Any) -> dict[str, Any]:
    """Return what is there after somebody has set fields of the container."""
    found = deployment(**container)
    template = {"f:spec": {"f:containers": {CONTAINER: fields}}}
    entry = {"manager": manager, "fieldsV1": {"f:spec": {"f:replicas": {}, "f:template": template}}}
    found["metadata"]["managedFields"] = [entry]
    return found


TWO = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
ADDED = [
    # what was set, the fields of the account, and what is left of the container
    ("a variable", {"env": TWO}, {"f:env": {'k:{"name":"B"}': {".": {}, "f:name": {}, "f:value": {}}}}, {}),
    ("a field", {"tty": True}, {"f:tty": {}}, {}),
    ("a whole list", {"envFrom": [{"secretRef": {"name": "s"}}]}, {"f:envFrom": {}}, {}),
    (
        "a port of the default protocol",
        {"ports": [{"containerPort": 8000}, {"containerPort": 1}]},
        {"f:ports": {'k:{"containerPort":1,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}}},
        {},
    ),
    ("a value that differs", {"image": "b"}, {"f:image": {}}, {"image": "b"}),
    (
        "a variable of ours that was changed",
        {"env": [{"name": "A", "value": "9"}]},
        {"f:env": {'k:{"name":"A"}': {"f:value": {}}}},
        {"env": [{"name": "A", "value": "9"}]},
    ),
]


@pytest.mark.parametrize(("name", "set_to", "fields", "left"), ADDED, ids=[case[0] for case in ADDED])
def test_additions_go_and_what_is_wanted_stays(
    name: str, set_to: dict[str, Any], fields: dict[str, Any], left: dict[str, Any]
) -> None:
    del name
    found = edited(fields, **set_to)
    before = copy.deepcopy(found)
    assert without_additions(found, OWN, deployment())["spec"] == deployment(**left)["spec"]
    assert found == before


@pytest.mark.parametrize("manager", ["helm", "kube-controller-manager"])
def test_what_is_ours_or_a_controllers_stays(manager: str) -> None:
    found = edited({"f:tty": {}}, manager, tty=True)
    assert without_additions(found, OWN, deployment()) == found


def test_another_container_goes_whole() -> None:
    found = edited({})
    found["spec"]["template"]["spec"]["containers"].append({"name": "sidecar", "image": "s"})
    entry = found["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]["f:template"]["f:spec"]
    entry["f:containers"] = {'k:{"name":"sidecar"}': {".": {}, "f:name": {}, "f:image": {}}}
    assert without_additions(found, OWN, deployment())["spec"] == deployment()["spec"]
