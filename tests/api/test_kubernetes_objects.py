# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``kubernetes_objects`` on the real API server: what it writes, what it leaves alone, what it refuses."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import (
    Authentication,
    ClusterClient,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from tests.support.lab import wait_allowed
from tests.support.object_set import CANARY, Objects, ObjectSet, config, read, secret, server
from tests.support.rights import token_with_rights
from tests.support.run_module import RunModule

RBAC = "rbac.authorization.k8s.io/v1"


def test_applies_once_and_then_sends_no_write(objects: ObjectSet, api: ClusterClient) -> None:
    wanted = [config(level="info"), secret(dsn=CANARY)]
    assert set(objects.actions(wanted).values()) == {"create"}
    before = read(api, objects.namespace, "configmaps", "settings")
    assert before is not None
    assert before["metadata"]["labels"] == {"llmops.platform/set": "under-test"}
    again = objects(wanted)
    assert not again.changed
    assert read(api, objects.namespace, "configmaps", "settings") == before
    assert objects.actions([config(level="debug"), secret(dsn=CANARY)]) == {
        "ConfigMap/settings": "update",
        "Secret/access": "none",
    }
    after = read(api, objects.namespace, "configmaps", "settings")
    assert after is not None
    assert after["data"] == {"level": "debug"}


def test_a_field_that_left_the_list_leaves_the_object(objects: ObjectSet, api: ClusterClient) -> None:
    objects([secret(dsn=CANARY, other="x"), config(a="1", b="2")])
    objects([secret(dsn=CANARY), config(a="1")])
    found = read(api, objects.namespace, "secrets", "access")
    assert found is not None
    assert found["data"] == {"dsn": base64.b64encode(CANARY.encode()).decode()}
    found = read(api, objects.namespace, "configmaps", "settings")
    assert found is not None
    assert found["data"] == {"a": "1"}


def test_what_others_added_stays(objects: ObjectSet, api: ClusterClient) -> None:
    objects([config(a="1")])
    path = f"/api/v1/namespaces/{objects.namespace}/configmaps/settings"
    api.patch(path, {"metadata": {"annotations": {"theirs": "yes"}}})
    assert objects.actions([config(a="1")]) == {"ConfigMap/settings": "none"}
    objects([config(a="2")])
    assert api.get(path)["metadata"]["annotations"] == {"theirs": "yes"}


def test_prunes_only_its_own(objects: ObjectSet, api: ClusterClient) -> None:
    core = f"/api/v1/namespaces/{objects.namespace}"
    api.create(f"{core}/configmaps", {"metadata": {"name": "foreign"}})
    api.create(
        f"{core}/configmaps",
        {"metadata": {"name": "of-another-set", "labels": {"llmops.platform/set": "another"}}},
    )
    objects([config("first"), config("second"), secret(dsn=CANARY)])
    assert objects.actions([config("second")]) == {
        "ConfigMap/second": "none",
        "ConfigMap/first": "delete",
        "Secret/access": "delete",
    }
    left = {item["metadata"]["name"] for item in api.list_pages(f"{core}/configmaps")}
    assert left == {"second", "foreign", "of-another-set", "kube-root-ca.crt"}
    assert read(api, objects.namespace, "secrets", "access") is None
    gone = objects([], state="absent")
    assert gone.changed
    assert not objects([], state="absent").changed
    left = {item["metadata"]["name"] for item in api.list_pages(f"{core}/configmaps")}
    assert left == {"foreign", "of-another-set", "kube-root-ca.crt"}


def test_check_mode_writes_nothing_and_foretells_the_run(objects: ObjectSet, api: ClusterClient) -> None:
    objects([config("old"), config("kept", a="1")])
    wanted = [config("new"), config("kept", a="2")]
    planned = objects(wanted, check=True)
    assert read(api, objects.namespace, "configmaps", "new") is None
    assert read(api, objects.namespace, "configmaps", "old") is not None
    done = objects(wanted)
    assert planned.changed
    assert done.changed
    assert planned.result["objects"] == done.result["objects"]
    assert planned.diff is not None
    assert done.diff is not None
    assert "a: '1'" in planned.diff["before"]
    assert "a: '2'" in planned.diff["after"]
    assert not objects(wanted, check=True).changed


