# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The running lab, as tests see it: a kubeconfig, a database server, Helm binaries."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from tests.support.playbooks import ROOT


@dataclass(frozen=True)
class Lab:
    """Where the parts of the lab are. ``facts`` is what the lab wrote about itself."""

    folder: Path
    facts: dict[str, Any]

    @property
    def kubeconfig(self) -> Path:
        """Administrator's kubeconfig."""
        return self.folder / "kubeconfig"

    @property
    def registry_dsn(self) -> str:
        """URI of the lab's registry database."""
        return (self.folder / "registry.dsn").read_text(encoding="utf-8").strip()

    def binary(self, name: str) -> Path:
        """Return the path of a program of the lab."""
        path = self.folder / "bin" / name
        assert path.exists(), f"the lab has no {name}: {path}"
        return path


def lab_folder() -> Path:
    """Return where the lab keeps its files."""
    return Path(os.environ.get("LLMOPS_LAB_DIR", "/var/lib/llmops-lab"))


def running_lab() -> Lab:
    """Return the lab; start it if its API server does not listen."""
    folder = lab_folder()
    if not _listens(folder / "kubeconfig"):
        subprocess.run(
            [str(Path(sys.executable).parent / "ansible-playbook"), "playbooks/lab.yml"],
            cwd=ROOT,
            env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
            stdin=subprocess.DEVNULL,
            check=True,
        )
    return Lab(folder, json.loads((folder / "facts.json").read_text(encoding="utf-8")))


def _listens(kubeconfig: Path) -> bool:
    if not kubeconfig.exists():
        return False
    server = urlsplit(
        yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))["clusters"][0]["cluster"]["server"]
    )
    try:
        with socket.create_connection((server.hostname or "", server.port or 443), timeout=2):
            return True
    except OSError:
        return False
