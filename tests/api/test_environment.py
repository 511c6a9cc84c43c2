# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``playbooks/environment.yml`` on a real API server, which judges what the deployer's account may do.

Nothing here sends a packet: the policies are read back. tests/lab/test_isolation.py tries them.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import (
    Authentication,
    ClusterClient,
)
from ansible_collections.llmops.platform.plugins.module_utils._module import Context
from ansible_collections.llmops.platform.plugins.modules import vllm_release
from tests.support.chart import CHART, ENVIRONMENTS, EVERYTHING, HelmChart, Object, as_yaml
from tests.support.gateway_api import gateway_api
from tests.support.kubectl import Kubectl
from tests.support.lab import Lab
from tests.support.models import QUICK_VALUES
from tests.support.playbooks import PlayResult, PlayRunner
from tests.support.run_module import RunModule

GOLDEN = Path(__file__).parent / "golden/deployer_rights.yml"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
DEPLOYER = "llmops-deployer"
SETTINGS: dict[str, Any] = {
    "environment_quota": {"requests.nvidia.com/gpu": 16},
    "environment_limit_range": {"limits": [{"type": "Container", "default": {"memory": "1Gi"}}]},
    "environment_egress_cidrs": ["10.20.0.5/32", "0.0.0.0/0"],
    "environment_egress_ports": [443, 8443],
    "environment_api_server_cidrs": ["192.0.2.7/32"],
}
METADATA = ["100.100.100.200/32", "168.63.129.16/32", "169.254.0.0/16", "192.0.0.192/32"]

Apply = Callable[..., PlayResult]


@pytest.fixture(scope="module")
def name(api: ClusterClient) -> Iterator[str]:
    """Return the name of an environment of this module; what the role made for it goes away."""
    made = f"qa-{uuid.uuid4().hex[:6]}"
    yield made
    api.delete(f"/api/v1/namespaces/llm-{made}")
    for plural in ("clusterroles", "clusterrolebindings"):
        api.delete(f"{RBAC}/{plural}/llmops-deployer-{made}")
    for plural in ("validatingadmissionpolicybindings", "validatingadmissionpolicies"):
        api.delete(f"{ADMISSION}/{plural}/llmops-environment-{made}")


@pytest.fixture(scope="module")
def apply(lab: Lab, name: str, tmp_path_factory: pytest.TempPathFactory) -> Apply:
    """Return a function that runs the playbook for the environment."""

    def run(*arguments: str, **changes: Any) -> PlayResult:
        variables = {
            "ansible_connection": "local",
            "vllm_environment": name,
            "vllm_tier": "staging",
            "vllm_namespace": f"llm-{name}",
            "vllm_kubeconfig": str(lab.kubeconfig),
            **SETTINGS,
            **changes,
        }
        inventory = {"models": {"hosts": {"a-model": {}, "b-model": {}}, "vars": variables}}
        runner = PlayRunner(tmp_path_factory.mktemp("environment"))
        return runner.run("playbooks/environment.yml", inventory=inventory, arguments=arguments)

    return run


@pytest.fixture(scope="module")
def applied(apply: Apply, name: str) -> str:
    """Return the namespace of the environment, which has been applied."""
    apply().check()
    return f"llm-{name}"


@pytest.fixture
def as_deployer(applied: str) -> list[str]:
    """Return the options of kubectl that make it the deployer."""
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{applied}", "system:authenticated"]
    return [f"--as=system:serviceaccount:{applied}:{DEPLOYER}", *(f"--as-group={group}" for group in groups)]


def everything_of(api: ClusterClient, name: str) -> dict[str, Any]:
    """Return what the role makes, with versions: whatever is written shows."""
    found = {}
    for path in (
        f"/api/v1/namespaces/llm-{name}",
        *(
            f"/api/v1/namespaces/llm-{name}/{plural}/llmops-environment"
            for plural in ("configmaps", "resourcequotas", "limitranges")
        ),
        *(
            f"/apis/networking.k8s.io/v1/namespaces/llm-{name}/networkpolicies/llmops-{policy}"
            for policy in (
                "default-deny",
                "allow-dns",
                "allow-verifier",
                "allow-api-server",
                "allow-model-sources",
            )
        ),
        f"/api/v1/namespaces/llm-{name}/serviceaccounts/{DEPLOYER}",
        f"{RBAC}/namespaces/llm-{name}/roles/{DEPLOYER}",
        f"{RBAC}/namespaces/llm-{name}/rolebindings/{DEPLOYER}",
        f"{RBAC}/clusterroles/llmops-deployer-{name}",
        f"{RBAC}/clusterrolebindings/llmops-deployer-{name}",
        f"{ADMISSION}/validatingadmissionpolicies/llmops-environment-{name}",
        f"{ADMISSION}/validatingadmissionpolicybindings/llmops-environment-{name}",
    ):
        item = api.find(path)
        if item is not None:
            found[path] = item
    return found


