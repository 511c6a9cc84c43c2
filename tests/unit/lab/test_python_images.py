# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images of Python services: a root that runs them, built again only for another code, and then offline."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.python_images import PythonImageStep
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.settings import (
    PythonService,
    Settings,
)

SAYS = "import ssl, sys, zoneinfo, asyncio\nimport greeting\nprint(greeting.WORD, *sys.argv[1:])\n"


def _wheel(folder: Path) -> Path:
    """Write a wheel with one module, as an index would serve it."""
    path = folder / "greeting-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("greeting.py", "WORD = 'hello'\n")
        wheel.writestr(
            "greeting-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n"
        )
        wheel.writestr(
            "greeting-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("greeting-1.0.dist-info/RECORD", "")
    return path


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache that the tests share; the interpreter is collected once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def step(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> PythonImageStep:
    """Return the step of a small service. A folder above it is hidden, as that of a collection may be."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    sources = tmp_path / ".hidden" / "service"
    package = sources / "says"
    (package / "__pycache__").mkdir(parents=True)
    (package / "__pycache__" / "left.pyc").write_bytes(b"of another version")
    (package / "__main__.py").write_text(SAYS)
    (package / "data.json").write_text("{}")
    (sources / "requirements.txt").write_text(f"{_wheel(tmp_path)}\n")
    settings = Settings(tmp_path / "lab", tmp_path)
    return PythonImageStep(settings, PythonService("example.org/says:1", sources))


def _apply(step: PythonImageStep) -> list[str]:
    told: list[str] = []
    step.apply(told.append, Deadline(120))
    return told


def _unpack(archive: Path, root: Path) -> dict[str, Any]:
    """Unpack the layers of the only image, lowest first; return its configuration."""
    with tarfile.open(archive) as outer:

        def read(name: str) -> bytes:
            file = outer.extractfile(name)
            assert file is not None
            return file.read()

        (image,) = json.loads(read("manifest.json"))
        for layer in image["Layers"]:
            with tarfile.open(fileobj=io.BytesIO(read(layer))) as inner:
                inner.extractall(root, filter="fully_trusted")  # noqa: S202 - we wrote it
        config: dict[str, Any] = json.loads(read(image["Config"]))["config"]
        return config


def test_the_root_runs_the_service_by_itself(step: PythonImageStep, tmp_path: Path) -> None:
    assert step.pending() == "is not built"
    _apply(step)
    assert step.pending() == ""
    root = tmp_path / "root"
    config = _unpack(step.archive, root)
    assert config["User"] == "65532:65532"
    assert not (root / "opt/llmops/app/says/__pycache__/left.pyc").exists()
    assert (root / f"opt/llmops/app/says/__pycache__/__main__.{sys.implementation.cache_tag}.pyc").exists()
    assert (root / "tmp").stat().st_mode & 0o7777 == 0o1777
    # Everything that others may not read would be closed to the service, which is nobody in particular.
    closed = [path for path in root.rglob("*") if not path.is_symlink() and not path.stat().st_mode & 0o004]
    assert closed == []
    # Nothing but what is in the image: no library and no module of this machine.
    said = subprocess.run(
        ["/usr/sbin/chroot", "--userspec=65532:65532", root, *config["Entrypoint"], "world"],
        env=dict(variable.split("=", 1) for variable in config["Env"]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (said.stdout, said.stderr) == ("hello world\n", "")


def test_another_code_is_another_image_from_the_same_layers(step: PythonImageStep) -> None:
    assert _apply(step)[-1] == "says image: installing requirements.txt with pip"
    main = step.service.sources / "says" / "__main__.py"
    main.write_text(SAYS + "\n")
    assert step.pending() == "its sources changed"
    # Without pip and without an index: both lower layers are in the cache.
    assert _apply(step) == []
    assert step.pending() == ""
    (step.service.sources / "README.md").write_text("not part of the image")
    (step.service.sources / "says" / "__pycache__" / "more.pyc").write_bytes(b"")
    assert step.pending() == ""


def test_what_is_no_service_is_refused(step: PythonImageStep) -> None:
    (step.service.sources / "requirements.txt").unlink()
    with pytest.raises(PlatformError, match="is not the folder of a service"):
        _apply(step)


def test_a_requirement_without_a_wheel_is_told(step: PythonImageStep) -> None:
    (step.service.sources / "requirements.txt").write_text("/nowhere/absent-1.0-py3-none-any.whl\n")
    with pytest.raises(PlatformError, match=r"absent-1\.0"):
        _apply(step)
    assert step.pending() == "is not built"