def test_diff_and_result_show_no_secret(
    run_module: RunModule, objects: ObjectSet, kubeconfig: str, namespace: str
) -> None:
    objects([secret(dsn="before", same="same")])
    arguments = {
        "kubeconfig": kubeconfig,
        "namespace": namespace,
        "set_name": "under-test",
        "objects": [secret(dsn=CANARY, same="same")],
    }
    for mode, check in (("action", True), ("module", False)):
        answer = run_module("kubernetes_objects", arguments, mode=mode, check=check, diff=True)
        assert answer.status == "ok", answer.result
        text = repr(answer.result)
        assert CANARY not in text
        assert base64.b64encode(CANARY.encode()).decode() not in text
        assert "dsn: '[hidden] (another value)'" in answer.result["diff"]["after"]
        assert "same: '[hidden]'" in answer.result["diff"]["after"]


def test_a_field_of_somebody_else_is_told_and_not_taken(objects: ObjectSet, api: ClusterClient) -> None:
    objects(server(), wait=False)
    path = f"/apis/apps/v1/namespaces/{objects.namespace}/deployments/server"
    api.patch(path, {"spec": {"replicas": 0}}, {"fieldManager": "an-operator"})
    with pytest.raises(PlatformError) as told:
        objects([config(), *server()], wait=False)
    assert told.value.error_class is ErrorClass.LOCKED
    assert told.value.details["conflicts"] == [{"field": ".spec.replicas", "manager": "an-operator"}]
    assert "an-operator" in told.value.message
    # Nothing was written, not even what comes before it in the list.
    assert read(api, objects.namespace, "configmaps", "settings") is None
    assert api.get(path)["spec"]["replicas"] == 0
    without = server()
    del without[0]["spec"]["replicas"]
    objects(without, wait=False)
    assert api.get(path)["spec"]["replicas"] == 0
    objects(server(), wait=False, force_conflicts=True)
    assert api.get(path)["spec"]["replicas"] == 1


def test_optional_kinds_are_left_out_where_there_are_none(objects: ObjectSet) -> None:
    exotic = {"apiVersion": "example.com/v1", "kind": "Exotic", "metadata": {"name": "a"}}
    done = objects([config(), exotic], optional_kinds=["Exotic"])
    assert done.result["left_out"] == ["Exotic/a"]
    assert [entry["name"] for entry in done.result["objects"]] == ["settings"]


def _without(key: str) -> dict[str, Any]:
    item = config()
    del item[key]
    return item


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        pytest.param([_without("kind")], "objects[0].kind", id="no kind"),
        pytest.param([_without("apiVersion")], "objects[0].apiVersion", id="no version"),
        pytest.param([_without("metadata")], "objects[0].metadata", id="no metadata"),
        pytest.param([config(), config("")], "objects[1].metadata.name", id="no name"),
        pytest.param([config(), config()], "is in the list twice", id="twice"),
        pytest.param(
            [{**config(), "kind": "Konfig"}], "is no kind that this cluster knows", id="unknown kind"
        ),
        pytest.param([{**config(), "apiVersion": "no/v1"}], "is no kind that", id="unknown version"),
        pytest.param([{**config(), "dta": {}}], "field not declared in schema", id="unknown field"),
        pytest.param([config("Not_A_Name")], "ConfigMap/Not_A_Name", id="bad name"),
        pytest.param(
            [{**config(), "metadata": {"name": "a", "namespace": "kube-system"}}],
            "is not the namespace of the set",
            id="another namespace",
        ),
        pytest.param(
            [{**config(), "metadata": {"name": "a", "labels": {"llmops.platform/set": "b"}}}],
            "names another set",
            id="another set",
        ),
        pytest.param(
            [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}],
            "belongs to no namespace",
            id="cluster-scoped",
        ),
        pytest.param(
            [{"apiVersion": RBAC, "kind": "ClusterRole", "metadata": {"name": "a"}}],
            "cluster_wide",
            id="cluster role",
        ),
        pytest.param([], "state: absent", id="empty"),
    ],
)
def test_refuses_what_cannot_be_meant(
    objects: ObjectSet, api: ClusterClient, wanted: Objects, told: str
) -> None:
    with pytest.raises(PlatformError) as refused:
        objects([config("fine"), *wanted] if wanted and "twice" not in told and "[" not in told else wanted)
    assert refused.value.error_class is ErrorClass.INVALID
    assert told in refused.value.message + refused.value.resolution
    assert read(api, objects.namespace, "configmaps", "fine") is None