def versions(items: dict[str, Any]) -> dict[str, str]:
    # A quota's status is written by its controller.
    return {
        path: item["metadata"]["resourceVersion"]
        for path, item in items.items()
        if "/resourcequotas/" not in path
    }


def test_check_mode_writes_nothing_and_a_second_run_changes_nothing(
    api: ClusterClient, lab: Lab, tmp_path: Path
) -> None:
    """In its own environment, from nothing to nothing."""
    name = f"prod-{uuid.uuid4().hex[:6]}"
    namespace = f"llm-{name}"
    variables = {
        "ansible_connection": "local",
        "environment_name": name,
        "environment_tier": "production",
        "environment_kubeconfig": str(lab.kubeconfig),
        **SETTINGS,
    }
    inventory = {"models": {"hosts": {"a-model": {}}, "vars": variables}}

    def run(*arguments: str) -> PlayResult:
        return (
            PlayRunner(tmp_path)
            .run("playbooks/environment.yml", inventory=inventory, arguments=arguments)
            .check()
        )

    try:
        planned = run("--check", "--diff")
        assert planned.changed
        assert "llmops-deployer" in planned.output
        assert everything_of(api, name) == {}

        assert run().changed
        made = everything_of(api, name)
        assert len(made) == 16
        labels = made[f"/api/v1/namespaces/{namespace}"]["metadata"]["labels"]
        assert labels["llmops.platform/environment"] == name
        assert labels["llmops.platform/tier"] == "production"
        assert labels["pod-security.kubernetes.io/enforce"] == "restricted"

        assert not run().changed
        assert not run("--check", "--diff").changed
        assert versions(everything_of(api, name)) == versions(made)

        changes = json.dumps({"environment_tier": "development", "environment_quota": {}})
        planned = run("--check", "--diff", "-e", changes)
        (task,) = planned.find(action="kubernetes_objects")
        actions = {
            f"{item['kind']}/{item['name']}": item["action"]
            for item in task.result["objects"]
            if item["action"] != "none"
        }
        assert actions == {
            f"Namespace/{namespace}": "update",
            "ConfigMap/llmops-environment": "update",
            "ResourceQuota/llmops-environment": "delete",
        }
        assert versions(everything_of(api, name)) == versions(made)

        off = ("deployer", "network_policies", "admission_policy")
        run(*(word for part in off for word in ("-e", f"environment_{part}=false")))
        left = everything_of(api, name)
        assert {path.split("/")[-2] for path in left} == {
            "namespaces",
            "configmaps",
            "resourcequotas",
            "limitranges",
        }

        run()
        api.create(f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": {"name": "of-somebody"}})
        assert run("-e", "environment_state=absent").changed
        assert list(everything_of(api, name)) == [f"/api/v1/namespaces/{namespace}"]
        assert api.find(f"/api/v1/namespaces/{namespace}/configmaps/of-somebody")
        assert not run("-e", "environment_state=absent").changed
    finally:
        api.delete(f"/api/v1/namespaces/{namespace}")


def test_what_is_applied_is_what_was_asked_for(api: ClusterClient, applied: str, name: str) -> None:
    made = {
        (item["kind"], item["metadata"]["name"]): item
        for path, item in everything_of(api, name).items()
        for item in [{"kind": path.split("/")[-2], **item}]
    }
    specs = {key: item.get("spec") or {} for key, item in made.items()}
    assert specs["ResourceQuota", "llmops-environment"] == {"hard": {"requests.nvidia.com/gpu": "16"}}
    limits = specs["LimitRange", "llmops-environment"]["limits"]
    assert [(item["type"], item["default"]) for item in limits] == [("Container", {"memory": "1Gi"})]
    assert specs["NetworkPolicy", "llmops-default-deny"] == {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
    }
    dns = specs["NetworkPolicy", "llmops-allow-dns"]
    assert dns["podSelector"] == {}
    assert dns["egress"] == [
        {
            "to": [
                {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}},
                {"ipBlock": {"cidr": "169.254.20.10/32"}},
            ],
            "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
        }
    ]
    assert specs["NetworkPolicy", "llmops-allow-model-sources"]["egress"] == [
        {
            "to": [
                {"ipBlock": {"cidr": "10.20.0.5/32"}},
                {"ipBlock": {"cidr": "0.0.0.0/0", "except": METADATA}},
            ],
            "ports": [{"port": 443, "protocol": "TCP"}, {"port": 8443, "protocol": "TCP"}],
        }
    ]
    assert made["ServiceAccount", DEPLOYER]["automountServiceAccountToken"] is False


