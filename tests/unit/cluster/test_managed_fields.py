# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What others have set beside Helm is told by name, and nothing else is."""

from __future__ import annotations

from typing import Any

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.managed_fields import additions

CONTAINER = 'k:{"name":"vllm"}'


def env(*names: str) -> dict[str, Any]:
    items: dict[str, Any] = {
        f'k:{{"name":"{name}"}}': {".": {}, "f:name": {}, "f:value": {}} for name in names
    }
    containers = {CONTAINER: {"f:env": items, "f:image": {}}}
    return {"f:spec": {"f:template": {"f:spec": {"f:containers": containers}}}}


def entry(manager: str, fields: dict[str, Any], **more: str) -> dict[str, Any]:
    return {"manager": manager, "fieldsV1": fields, "time": "2026-11-30T10:29:18Z", **more}


def test_a_variable_that_was_added_is_told_with_who_and_when() -> None:
    item = {"metadata": {"managedFields": [entry("helm", env("A")), entry("kubectl-set", env("A", "B"))]}}
    assert additions(item, {"helm"}) == [
        "spec.template.spec.containers[vllm].env[B] (set by kubectl-set since 2026-11-30T10:29:18Z)"
    ]


def test_status_controllers_and_what_helm_has_set_as_well_are_no_additions() -> None:
    replicas: dict[str, Any] = {"f:spec": {"f:replicas": {}}}
    status: dict[str, Any] = {"f:status": {"f:replicas": {}}}
    fields = [
        entry("helm", {**env("A"), **replicas}),
        entry("kube-controller-manager", status, subresource="status"),
        entry("kubectl", replicas, subresource="scale"),
        entry("kubectl-annotate", {"f:metadata": {"f:annotations": {"f:x": {}}}}),
    ]
    assert additions({"metadata": {"managedFields": fields}}, {"helm"}) == []
    assert additions({"metadata": {}}, {"helm"}) == []


def test_odd_accounts_are_read_as_far_as_they_go() -> None:
    fields: dict[str, Any] = {"f:spec": {"f:list": {"k:nothing": {}, "v:1": {}}, "f:plain": {}}}
    item = {"metadata": {"managedFields": [entry("x", fields)]}}
    (line,) = additions(item, {"helm"})
    assert line.startswith("spec.list[1], spec.list[nothing], spec.plain (set by x")
