# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/getting-started.md, played as it stands on a machine that has only Python, with the lab's cluster."""

from __future__ import annotations

import json
import shutil
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from tests.support.artefact import built_artefact
from tests.support.clean_root import run_in_clean_root, wheels
from tests.support.guide import blocks, script
from tests.support.lab import Lab
from tests.support.playbooks import ROOT, PlayRunner
from tests.support.postgres import PASSWORD, private_server
from tests.support.repository import load_yaml
from tests.support.tls import Pair
from tests.support.tls_database import tls_database

# Of each kind of block; what is not played is text: commands of Docker, for which there is no daemon here.
BLOCKS = {"played": 13, "saved": 4, "text": 1}
PAGE = ROOT / "docs/getting-started.md"
#: Where the walk finds what a reader brings along.
GIVEN = "/given"

#: The lab's model server in the place of vLLM's image, which is 10 GB and wants a GPU that is really there.
LAB_MODEL = {
    "vllm_values": {
        "image": {"repository": "llmops.local/model-server", "tag": "0.1.0"},
        "engineVersion": "0.33.0",
        "gpu": {
            "resources": {
                "requests": {"cpu": "10m", "memory": "32Mi"},
                "limits": {"cpu": "1", "memory": "256Mi"},
            }
        },
        "probes": {
            "startup": {"periodSeconds": 1},
            "readiness": {"initialDelaySeconds": 0, "periodSeconds": 1},
        },
    }
}


@pytest.fixture
def environment(api: ClusterClient) -> Iterator[str]:
    """Return the name of an environment, of which nothing is left afterwards."""
    name = f"walk{uuid.uuid4().hex[:6]}"
    yield name
    api.delete(f"/api/v1/namespaces/llm-{name}")
    rbac, admission = "/apis/rbac.authorization.k8s.io/v1", "/apis/admissionregistration.k8s.io/v1"
    for plural in ("clusterroles", "clusterrolebindings"):
        api.delete(f"{rbac}/{plural}/llmops-deployer-{name}")
    for plural in ("validatingadmissionpolicies", "validatingadmissionpolicybindings"):
        api.delete(f"{admission}/{plural}/llmops-environment-{name}")


@contextmanager
def load_balancer(api: ClusterClient, namespace: str) -> Iterator[None]:
    """Be the cloud that gives the router's Service an address; kube-proxy leads from there to its pods."""
    ended = threading.Event()
    path = f"/api/v1/namespaces/{namespace}/services/router-external"
    status = {"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.80"}]}}}

    def give() -> None:
        while not ended.wait(0.5):
            with suppress(PlatformError):
                api.patch(f"{path}/status", status)
                return

    thread = threading.Thread(target=give)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def database(address: str, given: Path) -> Iterator[int]:
    """Start a PostgreSQL that speaks TLS alone, by a certificate of its own authority; yield its port."""
    authority = Pair.issue("database-authority")
    (given / "registry-ca.pem").write_bytes(authority.certificate_pem)
    with private_server() as server:
        pem = Pair.issue("database", authority, address=address).write(given.parent, "database")
        with tls_database(address, server.port, pem) as port:
            yield port


def administrators_kubeconfig(lab: Lab) -> dict[str, Any]:
    """Return the lab's kubeconfig with a context that has a name, as a reader's has."""
    content: dict[str, Any] = load_yaml(lab.kubeconfig)
    (context,) = content["contexts"]
    context["name"] = content["current-context"] = "lab"
    return content


# The first time on a machine, the root and its wheels have to be fetched.
@pytest.mark.timeout(1500)
def test_the_page_leads_from_nothing_to_an_answer(
    lab: Lab, api: ClusterClient, environment: str, tmp_path: Path
) -> None:
    # The images that the page speaks of are those of this checkout.
    PlayRunner(tmp_path).run("playbooks/lab.yml").check()
    address = lab.facts["node_address"]
    given = tmp_path / "given"
    (given / "bin").mkdir(parents=True)
    for tool in ("helm", "kubectl"):
        shutil.copy(lab.binary(tool), given / "bin")
    artefact = built_artefact(given)
    tiers = json.dumps({"tiers": {environment: "staging"}})
    with database(address, given) as port, load_balancer(api, f"llm-{environment}"):
        replaced = {
            "llmops-platform-0.1.0.tar.gz": f"{GIVEN}/{artefact.name}",
            "staging": environment,
            "STAGING": environment.upper(),
            "'environments=[staging]'": f"'environments=[{environment}]' -e '{tiers}'",
            "my-cluster": "lab",
            "registry-db.example.com:5432": f"{address}:{port}",
            "$PWD/registry-ca.pem": f"{GIVEN}/registry-ca.pem",
            "registry.example.com/llmops-": "llmops.local/",
            "NVIDIA-L4": "NVIDIA-H100-80GB-HBM3",
        }
        page = blocks(PAGE, replaced)
        assert Counter(block.kind for block in page) == BLOCKS
        for name, content in {
            "kubeconfig": administrators_kubeconfig(lab),
            "model.yml": LAB_MODEL,
        }.items():
            (given / name).write_text(yaml.safe_dump(content), encoding="utf-8")
        (given / "pgpass").write_text(f"*:*:*:postgres:{escaped(PASSWORD)}\n", encoding="utf-8")
        (given / "pgpass").chmod(0o600)
        after = {"common/pools.yml": f"cp {GIVEN}/model.yml {environment}/host_vars/qwen2-5-7b.yml"}
        printed = run_in_clean_root(
            script(page, after),
            given,
            wheels("ansible-core>=2.18", (ROOT / "requirements.txt").read_text(encoding="utf-8")),
            {
                "PATH": f"{GIVEN}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "LC_ALL": "C.UTF-8",
                "KUBECONFIG": f"{GIVEN}/kubeconfig",
                "PIP_NO_INDEX": "1",
                "PIP_FIND_LINKS": "/wheels",
                "PIP_NO_COMPILE": "1",
                "PIP_QUIET": "1",
                "PGPASSFILE": f"{GIVEN}/pgpass",
            },
            timeout_s=600,
        )
    assert printed.endswith("THE-END\n")
    assert printed.count('"role":"assistant"') == 1
    (model,) = deployments(api, environment, "vllm")
    assert model["nodeSelector"] == {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"}
    assert printed.count("\n1 deployed\n") == 1


def deployments(api: ClusterClient, environment: str, container: str) -> list[dict[str, Any]]:
    """Return the pods' specs of the environment's Deployments with a container of this name."""
    found = api.get(f"/apis/apps/v1/namespaces/llm-{environment}/deployments")["items"]
    specs = [item["spec"]["template"]["spec"] for item in found]
    return [spec for spec in specs if container in [item["name"] for item in spec["containers"]]]


def escaped(password: str) -> str:
    """Return a password as libpq's password file wants it."""
    return password.replace("\\", "\\\\").replace(":", "\\:")
