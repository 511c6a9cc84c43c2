# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The image for AWX as ansible-builder understands it: its context, and what the collection asks for.

The image itself is not built here: its base, and Helm, come from registries.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.awx_run import awx_tools
from tests.support.playbooks import ROOT

#: The first of them installs what it runs, which the cache then keeps.
pytestmark = pytest.mark.timeout(900)


def _builder(*arguments: str, folder: Path) -> str:
    command = [str(awx_tools() / "ansible-builder"), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_context_of_the_image_can_be_made(tmp_path: Path) -> None:
    _builder(
        "create",
        "--context",
        str(tmp_path),
        "--output-filename",
        "Containerfile",
        folder=ROOT / "examples/site",
    )
    steps = (tmp_path / "Containerfile").read_text("utf-8")
    final = steps[steps.rindex("FROM ") :]
    assert "/usr/local/bin/helm" in final
    # The last steps are those of the user who runs jobs.
    assert final.index("RUN helm version") < final.rindex("USER")
    wanted = yaml.safe_load((tmp_path / "_build/requirements.yml").read_text("utf-8"))["collections"]
    assert [collection["name"] for collection in wanted] == ["llmops.platform"]


def test_collection_says_what_it_needs() -> None:
    found = yaml.safe_load(_builder("introspect", str(ROOT / "build/collections"), folder=ROOT))
    python = [line.split(">=")[0] for line in found["python"] if "llmops.platform" in line]
    # Whatever has ansible-core has PyYAML.
    assert python == ["kubernetes", "psycopg2-binary", "jinja2"]
    system = {line.split(" ")[0] for line in found["system"] if "llmops.platform" in line}
    assert system == {"git-core", "git", "openssh-clients", "openssh-client"}
