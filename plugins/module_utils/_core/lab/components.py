# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The programs that the lab is made of: where each is built from and where its release is published."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

KUBERNETES = "1.37.2"
#: One module for all programs: one set of versions, so that nothing is compiled for two of them.
_MODULE = "cluster"


@dataclass(frozen=True)
class Release:
    """A published file and its published SHA-256.

    ``member`` is the program's path inside an archive; empty where the file is the program itself.
    ``{arch}`` stands for Go's name of the processor.
    """

    url: str
    checksum_url: str
    member: str = ""


@dataclass(frozen=True)
class Component:
    """Programs that a Go module makes: ``module`` is its folder under ``roles/lab/files/go``.

    ``packages`` maps a program's file name to its Go package, ``variables`` are set at link time.
    Components of one module are built together, so that what they share is compiled once.
    ``data`` are files to take from the Go module ``data_module``, as paths inside it.
    """

    name: str
    module: str
    packages: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    releases: Mapping[str, Release] = field(default_factory=dict)
    data_module: str = ""
    data: Sequence[str] = ()


def go_architecture() -> str:
    """Return the processor's name as Go and release files spell it."""
    machine = platform.machine()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def _kubernetes(names: Sequence[str], component: str) -> Component:
    base = f"https://dl.k8s.io/release/v{KUBERNETES}/bin/linux/{{arch}}"
    major, minor, _patch = KUBERNETES.split(".")
    return Component(
        component,
        _MODULE,
        packages={name: f"k8s.io/kubernetes/cmd/{name}" for name in names},
        variables={
            "k8s.io/component-base/version.gitVersion": f"v{KUBERNETES}",
            "k8s.io/component-base/version.gitMajor": major,
            "k8s.io/component-base/version.gitMinor": minor,
            "k8s.io/component-base/version.gitTreeState": "clean",
            "k8s.io/client-go/pkg/version.gitVersion": f"v{KUBERNETES}",
        },
        releases={name: Release(f"{base}/{name}", f"{base}/{name}.sha256") for name in names},
    )


def _helm(program: str, major: int, version: str) -> Component:
    file = f"https://get.helm.sh/helm-v{version}-linux-{{arch}}.tar.gz"
    prefix = f"helm.sh/helm/v{major}"
    variables = {f"{prefix}/internal/version.version": f"v{version}"}
    if major == 3:
        # Helm 4 reads these from its build information.
        minor = KUBERNETES.split(".")[1]
        for package in ("pkg/lint/rules", "pkg/chartutil"):
            variables[f"{prefix}/{package}.k8sVersionMajor"] = "1"
            variables[f"{prefix}/{package}.k8sVersionMinor"] = minor
    return Component(
        program,
        _MODULE,
        packages={program: f"{prefix}/cmd/helm"},
        variables=variables,
        releases={program: Release(file, f"{file}.sha256sum", "linux-{arch}/helm")},
    )


_ETCD = "3.7.3"
_ETCD_BASE = f"https://github.com/etcd-io/etcd/releases/download/v{_ETCD}"
_COREDNS = "1.15.0"
_COREDNS_FILE = (
    f"https://github.com/coredns/coredns/releases/download/v{_COREDNS}/coredns_{_COREDNS}_linux_{{arch}}.tgz"
)

HELM = _helm("helm", 4, "4.3.2")
HELM3 = _helm("helm3", 3, "3.22.0")
KUBECTL = _kubernetes(["kubectl"], "kubectl")
CONTROL_PLANE = _kubernetes(
    ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"], "kubernetes"
)
ETCD = Component(
    "etcd",
    _MODULE,
    packages={"etcd": "go.etcd.io/etcd/server/v3"},
    releases={
        "etcd": Release(
            f"{_ETCD_BASE}/etcd-v{_ETCD}-linux-{{arch}}.tar.gz",
            f"{_ETCD_BASE}/SHA256SUMS",
            f"etcd-v{_ETCD}-linux-{{arch}}/etcd",
        )
    },
)
COREDNS = Component(
    "coredns",
    _MODULE,
    # A main of our own: the official one compiles fifty plugins that the lab does not use.
    packages={"coredns": "llmops.platform/lab/cluster/coredns"},
    releases={"coredns": Release(_COREDNS_FILE, f"{_COREDNS_FILE}.sha256", "coredns")},
)
# Its releases publish no checksum file, and its stages are needed from the module anyway: always built.
KWOK = Component(
    "kwok",
    _MODULE,
    packages={"kwok": "sigs.k8s.io/kwok/cmd/kwok"},
    variables={"sigs.k8s.io/kwok/pkg/consts.Version": "v0.8.0"},
    data_module="sigs.k8s.io/kwok",
    data=[
        "kustomize/stage/node/fast/node-initialize.yaml",
        "kustomize/stage/node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
        "kustomize/stage/pod/fast/pod-complete.yaml",
        "kustomize/stage/pod/fast/pod-delete.yaml",
        "kustomize/stage/pod/fast/pod-ready.yaml",
    ],
)
# A main of our own: the project's runs only inside of a cluster. It needs an older library than the cluster's
# programs do, hence a module of its own; all other versions are the same, so little is compiled twice.
NETWORK_POLICIES = Component(
    "network-policies",
    "network_policies",
    packages={"network-policies": "llmops.platform/lab/network_policies/enforcer"},
    variables={"main.version": "v0.8.0"},
)
# What the prometheus-operator would do, for a Prometheus without discovery through Kubernetes. The versions
# that it shares with the programs above are theirs, so that Go compiles nine packages for it.
MONITORS = Component(
    "monitors",
    "monitors",
    packages={"monitors": "llmops.platform/lab/monitors/translator"},
    variables={"main.version": "v0.313.0"},
)
_CRD_FOLDER = "example/prometheus-operator-crd/monitoring.coreos.com_"
CRDS = Component(
    "crds",
    "crds",
    data_module="github.com/prometheus-operator/prometheus-operator",
    data=[
        f"{_CRD_FOLDER}podmonitors.yaml",
        f"{_CRD_FOLDER}prometheusrules.yaml",
        f"{_CRD_FOLDER}servicemonitors.yaml",
    ],
)

#: What every provider offers to people and modules. Helm 3 comes only where it is asked for.
TOOLS = (HELM, KUBECTL, CRDS)
#: What a native lab runs.
DAEMONS = (CONTROL_PLANE, ETCD, KWOK, COREDNS)
