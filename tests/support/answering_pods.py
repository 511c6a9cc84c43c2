# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A model server behind pods that exist in the API only: they are given the address of this machine."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import (
    APIError,
    ClusterClient,
)

FAULT = "MODEL_SERVER_FAULT"


@contextmanager
def answering_pods(
    api: ClusterClient, namespaces: list[str], binary: Path, model: str, address: str, log: Path
) -> Iterator[None]:
    """Answer for all ready pods of some namespaces, with the fault of any Deployment that has one."""
    ended = threading.Event()
    answering = _Answering(api, namespaces, [str(binary), "serve", model, "--host", address], address, log)
    thread = threading.Thread(target=answering.run, args=(ended,), daemon=True)
    thread.start()
    try:
        yield
        assert thread.is_alive(), "nobody gives addresses any more"
    finally:
        ended.set()
        thread.join(10)
        answering.stop()


class _Answering:
    def __init__(
        self, api: ClusterClient, namespaces: list[str], command: list[str], address: str, log: Path
    ) -> None:
        self._api, self._namespaces, self._command, self._log = api, namespaces, command, log
        self._status = {"podIP": address, "podIPs": [{"ip": address}]}
        self._fault = ""
        self._server: subprocess.Popen[bytes] | None = None

    def run(self, ended: threading.Event) -> None:
        """Look around until the end."""
        while not ended.wait(0.1):
            fault = "".join(self._fault_in(namespace) for namespace in self._namespaces)
            if self._server is None or fault != self._fault:
                self._start(fault)
            for namespace in self._namespaces:
                self._give_addresses(f"/api/v1/namespaces/{namespace}/pods")

    def stop(self) -> None:
        """End the server."""
        if self._server is not None:
            self._server.kill()
            self._server.wait()

    def _start(self, fault: str) -> None:
        self.stop()
        environment = {**os.environ, **({FAULT: fault} if fault else {})}
        # The port that the chart gives them.
        command = [*self._command, "--port", "8000"]
        with self._log.open("ab") as log:
            self._server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        self._fault = fault

    def _fault_in(self, namespace: str) -> str:
        for item in self._api.get(f"/apis/apps/v1/namespaces/{namespace}/deployments")["items"]:
            for variable in item["spec"]["template"]["spec"]["containers"][0].get("env") or []:
                if variable["name"] == FAULT:
                    return str(variable["value"])
        return ""

    def _give_addresses(self, pods: str) -> None:
        for pod in self._api.get(pods)["items"]:
            if (pod.get("status") or {}).get("podIP") in (None, self._status["podIP"]):
                continue
            try:
                self._api.patch(f"{pods}/{pod['metadata']['name']}/status", {"status": self._status})
            except APIError as error:
                if error.status not in (404, 409):
                    raise