def test_a_number_in_a_secret_is_refused_without_showing_it(objects: ObjectSet) -> None:
    wrong = secret()
    wrong["stringData"] = {"pin": 4711}
    with pytest.raises(PlatformError, match=r"objects\[0\]\.stringData\.pin: is int") as refused:
        objects([wrong])
    assert "4711" not in str(refused.value)


def test_does_not_take_over_what_is_there(objects: ObjectSet, api: ClusterClient) -> None:
    path = f"/api/v1/namespaces/{objects.namespace}/configmaps"
    api.create(path, {"metadata": {"name": "settings"}, "data": {"theirs": "yes"}})
    with pytest.raises(PlatformError, match="belongs to no set"):
        objects([config(a="1")])
    assert api.get(f"{path}/settings")["data"] == {"theirs": "yes"}
    api.patch(f"{path}/settings", {"metadata": {"labels": {"llmops.platform/set": "under-test"}}})
    objects([config(a="1")])
    assert api.get(f"{path}/settings")["data"] == {"a": "1", "theirs": "yes"}


def test_the_namespace_is_made_only_when_asked_for(
    kubeconfig: str, api: ClusterClient, namespace: str
) -> None:
    name = f"{namespace}-more"
    here = ObjectSet(kubeconfig, name)
    with pytest.raises(PlatformError, match="does not exist"):
        here([config()])
    planned = here([config()], create_namespace=True, check=True)
    assert planned.changed
    assert api.find(f"/api/v1/namespaces/{name}") is None
    assert not here([], state="absent").changed
    try:
        assert here([config()], create_namespace=True).changed
        assert not here([config()], create_namespace=True).changed
    finally:
        api.delete(f"/api/v1/namespaces/{name}")


def test_kinds_that_may_not_be_listed_are_told(
    objects: ObjectSet, api: ClusterClient, kubeconfig: str, tmp_path: Path
) -> None:
    namespace = objects.namespace
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]}]
    token = token_with_rights(api, namespace, "deployer", rules)
    cluster = yaml.safe_load(Path(kubeconfig).read_text())["clusters"][0]["cluster"]
    authority = tmp_path / "ca.crt"
    authority.write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
    rights: dict[str, Any] = {
        "kubeconfig": None,
        "host": api.server,
        "api_key": token,
        "ca_cert": str(authority),
    }
    wait_allowed(ClusterClient(Authentication.from_params(rights)), namespace, "list", "configmaps")
    done = objects([config()], **rights)
    assert done.changed
    assert "Secret" in done.result["unread_kinds"]
    assert "ConfigMap" not in done.result["unread_kinds"]
    with pytest.raises(PlatformError, match="403") as refused:
        objects([config(), secret(dsn=CANARY)], **rights)
    assert refused.value.error_class is ErrorClass.AUTH
    assert CANARY not in str(refused.value)


