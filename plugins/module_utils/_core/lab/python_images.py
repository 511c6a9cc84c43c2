# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images of services in Python, without Docker and without a registry to take a base image from.

Three layers: the interpreter of this machine, what ``requirements.lock`` names, the service's own package.
The first two are kept in the user's cache, so a change of code makes a new image in a second, and offline.
"""

from __future__ import annotations

import hashlib
import json
import py_compile
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ..common.deadline import Deadline
from ..common.errors import ErrorClass, PlatformError, invalid
from .commands import run
from .filesystem import read_json, write_if_changed
from .image_archive import Image, add_file, add_folder, copy_file, new_file, write_archive
from .python_runtime import INTERPRETER, identity, runtime_files, shared_libraries
from .settings import PythonService, Settings, cache_folder
from .steps import Progress, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Raised where the same sources give another image.
RECIPE = 1
USER = "65532:65532"

_SITE = "opt/llmops/lib"
_CODE = "opt/llmops/app"
_ACCOUNTS = "root:x:0:0:root:/root:/nonexistent\nservice:x:65532:65532:service:/tmp:/nonexistent\n"
_GROUPS = "root:x:0:\nservice:x:65532:\n"
_ENVIRONMENT = {
    "HOME": "/tmp",  # noqa: S108 - inside the image
    "LANG": "C.UTF-8",
    "PATH": "/usr/local/bin",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHOME": "/usr/local",
    "PYTHONPATH": f"/{_CODE}:/{_SITE}",
    "PYTHONUNBUFFERED": "1",
    "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
}


@dataclass(frozen=True)
class _Sources:
    """A service's folder: its requirements and one package that runs by ``python -m``."""

    folder: Path

    @property
    def package(self) -> Path:
        """Folder of the package; raises ``invalid`` where there is not exactly one."""
        found = sorted(path.parent for path in self.folder.glob("*/__main__.py"))
        if len(found) != 1 or not self.requirements.is_file():
            raise invalid(
                "python_services",
                str(self.folder),
                "is not the folder of a service",
                "Give a folder with requirements.txt (or .lock) and one package that has __main__.py.",
            )
        return found[0]

    @property
    def requirements(self) -> Path:
        """What pip installs: as in the image of a release the locked versions, if there are any."""
        locked = self.folder / "requirements.lock"
        return locked if locked.is_file() else self.folder / "requirements.txt"

    def files(self) -> list[Path]:
        """Return the files of the package, without what tools leave there."""
        package = self.package
        return [
            path
            for path in sorted(package.rglob("*"))
            if path.is_file()
            and not any(part.startswith((".", "__pycache__")) for part in path.relative_to(package).parts)
        ]


@dataclass(frozen=True)
class PythonImageStep(Step):
    """The archive ``images/<name>.tar`` of one service."""

    settings: Settings
    service: PythonService

    @property
    def _sources(self) -> _Sources:
        return _Sources(self.service.sources)

    @property
    def name(self) -> str:  # type: ignore[override]
        """Name for people."""
        return f"{self._short_name} image"

    @property
    def archive(self) -> Path:
        """Path of the archive."""
        return self.settings.images / f"{self._short_name}.tar"

    def pending(self) -> str:
        """Say whether the archive is missing or older than its sources."""
        if not self.archive.exists():
            return "is not built"
        return "" if read_json(self._record).get("key") == self._key() else "its sources changed"

    def apply(self, progress: Progress, deadline: Deadline) -> None:
        """Build the layers that are not in the cache, and the archive."""
        key = self._key()
        layers = cache_folder() / "layers"
        runtime = layers / f"python-{_digest(identity(), RECIPE)}.tar"
        site = layers / f"site-{_digest(identity(), RECIPE, self._sources.requirements.read_bytes())}.tar"
        if not runtime.exists():
            progress(f"{self.name}: collecting Python {sys.version.split()[0]}")
            _write_runtime(runtime)
        if not site.exists():
            progress(f"{self.name}: installing {self._sources.requirements.name} with pip")
            _write_site(self._sources.requirements, site, deadline)
        with tempfile.TemporaryDirectory() as folder:
            code = Path(folder) / "code.tar"
            _write_code(self._sources, code)
            entrypoint = [INTERPRETER, "-m", self._sources.package.name]
            image = Image(self.service.image, [runtime, site, code], entrypoint, USER, _ENVIRONMENT)
            write_archive([image], self.archive)
        write_if_changed(self._record, json.dumps({"image": self.service.image, "key": key}))

    @property
    def _short_name(self) -> str:
        return self.service.image.rpartition("/")[2].partition(":")[0]

    @property
    def _record(self) -> Path:
        return self.archive.with_suffix(".json")

    def _key(self) -> str:
        package = self._sources.package
        parts: list[object] = [identity(), RECIPE, self._sources.requirements.read_bytes()]
        for path in self._sources.files():
            parts += [path.relative_to(package), path.read_bytes()]
        return _digest(*parts)


