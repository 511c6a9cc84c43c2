# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Gateway API's own definitions (standard channel), installed in the lab for as long as a test needs."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient

MODULE = "sigs.k8s.io/gateway-api@v1.6.3"
_KINDS = ("gatewayclasses", "gateways", "httproutes")
_PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@contextmanager
def gateway_api(api: ClusterClient) -> Iterator[None]:
    """Install the definitions that the cluster lacks, and remove these again."""
    made = [definition for definition in _definitions() if _create(api, definition)]
    try:
        for definition in made:
            _wait_established(api, definition["metadata"]["name"])
        yield
    finally:
        for definition in made:
            api.delete(f"{_PATH}/{definition['metadata']['name']}")


def _definitions() -> list[dict[str, Any]]:
    answer = subprocess.run(
        ["go", "mod", "download", "-json", MODULE], capture_output=True, text=True, check=True
    )
    folder = Path(json.loads(answer.stdout)["Dir"]) / "config/crd/standard"
    files = [folder / f"gateway.networking.k8s.io_{kind}.yaml" for kind in _KINDS]
    return [yaml.safe_load(path.read_text(encoding="utf-8")) for path in files]


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
