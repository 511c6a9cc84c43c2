# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The API server is the judge of what the chart renders; the kubelet of how it runs."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.chart import CHART, ENVIRONMENTS, HelmChart, as_yaml
from tests.support.lab import Lab
from tests.support.models import QUICK_VALUES

EVERYTHING: dict[str, Any] = {
    "replicas": 2,
    "model": {"sizeBillions": 70, "revision": "0123456789abcdef", "extraArgs": ["--enable-lora"]},
    "gpu": {"count": 4},
    "persistence": {"enabled": True},
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "alerts": {"enabled": True, "alertLabels": {"team": "search"}},
    "podDisruptionBudget": {"enabled": True},
    "ingress": {"enabled": True, "host": "model.example.org", "className": "nginx", "tlsSecret": "tls"},
    "secrets": {"hfToken": {"existingSecret": "hub"}, "apiKey": {"existingSecret": "keys"}},
    "image": {"pullSecrets": ["registry"]},
    "serviceAccount": {"automountToken": True},
    "rbac": {"create": True, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]},
    "networkPolicy": {
        "ingress": {"cidrs": ["10.1.0.0/16"]},
        "egress": {"dns": {"cidrs": ["169.254.20.10/32"]}},
    },
}


@dataclass(frozen=True)
class Kubectl:
    """Runs kubectl against the lab."""

    binary: Path
    kubeconfig: str

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Return what kubectl wrote, failed or not."""
        return subprocess.run(
            [str(self.binary), "--kubeconfig", self.kubeconfig, *arguments],
            input=stdin,
            capture_output=True,
            check=False,
            encoding="utf-8",
            timeout=120,
        )


@pytest.fixture(scope="session")
def kubectl(lab: Lab, kubeconfig: str) -> Kubectl:
    return Kubectl(lab.binary("kubectl"), kubeconfig)


@pytest.fixture
def restricted(namespace: str, kubectl: Kubectl) -> str:
    """Return a namespace whose pods must meet the Pod Security level "restricted"; what does not is told."""
    level = ["enforce", "warn", "audit"]
    labels = [f"pod-security.kubernetes.io/{mode}=restricted" for mode in level]
    labelled = kubectl.run("label", "namespace", namespace, *labels)
    assert labelled.returncode == 0, labelled.stderr
    return namespace


def assert_accepted(kubectl: Kubectl, manifest: str, expected: int) -> None:
    """POST each object with ``dryRun=All`` and strict field validation: no error and no warning."""
    answer = kubectl.run(
        "create", "--dry-run=server", "--validate=strict", "--output=name", "--filename=-", stdin=manifest
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stderr == ""
    assert len(answer.stdout.splitlines()) == expected


@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["defaults", "everything"])
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_api_server_accepts_every_object(
    helm_binary: str, kubectl: Kubectl, restricted: str, environment: str, values: dict[str, Any]
) -> None:
    rendered = HelmChart(Path(helm_binary)).render(values, environment=environment, namespace=restricted)
    assert_accepted(kubectl, rendered.text, len(rendered.objects))


@pytest.mark.parametrize("strategy", ["surge", "unavailable-first", "recreate"])
def test_api_server_accepts_every_strategy(
    helm_binary: str, kubectl: Kubectl, restricted: str, strategy: str
) -> None:
    rendered = HelmChart(Path(helm_binary)).render({"strategy": strategy}, namespace=restricted)
    assert_accepted(kubectl, rendered.text, len(rendered.objects))


def test_the_namespace_really_judges(helm_binary: str, kubectl: Kubectl, restricted: str) -> None:
    rendered = HelmChart(Path(helm_binary)).render(namespace=restricted).text
    spoiled = rendered.replace("runAsNonRoot: true", "runAsNonRoot: false")
    answer = kubectl.run("create", "--dry-run=server", "--output=name", "--filename=-", stdin=spoiled)
    assert "restricted" in answer.stderr
    misspelt = rendered.replace("enableServiceLinks:", "enableServiceLink:")
    answer = kubectl.run("create", "--dry-run=server", "--validate=strict", "--filename=-", stdin=misspelt)
    assert "enableServiceLink" in answer.stderr


@pytest.mark.parametrize("helm", ["helm", "helm3"])
def test_a_hostile_name_is_served_after_install_and_update(
    lab: Lab, kubectl: Kubectl, restricted: str, helm: str
) -> None:
    """Install by plain helm, let ``helm test`` ask by that name, then update without a spare GPU."""
    name = "org/$(HOME) $$(X) {{ .Values }} \"q\" 'r' 模型 😀"
    values = {
        **QUICK_VALUES,
        "model": {"name": name},
        "drain": {"preStopSeconds": 1, "shutdownTimeoutSeconds": 1, "marginSeconds": 1},
        "test": {
            "image": "llmops.local/model-server:0.1.0",
            "command": ["/model-server"],
            "args": ["chat", "$(SERVICE_URL)", "$(SERVED_MODEL)"],
        },
    }  # fmt: skip
    release = "hostile-development"
    binary = str(lab.binary(helm))
    environment = {**os.environ, "KUBECONFIG": kubectl.kubeconfig}

    def run_helm(*arguments: str, stdin: str = "") -> str:
        finished = subprocess.run(
            [binary, *arguments, "--namespace", restricted],
            input=stdin,
            env=environment,
            capture_output=True,
            check=False,
            encoding="utf-8",
            timeout=180,
        )
        assert finished.returncode == 0, finished.stderr
        assert "would violate PodSecurity" not in finished.stderr
        return finished.stdout

    for annotation in ("first", "second"):
        given = as_yaml({**values, "podAnnotations": {"example.org/change": annotation}})
        run_helm("upgrade", "--install", release, str(CHART), "--values", "-", stdin=given)
        status = kubectl.run(
            "rollout", "status", f"deployment/{release}", "--namespace", restricted, "--timeout=90s"
        )
        assert status.returncode == 0, status.stdout + status.stderr
        assert "Phase:          Succeeded" in run_helm("test", release, "--timeout", "60s")
    run_helm("uninstall", release)
