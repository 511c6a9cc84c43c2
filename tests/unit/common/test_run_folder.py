# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What one worker of a run has found out, the others are told."""

from __future__ import annotations

import fcntl
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.run_folder import find_once


class Finder:
    """Counts how often something is found out."""

    def __init__(self, found: str = "v4.1.4") -> None:
        self.found = found
        self.times = 0

    def __call__(self) -> str:
        self.times += 1
        time.sleep(0.1)
        return self.found


def test_ten_who_ask_at_once_find_it_once(tmp_path: Path) -> None:
    finder = Finder()
    with ThreadPoolExecutor(10) as pool:
        found = list(pool.map(lambda _: find_once(tmp_path, "helm", finder, 30), range(10)))
    assert found == ["v4.1.4"] * 10
    assert finder.times == 1
    assert find_once(tmp_path, "another helm", Finder("v3.20.2"), 30) == "v3.20.2"


def test_without_a_folder_everybody_finds_it() -> None:
    finder = Finder()
    assert [find_once(None, "helm", finder, 30) for _ in range(2)] == ["v4.1.4"] * 2
    assert finder.times == 2


def test_a_failure_is_not_kept(tmp_path: Path) -> None:
    def fail() -> str:
        raise OSError

    with pytest.raises(OSError):  # noqa: PT011 - it has no message
        find_once(tmp_path, "helm", fail, 30)
    assert find_once(tmp_path, "helm", Finder(), 30) == "v4.1.4"


@pytest.mark.parametrize("folder", ["gone", "a file"])
def test_a_folder_that_cannot_be_used_keeps_nothing(tmp_path: Path, folder: str) -> None:
    bad = tmp_path / "folder"
    if folder == "a file":
        bad.write_text("", encoding="utf-8")
    finder = Finder()
    assert [find_once(bad, "helm", finder, 30) for _ in range(2)] == ["v4.1.4"] * 2
    assert finder.times == 2


def test_what_is_known_needs_no_lock(tmp_path: Path) -> None:
    find_once(tmp_path, "helm", Finder(), 30)
    (lock,) = tmp_path.glob("*.lock")
    with lock.open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert find_once(tmp_path, "helm", Finder("another"), 30) == "v4.1.4"


def test_who_waits_too_long_finds_it_alone(tmp_path: Path) -> None:
    find_once(tmp_path, "helm", Finder(), 30)
    for kept in tmp_path.iterdir():
        if kept.suffix != ".lock":
            kept.unlink()
    (lock,) = tmp_path.iterdir()
    with lock.open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert find_once(tmp_path, "helm", Finder("mine"), 0.1) == "mine"
