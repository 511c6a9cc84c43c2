# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The chart, rendered by a real helm, as data."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from tests.support.lab import lab_folder
from tests.support.playbooks import ROOT

CHART = ROOT / "roles/vllm/files/chart/vllm-deployment"
ENVIRONMENTS = ("development", "staging", "production")
MODEL = "meta-llama/Llama-3.1-8B-Instruct"
RELEASE = "llama-3-1-8b"
NAMESPACE = "llm-test"
#: Values with which the chart makes every object that it can.
EVERYTHING: dict[str, Any] = {
    "replicas": 2,
    "model": {"sizeBillions": 70, "revision": "0123456789abcdef", "extraArgs": ["--enable-lora"]},
    "gpu": {"count": 4, "extraResources": {"rdma/ib": 1}},
    "securityContext": {"runAsUser": 3000},
    "podSecurityContext": {"supplementalGroups": [44], "fsGroupChangePolicy": "Always"},
    "initContainers": [
        {"name": "fetch", "image": "busybox:1.37", "command": ["true"]},
        {"name": "proxy", "image": "envoy:1.36", "restartPolicy": "Always"},
    ],
    "sidecars": [{"name": "log", "image": "busybox:1.37", "ports": [{"name": "log", "containerPort": 9000}]}],
    "extraVolumes": [{"name": "templates", "configMap": {"name": "chat-templates"}}],
    "extraVolumeMounts": [{"name": "templates", "mountPath": "/templates", "readOnly": True}],
    "extraObjects": [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "{{ .Release.Name }}-templates"},
            "data": {"chat.jinja": "x"},
        },
    ],
    "persistence": {
        "enabled": True,
        "extraClaims": [
            {"name": "adapters", "mountPath": "/adapters", "size": "5Gi", "accessModes": ["ReadWriteMany"]},
            {"name": "weights", "mountPath": "/weights", "existingClaim": "shared", "readOnly": True},
        ],
    },
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "alerts": {"enabled": True, "alertLabels": {"team": "search"}},
    "podDisruptionBudget": {"enabled": True},
    "ingress": {"enabled": True, "host": "model.example.org", "className": "public", "tlsSecret": "tls"},
    "httpRoute": {
        "enabled": True,
        "parentRefs": [{"name": "public", "namespace": "gateways", "sectionName": "https"}],
        "hostnames": ["model.example.org"],
    },
    "secrets": {"hfToken": {"existingSecret": "hub"}, "apiKey": {"existingSecret": "keys"}},
    "image": {"pullSecrets": ["registry"]},
    "serviceAccount": {"automountToken": True},
    "rbac": {"create": True, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]},
    "networkPolicy": {
        "ingress": {
            "cidrs": ["10.1.0.0/16"],
            "ingressController": {"namespaceLabels": {"kubernetes.io/metadata.name": "ingress"}},
            "gateway": {"podLabels": {"gateway.networking.k8s.io/gateway-name": "public"}},
        },
        "egress": {"dns": {"cidrs": ["169.254.20.10/32"]}},
    },
}

Values = Mapping[str, Any]
Object = dict[str, Any]


def helm_path(name: str) -> Path:
    """Return the path of the lab's ``helm`` (4) or ``helm3``."""
    path = lab_folder() / "bin" / name
    assert path.exists(), f"{path} is missing: make lab LAB_ARGS='-e lab_helm3=true' provides it"
    return path


class RenderError(Exception):
    """Helm refused; the message is what it wrote to standard error."""


@dataclass(frozen=True)
class Rendered:
    """What helm made of the chart."""

    text: str

    @cached_property
    def objects(self) -> list[Object]:
        """Every object, hooks among them. Many tests read them many times, so it is libyaml that parses."""
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        return [document for document in yaml.load_all(self.text, loader) if document]

    @property
    def kinds(self) -> set[str]:
        """Kinds of all objects."""
        return {item["kind"] for item in self.objects}

    def one(self, kind: str) -> Object:
        """Return the only object of a kind."""
        (found,) = [item for item in self.objects if item["kind"] == kind]
        return found

    @property
    def pod(self) -> Object:
        """Specification of the server's pod."""
        specification: Object = self.one("Deployment")["spec"]["template"]["spec"]
        return specification

    @property
    def container(self) -> Object:
        """The server's container."""
        (container,) = [item for item in self.pod["containers"] if item["name"] == "vllm"]
        return dict(container)


@dataclass(frozen=True)
class HelmChart:
    """Renders the chart by one helm binary."""

    binary: Path

    def render(
        self,
        values: Values | None = None,
        *,
        environment: str = "development",
        release: str = "",
        namespace: str = NAMESPACE,
    ) -> Rendered:
        """Render with the environment's values file below ``values``; raise RenderError when refused."""
        name = release or f"{RELEASE}-{environment}"
        return Rendered(self._run("template", name, environment, values, "--namespace", namespace))

    def lint(self, environment: str) -> str:
        """Return what ``helm lint`` writes; raise RenderError when it finds a fault."""
        return self._run("lint", "", environment, None, "--strict")

    def _run(self, command: str, release: str, environment: str, values: Values | None, *options: str) -> str:
        given = {"model": {"name": MODEL}, **(values or {})}
        given["model"] = {"name": MODEL, **given["model"]}
        arguments = [
            command,
            *options,
            "--values",
            str(CHART / f"values-{environment}.yaml"),
            "--values",
            "-",
        ]
        names = [release] if release else []
        finished = subprocess.run(
            [str(self.binary), *arguments, *names, str(CHART)],
            input=as_yaml(given),
            capture_output=True,
            check=False,
            encoding="utf-8",
            timeout=60,
        )
        if finished.returncode:
            raise RenderError(finished.stderr + finished.stdout)
        return finished.stdout


def as_yaml(values: Values) -> str:
    """Return values as JSON that every YAML reader takes.

    Characters outside the BMP stay as they are, since YAML knows no surrogate pairs; those that YAML refuses
    are escaped.
    """
    text = json.dumps(values, ensure_ascii=False)
    return re.sub("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]", lambda match: f"\\u{ord(match[0]):04x}", text)


def expand(argument: str, environment: Mapping[str, str]) -> str:
    """Return a container argument as the kubelet passes it: ``$(NAME)`` replaced, ``$$`` read as ``$``."""

    def replacement(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return environment.get(match[1], match[0])

    return re.sub(r"\$\$|\$\(([^)]*)\)", replacement, argument)


def started_arguments(rendered: Rendered) -> list[str]:
    """Return the arguments that the server is started with."""
    environment: dict[str, str] = rendered.one("ConfigMap")["data"]
    return [expand(argument, environment) for argument in rendered.container["args"]]


def option(rendered: Rendered, name: str) -> str | None:
    """Return the value that follows an option of the server, or None where the option is not given."""
    arguments = started_arguments(rendered)
    return arguments[arguments.index(name) + 1] if name in arguments else None
