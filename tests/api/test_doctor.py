# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The doctor with a real API server: each fault is made on purpose, and named."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from ansible_collections.llmops.platform.plugins.module_utils._module import Context
from ansible_collections.llmops.platform.plugins.modules import platform_doctor_info
from tests.support.api_proxy import ApiProxy
from tests.support.control_plane import OPEN_NODE
from tests.support.lab import Lab
from tests.support.lab_runs import wait
from tests.support.module_arguments import with_defaults
from tests.support.playbooks import ROOT
from tests.support.rights import token_with_rights
from tests.support.tls import Pair

Findings = dict[str, dict[str, str]]
Examine = Callable[..., Findings]

#: Its registry is nowhere.
IMAGE = {"repository": "127.0.0.1:1/vllm-openai", "tag": "v0.11.0"}
VALUES = {
    "image": IMAGE,
    "engineVersion": "0.11.0",
    "model": {"sizeBillions": 8},
}


def deployer() -> list[dict[str, Any]]:
    """Return the roles that role environment makes."""
    text = (ROOT / "roles/environment/templates/deployer.yml.j2").read_text(encoding="utf-8")
    # As Ansible reads it; nothing of this is HTML.
    environment = jinja2.Environment(trim_blocks=True)  # noqa: S701
    environment.filters["to_json"] = json.dumps
    names = {
        "_environment_checked": {"namespace": "any"},
        "_environment_labels": {},
        "_environment_cluster_role": "any",
        "environment_deployer_rbac": False,
    }
    made = yaml.safe_load_all(environment.from_string(text).render(names))
    return [item for item in made if "rules" in item]


DEPLOYER = deployer()


def model(host: str, values: dict[str, Any]) -> dict[str, Any]:
    """Return a model as the inventory has it."""
    return {
        "host": host,
        "model": f"m/{host}",
        "chart_values": values,
        "error": "",
        "environment": "development",
        "elsewhere": "",
    }


@pytest.fixture
def examine(kubeconfig: str, namespace: str, helm_binary: str) -> Examine:
    """Return a function that examines the test's namespace, and answers by check and subject."""

    def run(values: dict[str, Any] | None = None, **more: Any) -> Findings:
        given = {
            "kubeconfig": kubeconfig,
            "namespace": namespace,
            "helm_binary": helm_binary,
            "deployer": DEPLOYER,
            "chart_path": str(ROOT / "roles/vllm/files/chart/vllm-deployment"),
            "models": [model("llama", {**VALUES, **(values or {})})],
            # The machine may be busy with other tests.
            "timeout": 60,
        }
        params = with_defaults(platform_doctor_info.ARGUMENT_SPEC, **{**given, **more})
        outcome = platform_doctor_info.run(params, Context())
        assert not outcome.changed
        return {f"{item['check']} {item['subject']}".rstrip(): item for item in outcome.result["findings"]}

    return run


def verdicts(found: Findings) -> dict[str, str]:
    """Return the verdicts by check and subject."""
    return {name: item["verdict"] for name, item in found.items()}


def test_a_cluster_that_is_as_it_should_be(examine: Examine) -> None:
    told = verdicts(examine())
    for name in ("cluster access", "cluster version", "cluster clock", "rights", "values llama"):
        assert told[name] == "pass"
    assert told["gpu nodes nvidia.com/gpu"] in ("pass", "warn")
    assert told["storage"] == "skipped"
    # Nothing runs here, and there is no DNS.
    assert told["images vllm-openai:v0.11.0"] == "unknown"
    assert told["dns"] == "unknown"
    assert told["namespace"] == "warn"


def test_a_missing_right_is_named(examine: Examine, api: ClusterClient, namespace: str) -> None:
    role = next(item for item in DEPLOYER if item["kind"] == "Role")
    rules = [rule for rule in role["rules"] if "secrets" not in rule["resources"]]
    token = token_with_rights(api, namespace, "less", rules)
    found = examine(kubeconfig=None, host=api.server, api_key=token, validate_certs=False)
    assert found["cluster access"]["verdict"] == "warn"
    assert f"system:serviceaccount:{namespace}:less" in found["cluster access"]["seen"]
    assert found["rights"]["verdict"] == "fail"
    assert "create, delete, get, list, patch, update: secrets" in found["rights secrets"]["seen"]
    assert "Helm" in found["rights secrets"]["seen"]
    # Of the cluster as a whole it has nothing, and what cannot be read is not known.
    assert found["rights nodes"]["verdict"] == "fail"
    assert found["gpu nodes"]["verdict"] == "unknown"
    assert found["placement llama"]["verdict"] == "unknown"
    # Nobody hides the others.
    assert found["policies fence"]["verdict"] == "warn"


