#!/usr/bin/env python3
# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make an artefact's bytes depend on its content alone.

``ansible-galaxy collection build`` lists files in the order of the file system and stamps them with the
present time. Here they are listed by name, and all have the time SOURCE_DATE_EPOCH.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import os
import tarfile
from pathlib import Path

MANIFEST, FILES = "MANIFEST.json", "FILES.json"


def sorted_lists(manifest: bytes, files: bytes) -> tuple[bytes, bytes]:
    """Return both lists of an artefact, the files by name, and the manifest with the checksum of that."""
    listed = json.loads(files)
    listed["files"].sort(key=lambda entry: entry["name"])
    by_name = json.dumps(listed, indent=True).encode()
    described = json.loads(manifest)
    described["file_manifest_file"]["chksum_sha256"] = hashlib.sha256(by_name).hexdigest()
    return json.dumps(described, indent=True).encode(), by_name


def repack(artefact: Path, target: Path, epoch: int) -> None:
    """Write the artefact again, with nothing in it that differs from one build to the next."""
    with (
        tarfile.open(artefact) as present,
        gzip.GzipFile(filename="", fileobj=target.open("wb"), mode="wb", mtime=epoch) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as wanted,
    ):
        content = {member.name: file.read() for member in present if (file := present.extractfile(member))}
        content[MANIFEST], content[FILES] = sorted_lists(content[MANIFEST], content[FILES])
        for member in sorted(present, key=lambda one: (one.name not in (MANIFEST, FILES), one.name)):
            member.mtime = epoch
            member.pax_headers = {}
            if member.issym():
                # A link has no mode of its own: what is written differs from one machine to another.
                member.mode = 0o777
            if member.isreg():
                member.size = len(content[member.name])
                wanted.addfile(member, io.BytesIO(content[member.name]))
            else:
                wanted.addfile(member)


def main() -> None:
    """Repack the artefact that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("artefact", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    repack(arguments.artefact, arguments.target, int(os.environ["SOURCE_DATE_EPOCH"]))


if __name__ == "__main__":
    main()
