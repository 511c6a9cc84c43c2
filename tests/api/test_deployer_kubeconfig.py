# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The deployer's kubeconfig that ``environment.yml`` writes: what all is done with, and what cannot be.

The token is a real one of a real API server. Pods become ready here, but nothing runs in them.
"""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import (
    APIError,
    Authentication,
    ClusterClient,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._module import Context
from ansible_collections.llmops.platform.plugins.modules import vllm_release
from tests.support.chart import CHART
from tests.support.export_registry import Registry, fresh_registry
from tests.support.gateway_api import gateway_api
from tests.support.lab import Lab
from tests.support.models import QUICK_VALUES
from tests.support.module_arguments import with_defaults
from tests.support.playbooks import ROOT, PlayResult, PlayRunner
from tests.support.postgres import private_server

RBAC = "/apis/rbac.authorization.k8s.io/v1"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
DEPLOYER = "llmops-deployer"
Play = Callable[..., PlayResult]


@pytest.fixture(scope="module")
def name(api: ClusterClient) -> Iterator[str]:
    """Return the name of an environment of this module; what the role made for it goes away."""
    made = f"qa-{uuid.uuid4().hex[:6]}"
    yield made
    api.delete(f"/api/v1/namespaces/llm-{made}")
    for plural in ("clusterroles", "clusterrolebindings"):
        api.delete(f"{RBAC}/{plural}/{DEPLOYER}-{made}")
    for plural in ("validatingadmissionpolicybindings", "validatingadmissionpolicies"):
        api.delete(f"{ADMISSION}/{plural}/llmops-environment-{made}")


@pytest.fixture(scope="module")
def namespace(name: str) -> str:
    return f"llm-{name}"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the deployer's kubeconfig is to be."""
    return tmp_path_factory.mktemp("home") / ".kube/llmops.yaml"


@pytest.fixture(scope="module")
def play(lab: Lab, name: str, file: Path, tmp_path_factory: pytest.TempPathFactory) -> Play:
    """Return a function that plays a playbook with an inventory as the examples are.

    The administrator's kubeconfig is where kubectl finds it; nothing but ``environment.yml`` may look there.
    """
    folder = tmp_path_factory.mktemp("plays")

    def run(playbook: str, *arguments: str, **changes: Any) -> PlayResult:
        variables = {
            "ansible_connection": "local",
            "vllm_environment": name,
            "vllm_tier": "staging",
            "vllm_namespace": f"llm-{name}",
            "vllm_kubeconfig": str(file),
            "vllm_helm_binary": str(lab.binary("helm")),
            "vllm_values": QUICK_VALUES,
            "environment_deployer_kubeconfig": "{{ vllm_kubeconfig }}",
            **changes,
        }
        # As text: the runner keeps what looks like a template from being one.
        inventory = folder / f"inventory-{uuid.uuid4().hex[:6]}.json"
        hosts = {"models": {"hosts": {"a-model": {}}, "vars": variables}}
        inventory.write_text(json.dumps(hosts), "utf-8")
        admin = {"KUBECONFIG": str(lab.kubeconfig)} if playbook == "environment" else {"KUBECONFIG": ""}
        runner = PlayRunner(folder, admin)
        return runner.run(f"playbooks/{playbook}.yml", inventory=inventory, arguments=arguments)

    return run


@pytest.fixture
def written(play: Play, file: Path) -> Path:
    """Return the deployer's kubeconfig, which the playbook has made."""
    if not file.exists():
        play("environment").check()
    return file


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    """Return a registry of this module."""
    with private_server() as server, fresh_registry(server) as rows:
        yield rows


def client_of(path: Path, **options: Any) -> ClusterClient:
    return ClusterClient(Authentication.from_params({"kubeconfig": str(path), **options}))


def token_of(path: Path) -> str:
    return str(yaml.safe_load(path.read_text("utf-8"))["users"][0]["user"]["token"])


# The file.


def test_the_administrator_writes_it_once(play: Play, file: Path, api: ClusterClient, namespace: str) -> None:
    planned = play("environment", "--check", "--diff").check()
    assert f"There is no ServiceAccount {namespace}/{DEPLOYER} yet." in planned.output
    assert not file.exists()

    made = play("environment", "--diff").check()
    (task,) = made.find(action="service_account_kubeconfig")
    assert task.changed
    assert task.result["expires_at"].endswith("Z")
    assert file.stat().st_mode & 0o7777 == 0o600
    assert token_of(file) not in made.output + json.dumps([task.result for task in made.tasks])

    assert not play("environment").check().changed
    assert not play("environment", "--check", "--diff").check().changed
    # A day, of which half is left when it is renewed.
    payload = token_of(file).split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert claims["exp"] - claims["iat"] == 86400
    assert claims["kubernetes.io"]["serviceaccount"]["name"] == DEPLOYER