def _cluster_role(name: str, *verbs: str) -> dict[str, Any]:
    rules = [{"apiGroups": [""], "resources": ["nodes"], "verbs": list(verbs)}]
    return {"apiVersion": RBAC, "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules}


def test_what_belongs_to_no_namespace_is_of_the_set_on_demand(
    api: ClusterClient, kubeconfig: str, make_namespace: Callable[[str], str]
) -> None:
    here, there = (ObjectSet(kubeconfig, make_namespace("wide")) for _ in range(2))
    role = f"of-{here.namespace}"
    path = f"/apis/{RBAC}/clusterroles/{role}"
    wanted = [config(), _cluster_role(role, "get")]
    try:
        assert here(wanted, cluster_wide=True, check=True).changed
        assert api.find(path) is None
        assert here.actions(wanted, cluster_wide=True)[f"ClusterRole/{role}"] == "create"
        assert not here(wanted, cluster_wide=True).changed
        assert here.actions([config(), _cluster_role(role, "list")], cluster_wide=True) == {
            "ConfigMap/settings": "none",
            f"ClusterRole/{role}": "update",
        }
        # A set of the same name elsewhere neither takes it over nor removes it.
        with pytest.raises(PlatformError, match=f"of namespace '{here.namespace}'"):
            there(wanted, cluster_wide=True)
        there([config()], cluster_wide=True)
        assert api.find(path)
        # What does not reach beyond its namespace does not look there.
        here([config()])
        assert api.find(path)
        assert here.actions([config()], cluster_wide=True)[f"ClusterRole/{role}"] == "delete"
        assert api.find(path) is None
    finally:
        api.delete(path)


def test_a_namespace_is_never_of_the_set(objects: ObjectSet) -> None:
    item = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": objects.namespace}}
    with pytest.raises(PlatformError, match="is a namespace, which a set never removes"):
        objects([item], cluster_wide=True)


def test_labels_of_the_namespace(api: ClusterClient, objects: ObjectSet) -> None:
    path = f"/api/v1/namespaces/{objects.namespace}"

    def labels() -> dict[str, str]:
        found: dict[str, str] = api.get(path)["metadata"]["labels"]
        return {name: value for name, value in found.items() if name.startswith("test/")}

    api.patch(path, {"metadata": {"labels": {"test/of-somebody": "x"}}})
    assert objects([config()], namespace_labels={"test/a": "1"}, check=True).changed
    assert labels() == {"test/of-somebody": "x"}
    assert objects([config()], namespace_labels={"test/a": "1", "test/b": "2"}).changed
    assert labels() == {"test/of-somebody": "x", "test/a": "1", "test/b": "2"}
    assert not objects([config()], namespace_labels={"test/a": "1", "test/b": "2"}).changed
    # Others of the same namespace say nothing about labels, and change none.
    assert not objects([config()]).changed
    assert objects([config()], namespace_labels={"test/a": "1"}).changed
    assert labels() == {"test/of-somebody": "x", "test/a": "1"}
    with pytest.raises(PlatformError, match="managed by somebody else") as refused:
        objects([config(), config("more")], namespace_labels={"test/of-somebody": "y"})
    assert refused.value.error_class is ErrorClass.LOCKED
    assert read(api, objects.namespace, "configmaps", "more") is None
    objects([config()], namespace_labels={"test/of-somebody": "y"}, force_conflicts=True)
    assert labels()["test/of-somebody"] == "y"


def test_labels_come_with_a_namespace_that_is_made(
    api: ClusterClient, kubeconfig: str, make_namespace: Callable[[str], str]
) -> None:
    name = f"{make_namespace('base')}-more"
    fresh = ObjectSet(kubeconfig, name)
    try:
        with pytest.raises(PlatformError, match="does not exist"):
            fresh([config()], namespace_labels={"test/a": "1"})
        made = fresh([config()], create_namespace=True, namespace_labels={"test/a": "1"}, check=True)
        assert made.changed
        assert api.find(f"/api/v1/namespaces/{name}") is None
        fresh([config()], create_namespace=True, namespace_labels={"test/a": "1"})
        assert api.get(f"/api/v1/namespaces/{name}")["metadata"]["labels"]["test/a"] == "1"
    finally:
        api.delete(f"/api/v1/namespaces/{name}")
