# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rules that send packets to the daemon, and the kernel's table that says whether it listens."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.lab.binaries import BinaryCache
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.network_policies import (
    CHAIN,
    QUEUE,
    enforcer,
    queue_problem,
    rules,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.remains import removal_rules
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.settings import Settings

SETTINGS = Settings(Path("/lab"), Path("/files"))


def test_only_new_connections_of_pods_are_judged_and_nothing_passes_unjudged() -> None:
    text = rules(SETTINGS, ["FORWARD", "INPUT"])
    jumps = [line for line in text.splitlines() if line.startswith("-I ")]
    assert [line.split()[1] for line in jumps] == ["FORWARD", "INPUT"]
    assert all("--ctstate NEW" in line and line.endswith(f"-j {CHAIN}") for line in jumps)
    queued = [line for line in text.splitlines() if "NFQUEUE" in line]
    assert len(queued) == 2
    assert all("10.244.0.0/16" in line for line in queued)
    assert "bypass" not in text, "a daemon that is down would let everything pass"


def test_a_jump_that_is_there_is_not_made_twice() -> None:
    assert re.findall(r"^-I (\w+)", rules(SETTINGS, ["INPUT"]), re.MULTILINE) == ["INPUT"]


def test_what_clears_away_the_rules_of_cni_takes_these_too() -> None:
    saved = rules(SETTINGS, ["FORWARD", "INPUT"]).replace("-I ", "-A ")
    removal = removal_rules(saved).splitlines()
    assert [line.split()[:2] for line in removal if line.startswith("-D")] == [
        ["-D", "FORWARD"],
        ["-D", "INPUT"],
    ]
    assert removal[-3:] == [f"-F {CHAIN}", f"-X {CHAIN}", "COMMIT"]


@pytest.mark.parametrize(
    ("table", "served"),
    [
        ("", False),
        (f"  100  4711     0 2   128     0     0        {QUEUE}  1\n", False),
        (f"  100  4711  0 2  128  0  0  9  1\n{QUEUE}  4712  0 2  128  0  0  9  1\n", True),
    ],
)
def test_whether_the_queue_is_served(table: str, served: bool) -> None:
    assert (queue_problem(table) == "") is served


def test_the_daemon_starts_again_with_its_api_server(tmp_path: Path) -> None:
    daemon = enforcer(SETTINGS, BinaryCache(tmp_path, tmp_path))
    assert daemon.follows == "kube-apiserver"
    assert f"--queue={QUEUE}" in daemon.argv