def test_it_is_removed_with_the_account(
    play: Play, written: Path, api: ClusterClient, namespace: str
) -> None:
    assert play("environment", environment_deployer=False).check().changed
    assert not written.exists()
    assert api.find(f"/api/v1/namespaces/{namespace}/serviceaccounts/{DEPLOYER}") is None
    play("environment").check()
    assert written.exists()
    assert play("environment", environment_state="absent").check().changed
    assert not written.exists()


def test_a_file_of_somebody_else_is_left(play: Play, written: Path, lab: Lab, tmp_path: Path) -> None:
    """Another path than that of ``vllm_kubeconfig``: then the administrator's has to be named."""
    other = tmp_path / "config"
    other.write_text("kind: Config\n", "utf-8")
    given = {"environment_kubeconfig": str(lab.kubeconfig), "environment_deployer_kubeconfig": str(other)}
    refused = play("environment", **given)
    assert refused.rc != 0
    assert "is no kubeconfig of system:serviceaccount:" in " ".join(refused.output.split())
    assert other.read_text("utf-8") == "kind: Config\n"
    assert play("environment", environment_deployer_kubeconfig_force=True, **given).check().changed
    assert token_of(other)


# What everything is done with.


#: What a release brings besides what it always does.
ADDITIONS: dict[str, Any] = {
    "networkPolicy": {
        "enabled": True,
        "ingress": {"gateway": {"namespaceLabels": {"kubernetes.io/metadata.name": "gateways"}}},
    },
    "httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}], "hostnames": ["a.example.org"]},
    "sidecars": [{"name": "log", "image": "busybox:1.37"}],
    "extraObjects": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "added"}}],
}


@pytest.fixture
def release(lab: Lab, written: Path, name: str, namespace: str) -> dict[str, Any]:
    """Return the arguments of a release by the deployer."""
    return with_defaults(
        vllm_release.ARGUMENT_SPEC,
        kubeconfig=str(written),
        model="model",
        environment=name,
        tier="staging",
        namespace=namespace,
        chart_path=str(CHART),
        chart_values={**QUICK_VALUES, **ADDITIONS},
        helm_binary=str(lab.binary("helm")),
    )


def test_a_whole_release_is_made_with_it(
    api: ClusterClient, release: dict[str, Any], name: str, namespace: str
) -> None:
    """Capacity check, Helm and rollout; in a namespace with default deny and the level restricted."""
    service = f"/api/v1/namespaces/{namespace}/services/model-{name}"
    routes = f"/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/httproutes"
    with gateway_api(api):
        assert vllm_release.run(release, Context()).changed
        assert api.find(service)
        assert api.find(f"/api/v1/namespaces/{namespace}/configmaps/added")
        assert not vllm_release.run(release, Context()).changed
        # A change of the route by hand is seen.
        api.patch(f"{routes}/model-{name}-server", {"spec": {"hostnames": ["b.example.org"]}})
        with pytest.raises(PlatformError, match=r"\.spec\.hostnames of HTTPRoute/"):
            vllm_release.run(release, Context())
        assert vllm_release.run({**release, "state": "absent"}, Context()).changed
        assert api.find(service) is None
        assert not list(api.list_pages(routes))


def test_an_object_that_it_may_not_make_is_named(release: dict[str, Any]) -> None:
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "added"}}
    values = {**QUICK_VALUES, "extraObjects": [role]}
    try:
        with pytest.raises(PlatformError) as caught:
            vllm_release.run({**release, "chart_values": values}, Context())
    finally:
        vllm_release.run({**release, "state": "absent"}, Context())
    assert caught.value.error_class is ErrorClass.AUTH
    assert 'Role "added" in namespace' in caught.value.message


def test_the_playbook_gets_as_far_as_a_pod_that_answers(
    play: Play, api: ClusterClient, written: Path, name: str, namespace: str, registry: Registry
) -> None:
    """``deploy.yml`` with lock and registry: here only the model server is missing."""
    given = {"registry_dsn": registry.dsn, "vllm_verify_timeout": 1}
    deployed = play("deploy", **given)
    (task,) = deployed.find(action="vllm_deployment")
    assert task.result["failed_step"] == "verify", task.result
    assert task.result["error_class"] != "auth", task.result
    assert api.find(f"/api/v1/namespaces/{namespace}/services/a-model-{name}")
    play("deploy", vllm_state="absent", deploy_all=True, **given).check()
    assert api.find(f"/api/v1/namespaces/{namespace}/services/a-model-{name}") is None


