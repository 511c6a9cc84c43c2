# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files in a directory: each whole or not at all, and no link is followed."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.directory import Directory
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.tree import Changes

CHANGES = Changes({"applications/a.yaml": b"a"}, (), {"charts/x": {"Chart.yaml": b"c", "templates/t": b"t"}})


def contents(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def test_files_and_folders_come_and_go(tmp_path: Path) -> None:
    store = Directory(tmp_path)
    store.change(lambda tree: CHANGES, "", check_mode=True)
    assert contents(tmp_path) == {}
    store.change(lambda tree: CHANGES, "", check_mode=False)
    assert contents(tmp_path) == CHANGES.all_writes
    assert stat.S_IMODE((tmp_path / "applications/a.yaml").stat().st_mode) == 0o644
    assert store.files("charts/x") == CHANGES.folders["charts/x"]
    assert store.read("applications/b.yaml") is None
    store.change(lambda tree: Changes(removals=("applications/a.yaml",)), "", check_mode=False)
    assert store.read("applications/a.yaml") is None


def test_another_run_that_brought_the_chart_first_is_fine(tmp_path: Path) -> None:
    Directory(tmp_path).change(lambda tree: CHANGES, "", check_mode=False)
    Directory(tmp_path).change(lambda tree: CHANGES, "", check_mode=False)
    assert contents(tmp_path) == CHANGES.all_writes


@pytest.mark.parametrize(
    "link", ["applications", "applications/a.yaml", "charts", "charts/x", "charts/x/Chart.yaml"]
)
def test_a_link_is_not_followed(tmp_path: Path, link: str) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    outside.mkdir()
    (outside / "victim").write_bytes(b"mine")
    place = root / link
    place.parent.mkdir(parents=True)
    place.symlink_to(outside if "." not in link else outside / "victim")
    store = Directory(root)
    with pytest.raises(PlatformError, match="is a link"):
        store.read("applications/a.yaml"), store.files("charts/x")
    with pytest.raises(PlatformError, match="is a link"):
        store.change(lambda tree: CHANGES, "", check_mode=False), store.files("charts/x")
    assert contents(outside) == {"victim": b"mine"}


def test_a_directory_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match="is no directory"):
        Directory(tmp_path / "nowhere")
