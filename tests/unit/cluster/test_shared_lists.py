# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lists that workers of one run share: when one is read, and when it is read anew."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster import shared_lists
from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import (
    Authentication,
    ClusterClient,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.shared_lists import SharedLists


class Server:
    """Counts how often it is asked; what happens while it is read can be given."""

    def __init__(self, server: str = "https://a", items: int = 1203, **who: Any) -> None:
        self.server = server
        self.authentication = Authentication(**who)
        self.items = items
        self.reads = 0
        self.meanwhile: Callable[[], object] = int

    def list_pages(self, path: str, query: Mapping[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        self.reads += 1
        self.meanwhile()
        for number in range(self.items):
            metadata = {"name": f"{path}-{number}", "managedFields": [{}], "annotations": {"a": "b"}}
            yield {"metadata": metadata, "read": self.reads}


def lists(server: Server, folder: Path | None) -> SharedLists:
    return SharedLists(cast("ClusterClient", server), folder)


def read(found: SharedLists, path: str = "/nodes", query: Mapping[str, str] | None = None) -> list[Any]:
    return list(found.list_pages(path, query))


def test_the_second_worker_reads_what_the_first_has_read(tmp_path: Path) -> None:
    server = Server()
    first = read(lists(server, tmp_path))
    assert read(lists(server, tmp_path)) == first
    assert server.reads == 1
    assert [item["metadata"] for item in first] == [{"name": f"/nodes-{number}"} for number in range(1203)]
    assert not [path for path in tmp_path.iterdir() if path.suffix not in ("", ".lock")]


def test_an_empty_list_is_a_list(tmp_path: Path) -> None:
    server = Server(items=0)
    assert read(lists(server, tmp_path)) == read(lists(server, tmp_path)) == []
    assert server.reads == 1


def test_without_a_folder_each_reads_for_itself() -> None:
    server = Server()
    assert len(read(lists(server, None))) == len(read(lists(server, None))) == 1203
    lists(server, None).forget()
    assert server.reads == 2


@pytest.mark.parametrize(
    "other",
    [
        lambda folder: read(lists(Server("https://b"), folder)),
        lambda folder: read(lists(Server(api_key="of somebody else"), folder)),
        lambda folder: read(lists(Server(impersonate_user="somebody else"), folder)),
        lambda folder: read(lists(Server(), folder), "/pods"),
        lambda folder: read(lists(Server(), folder), query={"fieldSelector": "x"}),
    ],
    ids=["server", "token", "impersonated", "path", "query"],
)
def test_who_asks_for_something_else_shares_nothing(
    tmp_path: Path, other: Callable[[Path], list[Any]]
) -> None:
    first = lists(Server(items=5), tmp_path)
    assert len(read(first)) == 5
    assert len(other(tmp_path)) == 1203


def test_what_is_older_than_the_question_by_more_than_a_moment_is_read_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server()
    read(lists(server, tmp_path))
    monkeypatch.setattr(shared_lists, "FRESH_S", 0.0)
    assert read(lists(server, tmp_path))[0]["read"] == 2


def test_who_has_other_surroundings_shares_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server()
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text("a", encoding="utf-8")
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    for count in (1, 1):
        assert read(lists(server, tmp_path))[0]["read"] == count
    kubeconfig.write_text("another context", encoding="utf-8")
    assert read(lists(server, tmp_path))[0]["read"] == 2
    monkeypatch.setenv("AWS_PROFILE", "other")
    assert read(lists(server, tmp_path))[0]["read"] == 3


def test_what_was_read_before_or_just_after_a_change_of_this_run_is_read_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server()
    read(lists(server, tmp_path))
    lists(Server("https://another"), tmp_path).forget()
    # The pods of the change may not be there yet.
    for count in (2, 3):
        assert read(lists(server, tmp_path))[0]["read"] == count
    monkeypatch.setattr(shared_lists, "SETTLE_S", 0.0)
    for count in (4, 4):
        assert read(lists(server, tmp_path))[0]["read"] == count


def test_what_was_changed_while_it_was_read_is_read_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_lists, "SETTLE_S", 0.0)
    server = Server()
    found = lists(server, tmp_path)
    server.meanwhile = found.forget
    assert read(found)[0]["read"] == 2
    server.meanwhile = int
    assert read(found)[0]["read"] == 3


@pytest.mark.parametrize("folder", ["gone", "a file"])
def test_a_folder_that_cannot_be_used_costs_only_the_sharing(tmp_path: Path, folder: str) -> None:
    server = Server()
    bad = tmp_path / "folder"
    if folder == "a file":
        bad.write_text("", encoding="utf-8")
    for count in (1, 2):
        assert read(lists(server, bad))[0]["read"] == count
        lists(server, bad).forget()


def test_a_full_disk_takes_no_note_of_a_change_but_lets_go_of_the_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server()
    read(lists(server, tmp_path))

    def full(path: Path, text: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shared_lists, "keep", full)
    lists(server, tmp_path).forget()
    assert read(lists(server, tmp_path))[0]["read"] == 2


def test_nobody_waits_for_a_reading_that_began_too_early_for_them(tmp_path: Path) -> None:
    server = Server()
    read(lists(server, tmp_path))
    (lock,) = tmp_path.glob("*.lock")
    lock.with_suffix("").unlink()
    lock.with_suffix(".began").write_text(repr(time.monotonic() - 5), encoding="ascii")
    with lock.open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        began = time.monotonic()
        assert read(lists(server, tmp_path))[0]["read"] == 2
        assert time.monotonic() - began < 2


def test_what_no_verdict_looks_at_is_left_out(tmp_path: Path) -> None:
    container = {"name": "c", "env": [{"name": "TOKEN", "value": "x"}], "resources": {"limits": {"cpu": "1"}}}
    pod = {
        "metadata": {"name": "p", "labels": {"a": "b"}},
        "spec": {"nodeName": "n", "containers": [container], "initContainers": [container]},
        "status": {"images": ["x"], "phase": "Running"},
    }
    server = Server()
    server.list_pages = lambda *_: iter([pod])  # type: ignore[method-assign]
    slim = {"name": "c", "resources": {"limits": {"cpu": "1"}}}
    assert read(lists(server, tmp_path)) == [
        {
            "metadata": {"name": "p", "labels": {"a": "b"}},
            "spec": {"nodeName": "n", "containers": [slim], "initContainers": [slim]},
            "status": {"phase": "Running"},
        }
    ]


def test_a_reader_that_died_or_failed_leaves_nothing_to_others(tmp_path: Path) -> None:
    server = Server()

    def die() -> None:
        os._exit(1)

    server.meanwhile = die
    child = os.fork()
    if child == 0:
        read(lists(server, tmp_path))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1

    def fail() -> None:
        raise RuntimeError

    server.meanwhile = fail
    with pytest.raises(RuntimeError):
        read(lists(server, tmp_path))
    server.meanwhile = int
    assert len(read(lists(server, tmp_path))) == 1203


def test_who_waits_too_long_for_another_reads_for_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_lists, "_PATIENCE_S", 0.2)
    server = Server()
    read(lists(server, tmp_path))
    (lock,) = tmp_path.glob("*.lock")
    lock.with_suffix("").unlink()
    with lock.open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        began = time.monotonic()
        assert read(lists(server, tmp_path))[0]["read"] == 2
        assert time.monotonic() - began >= 0.2
