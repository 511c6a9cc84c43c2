# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a file with a secret may be, and what is left behind where it may not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.private_file import (
    check_path,
    check_writable,
    read_private,
    remove_private,
    write_private,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError


def refusal(path: str) -> str:
    with pytest.raises(PlatformError) as told:
        check_path(path)
    assert told.value.details == {"field": "path"}
    assert told.value.resolution
    assert told.value.message.startswith("path: ")
    return told.value.message


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("", "is no path"),
        ("/tmp/a\x00b", "is no path"),
        ("/tmp/a\nb", "is no path"),
        ("~nobody-of-that-name/config", "begins with the name of a user who is not known here"),
        ("config", "depends on the folder"),
        ("../config", "depends on the folder"),
        ("/tmp/a:/tmp/b", "holds ':'"),
        ("/nonexistent/folder/", "is a folder"),
        ("/", "is a folder"),
        ("/dev/null", "is no regular file"),
        ("/dev/null/config", "cannot be used (Not a directory)"),
        ("/tmp/" + "x" * 300, "cannot be used (File name too long)"),
    ],
)
def test_what_cannot_be_the_path_is_named(path: str, problem: str) -> None:
    assert problem in refusal(path)


def test_a_link_is_not_replaced(tmp_path: Path) -> None:
    there, link, dangling = tmp_path / "there", tmp_path / "link", tmp_path / "dangling"
    there.touch()
    link.symlink_to(there)
    dangling.symlink_to(tmp_path / "nothing")
    assert "is a symbolic link" in refusal(str(link))
    assert "is a symbolic link" in refusal(str(dangling))
    # A folder on the way may be one: ~/.kube often is.
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "to-folder").symlink_to(folder)
    path = check_path(str(tmp_path / "to-folder/config"))
    write_private(path, "text")
    assert (folder / "config").read_text("utf-8") == "text"


def test_a_folder_that_is_none_is_told_before_anything_is_done(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PlatformError, match=r"lies in .*file', which is no folder"):
        check_writable(tmp_path / "file/a/config")
    check_writable(tmp_path / "a/b/config")
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


def test_a_folder_without_the_right_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Root may write anywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PlatformError, match="there is no right to write in") as told:
        check_writable(tmp_path / "config")
    assert "folder of your own" in told.value.resolution


def test_it_is_written_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "a/b/config"
    before = os.umask(0)
    try:
        write_private(path, "first")
    finally:
        os.umask(before)
    assert read_private(path) == ("first", 0o600)
    assert (tmp_path / "a").stat().st_mode & 0o7777 == 0o700
    path.chmod(0o666)
    with path.open(encoding="utf-8") as open_before:
        write_private(path, "second")
        assert open_before.read() == "first"
    assert read_private(path) == ("second", 0o600)
    remove_private(path)
    assert read_private(path) is None
    remove_private(path)


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config"
    write_private(path, "first")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PlatformError, match="No space left on device"):
        write_private(path, "second")
    assert path.read_text("utf-8") == "first"
    assert list(tmp_path.iterdir()) == [path]
