#!/usr/bin/env python3
# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make all that a release consists of in build/release, and verify it as a user would. Nothing is pushed.

The artefact; MANIFEST.json and its signature, which ``ansible-galaxy collection verify`` checks;
a software bill of materials (CycloneDX); the provenance (in-toto statement, SLSA v1); and the checksums of
all, signed.

RELEASE_KEY names the OpenPGP key. Without it a key is made for this once: a rehearsal, which says so, and
which --signed refuses.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from release_records import bill_of_materials, checksum, provenance

ROOT = Path(__file__).resolve().parents[1]
REHEARSAL = "llmops.platform rehearsal, not a release <nobody@example.com>"


class ReleaseError(Exception):
    """What keeps a release from being made, with what to do."""


def run(command: Sequence[str | Path], folder: Path = ROOT) -> str:
    """Run a program and return what it printed; its errors are shown.

    Settings of Ansible are left out: those of the checkout say that the collection is there already.
    """
    finished = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")},
        check=False,
        stdout=subprocess.PIPE,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    if finished.returncode != 0:
        raise ReleaseError(
            f"{command[0]} ended with {finished.returncode}: {finished.stdout.strip()[-2000:]}"
        )
    return finished.stdout.strip()


@dataclass(frozen=True)
class Signer:
    """An OpenPGP key, in the home folder of gpg that holds it."""

    key: str
    home: str = ""

    def gpg(self, *arguments: str | Path) -> str:
        """Run gpg with this key's home folder."""
        home = ["--homedir", self.home] if self.home else []
        return run(["gpg", "--batch", "--yes", "--quiet", *home, *arguments])

    def sign(self, file: Path) -> Path:
        """Write the detached, armoured signature beside a file."""
        signature = file.with_name(file.name + ".asc")
        self.gpg("--local-user", self.key, "--armor", "--detach-sign", "--output", signature, file)
        return signature

    def export(self, target: Path) -> None:
        """Write the public key as a keyring that gpg and ansible-galaxy take."""
        self.gpg("--output", target, "--export", self.key)


def signer(key: str, home: Path) -> Signer:
    """Return the key that is named, or one made for this once."""
    if key:
        return Signer(key)
    home.chmod(0o700)
    once = Signer(REHEARSAL, str(home))
    once.gpg("--passphrase", "", "--quick-generate-key", REHEARSAL, "ed25519", "sign", "1d")
    return once


def verify(artefact: Path, signature: Path, keyring: Path, checksums: Path) -> None:
    """Install the artefact and check its signature as a user does; check the checksums too."""
    with tempfile.TemporaryDirectory() as folder:
        galaxy = ["ansible-galaxy", "collection"]
        place: list[str | Path] = ["--collections-path", folder]
        run([*galaxy, "install", artefact, "--no-deps", "--offline", *place], Path(folder))
        # ansible-galaxy takes signatures of a tarball only here, and not when it installs one.
        signed: list[str | Path] = ["--keyring", keyring, "--signature", f"file://{signature}"]
        signed += ["--required-valid-signature-count", "+all"]
        run([*galaxy, "verify", "llmops.platform", "--offline", *place, *signed], Path(folder))
    run(["gpgv", "--quiet", "--keyring", keyring, f"{checksums}.asc", checksums])
    run(["sha256sum", "--quiet", "--check", checksums], checksums.parent)


def release(target: Path, key: str, say: Callable[[str], None]) -> None:
    """Make a release in an empty folder."""
    # All of them, whatever the user's configuration of Git shows: scripts/build would take them.
    changed = run(["git", "status", "--porcelain", "--untracked-files=all"])
    if changed:
        raise ReleaseError(f"What is released is a commit; commit or stash these first:\n{changed}")
    commit = run(["git", "rev-parse", "HEAD"])
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    artefact = Path(run(["scripts/build", target]))
    manifest = target / "MANIFEST.json"
    with tarfile.open(artefact) as packed:
        file = packed.extractfile("MANIFEST.json")
        manifest.write_bytes(file.read() if file else b"")
    about = json.loads(manifest.read_bytes())["collection_info"]
    stem = f"{about['namespace']}-{about['name']}-{about['version']}"
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH") or run(["git", "log", "-1", "--format=%ct"]))
    bill = target / f"{stem}.cdx.json"
    bill.write_text(bill_of_materials(ROOT, about, artefact, epoch), encoding="utf-8")
    statement = target / f"{stem}.intoto.json"
    statement.write_text(provenance(ROOT, about, commit, [artefact, bill], epoch), encoding="utf-8")
    with tempfile.TemporaryDirectory() as home:
        who = signer(key, Path(home))
        keyring = target / "public-key.gpg"
        who.export(keyring)
        signature = who.sign(manifest)
        checksums = target / "SHA256SUMS"
        listed = sorted(path for path in target.iterdir() if path != checksums)
        checksums.write_text("".join(f"{checksum(path)}  {path.name}\n" for path in listed), encoding="utf-8")
        who.sign(checksums)
    verify(artefact, signature, keyring, checksums)
    for path in sorted(target.iterdir()):
        say(f"{checksum(path)[:12]}  {path.stat().st_size:>9,} bytes  {path}")
    say(f"{stem} of {commit[:12]}: installed, signatures and checksums verified, nothing pushed")
    if not key:
        say("This was a rehearsal: its key was made for it and thrown away. A release has RELEASE_KEY=...")


def main() -> int:
    """Make a release of the commit that is checked out."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=ROOT / "build/release", help="folder, emptied first")
    parser.add_argument("--signed", action="store_true", help="fail without RELEASE_KEY")
    arguments = parser.parse_args()
    key = os.environ.get("RELEASE_KEY", "")
    try:
        if arguments.signed and not key:
            raise ReleaseError("RELEASE_KEY names no key: what is published is not signed by a rehearsal's.")
        release(arguments.output.resolve(), key, print)
    except ReleaseError as error:
        print(f"release: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
