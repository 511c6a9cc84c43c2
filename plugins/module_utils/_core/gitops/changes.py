# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What has to be changed about a target's files, decided from those that are there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..cluster.manifests import parse_foreign_manifest
from ..common.errors import PlatformError, invalid
from ..helm.chart import digest_of_files
from ..release.request import ReleaseTarget
from .application import MODEL, WRITER, ApplicationOptions, application
from .count import Count
from .layout import Layout
from .plain_secrets import refuse_secrets
from .tree import Changes, Tree
from .wanted import Chart, Wanted
from .yaml_text import yaml_text

_HEAD = "# Written by {writer} for {name}. What is changed here by hand is written over.\n"


def changes_for(
    wanted: Wanted, options: ApplicationOptions, layout: Layout, tree: Tree, left: str | None = None
) -> Changes:
    """Return what brings the files of a target to what is wanted. A chart's folder is only ever added.

    What is written is a new revision; ``left`` is the digest of what it goes back from.
    """
    target, folder = wanted.target, chart_path(wanted, layout)
    check_consent(target, options.writer, layout, tree)
    there_already = tree.read(layout.application(target.name))
    there = tree.files(folder)
    if there:
        _check_chart(wanted.chart, folder, there)
    elif wanted.chart.files is None:
        raise invalid(
            "to",
            folder,
            "is not in the repository, so the chart of that revision cannot be gone back to",
            "Restore that folder from the repository's history, or deploy from values.",
        )
    tier_file = f"values-{wanted.tier}.yaml"
    has_tier_file = tier_file in (there or wanted.chart.files or {})

    def files(count: Count) -> dict[str, bytes]:
        item = application(wanted, options, folder, tier_file if has_tier_file else None, count)
        refuse_secrets(
            item,
            "application",
            "Leave it out: Argo CD's own Secrets have what it needs to log in.",
        )
        head = _head(options.writer, target.name)
        return {
            layout.application(target.name): _encoded(head + yaml_text(item)),
            layout.values(target.name): _encoded(head + yaml_text(_sorted(wanted.values))),
        }

    count = Count.of(annotations_of(there_already)) if there_already is not None else None
    before = {path: old for path in files(Count()) if (old := tree.read(path)) is not None}
    if count is not None and files(count) == before:
        writes: dict[str, bytes] = {}
    else:
        now = files(count.next(left) if count is not None else Count(1))
        writes = {path: text for path, text in now.items() if before.get(path) != text}
    return Changes(writes, (), {} if there else {folder: wanted.chart.files or {}}, before)


def removal_of(target: ReleaseTarget, writer: str, layout: Layout, tree: Tree) -> Changes:
    """Return what takes a target's two files away. Charts stay, for others and for going back.

    So does the folder of the Applications: without it, the Application that follows it is in error.
    """
    check_consent(target, writer, layout, tree)
    before = {
        path: content
        for path in (layout.application(target.name), layout.values(target.name))
        if (content := tree.read(path)) is not None
    }
    kept = layout.application(target.name) not in before or tree.read(layout.keeper) is not None
    return Changes({} if kept else {layout.keeper: b""}, tuple(before), before=before)


def chart_path(wanted: Wanted, layout: Layout) -> str:
    """Return the folder of a target's chart."""
    return layout.chart(wanted.chart.name, wanted.chart.version, wanted.chart.digest)


def check_consent(target: ReleaseTarget, writer: str, layout: Layout, tree: Tree) -> None:
    """Raise ``invalid`` for files that name another writer, or are another model's.

    The Application speaks for both; without one the first line of the values does.
    """
    content = tree.read(layout.application(target.name))
    if content is None:
        values = tree.read(layout.values(target.name))
        if values is not None and (consent := _said_by(values, target.name)) != writer:
            raise _no_consent(
                writer,
                f"the values of {target.name}",
                consent,
                f"Whoever owns them removes them, or begins them with {_head(writer, target.name).strip()!r}",
            )
        return
    annotations = annotations_of(content)
    consent = annotations.get(WRITER)
    if consent != writer:
        raise _no_consent(
            writer,
            f"the Application of {target.name}",
            consent,
            f"Whoever owns it gives it the annotation {WRITER}: {writer}",
        )
    if annotations.get(MODEL) != target.model:
        raise invalid(
            "name",
            target.name,
            f"is the Application of another model, {annotations.get(MODEL)!r}",
            "Choose another name.",
        )


def _no_consent(writer: str, what: str, consent: str | None, advice: str) -> PlatformError:
    said = f"lets {consent!r} write it" if consent else "names nobody who may write it"
    return invalid(
        "writer", writer, f"may not write {what}, which {said}", f"{advice}; or set gitops_writer."
    )


def _head(writer: str, name: str) -> str:
    return _HEAD.format(writer=writer, name=name)


def _said_by(values: bytes, name: str) -> str | None:
    """Return the writer that the head of a file of values names."""
    head = re.compile(_HEAD.replace(".", r"\.").strip().format(writer="(.+)", name=re.escape(name)))
    lines = values.decode(errors="replace").splitlines()
    return next((match[1] for line in lines if (match := head.fullmatch(line))), None)


def annotations_of(content: bytes) -> Mapping[str, Any]:
    """Return the annotations of an Application's file, none where it is not one."""
    try:
        (item,) = parse_foreign_manifest(content.decode())
        annotations = item["metadata"]["annotations"]
    except (PlatformError, KeyError, TypeError, ValueError):
        return {}
    return annotations if isinstance(annotations, Mapping) else {}


def _check_chart(chart: Chart, folder: str, there: Mapping[str, bytes]) -> None:
    if digest_of_files(counted_files(there)) != chart.digest:
        raise invalid(
            "path",
            folder,
            "was changed in the repository, where a chart's folder stays as it was written",
            "Restore it from the repository's history, or remove it to have it written anew.",
        )


def counted_files(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files of a chart that count: what is left out, such as .gitattributes, changes nothing."""
    return {name: data for name, data in files.items() if _counts(name)}


def _counts(name: str) -> bool:
    *folders, file = name.split("/")
    return not any(part.startswith(".") for part in folders) and (file == ".helmignore" or file[0] != ".")


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        line = text.encode(errors="replace").decode().splitlines()[text.count("\n", 0, error.start)]
        raise invalid(
            "chart_values",
            line.partition(":")[0].strip(),
            "holds half a character, which no file can",
            "Correct the value.",
        ) from error


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [_sorted(item) for item in value]
    return value
