# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write a container image archive with nothing but Python: one static program in an empty root."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from .components import go_architecture

_ACCOUNTS = "root:x:0:0:root:/root:/model-server\nvllm:x:2000:0:vllm:/tmp:/model-server\n"
_GROUP = "root:x:0:\n"


def write_images(program: Path, commands: Mapping[str, Sequence[str]], target: Path) -> None:
    """Write one image per entry of ``commands`` (name -> command line) in Docker's archive format.

    All share one layer: the program is ``/model-server``, and ``vllm`` on the PATH leads to it too. The user
    is 2000, as in vLLM's image, and ``/tmp`` is writable. The same input gives the same bytes.
    """
    layer = _layer(program.read_bytes())
    diff_id = hashlib.sha256(layer).hexdigest()
    files = {"layer.tar": layer}
    manifest = []
    for name, command in commands.items():
        config = _config(diff_id, command)
        config_name = f"{hashlib.sha256(config).hexdigest()}.json"
        files[config_name] = config
        manifest.append({"Config": config_name, "RepoTags": [name], "Layers": ["layer.tar"]})
    files["manifest.json"] = json.dumps(manifest).encode()
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.tmp")
    with tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as archive:
        for path, content in sorted(files.items()):
            _add_file(archive, path, content)
    temporary.replace(target)


def _config(diff_id: str, command: Sequence[str]) -> bytes:
    return json.dumps(
        {
            "architecture": go_architecture(),
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": {
                "User": "2000:0",
                "Env": ["PATH=/usr/local/bin:/usr/bin:/bin:/", "HOME=/tmp"],
                "Entrypoint": list(command),
                "WorkingDir": "/tmp",  # noqa: S108 - a folder inside the image
            },
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{diff_id}"]},
            "history": [{"created": "1970-01-01T00:00:00Z", "comment": "llmops.platform lab"}],
        },
        sort_keys=True,
    ).encode()


def _layer(program: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as layer:
        for folder, mode in (("etc", 0o755), ("tmp", 0o1777), ("usr", 0o755), ("usr/local", 0o755)):
            _add_folder(layer, folder, mode)
        _add_folder(layer, "usr/local/bin", 0o755)
        _add_file(layer, "etc/passwd", _ACCOUNTS.encode())
        _add_file(layer, "etc/group", _GROUP.encode())
        _add_file(layer, "model-server", program, 0o755)
        link = tarfile.TarInfo("usr/local/bin/vllm")
        link.type = tarfile.SYMTYPE
        link.linkname = "/model-server"
        layer.addfile(link)
    return buffer.getvalue()


def _add_folder(archive: tarfile.TarFile, path: str, mode: int) -> None:
    entry = tarfile.TarInfo(path)
    entry.type = tarfile.DIRTYPE
    entry.mode = mode
    archive.addfile(entry)


def _add_file(archive: tarfile.TarFile, path: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(path)
    entry.size = len(content)
    entry.mode = mode
    archive.addfile(entry, io.BytesIO(content))
