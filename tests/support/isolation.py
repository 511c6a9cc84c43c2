# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two environments on the lab, set apart by the collection's own objects, and who reaches whom between them.

``python -m tests.support.isolation`` prints the matrix: every yes is a TCP connection that was opened from
inside of a pod, every no one that got no answer.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import (
    Authentication,
    ClusterClient,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.python_runtime import INTERPRETER
from tests.support.chart import HelmChart
from tests.support.kubectl import Kubectl
from tests.support.lab import Lab, fresh_namespace, running_lab
from tests.support.models import QUICK_VALUES
from tests.support.playbooks import PlayRunner

#: Has Python, and nothing else.
IMAGE = "llmops.local/router:0.1.0"
METADATA, HUB, MIRROR = "169.254.169.254", "203.0.113.2", "10.20.0.5"

_LISTEN = """
import asyncio, sys
async def main():
    for port in sys.argv[1:]:
        await asyncio.start_server(lambda reader, writer: writer.close(), "0.0.0.0", int(port))
    await asyncio.Event().wait()
asyncio.run(main())
"""
# One thread a target, and long enough for the kernel's second attempt after a second.
_CONNECT = """
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor
def connect(target):
    host, port = target.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), timeout=1.2).close()
    except TimeoutError:
        return "no"
    except OSError as error:
        return str(error)
    return "yes"
targets = sys.argv[1:]
with ThreadPoolExecutor(len(targets)) as pool:
    print(json.dumps(list(pool.map(connect, targets))))
"""


@dataclass(frozen=True)
class Pod:
    """A pod that sends, with the container that has Python."""

    namespace: str
    name: str
    container: str = "main"


Matrix = dict[str, dict[str, str]]


@dataclass(frozen=True)
class World:
    """Two environments, what is around them, and a way to ask who reaches whom."""

    kubectl: Kubectl
    #: Sources of each environment by what they are, besides those outside of both.
    sources: Mapping[str, Mapping[str, Pod]]
    #: Addresses by what they are, as each environment calls them.
    targets: Mapping[str, Mapping[str, str]]
    namespaces: Mapping[str, str]

    def reach(self, tier: str, source: str, target: str) -> str:
        """Return what one pod of an environment gets from one target."""
        (answer,) = self._reached(self.sources[tier][source], [self.targets[tier][target]])
        return answer

    def _reached(self, pod: Pod, addresses: Sequence[str]) -> list[str]:
        """Return for each address ``yes``, ``no``, or what else happened."""
        command = [INTERPRETER, "-c", _CONNECT, *addresses]
        done = self.kubectl.run("exec", "-n", pod.namespace, pod.name, "-c", pod.container, "--", *command)
        assert done.returncode == 0, done.stderr
        answers: list[str] = json.loads(done.stdout)
        return answers

    def row(self, tier: str, source: str) -> dict[str, str]:
        """Return what one pod of an environment reaches, by the target's name."""
        targets = self.targets[tier]
        answers = self._reached(self.sources[tier][source], list(targets.values()))
        return dict(zip(targets, answers, strict=True))

    def matrix(self, tier: str) -> Matrix:
        """Return who reaches whom, as seen from one environment: source, target, answer."""
        with ThreadPoolExecutor(len(self.sources[tier])) as pool:
            rows = pool.map(lambda source: self.row(tier, source), self.sources[tier])
            return dict(zip(self.sources[tier], rows, strict=True))


def table(matrix: Matrix) -> str:
    """Return the matrix as a table in Markdown: a line a target, a column a source."""
    sources = list(matrix)
    lines = [["to, from", *sources], ["---"] * (len(sources) + 1)]
    lines += [
        [target, *("" if target == source else row[target] for source, row in matrix.items())]
        for target in matrix[sources[0]]
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


@contextmanager
def isolated_environments(lab: Lab, api: ClusterClient, folder: Path) -> Iterator[World]:
    """Make a staging and a production environment with all that lives in them, and take them away."""
    kubectl = Kubectl(lab.binary("kubectl"), str(lab.kubeconfig))
    mark = uuid.uuid4().hex[:6]
    names = {"staging": f"qa-{mark}", "production": f"live-{mark}"}
    namespaces = {tier: f"llm-{name}" for tier, name in names.items()}
    with ExitStack() as stack:
        monitoring = stack.enter_context(fresh_namespace(api, "monitoring"))
        elsewhere = stack.enter_context(fresh_namespace(api, "elsewhere"))
        stack.enter_context(_outside())
        stack.callback(_remove, kubectl, names, mark)
        _set_apart(lab, names, monitoring, _api_server(api).split(":"), folder)
        inside = [item for tier in names for item in _inhabitants(lab, names[tier], tier, monitoring)]
        around = [
            _pod("prometheus", monitoring, {"app.kubernetes.io/name": "prometheus"}, [9090]),
            _pod("pod-elsewhere", elsewhere, {}, [8000]),
            _pod(f"dns-{mark}", "kube-system", {"k8s-app": "kube-dns"}, [53]),
        ]
        everything = json.dumps({"apiVersion": "v1", "kind": "List", "items": [*inside, *around]})
        _run(kubectl, "apply", "-f", "-", stdin=everything)
        for namespace in (*namespaces.values(), monitoring, elsewhere):
            _run(kubectl, "wait", "pod", "--all", "-n", namespace, "--for=condition=Ready", "--timeout=60s")
        _run(kubectl, "wait", "pod", f"dns-{mark}", "-n", "kube-system", "--for=condition=Ready")
        addresses = {tier: _addresses(api, namespace) for tier, namespace in namespaces.items()}
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda tier: _debug(kubectl, namespaces[tier], _model(addresses[tier])), names))
        dns = api.get(f"/api/v1/namespaces/kube-system/pods/dns-{mark}")["status"]["podIP"]
        shared = {
            "pod elsewhere": f"{_addresses(api, elsewhere)['pod-elsewhere']}:8000",
            "DNS of the cluster": f"{dns}:53",
            "mirror in a private network": f"{MIRROR}:443",
            "public address, port 443": f"{HUB}:443",
            "public address, port 53": f"{HUB}:53",
            "PostgreSQL outside": f"{HUB}:5432",
            "metadata service": f"{METADATA}:80",
            "API server": _api_server(api),
        }
        common = {
            "Prometheus": Pod(monitoring, "prometheus"),
            "pod elsewhere": Pod(elsewhere, "pod-elsewhere"),
        }
        sources = {}
        targets = {}
        for tier, other in (("staging", "production"), ("production", "staging")):
            own = addresses[tier]
            namespace = namespaces[tier]
            model = _model(own)
            sources[tier] = {
                "model": Pod(namespace, model, "probe"),
                **{source: Pod(namespace, _name(source)) for source in _LIGHT},
                **common,
            }
            targets[tier] = {
                **_targets(own),
                "model, by its Service": f"model-{names[tier]}.{namespace}.svc.cluster.local:8000",
                **{f"the other's {what}": address for what, address in _targets(addresses[other]).items()},
                **shared,
            }
        yield World(kubectl, sources, targets, namespaces)


