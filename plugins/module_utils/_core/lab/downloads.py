# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fetch official release files, and keep one only if its published SHA-256 agrees."""

from __future__ import annotations

import hashlib
import re
import shutil
import tarfile
import urllib.request
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from ..common.deadline import Deadline
from .components import Release, go_architecture

_CONNECT_TIMEOUT_S = 5.0
_CHUNK = 1024 * 1024


class DownloadError(Exception):
    """A release file that cannot be had, or is not what was published."""


class Downloader:
    """Downloads; a host that did not answer is not asked again by the same downloader."""

    def __init__(self) -> None:
        self._unreachable: set[str] = set()

    def fetch(self, release: Release, target: Path, deadline: Deadline) -> None:
        """Put the release's program at ``target``, executable. Raises :class:`DownloadError`."""
        url = release.url.format(arch=go_architecture())
        checksums = self._read(release.checksum_url.format(arch=go_architecture()), deadline)
        wanted = find_checksum(checksums.decode(errors="replace"), PurePosixPath(urlsplit(url).path).name)
        partial = target.with_name(f"{target.name}.download")
        try:
            seen = self._save(url, partial, deadline)
            if seen != wanted:
                raise DownloadError(f"{url} has SHA-256 {seen}, published is {wanted}")
            if release.member:
                _extract(partial, release.member.format(arch=go_architecture()), target)
            else:
                partial.replace(target)
            target.chmod(0o755)
        finally:
            partial.unlink(missing_ok=True)

    def _read(self, url: str, deadline: Deadline) -> bytes:
        with self._open(url, deadline) as answer:
            return bytes(answer.read(_CHUNK))

    def _save(self, url: str, target: Path, deadline: Deadline) -> str:
        digest = hashlib.sha256()
        with self._open(url, deadline) as answer, target.open("wb") as file:
            try:
                while chunk := answer.read(_CHUNK):
                    if deadline.expired():
                        raise DownloadError(f"{url} is too slow")
                    digest.update(chunk)
                    file.write(chunk)
            except OSError as error:
                raise DownloadError(f"{url}: {error}") from error
        return digest.hexdigest()

    def _open(self, url: str, deadline: Deadline) -> Any:
        host = str(urlsplit(url).hostname)
        if not url.startswith("https://"):
            raise DownloadError(f"{url} is not fetched over TLS")
        if host in self._unreachable:
            raise DownloadError(f"{host} cannot be reached")
        try:
            timeout = max(0.1, deadline.share(_CONNECT_TIMEOUT_S).remaining())
            return urllib.request.build_opener().open(url, timeout=timeout)
        except OSError as error:
            self._unreachable.add(host)
            raise DownloadError(f"{host}: {getattr(error, 'reason', error)}") from error


def find_checksum(text: str, file: str) -> str:
    """Return the SHA-256 of ``file`` from a published checksum file.

    Accepts a bare digest, and lines of a digest and a file name.
    """
    lines = [line.split() for line in text.splitlines() if line.strip()]
    named = {words[-1].lstrip("*").rpartition("/")[2]: words[0] for words in lines if len(words) > 1}
    digest = named.get(file) or (lines[0][0] if len(lines) == 1 and len(lines[0]) == 1 else "")
    if not re.fullmatch(r"[0-9a-fA-F]{64}", digest):
        raise DownloadError(f"no SHA-256 is published for {file}")
    return digest.lower()


def _extract(archive: Path, member: str, target: Path) -> None:
    try:
        with tarfile.open(archive) as tar:
            names = {name.removeprefix("./"): name for name in tar.getnames()}
            source = tar.extractfile(names[member])
            if source is None:
                raise DownloadError(f"{member} in the archive is not a file")
            with source, target.open("wb") as file:
                shutil.copyfileobj(source, file)
    except (KeyError, tarfile.TarError, OSError) as error:
        raise DownloadError(f"{member} cannot be taken from the archive: {error}") from error
