# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The programs of the lab in the user's cache: downloaded where releases can be had, otherwise built once."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..common.deadline import Deadline
from ..common.errors import ErrorClass, PlatformError
from .components import Component, go_architecture
from .downloads import Downloader, DownloadError
from .filesystem import write_to_disk
from .go import BUILD_FLAGS, build, go_version, module_folder, require_go
from .locking import locked
from .steps import Progress, Step

_UNFINISHED = ".unfinished-"


class BinaryCache:
    """Folders named ``<component>-<key>``; the key covers the module's files and the Go version.

    A folder appears complete and on the disk or not at all, so that a build that was interrupted, or a
    machine that lost its power, leaves nothing to trust.
    """

    def __init__(self, root: Path, modules: Path) -> None:
        self._root = root / "bin"
        self._modules = modules

    def folder(self, component: Component) -> Path:
        """Return the folder of a component, there or not."""
        return self._root / f"{component.name}-{self._key(component)}"

    def program(self, component: Component, name: str) -> Path:
        """Return the path of one program, there or not."""
        return self.folder(component) / name

    def data(self, component: Component) -> list[Path]:
        """Return the data files of a component, in the order of its definition."""
        return [self.folder(component) / Path(path).name for path in component.data]

    def missing(self, components: Sequence[Component]) -> list[Component]:
        """Return the components that are not in the cache."""
        return [component for component in components if not self.folder(component).is_dir()]

    def provide(self, components: Sequence[Component], progress: Progress, deadline: Deadline) -> None:
        """Download or build what is missing. Two runs at once wait for each other."""
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            what = "making the lab's programs"
            with locked(self._root / ".lock", f"is {what}", f"has been {what}", progress, deadline) as lock:
                if missing := self.missing(components):
                    self._make_all(missing, lock.fileno(), progress, deadline)
        except OSError as error:
            raise PlatformError(
                ErrorClass.INFRASTRUCTURE,
                f"The lab's programs cannot be kept in {self._root}: {error}.",
                "See that the folder is yours and the disk has room (XDG_CACHE_HOME names another place).",
            ) from error

    def _make_all(
        self, missing: Sequence[Component], lock: int, progress: Progress, deadline: Deadline
    ) -> None:
        # What runs that were killed left; we hold the lock, and their builds kept it as long as they lived.
        for remains in self._root.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(remains, ignore_errors=True)
        for component in missing:
            self._require_module(component)
        if any(component.data_module or not component.releases for component in missing):
            # Said before anything is downloaded.
            require_go()
        began = time.monotonic()
        progress(f"getting {', '.join(component.name for component in missing)}")
        with tempfile.TemporaryDirectory(prefix=_UNFINISHED, dir=self._root) as folder:
            work = _Work(
                Path(folder),
                {component.name: self.folder(component) for component in missing},
                progress,
                deadline,
            )
            self._make(missing, work, lock)
        progress(f"the lab's programs were made in {time.monotonic() - began:.0f} s")

    def _make(self, missing: Sequence[Component], work: _Work, lock: int) -> None:
        downloader = Downloader()
        to_build: dict[str, list[Component]] = {}
        for component in missing:
            folder = work.folder / component.name
            folder.mkdir()
            if component.packages and not _downloaded(component, folder, downloader, work):
                to_build.setdefault(component.module, []).append(component)
            else:
                self._finish(component, work)
        for module, together in to_build.items():
            self._build(module, together, work, lock)
            for component in together:
                self._finish(component, work)

    def _finish(self, component: Component, work: _Work) -> None:
        """Add the data, and let the folder appear in the cache, if it still is what it is called."""
        folder = work.folder / component.name
        if component.data_module:
            module = self._modules / component.module
            sources = module_folder(module, component.data_module, work.deadline)
            for path in component.data:
                shutil.copyfile(sources / path, folder / Path(path).name)
        write_to_disk(folder)
        if self.folder(component) != work.targets[component.name]:
            raise PlatformError(
                ErrorClass.INFRASTRUCTURE,
                f"The files in {self._modules / component.module} changed while {component.name} was made.",
                "Run again.",
            )
        folder.replace(work.targets[component.name])

    def _require_module(self, component: Component) -> None:
        module = self._modules / component.module
        if not (module / "go.mod").exists():
            raise PlatformError(
                ErrorClass.INVALID,
                f"files_dir: {module} has no go.mod.",
                "Give the files folder of role llmops.platform.lab.",
            )

    def _build(self, module: str, components: Sequence[Component], work: _Work, lock: int) -> None:
        programs = {name: package for component in components for name, package in component.packages.items()}
        variables = {name: value for component in components for name, value in component.variables.items()}
        built = work.folder / f".{module}"
        built.mkdir()
        what = f"building {', '.join(component.name for component in components)}"
        build(what, self._modules / module, programs, built, variables, work.progress, work.deadline, lock)
        for component in components:
            for name in component.packages:
                (built / name).rename(work.folder / component.name / name)

    def _key(self, component: Component) -> str:
        module = self._modules / component.module
        decisive = f"{go_version()} {go_architecture()} {BUILD_FLAGS} {component!r}"
        digest = hashlib.sha256(decisive.encode())
        for path in sorted([module / "go.mod", module / "go.sum", *module.rglob("*.go")]):
            content = path.read_bytes() if path.exists() else b"missing"
            digest.update(f"\0{path.relative_to(module)}\0{len(content)}\0".encode() + content)
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class _Work:
    """Where components are made, and where each is to go: by the keys of the files as they were at first."""

    folder: Path
    targets: Mapping[str, Path]
    progress: Progress
    deadline: Deadline


def _downloaded(component: Component, folder: Path, downloader: Downloader, work: _Work) -> bool:
    if not component.releases:
        return False
    try:
        for name, release in component.releases.items():
            downloader.fetch(release, folder / name, work.deadline)
    except DownloadError as error:
        work.progress(f"{component.name}: no release to be had ({error}), so it is built")
        return False
    return True


class BinariesStep(Step):
    """Programs in the cache, and links to those that people and modules use."""

    name = "binaries"

    def __init__(
        self,
        cache: BinaryCache,
        components: Sequence[Component],
        links: Sequence[Component],
        bin_folder: Path,
    ) -> None:
        self._cache = cache
        self._components = components
        self._links = {
            bin_folder / name: cache.program(component, name)
            for component in links
            for name in component.packages
        }

    def pending(self) -> str:
        """Say which programs are missing."""
        missing = self._cache.missing(self._components)
        if missing:
            return f"not in the cache: {', '.join(component.name for component in missing)}"
        wrong = [link.name for link in self._wrong_links()]
        return f"not linked: {', '.join(wrong)}" if wrong else ""

    def apply(self, progress: Progress, deadline: Deadline) -> None:
        """Get the programs and make the links."""
        self._cache.provide(self._components, progress, deadline)
        for link in self._wrong_links():
            link.parent.mkdir(parents=True, exist_ok=True)
            temporary = link.with_name(f".{link.name}.link")
            temporary.unlink(missing_ok=True)
            temporary.symlink_to(self._links[link])
            temporary.replace(link)

    def _wrong_links(self) -> list[Path]:
        return [
            link for link, target in self._links.items() if not link.is_symlink() or link.readlink() != target
        ]