@pytest.mark.parametrize("service", ["router", "health_check"])
def test_services_run_and_go_with_it(play: Play, api: ClusterClient, written: Path, service: str) -> None:
    given = {f"{service}_image": "registry.example.com/a:1", f"{service}_dsn": "host=db"}
    made = play(service, **given).check()
    (task,) = [task for task in made.find(action="kubernetes_objects") if task.status == "ok"]
    assert made.changed
    # Monitoring as well: this cluster has the definitions.
    assert task.result["left_out"] == []
    assert {"Deployment", "Secret", "NetworkPolicy"} <= {item["kind"] for item in task.result["objects"]}
    # What leaves the set is found, of all kinds that these playbooks make.
    fewer = play(service, "--check", **given, **{f"{service}_monitoring": False}).check()
    (task,) = [task for task in fewer.find(action="kubernetes_objects") if task.status == "ok"]
    gone = {item["kind"] for item in task.result["objects"] if item["action"] == "delete"}
    assert gone == {"PrometheusRule", "ServiceMonitor" if service == "router" else "PodMonitor"}
    assert play(service, **{f"{service}_state": "absent"}, **given).check().changed


def test_the_router_is_reached_from_outside_with_it(
    play: Play, api: ClusterClient, written: Path, namespace: str
) -> None:
    """The API server judges what leads in, and finds what is not wanted any more."""
    given: dict[str, Any] = {
        "router_image": "registry.example.com/a:1",
        "router_dsn": "host=db",
        "router_api_keys": [{"name": "a", "sha256": "0" * 64, "models": ["*"]}],
    }
    door: dict[str, Any] = {
        "router_service_type": "LoadBalancer",
        "router_service_annotations": {"example.com/internal": "true"},
        "router_load_balancer_class": "example.com/lb",
        "router_load_balancer_source_ranges": ["192.0.2.0/24"],
        "router_tls_secret": "router-tls",
        "router_client_peers": [{"ipBlock": {"cidr": "192.0.2.0/24"}}],
        "router_ingress": {"host": "llm.example.com", "class_name": "example", "tls_secret": "llm-tls"},
        "router_http_route": {"parents": [{"name": "g"}], "hostnames": ["llm.example.com"]},
    }
    with gateway_api(api):
        made = play("router", **given, **door).check()
        (task,) = [task for task in made.find(action="kubernetes_objects") if task.status == "ok"]
        assert {"Ingress", "HTTPRoute"} <= {item["kind"] for item in task.result["objects"]}

        outer = api.get(f"/api/v1/namespaces/{namespace}/services/router-external")
        assert outer["metadata"]["annotations"]["example.com/internal"] == "true"
        assert outer["spec"]["type"] == "LoadBalancer"
        assert outer["spec"]["loadBalancerSourceRanges"] == ["192.0.2.0/24"]
        (port,) = outer["spec"]["ports"]
        assert (port["port"], port["targetPort"]) == (443, "https")
        inner = api.get(f"/api/v1/namespaces/{namespace}/services/router")
        assert inner["spec"]["type"] == "ClusterIP"
        # Prometheus scrapes one of them.
        path = f"/apis/monitoring.coreos.com/v1/namespaces/{namespace}/servicemonitors/router"
        selected = api.get(path)["spec"]["selector"]["matchLabels"].items()
        assert selected <= inner["metadata"]["labels"].items()
        assert not selected <= outer["metadata"]["labels"].items()

        networking = f"/apis/networking.k8s.io/v1/namespaces/{namespace}"
        ingress = api.get(f"{networking}/ingresses/router")["spec"]
        assert ingress["tls"] == [{"hosts": ["llm.example.com"], "secretName": "llm-tls"}]
        (path,) = ingress["rules"][0]["http"]["paths"]
        assert path["backend"]["service"] == {"name": "router", "port": {"name": "https"}}
        rules = api.get(f"{networking}/networkpolicies/router")["spec"]["ingress"]
        assert [rule["ports"][0]["port"] for rule in rules] == ["https", "http"]
        assert rules[0]["from"] == [{"ipBlock": {"cidr": "192.0.2.0/24"}}]
        route = f"/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/httproutes/router"
        (rule,) = api.get(route)["spec"]["rules"]
        assert (rule["timeouts"], rule["backendRefs"][0]["port"]) == ({"request": "0s"}, 443)

        assert not play("router", **given, **door).check().changed
        assert play("router", **given).check().changed
        assert api.find(f"{networking}/ingresses/router") is None
        assert api.find(f"/api/v1/namespaces/{namespace}/services/router-external") is None
        assert api.find(route) is None
        play("router", router_state="absent").check()