def test_the_policy_for_sources_selects_model_servers(
    api: ClusterClient, applied: str, helm_binary: str
) -> None:
    path = f"/apis/networking.k8s.io/v1/namespaces/{applied}/networkpolicies/llmops-allow-model-sources"
    wanted = api.get(path)["spec"]["podSelector"]["matchLabels"]
    template = HelmChart(Path(helm_binary)).render().one("Deployment")["spec"]["template"]
    assert wanted.items() <= template["metadata"]["labels"].items()


@pytest.mark.parametrize(
    ("opened", "field"),
    [
        ({"ingress": [{}], "egress": [{}]}, ".spec.egress"),
        ({"podSelector": {"matchLabels": {"app": "nobody"}}}, ".spec.podSelector"),
        ({"policyTypes": ["Ingress"]}, ".spec.policyTypes"),
    ],
    ids=["rules", "selector", "types"],
)
def test_a_default_deny_that_the_deployer_opened_is_told_and_closed(
    apply: Apply,
    api: ClusterClient,
    kubectl: Kubectl,
    applied: str,
    as_deployer: list[str],
    opened: dict[str, Any],
    field: str,
) -> None:
    path = f"/apis/networking.k8s.io/v1/namespaces/{applied}/networkpolicies/llmops-default-deny"
    closed = api.get(path)["spec"]
    patch = ["patch", "networkpolicy", "llmops-default-deny", "-n", applied, "--type=merge"]
    done = kubectl.run(*patch, "-p", json.dumps({"spec": opened}), *as_deployer)
    assert done.returncode == 0, done.stderr
    (task,) = [task for task in apply("--check").tasks if task.status == "failed"]
    assert task.result["error_class"] == "locked"
    assert field in [conflict["field"] for conflict in task.result["conflicts"]]
    apply(environment_force_conflicts=True).check()
    assert api.get(path)["spec"] == closed
    assert not apply().check().changed


# Rights.


def test_rights_are_exactly_those_of_the_golden_file(api: ClusterClient, applied: str, name: str) -> None:
    golden = yaml.safe_load(GOLDEN.read_text(encoding="utf-8"))
    assert api.get(f"{RBAC}/namespaces/{applied}/roles/{DEPLOYER}")["rules"] == golden["role"]
    assert api.get(f"{RBAC}/clusterroles/llmops-deployer-{name}")["rules"] == golden["cluster_role"]
    # And nothing else binds the account.
    bound = [
        item["metadata"]["name"]
        for path in ("rolebindings", "clusterrolebindings")
        for item in api.list_pages(f"{RBAC}/{path}")
        for subject in item.get("subjects") or ()
        if (subject["name"], subject.get("namespace")) == (DEPLOYER, applied)
    ]
    assert sorted(bound) == [DEPLOYER, f"llmops-deployer-{name}"]


def test_the_golden_file_gives_nothing_that_it_must_not() -> None:
    golden = yaml.safe_load(GOLDEN.read_text(encoding="utf-8"))
    for rule in golden["role"] + golden["cluster_role"]:
        words = {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}
        assert not words & {"*", "escalate", "bind", "impersonate", "pods/exec", "pods/attach", "approve"}
        assert set(rule) == {"apiGroups", "resources", "verbs"}
    for rule in golden["cluster_role"]:
        assert set(rule["verbs"]) <= {"get", "list"}
        assert not {"secrets", "configmaps"} & set(rule["resources"])


