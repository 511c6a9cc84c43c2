# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Start, look at and stop the running lab as its role does, and put pods of the model server on it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import yaml

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from ansible_collections.llmops.platform.plugins.module_utils._module import Context
from ansible_collections.llmops.platform.plugins.modules import lab_cluster
from tests.support.lab import Lab, lab_folder
from tests.support.playbooks import ROOT

IMAGE = "llmops.local/model-server:0.1.0"
_ROLE = ROOT / "roles/lab"


def lab_run(check: bool = False, **changes: Any) -> dict[str, Any]:
    """Run the module with the defaults of role lab, but for these arguments; return its result.

    That costs a second less than a playbook, and tests that repair the lab do it forty times.
    """
    defaults = yaml.safe_load((_ROLE / "defaults/main.yml").read_text(encoding="utf-8"))
    services = [
        {name: value.replace("{{ role_path }}", str(_ROLE)) for name, value in service.items()}
        for service in defaults["lab_python_services"]
    ]
    arguments = {
        **{name: option.get("default") for name, option in lab_cluster.ARGUMENT_SPEC.items()},
        "lab_dir": str(lab_folder()),
        "files_dir": str(_ROLE / "files"),
        "python_services": services,
        **changes,
    }
    assert set(arguments) == set(lab_cluster.ARGUMENT_SPEC)
    outcome = lab_cluster.run(arguments, Context(check_mode=check))
    assert outcome.changed == bool(outcome.result["changes"])
    return outcome.result


def pod(name: str, *args: str, environment: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    """Return a pod of the model server for the real node."""
    return {
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "nodeSelector": {"node-type": "gpu"},
            "containers": [
                {
                    "name": "main",
                    "image": IMAGE,
                    "args": list(args),
                    "env": [{"name": key, "value": value} for key, value in (environment or {}).items()],
                    **spec,
                }
            ],
        },
    }


def wait(what: str, check: Callable[[], Any], timeout: float = 60) -> Any:
    """Wait until a check returns something, and return that."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if found := check():
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what}: not within {timeout:g} s")


def phase(api: ClusterClient, namespace: str, name: str) -> str:
    """Return a pod's phase; empty if there is none."""
    found = api.find(f"/api/v1/namespaces/{namespace}/pods/{name}")
    return str((found or {}).get("status", {}).get("phase", ""))


def identity(lab: Lab, part: str) -> dict[str, Any]:
    """Return which process a part of the lab is."""
    record: dict[str, Any] = json.loads((lab.folder / "run" / f"{part}.json").read_text(encoding="utf-8"))
    return record
