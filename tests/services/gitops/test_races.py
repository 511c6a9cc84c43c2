# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Others who write to the same branch, at the worst moment: no commit is lost, none is made twice."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.repository import (
    RepositoryOptions,
    opened_repository,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.tree import Changes, Tree
from tests.services.gitops.conftest import Write
from tests.support.chart import CHART
from tests.support.git_server import Bare
from tests.support.playbooks import ROOT


def test_a_push_that_was_raced_is_made_again_on_what_is_there(bare: Bare, write: Write) -> None:
    bare.commit("README.md", "mine")
    bare.race(2)
    lines: list[str] = []
    done = write(progress=lines.append)
    assert done.changed
    assert bare.head() == done.result["commit"]
    assert bare.subjects()[1:] == ["rival", "rival", "add README.md"]
    assert len([line for line in lines if "somebody else has changed main" in line]) == 2


def test_who_is_raced_for_ever_says_so_in_time(bare: Bare, write: Write) -> None:
    bare.commit("README.md", "mine")
    bare.race(1000)
    began = time.monotonic()
    with pytest.raises(PlatformError, match="did not finish within 3 s") as caught:
        write(timeout=3.0)
    assert time.monotonic() - began < 30
    assert caught.value.error_class.value == "timeout"


def test_a_lock_that_the_server_has_left_behind_is_told_in_its_words(bare: Bare, write: Write) -> None:
    bare.commit("README.md", "mine")
    bare.git("config", "core.filesRefLockTimeout", "0")
    (bare.path / "refs/heads/main.lock").touch()
    with pytest.raises(PlatformError, match=r"did not finish within 3 s.*main\.lock") as caught:
        write(timeout=3.0)
    assert caught.value.error_class.value == "timeout"


def test_a_branch_that_was_rewritten_is_not_brought_back(bare: Bare, write: Write) -> None:
    first = bare.commit("README.md", "mine")
    bare.commit("mistake", "with a secret")
    bare.rewrite(first)
    done = write()
    assert done.changed
    assert "mistake" not in bare.files()
    assert bare.subjects()[1:] == ["add README.md"]
    assert not write().changed


def test_what_was_thrown_away_before_our_push_does_not_come_back_with_it(bare: Bare) -> None:
    """A commit on top of what was thrown away would be a step forward for the server."""
    first = bare.commit("README.md", "mine")
    bare.commit("mistake", "with a secret")

    def plan(tree: Tree) -> Changes:
        bare.git("update-ref", "refs/heads/main", first)
        return Changes() if tree.read("ours") else Changes({"ours": b"x"})

    with opened_repository(RepositoryOptions.checked(bare.url), Deadline(30), print) as repository:
        repository.change(plan, "ours", check_mode=False)
    assert bare.files() == ["README.md", "ours"]


def test_an_answer_that_is_lost_is_not_taken_for_a_failure(bare: Bare, write: Write) -> None:
    bare.commit("README.md", "mine")
    # The branch is moved, then the connection breaks.
    bare.hook("post-receive", "[ -e once ] || { touch once; kill -9 $PPID; }")
    lines: list[str] = []
    done = write(progress=lines.append)
    assert "trying again" in "".join(lines)
    assert done.changed
    assert done.result["commit"] == bare.head()
    assert len(bare.subjects()) == 2


def test_many_at_once_all_land(bare: Bare, write: Write) -> None:
    bare.commit("README.md", "mine")
    models = [f"org/model-{number}" for number in range(5)]
    fork = multiprocessing.get_context("fork")
    runs = [fork.Process(target=write, kwargs={"model": model}) for model in models]
    for run in runs:
        run.start()
    for run in runs:
        run.join(60)
    assert [run.exitcode for run in runs] == [0] * 5
    assert len([path for path in bare.files() if path.startswith("values/")]) == 5
    assert len(bare.subjects()) == 6
    bare.git("fsck", "--strict")


def test_the_wait_for_another_host_of_the_play_is_not_counted(bare: Bare, tmp_path: Path) -> None:
    bare.commit("README.md", "mine")
    options, passed, held = RepositoryOptions.checked(bare.url), [0.0], threading.Event()
    lines: list[str] = []

    def hold() -> None:
        with opened_repository(options, Deadline(30), print, tmp_path):
            held.set()
            time.sleep(0.3)
            passed[0] = 100.0

    other = threading.Thread(target=hold)
    other.start()
    held.wait(30)
    deadline = Deadline(60, lambda: time.monotonic() + passed[0])
    with opened_repository(options, deadline, lines.append, tmp_path) as repository:
        repository.change(lambda tree: Changes({"ours": b"x"}), "ours", check_mode=False)
    other.join()
    assert bare.subjects() == ["ours", "add README.md"]
    assert lines == ["waited 100 s for other hosts of this play"]


SCRIPT = textwrap.dedent(
    f"""
    import sys
    sys.path[:0] = ["{ROOT}/build/collections", "{ROOT}"]
    from ansible_collections.llmops.platform.plugins.module_utils._module import Context
    from ansible_collections.llmops.platform.plugins.modules import gitops_files
    from tests.support.module_arguments import with_defaults
    gitops_files.run(
        with_defaults(
            gitops_files.ARGUMENT_SPEC, model="org/model", environment="staging", namespace="n",
            chart_path="{CHART}", repository=sys.argv[1],
        ),
        Context(),
    )
    """
)


@pytest.mark.parametrize("moment", ["pre-receive", "post-receive"])
def test_kill_9_in_a_push_leaves_what_the_next_run_finishes(
    bare: Bare, write: Write, tmp_path: Path, moment: str
) -> None:
    bare.commit("README.md", "mine")
    bare.hook(moment, f"touch {tmp_path}/reached; sleep 2")
    run = subprocess.Popen([sys.executable, "-c", SCRIPT, bare.url], start_new_session=True)
    while not (tmp_path / "reached").exists():
        assert run.poll() is None
        time.sleep(0.02)
    run.kill()
    run.wait()
    (bare.path / "hooks" / moment).unlink()
    done = write(model="org/model", namespace="n", source_repository=None)
    # Either it has arrived, or it was never there.
    assert done.changed == (moment == "pre-receive") or len(bare.subjects()) == 2
    assert len(bare.subjects()) == 2
    assert done.result["commit"] == bare.head()
    bare.git("fsck", "--strict")
    with pytest.raises(ProcessLookupError):
        os.killpg(run.pid, signal.SIGKILL)