def test_routes_of_a_gateway_follow_with_it(
    play: Play, api: ClusterClient, written: Path, name: str, namespace: str, registry: Registry
) -> None:
    given = {
        "registry_dsn": registry.dsn,
        "router_backend": "gateway_api",
        "router_gateway_parents": [{"name": "inference", "namespace": "gateways"}],
    }
    registry.put("m", f"http://m-{name}.{namespace}.svc.cluster.local:8000", environment=name)
    with gateway_api(api):
        assert play("export", **given).check().changed
        assert play("export", router_state="absent", **given).check().changed


def test_an_example_inventory_goes_from_administrator_to_deployer(
    lab: Lab, api: ClusterClient, tmp_path: Path
) -> None:
    """As a user plays it: the administrator has a kubeconfig with contexts, the deployer only the home."""
    admin = yaml.safe_load(lab.kubeconfig.read_text("utf-8"))
    admin["contexts"][0]["name"] = "llm-staging"
    admin.pop("current-context")
    (tmp_path / "admin").write_text(yaml.safe_dump(admin), "utf-8")
    runner = PlayRunner(tmp_path, {"HOME": str(tmp_path), "KUBECONFIG": str(tmp_path / "admin")})
    given: dict[str, Any] = {"inventory": ROOT / "inventories/staging"}
    try:
        assert runner.run("playbooks/environment.yml", **given).check().changed
        assert not runner.run("playbooks/environment.yml", **given).check().changed
        (tmp_path / "admin").unlink()
        own = tmp_path / ".kube/llmops-staging.yaml"
        assert own.stat().st_mode & 0o7777 == 0o600
        # Who has made it kubectl's own in the meantime is told so.
        deployer = PlayRunner(tmp_path, {"HOME": str(tmp_path), "KUBECONFIG": str(own)})
        refused = deployer.run("playbooks/environment.yml", **given)
        assert f"environment_kubeconfig: {own} is the deployer's own" in " ".join(refused.output.split())
        done = runner.run("playbooks/router.yml", arguments=["--check"], **given).check()
        assert done.changed
    finally:
        api.delete("/api/v1/namespaces/llm-staging")
        for plural in ("clusterroles", "clusterrolebindings"):
            api.delete(f"{RBAC}/{plural}/{DEPLOYER}-staging")
        for plural in ("validatingadmissionpolicybindings", "validatingadmissionpolicies"):
            api.delete(f"{ADMISSION}/{plural}/llmops-environment-staging")


# What it is not for: one real request of each kind.

OWN = "/api/v1/namespaces/{namespace}"
_POD = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
_ROLE = {
    "metadata": {"name": "r"},
    "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
}
_BINDING = {
    "metadata": {"name": "b"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/v1/namespaces/kube-system/secrets", None),
        ("GET", "/api/v1/secrets", None),
        ("GET", "/api/v1/namespaces/default/configmaps", None),
        ("POST", "/apis/apps/v1/namespaces/default/deployments", {"metadata": {"name": "d"}}),
        ("GET", "/api/v1/namespaces/kube-system/pods/p/log", None),
        ("POST", OWN + "/pods", _POD),
        ("POST", OWN + "/pods/p/exec?command=id", {}),
        ("GET", OWN + "/pods/p/exec?command=id", None),
        ("POST", OWN + "/pods/p/attach", {}),
        ("PATCH", OWN + "/pods/p/ephemeralcontainers", {"spec": {}}),
        ("POST", OWN + "/serviceaccounts/default/token", {"spec": {"expirationSeconds": 600}}),
        ("POST", OWN + "/serviceaccounts/llmops-deployer/token", {"spec": {"expirationSeconds": 600}}),
        ("PATCH", OWN + "/resourcequotas/llmops-environment", {"metadata": {"labels": {"a": "b"}}}),
        ("DELETE", OWN + "/limitranges/llmops-environment", None),
        ("POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles", _ROLE),
        ("POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings", _BINDING),
        ("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", _BINDING),
        ("PATCH", "/api/v1/namespaces/{namespace}", {"metadata": {"labels": {"a": "b"}}}),
        ("DELETE", "/api/v1/namespaces/{namespace}", None),
        ("POST", "/api/v1/namespaces", {"metadata": {"name": "more"}}),
        ("PATCH", "/api/v1/nodes/open-gpu", {"spec": {"unschedulable": True}}),
        ("GET", "/api/v1/nodes/open-gpu/proxy/pods", None),
        ("DELETE", "/api/v1/persistentvolumes/v", None),
    ],
)
def test_the_rest_is_refused(
    written: Path, namespace: str, method: str, path: str, body: dict[str, Any] | None
) -> None:
    payload = None if body is None else json.dumps(body).encode()
    kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
    with pytest.raises(APIError) as told:
        client_of(written).request(method, path.format(namespace=namespace), None, payload, kind)
    assert (told.value.status, told.value.error_class) == (403, ErrorClass.AUTH), told.value


