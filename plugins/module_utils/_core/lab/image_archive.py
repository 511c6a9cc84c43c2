# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write container images as one archive of Docker's format, with nothing but Python."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from .components import go_architecture


@dataclass(frozen=True)
class Image:
    """An image: its layers from the lowest up, and how its container starts.

    ``user`` is numeric (``uid:gid``), because a pod that must not run as root is refused otherwise.
    """

    name: str
    layers: Sequence[Path]
    entrypoint: Sequence[str]
    user: str
    environment: Mapping[str, str] = field(default_factory=dict)
    history: str = "llmops.platform lab"


def write_archive(images: Sequence[Image], target: Path) -> None:
    """Write the images; a layer that several share is in it once. The same input gives the same bytes."""
    digests = {layer: _sha256(layer) for image in images for layer in image.layers}
    contents: dict[str, bytes | Path] = {f"{digest}.tar": layer for layer, digest in digests.items()}
    manifest = []
    for image in images:
        config = _config(image, [digests[layer] for layer in image.layers])
        config_name = f"{hashlib.sha256(config).hexdigest()}.json"
        contents[config_name] = config
        layers = [f"{digests[layer]}.tar" for layer in image.layers]
        manifest.append({"Config": config_name, "RepoTags": [image.name], "Layers": layers})
    contents["manifest.json"] = json.dumps(manifest).encode()
    with new_file(target) as temporary, tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as archive:
        for path, content in sorted(contents.items()):
            if isinstance(content, Path):
                copy_file(archive, content, path, modified=0)
            else:
                add_file(archive, path, content)


@contextmanager
def new_file(target: Path) -> Iterator[Path]:
    """Give a path to write to; the file gets its name only once it is complete."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def add_folder(archive: tarfile.TarFile, path: str, mode: int = 0o755) -> None:
    """Add a folder."""
    entry = tarfile.TarInfo(path)
    entry.type = tarfile.DIRTYPE
    entry.mode = mode
    archive.addfile(entry)


def add_file(archive: tarfile.TarFile, path: str, content: bytes, mode: int = 0o644) -> None:
    """Add a file with this content."""
    entry = tarfile.TarInfo(path)
    entry.size = len(content)
    entry.mode = mode
    archive.addfile(entry, io.BytesIO(content))


def add_link(archive: tarfile.TarFile, path: str, leads_to: str) -> None:
    """Add a symbolic link."""
    entry = tarfile.TarInfo(path)
    entry.type = tarfile.SYMTYPE
    entry.linkname = leads_to
    archive.addfile(entry)


def copy_file(archive: tarfile.TarFile, source: Path, path: str, *, modified: int | None = None) -> None:
    """Add a file of this machine, owned by root. Its time is kept: compiled Python is checked against it."""
    seen = source.stat()
    entry = tarfile.TarInfo(path)
    entry.size = seen.st_size
    entry.mode = 0o755 if seen.st_mode & 0o100 else 0o644
    entry.mtime = int(seen.st_mtime) if modified is None else modified
    with source.open("rb") as content:
        archive.addfile(entry, content)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _config(image: Image, digests: Sequence[str]) -> bytes:
    created = "1970-01-01T00:00:00Z"
    return json.dumps(
        {
            "architecture": go_architecture(),
            "os": "linux",
            "created": created,
            "config": {
                "User": image.user,
                "Env": [f"{name}={value}" for name, value in image.environment.items()],
                "Entrypoint": list(image.entrypoint),
                "WorkingDir": "/tmp",  # noqa: S108 - a folder inside the image
            },
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
            "history": [{"created": created, "comment": image.history} for _layer in digests],
        },
        sort_keys=True,
    ).encode()
