# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The image archive: deterministic, complete, and built again only when its sources change."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.images import (
    ImportStep,
    source_key,
    write_images,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.settings import Settings

COMMANDS = {"example.org/serve:1": ["/model-server"], "example.org/pause:1": ["/model-server", "pause"]}


def _write(folder: Path, content: bytes = b"program") -> Path:
    program = folder / "program"
    program.write_bytes(content)
    write_images(program, COMMANDS, folder / "image.tar")
    return folder / "image.tar"


def _json(archive: tarfile.TarFile, name: str) -> Any:
    file = archive.extractfile(name)
    assert file is not None
    return json.load(file)


def test_the_same_program_gives_the_same_bytes(tmp_path: Path) -> None:
    first = _write(tmp_path).read_bytes()
    assert _write(tmp_path).read_bytes() == first
    assert _write(tmp_path, b"other").read_bytes() != first


def test_images_share_one_layer_and_differ_in_their_command(tmp_path: Path) -> None:
    with tarfile.open(_write(tmp_path)) as archive:
        manifest = _json(archive, "manifest.json")
        assert {entry["RepoTags"][0] for entry in manifest} == set(COMMANDS)
        layer = archive.extractfile(manifest[0]["Layers"][0])
        assert layer is not None
        digest = hashlib.sha256(layer.read()).hexdigest()
        for entry in manifest:
            config = _json(archive, entry["Config"])
            assert config["config"]["Entrypoint"] == COMMANDS[entry["RepoTags"][0]]
            assert config["config"]["User"] == "2000:0"
            assert config["rootfs"]["diff_ids"] == [f"sha256:{digest}"]


def test_the_root_holds_what_a_non_root_server_needs(tmp_path: Path) -> None:
    with tarfile.open(_write(tmp_path)) as archive:
        file = archive.extractfile(_json(archive, "manifest.json")[0]["Layers"][0])
        assert file is not None
        with tarfile.open(fileobj=io.BytesIO(file.read())) as layer:
            assert layer.getmember("tmp").mode == 0o1777
            assert layer.getmember("model-server").mode == 0o755
            assert layer.getmember("usr/local/bin/vllm").linkname == "/model-server"
            passwd = layer.extractfile("etc/passwd")
            assert passwd is not None
            assert b"vllm:x:2000:0:" in passwd.read()


def test_tests_of_the_server_do_not_rebuild_it(tmp_path: Path) -> None:
    (tmp_path / "main.go").write_text("package main")
    before = source_key(tmp_path)
    (tmp_path / "main_test.go").write_text("package main")
    assert source_key(tmp_path) == before
    (tmp_path / "more.go").write_text("package main")
    assert source_key(tmp_path) != before


def test_archives_are_imported_once_and_again_when_they_change(tmp_path: Path) -> None:
    settings = Settings(tmp_path, tmp_path)
    settings.images.mkdir()
    archive = settings.images / "extra.tar"
    archive.write_bytes(b"one")
    loaded: list[Path] = []
    step = ImportStep(settings, tmp_path / "imported.json", loaded.append)
    assert step.pending() == "not imported: extra.tar"
    step.apply(lambda line: None, Deadline(5))
    assert step.pending() == ""
    archive.write_bytes(b"two, and longer")
    step.apply(lambda line: None, Deadline(5))
    assert loaded == [archive, archive]
    (tmp_path / "imported.json").unlink()
    assert step.pending(), "a runtime that lost its images gets them again"
