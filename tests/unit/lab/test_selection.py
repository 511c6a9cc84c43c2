# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which provider ``auto`` means, and what happens where two meet in one folder."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.daemons import Daemon, DaemonTable
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.provider import (
    lock,
    purge,
    require_root,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.selection import choose, provider
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.settings import Settings, node_address
from ansible_collections.llmops.platform.plugins.module_utils._module import Context
from ansible_collections.llmops.platform.plugins.modules import lab_cluster


@pytest.fixture
def no_programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return an empty folder that is the whole PATH."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def _program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_a_kubeconfig_means_existing(tmp_path: Path) -> None:
    assert choose("auto", Settings(tmp_path, tmp_path, kubeconfig=tmp_path / "kubeconfig")) == "existing"


def test_native_where_there_is_no_docker(no_programs: Path, tmp_path: Path) -> None:
    assert choose("auto", Settings(tmp_path, tmp_path)) == "native"


def test_kind_where_docker_answers(no_programs: Path, tmp_path: Path) -> None:
    _program(no_programs, "kind", "exit 1")
    _program(no_programs, "docker", "echo 27.0")
    assert choose("auto", Settings(tmp_path, tmp_path)) == "kind"
    _program(no_programs, "docker", "echo 'cannot connect' >&2; exit 1")
    assert choose("auto", Settings(tmp_path, tmp_path)) == "native"


def test_what_is_there_stays(no_programs: Path, tmp_path: Path) -> None:
    _program(no_programs, "kind", "exit 1")
    _program(no_programs, "docker", "echo 27.0")
    (tmp_path / "facts.json").write_text(json.dumps({"provider": "native"}))
    assert choose("auto", Settings(tmp_path, tmp_path)) == "native"
    assert choose("kind", Settings(tmp_path, tmp_path)) == "kind"
    # Also where it was somebody's own cluster: this is how its services are stopped.
    (tmp_path / "facts.json").write_text(json.dumps({"provider": "existing"}))
    assert choose("auto", Settings(tmp_path, tmp_path)) == "existing"
    with pytest.raises(PlatformError, match="Or choose provider native or kind"):
        provider("auto", Settings(tmp_path, tmp_path)).preflight()


@pytest.fixture
def running_service(tmp_path: Path) -> Iterator[None]:
    """Run something under the name of a service of the lab in ``tmp_path``."""
    table = DaemonTable(tmp_path)
    argv = [sys.executable, "-c", "import time; time.sleep(600)"]
    table.start(Daemon("redis", argv, lambda: ""), lambda line: None, Deadline(10))
    yield
    table.stop("redis", signal.SIGKILL)


@pytest.mark.usefixtures("running_service")
def test_one_kind_of_lab_is_not_started_over_another(tmp_path: Path) -> None:
    (tmp_path / "facts.json").write_text(json.dumps({"provider": "existing"}))
    with pytest.raises(PlatformError, match="a lab of provider existing runs in") as caught:
        provider("native", Settings(tmp_path, tmp_path))
    assert caught.value.error_class == "invalid"
    assert provider("existing", Settings(tmp_path, tmp_path)).running() == ["redis"]


def test_root_is_required_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(PlatformError, match="Containers run, which needs root") as caught:
        require_root("Containers run")
    assert caught.value.error_class == "auth"


def test_the_second_run_waits_for_the_first(tmp_path: Path) -> None:
    path = tmp_path / "lab.lock"
    lines: list[str] = []
    with (
        lock(path, lines.append, Deadline(5)),
        pytest.raises(PlatformError, match="has held the lab's lock") as caught,
        lock(path, lines.append, Deadline(0.2)),
    ):
        pytest.fail("both hold the lock")
    assert caught.value.error_class == "locked"
    assert lines == ["another run is changing this lab; waiting for it"]
    with lock(path, lines.append, Deadline(0.2)):
        assert path.exists()


def test_only_the_folder_of_a_lab_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    folder.mkdir()
    (folder / "precious").touch()
    with pytest.raises(PlatformError, match="is not the folder of a lab"):
        purge(folder)
    assert (folder / "precious").exists()
    (folder / "lab.lock").touch()
    purge(folder)
    assert not folder.exists()


@pytest.mark.parametrize("state", ["present", "absent"])
@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize("name", ["native", "kind", "existing"])
def test_a_folder_of_somebody_else_is_left_alone(
    tmp_path: Path, state: str, check_mode: bool, name: str
) -> None:
    precious = tmp_path / "precious"
    precious.touch()
    defaults = {option: spec.get("default") for option, spec in lab_cluster.ARGUMENT_SPEC.items()}
    given = {"state": state, "provider": name, "lab_dir": str(tmp_path), "files_dir": "/none", "purge": True}
    with pytest.raises(PlatformError, match=r"lab_dir: .* is not the folder of a lab") as caught:
        lab_cluster.run({**defaults, **given}, Context(check_mode=check_mode))
    assert caught.value.error_class == "invalid"
    assert list(tmp_path.iterdir()) == [precious]


def test_the_address_is_not_loopback() -> None:
    address = node_address()
    assert not address.startswith("127.")
