# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Definitions (CRDs) of other projects, from their Go modules, in a cluster for as long as a test needs."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import (
    APIError,
    ClusterClient,
)

_PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
#: As safe as the other one, and ten times as fast where it is built in.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def go_module(module: str) -> Path:
    """Return the folder of a Go module, ``path@version``, whose content Go has verified."""
    answer = subprocess.run(
        ["go", "mod", "download", "-json", module], capture_output=True, text=True, check=True
    )
    return Path(json.loads(answer.stdout)["Dir"])


@contextmanager
def installed(api: ClusterClient, files: Iterable[Path]) -> Iterator[None]:
    """Install the definitions of some files that the cluster lacks, and remove these again."""
    definitions = [yaml.load(path.read_text(encoding="utf-8"), _LOADER) for path in files]  # noqa: S506
    made = [definition for definition in definitions if _create(api, definition)]
    try:
        for definition in made:
            _wait_established(api, definition["metadata"]["name"])
        yield
    finally:
        for definition in made:
            _remove(api, definition)


def _remove(api: ClusterClient, definition: dict[str, Any]) -> None:
    """Remove a definition with its objects, whose finalizers nobody is there for, and wait until it is gone.

    One that is about to go refuses new objects, also those of the next test.
    """
    path = f"{_PATH}/{definition['metadata']['name']}"
    api.delete(path)
    spec = definition["spec"]
    root = f"/apis/{spec['group']}/{spec['versions'][0]['name']}"
    plural = spec["names"]["plural"]
    deadline = time.monotonic() + 30
    while api.find(path) is not None:
        assert time.monotonic() < deadline, f"{path} is not gone"
        with suppress(APIError):
            for item in list(api.list_pages(f"{root}/{plural}")):
                place = item["metadata"]
                where = f"namespaces/{place['namespace']}/" if "namespace" in place else ""
                with suppress(APIError):
                    api.patch(f"{root}/{where}{plural}/{place['name']}", {"metadata": {"finalizers": None}})
        time.sleep(0.1)


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
