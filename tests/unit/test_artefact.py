# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The artefact that Galaxy gets: its changelog, its links, its bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.support.artefact import built_artefact
from tests.support.markdown import dead_links
from tests.support.playbooks import ROOT
from tests.support.repository import load_yaml


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return what ``scripts/build`` makes of the checkout."""
    return built_artefact(tmp_path_factory.mktemp("artefact"))


@pytest.fixture(scope="module")
def unpacked(artefact: Path) -> Path:
    """Return the folder that holds the artefact's files."""
    folder = artefact.parent / "unpacked"
    with tarfile.open(artefact) as tarball:
        tarball.extractall(folder, filter="data")
    return folder


def test_changelog_tells_of_the_version_and_git_keeps_the_fragments(unpacked: Path) -> None:
    version = load_yaml(ROOT / "galaxy.yml")["version"]
    released = load_yaml(unpacked / "changelogs/changelog.yaml")["releases"]
    assert released[version]["changes"]
    assert version.replace(".", "\\.") in (unpacked / "CHANGELOG.md").read_text(encoding="utf-8")
    assert not (unpacked / "changelogs/fragments").exists()


def test_no_page_links_to_what_is_not_installed(unpacked: Path) -> None:
    pages = sorted(unpacked.rglob("*.md"))
    assert len(pages) > 20
    dead = {str(page.relative_to(unpacked)): [*dead_links(page, unpacked)] for page in pages}
    assert {page: links for page, links in dead.items() if links} == {}


def test_bytes_depend_on_the_content_alone(artefact: Path, unpacked: Path, tmp_path: Path) -> None:
    """Packed again in another order and at another time, it is the same artefact."""
    files = json.loads((unpacked / "FILES.json").read_text(encoding="utf-8"))
    files["files"].reverse()
    (unpacked / "FILES.json").write_text(json.dumps(files, indent=True), encoding="utf-8")
    shuffled = tmp_path / artefact.name
    with tarfile.open(artefact) as present, tarfile.open(shuffled, "w:gz") as tarball:
        epoch = max(member.mtime for member in present)
        for name in ["MANIFEST.json", "FILES.json", *(entry["name"] for entry in files["files"])]:
            if name != ".":
                tarball.add(unpacked / name, name, recursive=False, filter=_without_owner)
    subprocess.run(
        [sys.executable, str(ROOT / "scripts/repack.py"), str(shuffled), str(tmp_path / "again.tar.gz")],
        env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch)},
        check=True,
    )
    assert shuffled.read_bytes() != artefact.read_bytes()
    assert (tmp_path / "again.tar.gz").read_bytes() == artefact.read_bytes()


def _without_owner(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.mtime = 1
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member