def test_whoever_may_not_look_for_a_secret_does_not_find_it_there(
    examine: Examine, api: ClusterClient, namespace: str
) -> None:
    token = token_with_rights(api, namespace, "nobody", [])
    secret = {"secrets": {"hfToken": {"existingSecret": "hf"}}}
    found = examine(secret, kubeconfig=None, host=api.server, api_key=token, validate_certs=False)
    assert found["secrets llama"]["verdict"] == "unknown"


def test_an_authority_that_is_not_the_clusters(examine: Examine, api: ClusterClient, tmp_path: Path) -> None:
    authority = tmp_path / "other.crt"
    authority.write_bytes(Pair.issue("another").certificate_pem)
    found = examine(kubeconfig=None, host=api.server, api_key="x", ca_cert=str(authority))
    assert found["cluster access"]["verdict"] == "fail"
    assert "TLS" in found["cluster access"]["seen"]
    # Behind it nothing is known.
    assert {found[name]["verdict"] for name in ("rights", "namespace", "placement", "dns")} == {"unknown"}


def test_credentials_that_are_refused(examine: Examine, api: ClusterClient) -> None:
    found = examine(kubeconfig=None, host=api.server, api_key="nobody-knows-it", validate_certs=False)
    assert found["cluster access"]["verdict"] == "fail"
    assert "nobody-knows-it" not in str(found)


