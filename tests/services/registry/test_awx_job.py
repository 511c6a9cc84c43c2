# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What AWX says of a job is on record, in whichever process a module runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.awx_run import Job
from tests.support.playbooks import PlayRunner
from tests.support.postgres import Server


def test_user_and_job_are_on_record(tmp_path: Path, server: Server, migrated_database_name: str) -> None:
    """In the controller's process, in one of its own, asynchronously; and what the task says is stronger."""
    dsn, job = server.dsn(migrated_database_name), Job()
    tasks = [
        _lock("in-process", dsn),
        {**_lock("module", dsn), "vars": {"llmops_in_process": False}},
        {**_lock("async", dsn), "async": 60, "poll": 1},
        _lock("told", dsn, actor="bob"),
    ]
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}
    PlayRunner(tmp_path, job.environment()).run([play], extra_vars=job.variables()).check()
    connection = server.connect(migrated_database_name)
    with connection.cursor() as cursor:
        cursor.execute("SELECT model_name, actor, job FROM operations")
        found = {model: (actor, job) for model, actor, job in cursor.fetchall()}
    connection.close()
    assert found == {
        "org/in-process": ("alice", job.url),
        "org/module": ("alice", job.url),
        "org/async": ("alice", job.url),
        "org/told": ("bob", job.url),
    }


def _lock(name: str, dsn: str, **more: Any) -> dict[str, Any]:
    arguments = {"dsn": dsn, "model": f"org/{name}", "environment": "staging", **more}
    return {"name": f"Take a lock ({name})", "llmops.platform.lock": arguments}
