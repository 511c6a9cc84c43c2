# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A model server behind pods that exist in the API only: they are given the address of this machine."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import (
    APIError,
    ClusterClient,
)


@contextmanager
def answering_pods(
    api: ClusterClient, namespaces: list[str], binary: Path, model: str, address: str, log: Path
) -> Iterator[None]:
    """Answer for all ready pods of some namespaces, on the port that the chart gives them."""
    ended = threading.Event()
    thread = threading.Thread(target=_give_addresses, args=(api, namespaces, address, ended), daemon=True)
    with log.open("wb") as output:
        server = subprocess.Popen(
            [str(binary), "serve", model, "--host", address, "--port", "8000"],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    thread.start()
    try:
        yield
        assert server.poll() is None, log.read_text(encoding="utf-8")
    finally:
        ended.set()
        thread.join(10)
        server.kill()
        server.wait()


def _give_addresses(api: ClusterClient, namespaces: list[str], address: str, ended: threading.Event) -> None:
    status = {"podIP": address, "podIPs": [{"ip": address}]}
    while not ended.wait(0.1):
        for namespace in namespaces:
            pods = f"/api/v1/namespaces/{namespace}/pods"
            for pod in api.get(pods)["items"]:
                if (pod.get("status") or {}).get("podIP") not in (None, address):
                    try:
                        api.patch(f"{pods}/{pod['metadata']['name']}/status", {"status": status})
                    except APIError as error:
                        if error.status not in (404, 409):
                            raise