def may(
    api: ClusterClient, applied: str, verb: str, resource: str, namespace: str = "", group: str = ""
) -> bool:
    """Ask the API server whether the deployer may."""
    plural, _, below = resource.partition("/")
    attributes = {
        "verb": verb,
        "resource": plural,
        "subresource": below,
        "namespace": namespace,
        "group": group,
    }
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": f"system:serviceaccount:{applied}:{DEPLOYER}",
            "groups": [
                "system:serviceaccounts",
                f"system:serviceaccounts:{applied}",
                "system:authenticated",
            ],
            "resourceAttributes": attributes,
        },
    }
    answer = api.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", body)
    return bool(answer["status"]["allowed"])


def pairs(rules: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    """Return verb, resource and API group of rules, one each."""
    return {
        (verb, resource, group)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_every_right_of_the_golden_file_is_given_in_the_namespace_alone(
    api: ClusterClient, applied: str
) -> None:
    golden = yaml.safe_load(GOLDEN.read_text(encoding="utf-8"))
    everywhere = pairs(golden["cluster_role"])
    for verb, resource, group in sorted(pairs(golden["role"])):
        assert may(api, applied, verb, resource, applied, group), (verb, resource)
        elsewhere = may(api, applied, verb, resource, "kube-system", group)
        assert elsewhere == ((verb, resource, group) in everywhere), (verb, resource)
    for verb, resource, group in sorted(everywhere):
        assert may(api, applied, verb, resource, "", group), (verb, resource)


# What every account may: ask about itself, and read what others are to trust.
BASIC = {
    *((verb, "clustertrustbundles", "certificates.k8s.io") for verb in ("get", "list", "watch")),
    ("create", "selfsubjectaccessreviews", "authorization.k8s.io"),
    ("create", "selfsubjectrulesreviews", "authorization.k8s.io"),
    ("create", "selfsubjectreviews", "authentication.k8s.io"),
}
# Those that no list of the API server tells.
HIDDEN_VERBS = {"approve", "attest", "bind", "escalate", "impersonate", "sign", "use"}


def everything_known(api: ClusterClient) -> set[tuple[str, str, str]]:
    """Return each verb on each resource, as the API server lists them, with every verb that there is."""
    groups = [group["preferredVersion"]["groupVersion"] for group in api.get("/apis")["groups"]]
    paths = ["/api/v1", *(f"/apis/{group}" for group in groups)]
    found = [
        (path.split("/")[2] if path.startswith("/apis/") else "", entry)
        for path in paths
        for entry in api.get(path)["resources"]
    ]
    verbs = HIDDEN_VERBS.union(*(entry["verbs"] for group, entry in found))
    return {(verb, entry["name"], group) for group, entry in found for verb in verbs}


def test_of_all_that_there_is_nothing_else_is_given(
    api: ClusterClient, kubeconfig: str, applied: str
) -> None:
    """The API server's own list of rules, held against every verb on every resource that it has."""
    golden = yaml.safe_load(GOLDEN.read_text(encoding="utf-8"))
    everywhere = pairs(golden["cluster_role"]) | BASIC
    known = everything_known(api)
    assert len(known) > 1000
    deployer = ClusterClient(Authentication.from_params(identity(kubeconfig, applied)))

    def given(namespace: str) -> set[tuple[str, str, str]]:
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectRulesReview",
            "spec": {"namespace": namespace},
        }
        rules = deployer.create("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", review)["status"]
        return {
            (verb, resource, group)
            for verb, resource, group in known | everywhere | pairs(golden["role"])
            for rule in rules["resourceRules"]
            if {verb, "*"} & {*rule["verbs"]}
            and {resource, "*", f"*/{resource.partition('/')[2]}"} & {*rule["resources"]}
            and {group, "*"} & {*rule["apiGroups"]}
        }

    assert given(applied) == pairs(golden["role"]) | everywhere
    for other in ("default", "kube-system"):
        assert given(other) == everywhere


@pytest.mark.parametrize(
    ("verb", "resource", "namespace", "group"),
    [
        ("*", "*", "own", "*"),
        ("*", "pods", "own", ""),
        ("get", "*", "own", ""),
        ("get", "secrets", "default", ""),
        ("list", "secrets", "", ""),
        ("create", "pods/exec", "own", ""),
        ("get", "pods/exec", "own", ""),
        ("create", "pods/attach", "own", ""),
        ("create", "pods", "own", ""),
        ("update", "pods/ephemeralcontainers", "own", ""),
        ("impersonate", "users", "", ""),
        ("impersonate", "groups", "", ""),
        ("impersonate", "serviceaccounts", "own", ""),
        ("create", "serviceaccounts/token", "own", ""),
        ("escalate", "roles", "own", "rbac.authorization.k8s.io"),
        ("bind", "roles", "own", "rbac.authorization.k8s.io"),
        ("create", "roles", "own", "rbac.authorization.k8s.io"),
        ("create", "rolebindings", "own", "rbac.authorization.k8s.io"),
        ("update", "clusterroles", "", "rbac.authorization.k8s.io"),
        ("update", "resourcequotas", "own", ""),
        ("delete", "limitranges", "own", ""),
        ("patch", "namespaces", "", ""),
        ("delete", "namespaces", "", ""),
        ("patch", "nodes", "", ""),
        ("get", "nodes/proxy", "", ""),
    ],
)
def test_the_rest_is_refused(
    api: ClusterClient, applied: str, verb: str, resource: str, namespace: str, group: str
) -> None:
    assert not may(api, applied, verb, resource, applied if namespace == "own" else namespace, group)


def test_a_real_request_for_secrets_elsewhere_is_refused(
    kubectl: Kubectl, applied: str, as_deployer: list[str]
) -> None:
    assert kubectl.run("get", "secrets", "-n", applied, *as_deployer).returncode == 0
    refused = kubectl.run("get", "secrets", "-n", "kube-system", *as_deployer)
    assert "cannot list resource" in refused.stderr


def test_the_commands_of_the_documentation_tell_the_rights(kubectl: Kubectl, applied: str) -> None:
    account = f"--as=system:serviceaccount:{applied}:{DEPLOYER}"
    listed = kubectl.run("auth", "can-i", "--list", "-n", applied, account)
    assert listed.returncode == 0, listed.stderr
    assert "deployments.apps" in listed.stdout
    for question in (["get", "secrets", "-n", "default"], ["create", "pods/exec", "-n", applied]):
        assert kubectl.run("auth", "can-i", *question, account).stdout.strip() == "no"
    assert kubectl.run("auth", "can-i", "get", "secrets", "-n", applied, account).stdout.strip() == "yes"


# What rights would lead to.


def pod_of(applied: str, **spec: Any) -> dict[str, Any]:
    container = {
        "name": "c",
        "image": "registry.example.com/a:1",
        "resources": {"requests": {"cpu": "1m"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    metadata = {"name": "tried", "namespace": applied}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": [container], **spec},
    }


def service_of(applied: str, **spec: Any) -> dict[str, Any]:
    metadata = {"name": "tried", "namespace": applied}
    spec = {"ports": [{"port": 80}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def secret_of(applied: str, kind: str) -> dict[str, Any]:
    metadata = {
        "name": "tried",
        "namespace": applied,
        "annotations": {"kubernetes.io/service-account.name": DEPLOYER},
    }
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": kind}


def create_dry(kubectl: Kubectl, item: dict[str, Any], *options: str) -> str:
    """Return why the API server refuses an object, nothing where it takes it."""
    answer = kubectl.run("create", "--dry-run=server", "-f", "-", *options, stdin=json.dumps(item))
    return answer.stderr if answer.returncode else ""


@pytest.fixture
def judged(kubectl: Kubectl, applied: str) -> None:
    """Wait until the API server judges by the policy, which it reads a moment after it was written."""
    until = time.monotonic() + 30
    while not create_dry(kubectl, service_of(applied, externalIPs=["192.0.2.1"])):
        assert time.monotonic() < until
        time.sleep(0.2)


@pytest.mark.usefixtures("judged")
def test_no_way_leads_around_the_rights(
    api: ClusterClient, kubectl: Kubectl, applied: str, as_deployer: list[str], name: str
) -> None:
    endless = secret_of(applied, "kubernetes.io/service-account-token")
    assert "holds a token that never ends" in create_dry(kubectl, endless, *as_deployer)
    assert "externalIPs would draw" in create_dry(
        kubectl, service_of(applied, externalIPs=["192.0.2.1"]), *as_deployer
    )
    # Pods are made by controllers, with more rights than the deployer has.
    assert "No pod runs as llmops-deployer" in create_dry(
        kubectl, pod_of(applied, serviceAccountName=DEPLOYER)
    )
    assert "are for parts of the cluster" in create_dry(
        kubectl, pod_of(applied, priorityClassName="system-node-critical")
    )
    # And what is usual passes.
    for usual in (pod_of(applied), secret_of(applied, "Opaque"), service_of(applied)):
        assert create_dry(kubectl, usual) == ""
    # Elsewhere it is not this environment's business.
    assert create_dry(kubectl, service_of("default", externalIPs=["192.0.2.1"])) == ""
    # The API server finds nothing to say about the expressions.
    policy = api.get(f"{ADMISSION}/validatingadmissionpolicies/llmops-environment-{name}")
    assert not policy.get("status", {}).get("typeChecking", {}).get("expressionWarnings")


# What the account is for.


def is_left_to_others(item: Object) -> bool:
    """Tell what a deployment does not need to make: rights, and the pod that only ``helm test`` runs."""
    hook = item["metadata"].get("annotations", {}).get("helm.sh/hook", "")
    return item["kind"] in ("Role", "RoleBinding") or hook == "test"


@pytest.fixture(scope="module")
def routes(api: ClusterClient) -> Iterator[None]:
    """Teach the API server the kinds of the Gateway API."""
    with gateway_api(api):
        yield


@pytest.mark.usefixtures("routes")
@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["defaults", "everything"])
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_deployer_may_make_every_object_of_the_chart(
    helm_binary: str,
    kubectl: Kubectl,
    applied: str,
    as_deployer: list[str],
    environment: str,
    values: dict[str, Any],
) -> None:
    objects = HelmChart(Path(helm_binary)).render(values, environment=environment, namespace=applied).objects
    plain = [item for item in objects if not is_left_to_others(item)]

    def create(items: list[Object]) -> Any:
        text = "\n---\n".join(as_yaml(item) for item in items)
        return kubectl.run(
            "create",
            "--dry-run=server",
            "--validate=strict",
            "--output=name",
            "--filename=-",
            *as_deployer,
            stdin=text,
        )

    answer = create(plain)
    assert answer.returncode == 0, answer.stderr
    # No warning either: the pods meet the Pod Security level.
    assert answer.stderr == ""
    assert len(answer.stdout.splitlines()) == len(plain)
    for item in filter(is_left_to_others, objects):
        assert "is forbidden" in create([item]).stderr


def test_rights_to_grant_are_given_on_demand_and_reach_no_further(
    apply: Apply,
    helm_binary: str,
    kubectl: Kubectl,
    applied: str,
    as_deployer: list[str],
) -> None:
    def create(text: str) -> Any:
        return kubectl.run(
            "create", "--dry-run=server", "--output=name", "--filename=-", *as_deployer, stdin=text
        )

    chart = HelmChart(Path(helm_binary))
    try:
        apply(environment_deployer_rbac=True).check()
        rendered = chart.render(EVERYTHING, namespace=applied)
        role = next(item for item in rendered.objects if item["kind"] == "Role")
        assert create(as_yaml(role)).returncode == 0
        more = {**role, "rules": [{"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create"]}]}
        assert "attempting to grant RBAC permissions not currently held" in create(as_yaml(more)).stderr
    finally:
        apply().check()


def identity(kubeconfig: str, namespace: str) -> dict[str, Any]:
    """Return the options of a module that make it the deployer."""
    return {
        "kubeconfig": kubeconfig,
        "impersonate_user": f"system:serviceaccount:{namespace}:{DEPLOYER}",
        "impersonate_groups": ["system:serviceaccounts", f"system:serviceaccounts:{namespace}"],
    }


def test_the_capacity_check_answers_the_deployer(
    run_module: RunModule, kubeconfig: str, applied: str
) -> None:
    asked = {"namespace": applied, "gpus": 1, "node_selector": {"node-type": "gpu"}}
    answer = run_module("gpu_capacity_info", {**identity(kubeconfig, applied), **asked})
    assert answer.status == "ok", answer.result
    assert answer.result["nodes_total"] >= 1
    assert answer.result["quota"][0]["hard"] == "16"
    # Somebody without these rights gets no answer.
    nobody = {"kubeconfig": kubeconfig, "impersonate_user": f"system:serviceaccount:{applied}:default"}
    assert run_module("gpu_capacity_info", {**nobody, **asked}).result["verdict"] == "unknown"


def test_the_deployer_reads_all_that_it_is_asked_about(kubeconfig: str, applied: str) -> None:
    client = ClusterClient(Authentication.from_params(identity(kubeconfig, applied)))
    assert client.get("/api/v1/nodes")["items"]
    assert client.get(f"/api/v1/namespaces/{applied}")["metadata"]["name"] == applied


def test_the_deployer_installs_and_removes_a_release_with_these_rights(
    lab: Lab, api: ClusterClient, kubeconfig: str, applied: str, name: str
) -> None:
    """A whole release with Helm, capacity check and rollout, in the environment as it was set apart."""
    arguments: dict[str, Any] = {
        **{option: given.get("default") for option, given in vllm_release.ARGUMENT_SPEC.items()},
        **identity(kubeconfig, applied),
        "model": "model",
        "environment": name,
        "tier": "staging",
        "namespace": applied,
        "chart_path": str(CHART),
        "chart_values": {**QUICK_VALUES, "networkPolicy": {"enabled": True}},
        "helm_binary": str(lab.binary("helm")),
    }
    service = f"/api/v1/namespaces/{applied}/services/model-{name}"
    assert vllm_release.run(arguments, Context()).changed
    assert api.find(service)
    assert not vllm_release.run(arguments, Context()).changed
    assert vllm_release.run({**arguments, "state": "absent"}, Context()).changed
    assert api.find(service) is None


# The Pod Security level.


def test_router_and_health_checker_meet_the_level(applied: str, lab: Lab, tmp_path: Path, name: str) -> None:
    variables = {
        "ansible_connection": "local",
        "vllm_environment": name,
        "vllm_tier": "staging",
        "vllm_namespace": applied,
        "vllm_kubeconfig": str(lab.kubeconfig),
    }
    for service in ("router", "health_check"):
        given = {f"{service}_image": "registry.example.com/a:1", f"{service}_dsn": "host=db"}
        inventory = {"models": {"hosts": {"a-model": {}}, "vars": {**variables, **given}}}
        done = PlayRunner(tmp_path).run(
            f"playbooks/{service}.yml", inventory=inventory, arguments=["--check"]
        )
        found = done.check().find(action="kubernetes_objects")
        (task,) = [task for task in found if task.status == "ok"]
        assert any(item["kind"] == "Deployment" for item in task.result["objects"])
        assert "PodSecurity" not in json.dumps(task.result.get("warnings") or []) + done.output


@pytest.mark.parametrize(
    ("given", "lets_in"),
    [
        ({"vllm_tier": "production"}, False),
        # A name that tells nothing is not taken for development.
        ({"vllm_tier": ""}, False),
        ({"vllm_tier": "production", "router_client_peers": [{"podSelector": {}}]}, True),
        (
            {
                "vllm_tier": "production",
                "router_client_peers": [{"podSelector": {}}],
                "router_network_policy": False,
            },
            False,
        ),
        ({"vllm_tier": "production", "router_api_keys": [{"name": "a", "sha256": "0" * 64}]}, True),
        ({"vllm_tier": "production", "router_open": True}, True),
        # From outside, peers are those of the proxy, and a first try is everybody's.
        ({"router_client_peers": [{"podSelector": {}}], "router_service_type": "LoadBalancer"}, False),
        ({"vllm_tier": "staging", "router_ingress": {"host": "llm.example.com"}}, False),
        ({"vllm_tier": "staging", "router_http_route": {"parents": [{"name": "g"}]}}, False),
        ({"router_api_keys": [{"name": "a", "sha256": "0" * 64}], "router_service_type": "NodePort"}, True),
        ({"vllm_tier": "staging", "router_ingress": {"host": "llm.example.com"}, "router_open": True}, True),
    ],
    ids=[
        *("production", "unknown", "peers", "peers without policy", "keys", "open"),
        *("balancer", "ingress", "route", "balancer with keys", "open ingress"),
    ],
)
def test_a_router_of_production_is_open_to_all_only_on_a_word(
    applied: str, lab: Lab, tmp_path: Path, name: str, given: dict[str, Any], lets_in: bool
) -> None:
    variables = {
        "ansible_connection": "local",
        "vllm_environment": name,
        "vllm_namespace": applied,
        "vllm_kubeconfig": str(lab.kubeconfig),
        "router_image": "registry.example.com/a:1",
        "router_dsn": "host=db",
        **given,
    }
    inventory = {"models": {"hosts": {"a-model": {}}, "vars": variables}}
    done = PlayRunner(tmp_path).run("playbooks/router.yml", inventory=inventory, arguments=["--check"])
    assert (done.rc == 0) == lets_in, done.output
    told = " ".join(done.output.split())
    assert ("router_client_peers: is empty" in told or "router_api_keys: is empty" in told) != lets_in


def test_the_level_is_enforced(kubectl: Kubectl, applied: str) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "root", "namespace": applied},
        "spec": {"containers": [{"name": "c", "image": "i", "securityContext": {"privileged": True}}]},
    }
    answer = kubectl.run("create", "--dry-run=server", "--filename=-", stdin=json.dumps(pod))
    assert 'violates PodSecurity "restricted' in answer.stderr


# What cannot be meant.


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"environment_namespace": "kube-system"}, "environment_namespace: 'kube-system' belongs"),
        ({"environment_namespace": "Not_A_Name"}, "environment_namespace: 'Not_A_Name' is not a valid"),
        ({"environment_name": "a b; rm"}, "environment_name: 'a b; rm' is no name"),
        ({"environment_tier": "prod"}, "environment_tier: 'prod' is unknown"),
        ({"vllm_tier": ""}, "environment_tier: '' is needed"),
        ({"environment_pod_security": "lax"}, "environment_pod_security: 'lax' is no Pod Security level"),
        (
            {"environment_egress_cidrs": ["10.0.0.1/32", "169.254.169.254/32"]},
            "environment_egress_cidrs[1]: '169.254.169.254/32' reaches into 169.254.0.0/16",
        ),
        ({"environment_dns_cidrs": ["kube-dns"]}, "environment_dns_cidrs[0]: 'kube-dns' is no network"),
        (
            {"environment_quota": {"requests.nvidia.com/gpu": "many"}},
            "environment_quota.requests.nvidia.com/gpu: 'many' is not a quantity",
        ),
    ],
    ids=[
        "namespace of the cluster",
        "namespace",
        "name",
        "tier",
        "no tier",
        "level",
        "metadata",
        "dns",
        "quota",
    ],
)
def test_refuses_what_cannot_be_meant(
    apply: Apply, api: ClusterClient, applied: str, name: str, change: dict[str, Any], told: str
) -> None:
    before = versions(everything_of(api, name))
    answer = apply(**change)
    assert answer.rc != 0
    assert told in " ".join(str(task.result.get("msg")) for task in answer.tasks if task.status == "failed")
    assert versions(everything_of(api, name)) == before


