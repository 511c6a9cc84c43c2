# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of a site, rendered from the templates of role scaffold.

Templates have square brackets for what is known now, since the files are full of Ansible's own braces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..common.errors import missing_library
from .collection import Collection
from .entries import Entry, File, Link
from .site import Environment, lowest, source_of

LIBRARY_ERROR: ImportError | None = None
try:
    import jinja2
except ImportError as error:
    LIBRARY_ERROR = error

# What every environment shares: each file is linked into its folder, so that its inventory holds it. Not the
# folder itself: ansible-test allows no links to folders in a collection, and the example is in one.
COMMON = "common"
POOLS = f"{COMMON}/pools.yml"
_SUFFIX = ".j2"


def site_entries(
    collection: Collection,
    templates: Path,
    environments: tuple[Environment, ...],
    cloud: str,
    own_pools: str = "",
) -> dict[str, Entry]:
    """Return all files and links of a site by their paths in it, which may keep pools of its own."""
    pools = collection.pools(cloud)
    sources = {one.name: source_of(one, environments) for one in environments}
    known = {
        "cloud": cloud,
        "environments": environments,
        "first": lowest(environments),
        "playbooks": [playbook.name for playbook in collection.playbooks],
        "pools": _names(own_pools) or _names(pools.decode()),
        "requirements": collection.requirements,
        "sources": sources,
        "targets": [one for one in environments if sources[one.name] in sources],
        "version": collection.version,
    }
    made = _Maker(templates, known)
    entries: dict[str, Entry] = {POOLS: File(pools)}
    entries |= {path: made.file(f"site/{path}") for path in made.paths("site")}
    for playbook in collection.playbooks:
        entries[f"{playbook.name}.yml"] = made.file("playbook.yml", playbook=playbook)
    common = [path for path in entries if path.startswith(f"{COMMON}/")]
    for environment in environments:
        for path in common:
            entries[f"{environment.name}/{Path(path).name}"] = Link(f"../{path}")
        for path in made.paths("environment"):
            entries[f"{environment.name}/{path}"] = made.file(f"environment/{path}", environment=environment)
    return dict(sorted(entries.items()))


def _names(pools: str) -> list[str]:
    """Return the names of the groups in a file of pools."""
    return re.findall(r"^ *(pool_(?!values:)\w+):", pools, re.MULTILINE)


class _Maker:
    """Renders templates with what is known of the site."""

    def __init__(self, root: Path, known: Mapping[str, Any]) -> None:
        if LIBRARY_ERROR is not None:
            raise missing_library("jinja2", LIBRARY_ERROR)
        self._root = root
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(root),
            undefined=jinja2.StrictUndefined,
            autoescape=False,  # noqa: S701 - text files, and no input of strangers
            variable_start_string="[[",
            variable_end_string="]]",
            block_start_string="[%",
            block_end_string="%]",
            comment_start_string="[#",
            comment_end_string="#]",
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        self._templates.globals.update(known)

    def paths(self, folder: str) -> Iterator[str]:
        """Yield the paths of the files that a folder of templates is for."""
        root = self._root / folder
        for path in sorted(root.rglob(f"*{_SUFFIX}")):
            yield path.relative_to(root).as_posix().removesuffix(_SUFFIX)

    def file(self, path: str, **known: Any) -> File:
        """Return one file."""
        text = self._templates.get_template(path + _SUFFIX).render(**known)
        return File(text.encode())
