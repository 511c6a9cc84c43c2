# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How Argo CD's repo-server calls Helm for an Application."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import yaml


def rendered(helm: Path, root: Path, application: dict[str, Any]) -> str:
    """Return what Argo CD renders of a repository's files.

    The arguments are those of its repo-server (util/helm/cmd.go, reposerver/repository/repository.go).
    """
    spec = application["spec"]
    source, options = spec["source"], spec["source"]["helm"]
    command = [str(helm), "template", ".", "--name-template", options["releaseName"]]
    command += ["--namespace", spec["destination"]["namespace"]]
    chart = root / source["path"]
    for name in options["valueFiles"]:
        path = (chart / name).resolve()
        assert path.is_relative_to(root.resolve())
        command += ["--values", str(path)]
    command.append("--include-crds")
    if options.get("skipTests"):
        command.append("--skip-tests")
    return subprocess.run(command, cwd=chart, check=True, capture_output=True, text=True, timeout=60).stdout


def read_application(root: Path, path: str) -> dict[str, Any]:
    """Return an Application that was written."""
    item: dict[str, Any] = yaml.safe_load((root / path).read_text(encoding="utf-8"))
    return item
