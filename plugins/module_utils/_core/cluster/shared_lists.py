# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lists of the whole cluster, read once for all workers of a run that ask at nearly the same time.

Ten models that begin together would ask the API server ten times for all nodes and pods. The first one reads
them into a file of the run's own folder, the others read that. What was read before this run changed
something is not used any more.
"""

from __future__ import annotations

import hashlib
import marshal
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import IO, Any, Protocol

from ..common.run_folder import locked
from .client import ClusterClient, JSONObject

#: A list that began so long before it is asked for still counts, in seconds.
FRESH_S = 1.0
#: Who waits longer for another's reading reads for itself, in seconds.
_PATIENCE_S = 20.0
_PAGE = 500
# Nearly half of the bytes, and nobody decides by them.
_LEFT_OUT = {"managedFields", "annotations"}


class Lister(Protocol):
    """Whatever yields the items of a list."""

    def list_pages(self, path: str, query: Mapping[str, Any] | None = None) -> Iterator[JSONObject]:
        """Yield the items of a list."""


class SharedLists:
    """Lists that workers of one run share through ``folder``, which only its user may read.

    Who has other rights or asks another cluster shares nothing. Items come without annotations and
    ``managedFields``. Without a folder each list is read anew.
    """

    def __init__(self, client: ClusterClient, folder: Path | None, identity: str = "") -> None:
        self._client = client
        self._folder = folder
        self._identity = identity

    def list_pages(self, path: str, query: Mapping[str, Any] | None = None) -> Iterator[JSONObject]:
        """Yield the items of a list that is at most ``FRESH_S`` old, and no older than this run's changes."""
        if self._folder is None:
            yield from self._client.list_pages(path, query)
            return
        asked = time.monotonic()
        named = f"{self._client.server}\0{self._identity}\0{path}\0{sorted((query or {}).items())}"
        kept = self._folder / f"llmops-list-{hashlib.sha256(named.encode()).hexdigest()[:16]}"
        with locked(kept.with_suffix(".lock"), _PATIENCE_S) as has_lock:
            stream = self._kept(kept, asked)
            if stream is None and has_lock:
                self._read(kept, path, query)
                stream = self._kept(kept, asked)
        if stream is None:
            # Somebody else reads for very long, or something was changed meanwhile.
            yield from self._client.list_pages(path, query)
            return
        with stream:
            while items := _next(stream):
                yield from items

    def forget(self) -> None:
        """Use nothing any more that was read before now: this run changes something."""
        if self._folder is not None:
            changed = self._folder / "llmops-lists-changed"
            new = changed.with_suffix(f".{uuid.uuid4().hex}")
            new.write_text(uuid.uuid4().hex, encoding="ascii")
            new.replace(changed)

    def _changes(self) -> str:
        """Return what is another one after each change of this run."""
        if self._folder is not None:
            with suppress(FileNotFoundError):
                return (self._folder / "llmops-lists-changed").read_text(encoding="ascii")
        return ""

    def _kept(self, kept: Path, asked: float) -> IO[bytes] | None:
        """Return the file of a list that may still be used, after its header."""
        try:
            # It stays as it is: a newer list is a new file.
            stream = kept.open("rb")
        except FileNotFoundError:
            return None
        began, changes = _next(stream)
        if began >= asked - FRESH_S and changes == self._changes():
            return stream
        stream.close()
        return None

    def _read(self, kept: Path, path: str, query: Mapping[str, Any] | None) -> None:
        """Read the list and keep it; one page is in memory at a time."""
        new = kept.with_suffix(f".{uuid.uuid4().hex}")
        header = [time.monotonic(), self._changes()]
        try:
            with new.open("wb") as stream:
                _add(stream, header)
                items = map(_slim, self._client.list_pages(path, query))
                while page := list(islice(items, _PAGE)):
                    _add(stream, page)
                _add(stream, [])
            new.replace(kept)
        finally:
            new.unlink(missing_ok=True)


def _add(stream: IO[bytes], values: list[Any]) -> None:
    content = marshal.dumps(values)
    stream.write(len(content).to_bytes(8, "big") + content)


def _next(stream: IO[bytes]) -> list[Any]:
    content = stream.read(int.from_bytes(stream.read(8), "big"))
    # Written by this run; nobody else may write into its folder.
    values: list[Any] = marshal.loads(content)  # noqa: S302
    return values


def _slim(item: JSONObject) -> JSONObject:
    metadata = {key: value for key, value in item["metadata"].items() if key not in _LEFT_OUT}
    return {**item, "metadata": metadata}