#: Pods that only listen and connect, with the labels and the port that count, by what they are.
_LIGHT: dict[str, tuple[dict[str, str], int]] = {
    "router": (
        {
            "app.kubernetes.io/name": "llmops-router",
            "app.kubernetes.io/instance": "router",
            "app.kubernetes.io/component": "router",
        },
        8080,
    ),
    "health checker": (
        {
            "app.kubernetes.io/name": "llmops-health-checker",
            "app.kubernetes.io/instance": "health-checker",
            "app.kubernetes.io/component": "health-checker",
        },
        8080,
    ),
    "verifier": ({"app.kubernetes.io/component": "verifier"}, 8000),
    "pod with API access": ({"llmops.platform/api-server": "allowed"}, 8000),
    "plain pod": ({}, 8000),
}


def _name(what: str) -> str:
    """Return the name of a light pod."""
    return what.lower().replace(" ", "-")


def _model(addresses: Mapping[str, str]) -> str:
    """Return the name of the model server's pod."""
    (name,) = (name for name in addresses if name.startswith("model-"))
    return name


def _targets(addresses: Mapping[str, str]) -> dict[str, str]:
    """Return where the pods of an environment listen, by what they are."""
    light = {what: f"{addresses[_name(what)]}:{port}" for what, (_labels, port) in _LIGHT.items()}
    return {"model": f"{addresses[_model(addresses)]}:8000", **light}


def _set_apart(
    lab: Lab, names: Mapping[str, str], monitoring: str, api_server: Sequence[str], folder: Path
) -> None:
    """Play role environment for both, and apply the policies that the other roles render."""
    prometheus = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": monitoring}}}
    hosts = {
        tier: {
            "ansible_connection": "local",
            "vllm_environment": name,
            "vllm_tier": tier,
            "vllm_namespace": f"llm-{name}",
            "vllm_kubeconfig": str(lab.kubeconfig),
            "environment_egress_cidrs": [f"{MIRROR}/32"],
            "environment_api_server_cidrs": [f"{api_server[0]}/32"],
            "environment_api_server_ports": [int(api_server[1])],
            "prometheus_peers": [prometheus],
        }
        for tier, name in names.items()
    }
    PlayRunner(folder).run("tests/support/isolation.yml", inventory={"all": {"hosts": hosts}}).check()


