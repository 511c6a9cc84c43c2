# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes and pods of the whole cluster, read once for all workers of a run that ask at nearly the same time.

Ten models that begin together would ask the API server ten times for everything. The first one reads it into
a file of the run's own folder, the others read that. What was read before this run changed something, or just
after, is not used by others. A module that does not run in the controller's process has no such folder: it
shares nothing, and its changes are known when the lists are ``FRESH_S`` old.
"""

from __future__ import annotations

import marshal
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import IO, Any, Protocol

from ..common.run_folder import digest, keep, locked, surroundings
from .client import ClusterClient, JSONObject
from .kubeconfig import named_files

#: A list that began so long before it is asked for still counts, in seconds.
FRESH_S = 1.0
#: So long after a change it may not be seen in full: controllers make the pods.
SETTLE_S = 2.0
#: Who waits longer for another's reading reads for itself, in seconds.
_PATIENCE_S = 20.0
_PAGE = 500
_CHANGED = "llmops-lists-changed"
# Most of the bytes, and no verdict looks at them.
_OF_METADATA = {"managedFields", "annotations"}
_OF_CONTAINERS = {
    *("args", "command", "env", "envFrom", "image", "lifecycle", "livenessProbe", "readinessProbe"),
    *("securityContext", "startupProbe", "volumeDevices", "volumeMounts"),
}
_OF_STATUS = {"images", "volumesAttached", "volumesInUse"}


class Lister(Protocol):
    """Whatever yields the items of a list."""

    def list_pages(self, path: str, query: Mapping[str, Any] | None = None) -> Iterator[JSONObject]:
        """Yield the items of a list."""


class SharedLists:
    """Lists that workers of one run share through ``folder``, which only its user may read.

    Who has other credentials or surroundings, or asks another server, shares nothing. Items come without what
    takes most of the room and decides nothing. Without a folder each list is read anew.
    """

    def __init__(self, client: ClusterClient, folder: Path | None) -> None:
        self._client = client
        self._folder = folder

    @cached_property
    def _identity(self) -> str:
        """Who asks, by all that may tell: a plugin's token is another one for each process."""
        authentication = self._client.authentication
        contents = []
        for path in named_files(authentication.kubeconfig):
            with suppress(OSError):
                contents.append(Path(path).read_text(encoding="utf-8", errors="replace"))
        return digest(self._client.server, repr(authentication), surroundings(), *contents)

    def list_pages(self, path: str, query: Mapping[str, Any] | None = None) -> Iterator[JSONObject]:
        """Yield the items of a list, which is no older than this run's changes, and at most ``FRESH_S``."""
        stream = self._shared(self._folder, path, query) if self._folder is not None else None
        if stream is None:
            yield from self._client.list_pages(path, query)
            return
        with stream:
            while items := _next(stream):
                yield from items

    def forget(self) -> None:
        """Let nothing be used any more that was read before now: this run changes something."""
        if self._folder is None:
            return
        try:
            keep(self._folder / _CHANGED, repr(time.monotonic()))
        except OSError:
            # A full disk takes no note, but lets go of what is there.
            with suppress(OSError):
                for kept in self._folder.glob("llmops-list-*"):
                    kept.unlink(missing_ok=True)

    def _shared(self, folder: Path, path: str, query: Mapping[str, Any] | None) -> IO[bytes] | None:
        """Return the file of a list, read by us if by nobody else; None where waiting for one is no use."""
        asked = time.monotonic()
        if asked <= _settled(folder):
            return None
        asked_for = digest(self._identity, path, repr(sorted((query or {}).items())))
        kept = folder / f"llmops-list-{asked_for}"
        began = kept.with_suffix(".began")

        def is_worth_waiting() -> bool:
            under_way = _time(began)
            return time.monotonic() < asked + _PATIENCE_S and (not under_way or under_way >= asked - FRESH_S)

        found = self._kept(kept, asked)
        if found is None:
            with locked(kept.with_suffix(".lock"), is_worth_waiting) as has_lock:
                found = self._kept(kept, asked)
                if found is None and has_lock:
                    with suppress(OSError):
                        keep(began, repr(time.monotonic()))
                        self._read(kept, path, query)
                    with suppress(OSError):
                        began.unlink(missing_ok=True)
                    found = self._kept(kept, asked)
        return found

    def _kept(self, kept: Path, asked: float) -> IO[bytes] | None:
        """Return the file of a list that may still be used, after its header."""
        try:
            # It stays as it is: a newer list is a new file.
            stream = kept.open("rb")
        except OSError:
            return None
        (began,) = _next(stream)
        if began >= asked - FRESH_S and began > _settled(kept.parent):
            return stream
        stream.close()
        return None

    def _read(self, kept: Path, path: str, query: Mapping[str, Any] | None) -> None:
        """Read the list and keep it; one page is in memory at a time."""
        new = kept.with_suffix(f".{uuid.uuid4().hex}")
        began = time.monotonic()
        try:
            with new.open("wb") as stream:
                _add(stream, [began])
                items = map(_slim, self._client.list_pages(path, query))
                while page := list(islice(items, _PAGE)):
                    _add(stream, page)
                _add(stream, [])
            new.replace(kept)
        finally:
            new.unlink(missing_ok=True)


def _slim(item: JSONObject) -> JSONObject:
    made = {**item, "metadata": _without(item["metadata"], _OF_METADATA)}
    if item.get("status"):
        made["status"] = _without(item["status"], _OF_STATUS)
    spec = item.get("spec")
    if spec:
        lists = ("containers", "initContainers", "ephemeralContainers")
        slim = {
            name: [_without(one, _OF_CONTAINERS) for one in spec[name]] for name in lists if spec.get(name)
        }
        made["spec"] = {**spec, **slim}
    return made


def _without(values: Mapping[str, Any], names: set[str]) -> JSONObject:
    return {name: value for name, value in values.items() if name not in names}


def _settled(folder: Path) -> float:
    """Return when this run's last change can be seen in full."""
    changed = _time(folder / _CHANGED)
    return changed + SETTLE_S if changed else 0.0


def _time(path: Path) -> float:
    """Return the time that a file holds, zero where there is none."""
    try:
        return float(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0.0


def _add(stream: IO[bytes], values: list[Any]) -> None:
    content = marshal.dumps(values)
    stream.write(len(content).to_bytes(8, "big") + content)


def _next(stream: IO[bytes]) -> list[Any]:
    content = stream.read(int.from_bytes(stream.read(8), "big"))
    # Written by this run; nobody else may write into its folder.
    values: list[Any] = marshal.loads(content)  # noqa: S302
    return values