@pytest.mark.parametrize(
    ("playbook", "differs"),
    [
        ("environment", "vllm_tier"),
        ("environment", "environment_namespace"),
        ("router", "vllm_environment"),
        ("health_check", "vllm_namespace"),
    ],
)
def test_a_run_is_for_one_environment(lab: Lab, tmp_path: Path, playbook: str, differs: str) -> None:
    """The role runs once, for the first host: what the second one says would be passed over."""
    common = {"ansible_connection": "local", "vllm_kubeconfig": str(lab.kubeconfig)}
    hosts = {"a-model": {}, "b-model": {differs: "production"}}
    inventory = {"models": {"hosts": hosts, "vars": {"vllm_environment": "staging", **common}}}
    done = PlayRunner(tmp_path).run(f"playbooks/{playbook}.yml", inventory=inventory, arguments=["--check"])
    assert done.rc != 0
    assert f"{differs}: differs between the hosts" in " ".join(done.output.split())


def test_what_somebody_else_made_is_not_taken_over(apply: Apply, api: ClusterClient, name: str) -> None:
    """Two environments of one name in one cluster would share what belongs to no namespace."""
    apply().check()
    answer = apply("--check", environment_namespace=f"other-{name}")
    assert answer.rc != 0
    assert f"ValidatingAdmissionPolicy/llmops-environment-{name} belongs to the set" in answer.output
    answer = apply("--check", environment_namespace=f"other-{name}", environment_admission_policy=False)
    assert f"ClusterRole/llmops-deployer-{name} belongs to the set" in answer.output
