# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A whole deploy into places that cannot take it: the cluster, the namespace, the rights, the database."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2.extensions
import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from tests.support.lab import Lab, fresh_database, fresh_namespace
from tests.support.listeners import closed_port, silent_port
from tests.support.playbooks import PlayResult, PlayRunner, TaskResult
from tests.support.site import Site
from tests.support.tls import write_kubeconfig


@dataclass(frozen=True)
class Case:
    """A model and what is said of it.

    ``begins`` tells that an operation was started before it failed, ``spoils`` that it has changed something.
    """

    name: str
    error_class: str
    words: tuple[str, ...]
    spoils: bool = False
    begins: bool = False


CASES = [
    Case("like-an-option", "invalid", ("model: '-rf'", "hyphen")),
    Case("typo", "invalid", ("/gpu", "'cuont'")),
    Case("no-namespace", "invalid", ("namespace: 'llmops-nowhere'", "create_namespace")),
    Case("leaving-namespace", "locked", ("is being deleted", "tests.llmops.platform/hold")),
    Case("small-quota", "capacity", ("ResourceQuota", "small"), begins=True),
    Case("small-limits", "capacity", ("LimitRange", "small", "memory"), begins=True),
    Case("no-rights", "auth", ("403", "cannot list resource", "secrets")),
    Case("may-only-read", "auth", ("forbidden", "cannot create resource"), spoils=True),
    Case("silent-cluster", "infrastructure", ("takes connections but does not answer",)),
    Case("refused", "workload", ("no model servers on Sundays {{ 7*7 }}", "refuses"), begins=True),
]


def _account(api: ClusterClient, namespace: str, name: str) -> str:
    """Make a ServiceAccount without any right; return its token."""
    base = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    api.create(base, {"metadata": {"name": name}})
    answer = api.create(f"{base}/{name}/token", {"spec": {"expirationSeconds": 600}})
    return str(answer["status"]["token"])


def _leaving(api: ClusterClient, name: str) -> None:
    """Delete a namespace that cannot go, because a finalizer holds an object in it."""
    metadata = {"name": "held", "finalizers": ["tests.llmops.platform/hold"]}
    api.create(f"/api/v1/namespaces/{name}/configmaps", {"metadata": metadata})
    api.delete(f"/api/v1/namespaces/{name}")
    deadline = time.monotonic() + 30
    while "tests.llmops.platform/hold" not in str(api.get(f"/api/v1/namespaces/{name}")["status"]):
        assert time.monotonic() < deadline, "the namespace controller does not say what it waits for"
        time.sleep(0.5)


@contextmanager
def _refusing(api: ClusterClient, namespace: str) -> Iterator[None]:
    """Let the API server refuse every pod of a namespace."""
    base, name = "/apis/admissionregistration.k8s.io/v1", f"test-{namespace}"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    where = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    policy = {
        "matchConstraints": {**where, "resourceRules": [rule]},
        "validations": [{"expression": "false", "message": "no model servers on Sundays {{ 7*7 }}"}],
    }
    binding = {"policyName": name, "validationActions": ["Deny"], "matchResources": where}
    kinds = {"validatingadmissionpolicies": policy, "validatingadmissionpolicybindings": binding}
    for kind, spec in kinds.items():
        api.create(f"{base}/{kind}", {"metadata": {"name": name}, "spec": spec})
    try:
        yield
    finally:
        for kind in kinds:
            api.delete(f"{base}/{kind}/{name}")


@contextmanager
def _may_see_the_cluster(api: ClusterClient, namespace: str, account: str) -> Iterator[None]:
    """Let a ServiceAccount read the whole cluster."""
    base, name = "/apis/rbac.authorization.k8s.io/v1", f"test-{namespace}"
    rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]}]
    api.create(f"{base}/clusterroles", {"metadata": {"name": name}, "rules": rules})
    subject = {"kind": "ServiceAccount", "name": account, "namespace": namespace}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    body = {"metadata": {"name": name}, "subjects": [subject], "roleRef": reference}
    api.create(f"{base}/clusterrolebindings", body)
    try:
        yield
    finally:
        api.delete(f"{base}/clusterrolebindings/{name}")
        api.delete(f"{base}/clusterroles/{name}")


