# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The programs of the lab in the user's cache: downloaded where releases can be had, otherwise built once."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from ..common.deadline import Deadline
from ..common.errors import ErrorClass, PlatformError
from .components import Component, go_architecture
from .downloads import Downloader, DownloadError
from .go import build, go_version, module_folder
from .steps import Progress, Step


class BinaryCache:
    """Folders named ``<component>-<key>``; the key covers the module files and the Go version.

    A folder appears complete or not at all, so that a build that was interrupted leaves nothing to trust.
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
        self._root.mkdir(parents=True, exist_ok=True)
        with (self._root / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            downloader = Downloader()
            missing = self.missing(components)
            for number, component in enumerate(missing, 1):
                began = time.monotonic()
                progress(f"{component.name} ({number} of {len(missing)}): not in the cache, getting it")
                how = self._make(component, downloader, progress, deadline)
                progress(f"{component.name}: {how} in {time.monotonic() - began:.0f} s")

    def _make(
        self, component: Component, downloader: Downloader, progress: Progress, deadline: Deadline
    ) -> str:
        module = self._modules / component.module
        if not (module / "go.mod").exists():
            raise PlatformError(
                ErrorClass.INVALID,
                f"files_dir: {module} has no go.mod.",
                "Give the files folder of role llmops.platform.lab.",
            )
        temporary = Path(tempfile.mkdtemp(prefix=f".{component.name}-", dir=self._root))
        try:
            temporary.chmod(0o755)
            how = "copied"
            if component.packages:
                how = _programs(component, module, temporary, downloader, progress, deadline)
            if component.data_module:
                sources = module_folder(module, component.data_module)
                for path in component.data:
                    shutil.copyfile(sources / path, temporary / Path(path).name)
            temporary.replace(self.folder(component))
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return how

    def _key(self, component: Component) -> str:
        module = self._modules / component.module
        digest = hashlib.sha256(f"{go_version()} {go_architecture()} {component!r}".encode())
        for name in ("go.mod", "go.sum"):
            path = module / name
            digest.update(path.read_bytes() if path.exists() else b"missing")
        return digest.hexdigest()[:16]


def _programs(
    component: Component,
    module: Path,
    target: Path,
    downloader: Downloader,
    progress: Progress,
    deadline: Deadline,
) -> str:
    if component.releases:
        try:
            for name, release in component.releases.items():
                downloader.fetch(release, target / name, deadline)
            return "downloaded and verified"
        except DownloadError as error:
            progress(f"{component.name}: no release to be had ({error}); building it")
    output = target if len(component.packages) > 1 else target / next(iter(component.packages))
    build(
        component.name,
        module,
        list(component.packages.values()),
        output,
        component.variables,
        progress,
        deadline,
    )
    return "built"


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