def test_nothing_is_given_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith(("KUBE", "PG", "K8S_", "LLMOPS_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    params = with_defaults(platform_doctor_info.ARGUMENT_SPEC)
    found = platform_doctor_info.run(params, Context()).result
    told = {f"{item['check']} {item['subject']}": item["verdict"] for item in found["findings"]}
    assert told["tools helm"] == told["cluster access"] == told["database access"] == "fail"
    assert told["tools Python"] == "pass"
    assert not found["passed"]


def test_a_helm_that_is_too_old(examine: Examine, tmp_path: Path) -> None:
    old = tmp_path / "helm"
    old.write_text("#!/bin/sh\necho v3.19.0+g0\n", encoding="utf-8")
    old.chmod(old.stat().st_mode | stat.S_IXUSR)
    found = examine(helm_binary=str(old))
    assert found["tools helm"]["verdict"] == "fail"
    assert "3.19.0" in found["tools helm"]["seen"]
    # Models cannot be rendered then, which is no reason to pass them.
    assert found["placement"]["verdict"] == "unknown"


def test_a_namespace_that_is_not_there(examine: Examine) -> None:
    assert examine(namespace="doctor-nowhere")["namespace"]["verdict"] == "fail"


def test_values_that_the_chart_refuses(examine: Examine) -> None:
    found = examine({"replicsa": 2})
    assert found["values llama"]["verdict"] == "fail"
    assert "replicsa" in found["values llama"]["seen"]


def test_a_label_that_no_node_has(examine: Examine) -> None:
    found = examine({"scheduling": {"nodeSelector": {"pool": "none"}}})["placement llama"]
    assert found["verdict"] == "fail"
    assert "pool=none" in found["seen"]


def test_a_taint_that_is_not_tolerated(examine: Examine, api: ClusterClient) -> None:
    untainted = examine({"scheduling": {"tolerations": []}, **_small()})["placement llama"]
    assert untainted["verdict"] == "pass", untainted
    taint = [{"key": "doctor", "value": "yes", "effect": "NoSchedule"}]
    path = f"/api/v1/nodes/{OPEN_NODE}"
    before = api.get(path)["spec"].get("taints")
    api.patch(path, {"spec": {"taints": taint}})
    try:
        found = examine({"scheduling": {"tolerations": []}, **_small()})
    finally:
        api.patch(path, {"spec": {"taints": before}})
    assert found["placement llama"]["verdict"] == "fail"
    assert "doctor=yes:NoSchedule" in found["placement llama"]["seen"]
    assert "doctor=yes:NoSchedule" in found["gpu nodes nvidia.com/gpu"]["seen"]


def _small() -> dict[str, Any]:
    amounts = {"cpu": "10m", "memory": "16Mi"}
    return {"gpu": {"resources": {"requests": amounts, "limits": amounts}}}


def test_a_quota_that_is_too_small(examine: Examine, api: ClusterClient, namespace: str) -> None:
    spec = {"hard": {"requests.nvidia.com/gpu": "0"}}
    quota = {"metadata": {"name": "gpus"}, "spec": spec, "status": {**spec, "used": {}}}
    path = f"/api/v1/namespaces/{namespace}/resourcequotas"
    api.create(path, quota)
    api.patch(f"{path}/gpus/status", {"status": {**spec, "used": {"requests.nvidia.com/gpu": "0"}}})
    found = examine()
    assert found["placement llama"]["verdict"] == "fail"
    assert "ResourceQuota gpus" in found["placement llama"]["seen"]
    assert found["quota gpus"]["verdict"] == "warn"


def test_a_secret_that_is_missing(examine: Examine, api: ClusterClient, namespace: str) -> None:
    values = {"secrets": {"hfToken": {"existingSecret": "hf"}}}
    assert "Secret hf is missing" in examine(values)["secrets llama"]["seen"]
    path = f"/api/v1/namespaces/{namespace}/secrets"
    api.create(path, {"metadata": {"name": "hf"}, "stringData": {"other": "hidden-value"}})
    found = examine(values)
    assert "has no key token" in found["secrets llama"]["seen"]
    assert "hidden-value" not in str(found)
    api.patch(f"{path}/hf", {"stringData": {"token": "hidden-value"}})
    assert examine(values)["secrets llama"]["verdict"] == "pass"


def test_nothing_is_asked_once_for_each_model(
    examine: Examine, lab: Lab, api: ClusterClient, namespace: str, tmp_path: Path
) -> None:
    """With sixty models that took longer than a check may."""
    api.create(f"/api/v1/namespaces/{namespace}/secrets", {"metadata": {"name": "hf"}, "data": {"token": ""}})
    values = {**VALUES, "secrets": {"hfToken": {"existingSecret": "hf"}}}
    asked = {"secret": rb"GET /api/v1/\S+/secrets/hf ", "rights": rb"POST \S+/selfsubjectaccessreviews "}
    counts: dict[str, list[int]] = {}
    for name, only in asked.items():
        for number in (1, 3):
            models = [model(f"model-{index}", values) for index in range(number)]
            # One that stalls for no time is a request that is counted.
            with ApiProxy(lab, faults=1000, kinds=["stall"], stall_s=0, only=only).running() as proxy:
                found = examine(kubeconfig=str(proxy.kubeconfig(tmp_path / "proxied")), models=models)
            assert found["secrets model-0"]["verdict"] == "pass"
            counts.setdefault(name, []).append(proxy.given["stall"])
    assert counts["secret"] == [1, 1]
    assert counts["rights"][0] == counts["rights"][1] > 0


def test_a_storage_class_that_is_missing(examine: Examine) -> None:
    found = examine({"persistence": {"enabled": True, "storageClass": "fast"}})["storage llama"]
    assert found["verdict"] == "fail"
    assert "class fast" in found["seen"]


def test_a_claim_of_others_that_lost_its_volume(examine: Examine, api: ClusterClient, namespace: str) -> None:
    values = {"persistence": {"enabled": True, "existingClaim": "weights"}}
    assert examine(values)["storage llama"]["verdict"] == "skipped"
    spec: dict[str, Any] = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    path = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims"
    free = {"metadata": {"name": "weights"}, "spec": {**spec, "storageClassName": ""}}
    api.create(path, free)
    # Nobody makes a volume for it.
    assert "none that fits is free" in examine(values)["storage llama"]["seen"]
    api.delete(f"{path}/weights")
    wait("the claim is gone", lambda: api.find(f"{path}/weights") is None)
    # As one that was bound to a volume which is no more.
    metadata = {"name": "weights", "annotations": {"pv.kubernetes.io/bind-completed": "yes"}}
    api.create(path, {"metadata": metadata, "spec": {**free["spec"], "volumeName": "doctor-gone"}})
    wait("the claim is lost", lambda: api.get(f"{path}/weights")["status"]["phase"] == "Lost")
    found = examine(values)["storage llama"]
    assert (found["verdict"], found["seen"]) == ("fail", "claim weights has lost its volume.")


def test_a_definition_that_is_missing(examine: Examine) -> None:
    thing = {"apiVersion": "doctor.example/v1", "kind": "Thing", "metadata": {"name": "thing"}}
    found = examine({"serviceMonitor": {"enabled": True}, "extraObjects": [thing]})
    assert found["kinds doctor.example"]["verdict"] == "fail"
    assert "no Thing," in found["kinds doctor.example"]["seen"]
    assert found["kinds monitoring.coreos.com"]["verdict"] == "pass"


def test_images_of_further_containers(examine: Examine) -> None:
    values = {
        "sidecars": [{"name": "proxy", "image": "127.0.0.1:1/proxy:1"}],
        "initContainers": [{"name": "fetch", "image": "127.0.0.1:1/fetch:1"}],
        "image": {**IMAGE, "pullSecrets": ["ghcr"]},
    }
    found = examine(values)
    assert found["values llama"]["verdict"] == "pass", found["values llama"]
    told = verdicts(found)
    assert told["images proxy:1"] == told["images fetch:1"] == "unknown"


def test_a_fence_without_a_gate(examine: Examine, api: ClusterClient, namespace: str) -> None:
    path = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies"
    spec = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    api.create(path, {"metadata": {"name": "deny"}, "spec": spec})
    told = verdicts(examine({"networkPolicy": {"enabled": False}}))
    assert told["policies fence"] == "pass"
    assert told["policies dns"] == "fail"
    assert told["policies llama"] == told["policies llama egress"] == "fail"
    told = verdicts(examine())
    # No pod of this cluster answers names.
    assert (told["policies llama"], told["policies llama egress"]) == ("pass", "unknown")
    found = examine({"hostNetwork": True, "networkPolicy": {"enabled": False}})["policies llama"]
    assert (found["verdict"], "in the network of its node" in found["seen"]) == ("warn", True)


def test_a_fence_that_somebody_opened(examine: Examine, api: ClusterClient, namespace: str) -> None:
    path = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies"
    spec = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    api.create(path, {"metadata": {"name": "deny"}, "spec": spec})
    api.create(path, {"metadata": {"name": "open"}, "spec": {**spec, "ingress": [{}], "egress": [{}]}})
    found = examine({"networkPolicy": {"enabled": False}})
    assert found["policies fence"]["verdict"] == "warn"
    assert "open lets anybody in" in found["policies fence"]["seen"]
    # It works, though.
    assert found["policies dns"]["verdict"] == found["policies llama"]["verdict"] == "pass"


def test_names_are_asked_of_the_servers_that_there_are(
    examine: Examine, api: ClusterClient, namespace: str
) -> None:
    path = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies"
    rule = {"to": [{"ipBlock": {"cidr": "8.8.8.8/32"}}], "ports": [{"port": 53, "protocol": "UDP"}]}
    spec = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "egress": [rule]}
    api.create(path, {"metadata": {"name": "elsewhere"}, "spec": spec})
    assert examine()["policies dns"]["verdict"] == "unknown"
    ports = [{"name": "dns", "containerPort": 53, "protocol": "UDP"}]
    server = {"containers": [{"name": "coredns", "image": "coredns", "ports": ports}]}
    metadata = {"name": f"coredns-{namespace}", "labels": {"k8s-app": "kube-dns"}}
    pods = "/api/v1/namespaces/kube-system/pods"
    api.create(pods, {"metadata": metadata, "spec": server})
    try:
        found = examine()["policies dns"]
    finally:
        api.delete(f"{pods}/{metadata['name']}", {"gracePeriodSeconds": 0})
    assert (found["verdict"], "elsewhere lets pods ask somebody else" in found["seen"]) == ("fail", True)


def test_a_model_that_is_elsewhere_is_not_judged_here(examine: Examine) -> None:
    models = [model("llama", VALUES), {**model("other", VALUES), "elsewhere": "namespace llm-b"}]
    found = examine(models=models)
    assert found["values llama"]["verdict"] == "pass"
    assert found["values other"]["verdict"] == "unknown"
    assert "namespace llm-b" in found["values other"]["seen"]
    assert "placement llama" in found
    assert "placement other" not in found


def test_models_are_rendered_side_by_side(examine: Examine, helm_binary: str, tmp_path: Path) -> None:
    """Sixty of them in turn took longer than a job of AWX may."""
    met = tmp_path / "met"
    met.mkdir()
    patient = tmp_path / "helm"
    lines = [
        "#!/bin/sh",
        'if [ "$1" = template ]; then',
        f'  touch "{met}/$$"',
        "  tries=0",
        f'  while [ "$(ls "{met}" | wc -l)" -lt 2 ]; do',
        '    [ "$tries" -lt 100 ] || exit 1',
        "    tries=$((tries + 1))",
        "    sleep 0.1",
        "  done",
        "fi",
        f'exec "{helm_binary}" "$@"',
    ]
    patient.write_text("\n".join(lines) + "\n", encoding="utf-8")
    patient.chmod(patient.stat().st_mode | stat.S_IXUSR)
    names = ["c", "a", "b"]
    found = examine(helm_binary=str(patient), models=[model(name, VALUES) for name in names])
    told = [(name, item["verdict"]) for name, item in found.items() if name.startswith("values ")]
    assert told == [(f"values {name}", "pass") for name in names]


def test_a_model_of_another_environment(examine: Examine) -> None:
    found = examine(environment="staging")
    assert found["values llama"]["verdict"] == "fail"
    assert "development" in found["values llama"]["seen"]
