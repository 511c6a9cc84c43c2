# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A release, made of a commit and then looked at as a suspicious user does."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.support.playbooks import ROOT


def _run(*command: str | Path, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "GIT_"))}
    return subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env={**mine, "PATH": path, **environment},
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a clone of this checkout, with what is not committed yet as one more commit."""
    folder = tmp_path_factory.mktemp("release") / "clone"
    assert _run("git", "clone", "--quiet", ROOT, folder, folder=ROOT).returncode == 0
    listed = _run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", folder=ROOT).stdout
    for name in filter(None, listed.split("\0")):
        source, target = ROOT / name, folder / name
        if source.is_file() and not source.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
            target.chmod(source.stat().st_mode)
        elif not source.exists():
            target.unlink(missing_ok=True)
    who = ("-c", "user.name=test", "-c", "user.email=test@example.com")
    _run("git", "add", "--all", folder=folder)
    _run("git", *who, "commit", "--quiet", "--allow-empty", "-m", "test", folder=folder)
    return folder


@pytest.fixture(scope="module")
def files(checkout: Path) -> Mapping[str, Path]:
    """Make a release; return its files by how their names end."""
    target = checkout.parent / "made"
    made = _run(sys.executable, "scripts/release.py", "--output", target, folder=checkout)
    assert made.returncode == 0, made.stdout + made.stderr
    assert "This was a rehearsal" in made.stdout
    return {path.name.rsplit("0.1.0", 1)[-1]: path for path in target.iterdir()}


def test_the_bill_of_materials(files: Mapping[str, Path]) -> None:
    text = files[".cdx.json"].read_text("utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    (digest,) = bill["metadata"]["component"]["hashes"]
    assert digest["content"] == hashlib.sha256(files[".tar.gz"].read_bytes()).hexdigest()
    needs = {entry["ref"]: entry.get("dependsOn", []) for entry in bill["dependencies"]}
    of_collection = needs["llmops.platform"]
    for package in ("ansible-core", "jinja2", "kubernetes", "psycopg2-binary", "pyyaml"):
        assert [one for one in of_collection if one.startswith(f"pkg:pypi/{package}@")], package
    assert [one for one in of_collection if one.startswith("pkg:golang/k8s.io/kubernetes@v1.")]
    for image, package in (("llmops-router", "uvicorn"), ("llmops-health-checker", "aiohttp")):
        assert image in of_collection
        assert [one for one in needs[image] if one.startswith(f"pkg:pypi/{package}@")], image
    named = {component["bom-ref"] for component in bill["components"]}
    assert {one for all_of_one in needs.values() for one in all_of_one} <= named


def test_the_provenance(checkout: Path, files: Mapping[str, Path]) -> None:
    statement: dict[str, Any] = json.loads(files[".intoto.json"].read_text("utf-8"))
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    for subject in statement["subject"]:
        content = (files[".tar.gz"].parent / subject["name"]).read_bytes()
        assert subject["digest"]["sha256"] == hashlib.sha256(content).hexdigest()
    source = statement["predicate"]["buildDefinition"]["resolvedDependencies"][0]
    assert source["digest"]["gitCommit"] == _run("git", "rev-parse", "HEAD", folder=checkout).stdout.strip()


def test_the_signatures(files: Mapping[str, Path], tmp_path: Path) -> None:
    folder = files[".tar.gz"].parent
    keyring, sums = folder / "public-key.gpg", folder / "SHA256SUMS"
    check = ("gpgv", "--keyring", keyring, folder / "SHA256SUMS.asc")
    assert _run(*check, sums, folder=tmp_path).returncode == 0
    listed = {line.split()[1] for line in sums.read_text("utf-8").splitlines()}
    assert listed == {path.name for path in folder.iterdir()} - {"SHA256SUMS", "SHA256SUMS.asc"}
    other = tmp_path / "SHA256SUMS"
    other.write_text(sums.read_text("utf-8").replace("0", "1", 1), "utf-8")
    assert _run(*check, other, folder=tmp_path).returncode != 0

    galaxy = ("ansible-galaxy", "collection")
    place = ("--collections-path", tmp_path)
    command = (*galaxy, "install", files[".tar.gz"], "--offline", "--no-deps", *place)
    assert _run(*command, folder=tmp_path, LC_ALL="C.UTF-8").returncode == 0
    signed = ("--keyring", keyring, "--signature", f"file://{folder / 'MANIFEST.json.asc'}")
    demanded = ("--required-valid-signature-count", "+all")
    verify = (*galaxy, "verify", "llmops.platform", "--offline", *place, *signed, *demanded)
    assert _run(*verify, folder=tmp_path, LC_ALL="C.UTF-8").returncode == 0
    with (tmp_path / "ansible_collections/llmops/platform/README.md").open("a", encoding="utf-8") as readme:
        readme.write("x")
    assert "modified content" in _run(*verify, folder=tmp_path, LC_ALL="C.UTF-8").stdout


def test_what_is_not_committed_is_not_released(checkout: Path, files: Mapping[str, Path]) -> None:
    assert files
    # Who does not want to see new files in git status has them in the artefact all the same.
    _run("git", "config", "status.showUntrackedFiles", "no", folder=checkout)
    (checkout / "docs/new.md").write_text("# New\n", "utf-8")
    refused = _run(sys.executable, "scripts/release.py", folder=checkout)
    assert refused.returncode == 1
    assert "docs/new.md" in refused.stderr
    (checkout / "docs/new.md").unlink()
    (checkout / "galaxy.yml").write_text((checkout / "galaxy.yml").read_text("utf-8") + "\n", "utf-8")
    refused = _run(sys.executable, "scripts/release.py", folder=checkout)
    assert refused.returncode == 1
    assert "commit or stash these first" in refused.stderr
    assert "galaxy.yml" in refused.stderr
