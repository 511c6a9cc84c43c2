# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The model server's image: built from the role's sources, imported where containers run."""

from __future__ import annotations

import hashlib
import json
import tarfile
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..common.deadline import Deadline
from ..common.errors import ErrorClass, PlatformError
from .filesystem import read_json, write_if_changed
from .go import build, go_version
from .image_archive import Image, add_file, add_folder, add_link, write_archive
from .settings import MODEL_SERVER_IMAGE, PAUSE_IMAGE, Settings
from .steps import Progress, Step

_ACCOUNTS = "root:x:0:0:root:/root:/model-server\nvllm:x:2000:0:vllm:/tmp:/model-server\n"
_GROUP = "root:x:0:\n"
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin:/", "HOME": "/tmp"}  # noqa: S108 - inside the image
#: Its Go module.
_MODEL_SERVER = "llmops.local/model-server"
_COMMANDS = {MODEL_SERVER_IMAGE: ["/model-server"], PAUSE_IMAGE: ["/model-server", "pause"]}


def source_key(folder: Path) -> str:
    """Return a digest of all that decides what the program is; tests do not."""
    digest = hashlib.sha256(f"{go_version()} {_COMMANDS}".encode())
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.endswith("_test.go"):
            digest.update(f"\0{path.relative_to(folder)}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def write_images(program: Path, commands: Mapping[str, Sequence[str]], target: Path) -> None:
    """Write one image for each entry of ``commands`` (name -> command line).

    All share one layer: the program is ``/model-server``, and ``vllm`` on the PATH leads to it too. The user
    is 2000, as in vLLM's image, and ``/tmp`` is writable.
    """
    with tempfile.TemporaryDirectory() as folder:
        layer = Path(folder) / "layer.tar"
        with tarfile.open(layer, "w", format=tarfile.USTAR_FORMAT) as content:
            add_folder(content, "etc")
            add_folder(content, "tmp", 0o1777)
            for path in ("usr", "usr/local", "usr/local/bin"):
                add_folder(content, path)
            add_file(content, "etc/passwd", _ACCOUNTS.encode())
            add_file(content, "etc/group", _GROUP.encode())
            add_file(content, "model-server", program.read_bytes(), 0o755)
            add_link(content, "usr/local/bin/vllm", "/model-server")
        images = [Image(name, [layer], command, "2000:0", _ENVIRONMENT) for name, command in commands.items()]
        write_archive(images, target)


@dataclass(frozen=True)
class ModelServerStep(Step):
    """The archive ``images/model-server.tar``."""

    settings: Settings
    name: str = "model server image"

    @property
    def archive(self) -> Path:
        """Path of the archive."""
        return self.settings.images / "model-server.tar"

    def pending(self) -> str:
        """Say whether the archive is missing or older than its sources."""
        if not self.archive.exists():
            return "is not built"
        built = read_json(self._record()).get("key")
        return "" if built == source_key(self._sources()) else "its sources changed"

    def apply(self, progress: Progress, deadline: Deadline) -> None:
        """Build the program and write the archive."""
        sources = self._sources()
        if not (sources / "go.mod").exists():
            raise PlatformError(
                ErrorClass.INVALID,
                f"files_dir: {sources} has no go.mod.",
                "Give the files folder of role llmops.platform.lab.",
            )
        key = source_key(sources)
        with tempfile.TemporaryDirectory() as folder:
            programs = {"model-server": _MODEL_SERVER}
            build("building the model server", sources, programs, Path(folder), {}, progress, deadline)
            write_images(Path(folder) / "model-server", _COMMANDS, self.archive)
        write_if_changed(self._record(), json.dumps({"key": key}))

    def _sources(self) -> Path:
        return self.settings.files / "model_server"

    def _record(self) -> Path:
        return self.settings.images / "model-server.json"


@dataclass(frozen=True)
class ImportStep(Step):
    """Every archive in ``images/`` is in the container runtime.

    ``record`` lies where the runtime keeps its images, so it vanishes with them.
    """

    settings: Settings
    record: Path
    load: Callable[[Path], None]
    name: str = "image import"

    def pending(self) -> str:
        """Name the archives that are not imported."""
        names = [path.name for path in self._missing()]
        return f"not imported: {', '.join(names)}" if names else ""

    def apply(self, progress: Progress, deadline: Deadline) -> None:
        """Import them."""
        done = read_json(self.record)
        for archive in self._missing():
            state = _state(archive)
            self.load(archive)
            done[archive.name] = state
            write_if_changed(self.record, json.dumps(done))

    def _missing(self) -> list[Path]:
        done = read_json(self.record)
        archives = sorted(self.settings.images.glob("*.tar"))
        return [archive for archive in archives if done.get(archive.name) != _state(archive)]


def _state(archive: Path) -> str:
    seen = archive.stat()
    return f"{seen.st_size}-{seen.st_mtime_ns}"
