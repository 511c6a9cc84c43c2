# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Provider kind, as far as it goes without Docker: its contract with the two programs it calls.

``docker`` and ``kind`` are stand-ins that write down how they were called: no engine runs in tests.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from ansible_collections.llmops.platform.plugins.module_utils._core.lab import kind
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.kind import ClusterStep, KindProvider
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.settings import Settings


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return a folder on a PATH with nothing but a shell's own programs."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def _program(folder: Path, name: str, script: str) -> Path:
    calls = folder / f"{name}.calls"
    path = folder / name
    path.write_text(f'#!/bin/sh\necho "$@" >> {calls}\n{script}\n')
    path.chmod(0o755)
    return calls


def test_missing_programs_are_named(programs: Path, tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match=r"docker is not installed.*provider native"):
        KindProvider(Settings(tmp_path, tmp_path)).preflight()
    _program(programs, "docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1")
    with pytest.raises(PlatformError, match="kind is not installed"):
        KindProvider(Settings(tmp_path, tmp_path)).preflight()
    _program(programs, "kind", "")
    with pytest.raises(PlatformError, match="Docker does not answer: Cannot connect"):
        KindProvider(Settings(tmp_path, tmp_path)).preflight()


def test_the_cluster_is_created_with_its_own_kubeconfig(programs: Path, tmp_path: Path) -> None:
    _program(programs, "docker", "echo true")
    kubeconfig = tmp_path / "kubeconfig"
    calls = _program(
        programs,
        "kind",
        f'case "$1 $2" in "create cluster") touch {kubeconfig}; touch {programs}/made;; '
        f'"get clusters") [ -e {programs}/made ] && echo llmops-lab;; esac; exit 0',
    )
    step = ClusterStep(Settings(tmp_path, tmp_path), tmp_path / "imported.json")
    assert step.pending() == "there is no kind cluster"
    step.apply(lambda line: None, Deadline(30))
    assert step.pending() == ""
    created = next(line for line in calls.read_text().splitlines() if line.startswith("create"))
    assert created == (
        f"create cluster --name llmops-lab --kubeconfig {kubeconfig} "
        f"--config {tmp_path}/kind/cluster.json --wait 120s"
    )
    kubeconfig.unlink()
    step.apply(lambda line: None, Deadline(30))
    assert calls.read_text().splitlines()[-1] == (
        f"export kubeconfig --name llmops-lab --kubeconfig {kubeconfig}"
    ), "a lost kubeconfig does not cost the cluster"


def test_a_stopped_cluster_is_made_anew(programs: Path, tmp_path: Path) -> None:
    _program(programs, "docker", "echo false")
    calls = _program(programs, "kind", '[ "$1" = get ] && echo llmops-lab; exit 0')
    record = tmp_path / "imported.json"
    record.touch()
    step = ClusterStep(Settings(tmp_path, tmp_path), record)
    assert step.pending() == "the node's container is stopped"
    step.apply(lambda line: None, Deadline(30))
    verbs = [line.split()[0] for line in calls.read_text().splitlines()]
    assert [verb for verb in verbs if verb != "get"] == ["delete", "create"]
    assert not record.exists(), "images went with the old node"


def test_the_failure_of_kind_is_shown(programs: Path, tmp_path: Path) -> None:
    _program(programs, "docker", "echo true")
    _program(programs, "kind", '[ "$1" = get ] && exit 0; echo "ERROR: no space left" >&2; exit 1')
    step = ClusterStep(Settings(tmp_path, tmp_path), tmp_path / "imported.json")
    with pytest.raises(PlatformError, match="no space left"):
        step.apply(lambda line: None, Deadline(30))


def test_the_configuration_of_the_cluster() -> None:
    configuration = json.loads(kind.cluster_configuration())
    assert configuration["kind"] == "Cluster"
    assert configuration["apiVersion"] == "kind.x-k8s.io/v1alpha4"
    (node,) = configuration["nodes"]
    assert node["role"] == "control-plane"
    assert node["labels"]["node-type"] == "gpu"
    assert json.loads(node["kubeadmConfigPatches"][0])["maxPods"] == 250
    assert f"{configuration['name']}-control-plane" == kind.NODE
