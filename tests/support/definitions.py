# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Custom resource definitions of others, from their Go modules, there for as long as a test needs them."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient

_PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def go_module(module: str) -> Path:
    """Return the folder of a Go module, ``path@version``, whose content Go has verified."""
    answer = subprocess.run(
        ["go", "mod", "download", "-json", module], capture_output=True, text=True, check=True
    )
    return Path(json.loads(answer.stdout)["Dir"])


@contextmanager
def installed(api: ClusterClient, module: str, files: Iterable[str]) -> Iterator[None]:
    """Install the definitions in these files of a module that the cluster lacks, and remove these again."""
    definitions = [_read(go_module(module) / file) for file in files]
    made = [definition for definition in definitions if _create(api, definition)]
    try:
        for definition in made:
            _wait_established(api, definition["metadata"]["name"])
        yield
    finally:
        for definition in made:
            api.delete(f"{_PATH}/{definition['metadata']['name']}")


def _read(file: Path) -> dict[str, Any]:
    definition: dict[str, Any] = yaml.load(file.read_text(encoding="utf-8"), _LOADER)  # noqa: S506 - a safe one
    return definition


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _create(api: ClusterClient, definition: dict[str, Any]) -> bool:
    if api.find(f"{_PATH}/{definition['metadata']['name']}") is not None:
        return False
    api.create(_PATH, definition)
    return True


def _wait_established(api: ClusterClient, name: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        status = api.get(f"{_PATH}/{name}").get("status") or {}
        if {"type": "Established", "status": "True"}.items() <= {
            key: value
            for condition in status.get("conditions") or []
            if condition["type"] == "Established"
            for key, value in condition.items()
        }.items():
            return
        time.sleep(0.1)
    raise AssertionError(f"{name} is not established")