@pytest.fixture(scope="module")
def place(lab: Lab, api: ClusterClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return a site with a model for each case; ``namespaces`` of some of them are of a special kind."""
    with ExitStack() as stack:
        names = {
            kind: stack.enter_context(fresh_namespace(api, kind))
            for kind in ("plain", "quota", "limits", "leaving", "restricted", "policy")
        }
        dsn = stack.enter_context(fresh_database(lab))
        silent = stack.enter_context(silent_port())
        folder = tmp_path_factory.mktemp("places")
        # Ansible's default: messages from the cluster pass through the role's variables.
        runner = PlayRunner(folder, {"_ANSIBLE_TEMPLAR_UNTRUSTED_TEMPLATE_BEHAVIOR": "ignore"})
        site = Site(lab, api, names["plain"], dsn, runner)
        _leaving(api, names["leaving"])
        held = f"/api/v1/namespaces/{names['leaving']}/configmaps/held"
        stack.callback(api.patch, held, {"metadata": {"finalizers": None}})
        hard = {"hard": {"requests.nvidia.com/gpu": "1"}}
        quotas = f"/api/v1/namespaces/{names['quota']}/resourcequotas"
        api.create(quotas, {"metadata": {"name": "small"}, "spec": hard})
        limits = {"limits": [{"type": "Container", "max": {"memory": "16Mi"}}]}
        ranges = f"/api/v1/namespaces/{names['limits']}/limitranges"
        api.create(ranges, {"metadata": {"name": "small"}, "spec": limits})
        enforce = {"pod-security.kubernetes.io/enforce": "restricted"}
        api.patch(f"/api/v1/namespaces/{names['restricted']}", {"metadata": {"labels": enforce}})
        stack.enter_context(_refusing(api, names["policy"]))
        stack.enter_context(_may_see_the_cluster(api, names["plain"], "reader"))

        def reach(name: str, server: str, token: str) -> dict[str, str]:
            ca = (lab.folder / "pki" / "ca.crt").read_bytes()
            path = write_kubeconfig(folder / name, server, ca=ca, user={"token": token})
            return {"vllm_kubeconfig": str(path)}

        server = str(lab.facts["server"])
        site.models = {
            "good": {},
            "like-an-option": {"vllm_model": "-rf"},
            "typo": {"vllm_values": {"gpu": {"cuont": 2}}},
            "no-namespace": {"vllm_namespace": "llmops-nowhere"},
            "leaving-namespace": {"vllm_namespace": names["leaving"]},
            "small-quota": {"vllm_namespace": names["quota"], "vllm_values": {"gpu": {"count": 2}}},
            "small-limits": {"vllm_namespace": names["limits"]},
            "no-rights": reach("no-rights", server, _account(api, names["plain"], "nobody")),
            "may-only-read": reach("read", server, _account(api, names["plain"], "reader")),
            "silent-cluster": reach("silent", f"http://127.0.0.1:{silent}", "none"),
            "refused": {"vllm_namespace": names["policy"]},
            "restricted": {"vllm_namespace": names["restricted"]},
        }
        site.variables = {"vllm_capacity_timeout": 0}
        yield site


@pytest.fixture(scope="module")
def played(place: Site) -> PlayResult:
    """Return the result of one deploy of all models at once."""
    return place.deploy("--forks", str(len(place.models)))


def _failure(result: PlayResult, host: str) -> TaskResult:
    return next(task for task in result.find(host=host) if task.status == "failed")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_place_is_named_with_what_to_do(played: PlayResult, place: Site, case: Case) -> None:
    failed = _failure(played, case.name)
    assert failed.result.get("error_class") == case.error_class, failed.result
    for word in case.words:
        assert word in failed.result["msg"]
    assert failed.result["resolution"]
    assert f"{case.name}: FAILED at" in played.output
    rows = place.rows()
    if case.spoils:
        assert rows[case.name]["deployment_status"] == "failed"
    else:
        assert case.name not in rows


def test_good_models_beside_them_are_deployed(played: PlayResult, place: Site) -> None:
    assert played.rc != 0
    ready = {name for name, row in place.rows().items() if row["deployment_status"] == "ready"}
    assert ready == {"good", "restricted"}
    assert played.wall_s < 100


def test_every_operation_says_how_it_ended(played: PlayResult, place: Site) -> None:
    assert played.rc != 0
    ended: dict[str, tuple[str, str | None]] = {
        case.name: ("failed", case.error_class) for case in CASES if case.spoils or case.begins
    }
    ended |= {"good": ("succeeded", None), "restricted": ("succeeded", None)}
    found = place.query("SELECT model_name, outcome, error_class FROM operations")
    assert {model: (outcome, error_class) for model, outcome, error_class in found} == ended
    assert place.query("SELECT count(*) FROM operation_locks WHERE operation_id IS NOT NULL") == [(0,)]


def test_namespace_that_is_missing_is_not_made(played: PlayResult, place: Site) -> None:
    assert played.rc != 0
    assert place.api.find("/api/v1/namespaces/llmops-nowhere") is None


@pytest.mark.parametrize(
    ("name", "wrong", "word"),
    [
        ("vllm_environment", "prod", "production"),
        ("vllm_capacity_timeout", "soon", "vllm_capacity_timeout"),
        ("vllm_values", "hello", "vllm_values"),
    ],
)
def test_variable_of_the_wrong_type_stops_its_model_only(
    lab: Lab, api: ClusterClient, registry_dsn: str, tmp_path: Path, name: str, wrong: Any, word: str
) -> None:
    site = Site(lab, api, "llmops-nowhere", registry_dsn, PlayRunner(tmp_path))
    site.models = {"wrong": {name: wrong}}
    result = site.deploy()
    assert result.rc != 0
    assert word in str(_failure(result, "wrong").result)
    assert result.wall_s < 30
    assert site.rows() == {}


@pytest.mark.parametrize("kind", ["refused", "password", "hanging"])
def test_database_that_refuses_stops_before_the_cluster(
    lab: Lab, api: ClusterClient, namespace: str, registry_dsn: str, tmp_path: Path, kind: str
) -> None:
    site = Site(lab, api, namespace, registry_dsn, PlayRunner(tmp_path))
    site.models = {"model": {}}
    with silent_port() as silent:
        ways: dict[str, dict[str, Any]] = {
            "refused": {"port": closed_port()},
            "password": {"password": "canary-of-a-password"},
            "hanging": {"host": "127.0.0.1", "port": silent},
        }
        changes = ways[kind]
        site.dsn = psycopg2.extensions.make_dsn(registry_dsn, **changes)
        result = site.deploy(registry_connect_timeout=2, registry_schema_timeout=6)
    failed = _failure(result, "model").result
    assert failed["error_class"] == ("auth" if kind == "password" else "infrastructure"), failed
    assert failed["resolution"]
    assert "canary-of-a-password" not in result.output
    assert result.wall_s < 30
    assert site.objects("api/v1/secrets") == []
