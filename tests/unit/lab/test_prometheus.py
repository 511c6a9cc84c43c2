# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who runs what of the lab's Prometheus, with which rights, and where its programs come from."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from ansible_collections.llmops.platform.plugins.module_utils._core.lab import prometheus
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.binaries import BinaryCache
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.certificates import (
    wanted_certificates,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.native import NativeProvider
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.settings import Ports, Settings

ADDRESS = "192.0.2.7"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty cache, on a machine without Prometheus and apt."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = shutil.which
    hidden = ("prometheus", "promtool", "apt-get")
    monkeypatch.setattr("shutil.which", lambda name, **how: None if name in hidden else found(name, **how))
    return tmp_path / "llmops-platform"


@pytest.fixture
def server(tmp_path: Path) -> prometheus.Prometheus:
    """Return the server of a lab in an empty folder."""
    return prometheus.Prometheus(
        Settings(tmp_path / "lab", tmp_path), BinaryCache(tmp_path, tmp_path), ADDRESS
    )


def test_the_server_keeps_to_its_folder_its_user_and_one_address(server: prometheus.Prometheus) -> None:
    daemon = server.daemon()
    assert "--reuid=llmops-lab" in daemon.argv
    assert f"--web.listen-address={ADDRESS}:{Ports().prometheus}" in daemon.argv
    options = dict(word.split("=", 1) for word in daemon.argv if "=" in word)
    for option in ("--config.file", "--storage.tsdb.path"):
        assert Path(options[option]).is_relative_to(server.folder)
    assert server.url == f"http://{ADDRESS}:{Ports().prometheus}"


def test_what_it_writes_is_no_reason_for_a_restart(server: prometheus.Prometheus) -> None:
    assert server.daemon().inputs == ()
    assert server.translator().follows == "kube-apiserver"


def test_the_cluster_is_only_read() -> None:
    role, binding = prometheus.rights()
    assert {verb for rule in role["rules"] for verb in rule["verbs"]} == {"get", "list", "watch"}
    resources = {resource for rule in role["rules"] for resource in rule["resources"]}
    assert not resources & {"secrets", "configmaps", "*"}
    (certificate,) = [item for item in wanted_certificates(ADDRESS) if item.name == "prometheus"]
    assert certificate.organization == "", "a group would give it more"
    assert binding["subjects"][0]["name"] == certificate.common_name


def test_a_machine_without_apt_is_told_how_to_do_without() -> None:
    with pytest.raises(PlatformError) as refused:
        prometheus.provide(lambda line: None, Deadline(5))
    assert "prometheus, promtool" in refused.value.message
    assert "lab_prometheus=false" in refused.value.resolution


def test_what_is_in_the_cache_is_not_fetched_again(cache: Path) -> None:
    step = prometheus.ProgramsStep()
    assert step.pending() == "missing: prometheus, promtool"
    for name in ("prometheus", "promtool"):
        (cache / "prometheus/usr/bin").mkdir(parents=True, exist_ok=True)
        (cache / "prometheus/usr/bin" / name).touch()
    assert step.pending() == ""
    prometheus.provide(lambda line: None, Deadline(5))


@pytest.mark.parametrize("wanted", [True, False])
def test_it_can_be_left_out(tmp_path: Path, wanted: bool) -> None:
    lab = NativeProvider(Settings(tmp_path / "lab", tmp_path, prometheus=wanted))
    steps = lab.steps()
    assert ("monitors" in {step.name for step in steps}) is wanted
    assert any(isinstance(step, prometheus.NoPrometheusStep) for step in steps) is not wanted
    assert any(isinstance(step, prometheus.ProgramsStep) for step in steps) is wanted
