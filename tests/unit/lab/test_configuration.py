# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Configuration files are well-formed and keep the lab apart from what else runs on the machine."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.lab.addons import corefile_content
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.binaries import BinaryCache
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.control_plane import ControlPlane
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.node import Node, snapshotter
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.postgresql import PostgreSQL
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.redis import Redis
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.settings import Ports, Settings

ADDRESS = "192.0.2.7"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return the settings of a lab in an empty folder."""
    return Settings(tmp_path / "lab", tmp_path / "files")


@pytest.fixture
def cache(settings: Settings, tmp_path: Path) -> BinaryCache:
    """Return an empty cache."""
    return BinaryCache(tmp_path / "cache", settings.files / "go")


def test_containerd_keeps_to_the_folder_of_the_lab(settings: Settings, cache: BinaryCache) -> None:
    files = Node(settings, cache, ADDRESS).files()
    configuration = tomllib.loads(files[settings.path("etc", "containerd.toml")])
    for path in (configuration["root"], configuration["state"], configuration["grpc"]["address"]):
        assert Path(path).is_relative_to(settings.folder)
    cri = configuration["plugins"]["io.containerd.grpc.v1.cri"]
    assert Path(cri["cni"]["conf_dir"]).is_relative_to(settings.folder)
    assert cri["sandbox_image"] == "llmops.local/pause:0.1.0"
    assert cri["restrict_oom_score_adj"] is True
    network = json.loads(files[Path(cri["cni"]["conf_dir"]) / "10-lab.conflist"])
    assert Path(network["plugins"][0]["ipam"]["dataDir"]).is_relative_to(settings.folder)


def test_the_kubelet_works_on_both_versions_of_control_groups(settings: Settings, cache: BinaryCache) -> None:
    kubelet = json.loads(Node(settings, cache, ADDRESS).files()[settings.path("etc", "kubelet.json")])
    assert kubelet["failCgroupV1"] is False
    assert kubelet["cgroupDriver"] == "cgroupfs"
    assert kubelet["cgroupRoot"] == f"/{settings.cgroup}"
    assert kubelet["authentication"]["anonymous"]["enabled"] is False


def test_no_secret_is_in_a_command_line(settings: Settings, cache: BinaryCache) -> None:
    redis = Redis(settings, ADDRESS)
    settings.pki.mkdir(parents=True)
    (settings.pki / "redis.password").write_text("hunter2")
    (settings.pki / "postgresql.password").write_text("hunter2")
    plane = ControlPlane(settings, cache, ADDRESS)
    daemons = [
        plane.etcd(),
        plane.api_server(),
        plane.controller_manager(),
        plane.scheduler(),
        PostgreSQL(settings, ADDRESS).daemon(),
        redis.daemon(),
    ]
    assert not any("hunter2" in " ".join(daemon.argv) for daemon in daemons)
    assert "requirepass hunter2" in redis.configuration(redis.password())


def test_the_database_asks_everybody_for_a_password(settings: Settings) -> None:
    access = PostgreSQL(settings, ADDRESS).files()[settings.path("postgresql", "pg_hba.conf")]
    assert {line.split()[-1] for line in access.splitlines()} == {"scram-sha-256"}
    assert "0.0.0.0/0" not in access


def test_coredns_listens_on_the_address_that_the_service_leads_to(settings: Settings) -> None:
    text = corefile_content(settings, ADDRESS)
    assert f"bind {ADDRESS}" in text
    assert text.count("{") == text.count("}")


@pytest.mark.parametrize(
    ("mounts", "expected"),
    [
        ("/dev/vda / ext4 rw 0 0\nproc /proc proc rw 0 0\n", "overlayfs"),
        ("overlay / overlay rw 0 0\n", "native"),
        ("overlay / overlay rw 0 0\n/dev/vdb /var/lib ext4 rw 0 0\n", "overlayfs"),
        ("/dev/vda / ext4 rw 0 0\noverlay /var/lib overlay rw 0 0\n", "native"),
    ],
)
def test_no_overlay_on_an_overlay(mounts: str, expected: str) -> None:
    assert snapshotter(Path("/var/lib/lab"), mounts) == expected


def test_ports_differ() -> None:
    ports = vars(Ports())
    assert len(set(ports.values())) == len(ports)
