# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An etcd, an API server and its controllers of the tests' own, with nodes that exist in the API only.

They are the lab's parts, on other ports and in another folder; so tests that need no container run beside the
lab and may do to this cluster what they like.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.addons import FilesStep, kwok
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.binaries import (
    BinariesStep,
    BinaryCache,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.certificates import CertificatesStep
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.cluster_objects import (
    LabClient,
    ObjectsStep,
    definitions,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.components import (
    CONTROL_PLANE,
    CRDS,
    ETCD,
    HELM,
    KUBECTL,
    KWOK,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.control_plane import ControlPlane
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.daemons import DaemonStep, DaemonTable
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.gpus import FakeNodesStep, fake_node
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.settings import (
    Ports,
    Settings,
    cache_folder,
    node_address,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.steps import carry_out
from tests.support.lab import Lab
from tests.support.playbooks import ROOT
from tests.support.ports import free_port

_TOOLS = (HELM, KUBECTL, CRDS)
_START_LIMIT_S = 120


#: The one node that pods need to tolerate nothing for.
OPEN_NODE = "open-gpu"


def _make_open_node(api: ClusterClient) -> None:
    node = fake_node(0)
    metadata = {**node["metadata"], "name": OPEN_NODE}
    metadata["labels"] = {**metadata["labels"], "kubernetes.io/hostname": OPEN_NODE}
    # Else the step that looks after the fake nodes would take it for one too many.
    del metadata["labels"]["llmops.platform/lab"]
    api.create("/api/v1/nodes", {"metadata": metadata})
    api.patch(f"/api/v1/nodes/{OPEN_NODE}/status", {"status": node["status"]})


@contextmanager
def running_control_plane(folder: Path) -> Iterator[Lab]:
    """Start the control plane in an empty folder; at the end nothing of it runs."""
    ports = Ports(**{field.name: free_port() for field in fields(Ports)})
    settings = Settings(folder, ROOT / "roles/lab/files", fake_nodes=12, services=(), ports=ports)
    cache = BinaryCache(cache_folder(), settings.files / "go")
    address = node_address()
    table = DaemonTable(folder)
    control_plane = ControlPlane(settings, cache, address)
    client = LabClient(settings.kubeconfig_path, None)
    daemons = [
        control_plane.etcd(),
        control_plane.api_server(),
        control_plane.controller_manager(),
        control_plane.scheduler(),
    ]
    steps = [
        BinariesStep(cache, (*_TOOLS, CONTROL_PLANE, ETCD, KWOK), _TOOLS, settings.bin),
        CertificatesStep(settings, address),
        FilesStep(control_plane.files),
        *(DaemonStep(table, daemon) for daemon in daemons),
        ObjectsStep("definitions", client, lambda: definitions(cache.data(CRDS))),
        DaemonStep(table, kwok(settings, cache, address, settings.pki / "kwok.kubeconfig")),
        FakeNodesStep(client, settings.fake_nodes),
    ]
    try:
        carry_out(steps, lambda line: None, Deadline(_START_LIMIT_S))
        _make_open_node(client())
        facts = {"server": client().server, "node_address": address}
        (folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
        yield Lab(folder, facts)
    finally:
        for daemon in reversed(daemons):
            table.stop(daemon.name, daemon.stop_signal, 1.0)
        table.stop("kwok")