@pytest.mark.parametrize(
    "user", ["system:admin", "system:serviceaccount:kube-system:default", "system:serviceaccount:{0}:default"]
)
def test_nobody_else_can_be_played(written: Path, namespace: str, user: str) -> None:
    with pytest.raises(APIError, match="cannot impersonate") as told:
        client_of(written, impersonate_user=user.format(namespace)).get(
            f"/api/v1/namespaces/{namespace}/pods"
        )
    assert told.value.status == 403


# How it ends.


def test_with_its_account_it_ends_and_the_next_run_mends_it(
    play: Play, api: ClusterClient, written: Path, namespace: str, registry: Registry, tmp_path: Path
) -> None:
    old = token_of(written)
    kept = tmp_path / "kept.yaml"
    kept.write_text(written.read_text("utf-8"), "utf-8")
    api.delete(f"/api/v1/namespaces/{namespace}/serviceaccounts/{DEPLOYER}")
    refused = play("deploy", registry_dsn=registry.dsn)
    (task,) = refused.find(action="vllm_deployment")
    assert task.result["error_class"] == "auth", task.result
    assert old not in refused.output + json.dumps(task.result)

    renewed = play("environment").check()
    (task,) = renewed.find(action="service_account_kubeconfig")
    assert task.result["reason"] == "the account of the token is gone"
    assert token_of(written) != old
    assert client_of(written).get(f"/api/v1/namespaces/{namespace}/pods")
    # Nor does the account of the same name give the old token its rights back.
    with pytest.raises(APIError) as told:
        client_of(kept).get(f"/api/v1/namespaces/{namespace}/pods")
    assert told.value.status == 401


def test_the_one_before_holds_until_its_end(
    play: Play, written: Path, namespace: str, tmp_path: Path
) -> None:
    """A run that goes on while another one renews is not cut off."""
    kept = tmp_path / "kept.yaml"
    kept.write_text(written.read_text("utf-8"), "utf-8")
    assert play("environment", environment_deployer_token_renew_share=1).check().changed
    assert token_of(kept) != token_of(written)
    for path in (kept, written):
        assert client_of(path).get(f"/api/v1/namespaces/{namespace}/pods")


def signed(lab: Lab, claims: dict[str, Any], like: str) -> str:
    """Return a token as the API server would have signed it."""
    key = serialization.load_pem_private_key((lab.folder / "pki/service-account.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    text = f"{like.partition('.')[0]}.{payload}"
    both = decode_dss_signature(key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    signature = b"".join(number.to_bytes(32, "big") for number in both)
    return f"{text}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def test_a_token_that_has_ended_is_told_and_renewed(
    lab: Lab, play: Play, written: Path, namespace: str
) -> None:
    token = token_of(written)
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    text = written.read_text("utf-8")
    path = f"/api/v1/namespaces/{namespace}/pods"
    # The same token signed again is as good, so that what follows is because of its time.
    written.write_text(text.replace(token, signed(lab, claims, token)), "utf-8")
    assert client_of(written).get(path)
    now = int(time.time())
    ended = {**claims, "iat": now - 86400, "nbf": now - 86400, "exp": now - 60}
    written.write_text(text.replace(token, signed(lab, ended, token)), "utf-8")
    with pytest.raises(PlatformError, match="401") as told:
        client_of(written).get(path)
    assert told.value.error_class is ErrorClass.AUTH
    (task,) = play("environment").check().find(action="service_account_kubeconfig")
    assert task.result["reason"] == "the token has ended"
    assert client_of(written).get(path)
