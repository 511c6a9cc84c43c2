# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a site takes from the collection as it lies on this machine."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..common.errors import invalid

#: Playbooks that are of no use in a site: one makes it, the other is for a machine.
_NOT_OF_A_SITE = {"lab", "scaffold"}


@dataclass(frozen=True)
class Playbook:
    """One verb of the collection."""

    name: str
    comment: str  #: what its file begins with

    @property
    def title(self) -> str:
        """The name for people."""
        return self.name.replace("_", " ").capitalize()


@dataclass(frozen=True)
class Collection:
    """The folder of the collection."""

    root: Path

    @classmethod
    def at(cls, path: str) -> Collection:
        """Return the collection in a folder, or raise ``invalid``."""
        root = Path(path).resolve()
        if not (root / "playbooks/deploy.yml").is_file():
            raise invalid("collection", path, "is not the collection's folder", "Install it anew.")
        return cls(root)

    @property
    def version(self) -> str:
        """The version, from what was installed or from the checkout."""
        manifest = self.root / "MANIFEST.json"
        if manifest.is_file():
            content: dict[str, Any] = json.loads(manifest.read_text("utf-8"))
            return str(content["collection_info"]["version"])
        found = re.search(r"^version: (\S+)$", (self.root / "galaxy.yml").read_text("utf-8"), re.MULTILINE)
        return found[1] if found else "*"

    @property
    def playbooks(self) -> tuple[Playbook, ...]:
        """The playbooks that a site has wrappers for."""
        found = sorted((self.root / "playbooks").glob("*.yml"))
        return tuple(
            Playbook(path.stem, _head(path.read_text("utf-8")))
            for path in found
            if path.stem not in _NOT_OF_A_SITE
        )

    def pools(self, cloud: str) -> bytes:
        """Return the inventory file with the pools of GPUs of a cloud."""
        return (self.root / f"inventories/pools/{cloud}.yml").read_bytes()

    @property
    def requirements(self) -> str:
        """The Python packages that it needs, one a line."""
        lines = (self.root / "requirements.txt").read_text("utf-8").splitlines()
        return "".join(f"{line}\n" for line in lines if line and not line.startswith("#"))


def _head(text: str) -> str:
    """Return the comment above the first play."""
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("#"):
            lines.append(line)
        elif line != "---":
            break
    return "\n".join(lines)