def _digest(*parts: object) -> str:
    digest = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.hexdigest()[:16]


@contextmanager
def _new_layer(target: Path) -> Iterator[tarfile.TarFile]:
    with new_file(target) as temporary, tarfile.open(temporary, "w") as layer:
        yield layer


def _write_runtime(target: Path) -> None:
    with _new_layer(target) as layer:
        _copy_all(layer, runtime_files())
        add_folder(layer, "tmp", 0o1777)
        add_file(layer, "etc/passwd", _ACCOUNTS.encode())
        add_file(layer, "etc/group", _GROUPS.encode())
        add_file(layer, "etc/nsswitch.conf", b"hosts: files dns\n")


def _write_site(requirements: Path, target: Path, deadline: Deadline) -> None:
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder) / "site"
        _pip_install(requirements, site, deadline)
        files = {
            f"{_SITE}/{path.relative_to(site)}": path for path in sorted(site.rglob("*")) if path.is_file()
        }
        modules = [path for path in files.values() if ".so" in path.suffixes]
        with _new_layer(target) as layer:
            _copy_all(layer, {**files, **shared_libraries(modules, within=site)})


def _pip_install(requirements: Path, target: Path, deadline: Deadline) -> None:
    if run([sys.executable, "-m", "pip", "--version"], check=False).returncode != 0:
        raise PlatformError(
            ErrorClass.INFRASTRUCTURE,
            f"{sys.executable} has no pip, which installs the parts of the services' images.",
            "Install it (Debian: apt-get install python3-pip), or run Ansible from a virtual environment.",
        )
    run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"),
            # Wheels only: nothing is compiled, and no package's own code runs here.
            *("--only-binary", ":all:", "--target", target, "--requirement", requirements),
        ],
        timeout=deadline.share(600).remaining(),
    )


def _write_code(sources: _Sources, target: Path) -> None:
    package = sources.package
    with tempfile.TemporaryDirectory() as folder, _new_layer(target) as layer:
        compiled = Path(folder) / "compiled.pyc"
        for path in sources.files():
            place = PurePosixPath(_CODE, package.name, path.relative_to(package).as_posix())
            add_file(layer, str(place), path.read_bytes())
            if path.suffix == ".py":
                # Pods have a read-only root: without this each start would compile everything anew.
                py_compile.compile(
                    str(path),
                    str(compiled),
                    dfile=f"/{place}",
                    doraise=True,
                    invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
                )
                name = f"{path.stem}.{sys.implementation.cache_tag}.pyc"
                add_file(layer, str(place.parent / "__pycache__" / name), compiled.read_bytes())


def _copy_all(layer: tarfile.TarFile, files: Mapping[str, Path]) -> None:
    """Add files with their folders: a folder that only a file's path names would get nobody's mode."""
    folders = {str(parent) for path in files for parent in PurePosixPath(path).parents} - {"."}
    for folder in sorted(folders):
        add_folder(layer, folder)
    for path, source in sorted(files.items()):
        copy_file(layer, source, path)