def _inhabitants(lab: Lab, name: str, tier: str, monitoring: str) -> list[dict[str, Any]]:
    """Return a model server as the chart makes it, and the light pods."""
    namespace = f"llm-{name}"
    values = {
        **QUICK_VALUES,
        "environment": name,
        "replicas": 1,
        "persistence": {"enabled": False},
        "networkPolicy": {
            "ingress": {"prometheus": {"namespaceLabels": {"kubernetes.io/metadata.name": monitoring}}}
        },
    }
    chart = HelmChart(lab.binary("helm"))
    rendered = chart.render(values, environment=tier, release=f"model-{name}", namespace=namespace)
    kinds = {"ConfigMap", "Deployment", "NetworkPolicy", "Service", "ServiceAccount"}
    light = [_pod(_name(what), namespace, labels, [port]) for what, (labels, port) in _LIGHT.items()]
    return [*(item for item in rendered.objects if item["kind"] in kinds), *light]


def _pod(name: str, namespace: str, labels: Mapping[str, str], ports: Sequence[int]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(labels)},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "nodeSelector": {"node-type": "gpu"},
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "main",
                    "image": IMAGE,
                    "imagePullPolicy": "Never",
                    "command": [INTERPRETER, "-c", _LISTEN, *map(str, ports)],
                    "ports": [{"name": "http", "containerPort": ports[0]}],
                    "readinessProbe": {"tcpSocket": {"port": ports[0]}, "periodSeconds": 1},
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
        },
    }


def _debug(kubectl: Kubectl, namespace: str, pod: str) -> None:
    """Add a container with Python to a model server's pod, whose image has none."""
    command = [INTERPRETER, "-c", "import signal; signal.pause()"]
    options = [f"--image={IMAGE}", "--container=probe", "--profile=restricted", "--attach=false"]
    _run(kubectl, "debug", "-n", namespace, pod, *options, "--", *command)
    running = "jsonpath={.status.ephemeralContainerStatuses[0].state.running}"
    _run(kubectl, "wait", "pod", pod, "-n", namespace, f"--for={running}", "--timeout=60s")


def _addresses(api: ClusterClient, namespace: str) -> dict[str, str]:
    pods = api.list_pages(f"/api/v1/namespaces/{namespace}/pods")
    return {pod["metadata"]["name"]: pod["status"]["podIP"] for pod in pods}


def _api_server(api: ClusterClient) -> str:
    found = api.get("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes")
    return f"{found['endpoints'][0]['addresses'][0]}:{found['ports'][0]['port']}"


def _remove(kubectl: Kubectl, names: Mapping[str, str], mark: str) -> None:
    roles = [f"llmops-deployer-{name}" for name in names.values()]
    kubectl.run("delete", "clusterrole,clusterrolebinding", *roles, "--ignore-not-found")
    policies = [f"llmops-environment-{name}" for name in names.values()]
    kinds = "validatingadmissionpolicybinding,validatingadmissionpolicy"
    kubectl.run("delete", kinds, *policies, "--ignore-not-found")
    kubectl.run("delete", "namespace", *(f"llm-{name}" for name in names.values()), "--wait=false")
    kubectl.run("delete", "pod", f"dns-{mark}", "-n", "kube-system", "--ignore-not-found", "--wait=false")


@contextmanager
def _outside() -> Iterator[None]:
    """Be another machine with a public address, a private one, and that of the metadata service."""
    name, here, there = "outside-lab", "outside0", "outside1"

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True, text=True)

    subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)
    ip("netns", "add", name)
    try:
        ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", name)
        ip("address", "add", "203.0.113.1/30", "dev", here)
        ip("link", "set", here, "up")
        ip("-n", name, "address", "add", f"{HUB}/30", "dev", there)
        for address in (METADATA, MIRROR):
            ip("-n", name, "address", "add", f"{address}/32", "dev", there)
        ip("-n", name, "link", "set", there, "up")
        ip("-n", name, "route", "add", "default", "via", "203.0.113.1")
        for address in (METADATA, MIRROR):
            # Goes with the link. Not over a route that the machine has itself.
            ip("route", "add", f"{address}/32", "via", HUB)
        listener = subprocess.Popen(
            ["ip", "netns", "exec", name, sys.executable, "-c", _LISTEN, "53", "80", "443", "5432"]
        )
        try:
            yield
        finally:
            listener.kill()
            listener.wait()
    finally:
        subprocess.run(["ip", "link", "delete", here], check=False, capture_output=True)
        ip("netns", "delete", name)


def _run(kubectl: Kubectl, *arguments: str, stdin: str = "") -> str:
    done = kubectl.run(*arguments, stdin=stdin)
    assert done.returncode == 0, f"kubectl {' '.join(arguments)[:200]}: {done.stdout}{done.stderr}"
    return done.stdout


def main() -> None:
    """Print the matrix of staging."""
    lab = running_lab()
    api = ClusterClient(Authentication(kubeconfig=str(lab.kubeconfig)))
    with (
        tempfile.TemporaryDirectory() as folder,
        isolated_environments(lab, api, Path(folder)) as world,
    ):
        print(table(world.matrix("staging")))


if __name__ == "__main__":
    main()
