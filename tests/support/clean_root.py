# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A machine that has Python and little else: a root file system of Debian, entered by chroot.

It is made once and kept below the user's cache. What a run writes goes into memory and is gone with the run.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

#: Debian 12, whose Python is the oldest that the collection takes. psql is for who administers the database.
SUITE = "bookworm"
PACKAGES = ("ca-certificates", "curl", "postgresql-client", "python3", "python3-venv")

# Runs in namespaces of its own, so that nothing stays mounted whatever happens.
_ENTER = """\
set -eu
lower=$1 given=$2 wheels=$3
layers=$(mktemp -d)
mount -t tmpfs tmpfs "$layers"
mkdir "$layers/written" "$layers/work" "$layers/root"
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$layers/written,workdir=$layers/work" "$layers/root"
cd "$layers/root"
mount -t proc proc proc
mount --rbind /dev dev
mkdir given wheels
mount --bind "$given" given
mount --bind "$wheels" wheels
for file in /etc/resolv.conf /etc/pip.conf /etc/ssl/certs/ca-certificates.crt; do
    [ ! -e "$file" ] || { mkdir -p ".${file%/*}"; touch ".$file"; mount --bind "$file" ".$file"; }
done
exec chroot . /bin/bash /given/run.sh
"""

# No source distribution: the machine has no compiler.
_DOWNLOAD = """\
set -e
python3 -m venv ~/venv
~/venv/bin/pip download --quiet --only-binary :all: --dest /wheels --requirement /given/requirements.txt
"""


def _cache() -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "llmops-platform"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def clean_root() -> Path:
    """Return the root file system; it is made where it is missing, which takes half a minute."""
    digest = hashlib.sha256(" ".join((SUITE, *PACKAGES)).encode()).hexdigest()[:16]
    folder = _cache() / f"clean-root-{digest}"
    with (_cache() / "clean-root.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            with tempfile.TemporaryDirectory(prefix="clean-root-", dir=_cache()) as unfinished:
                _make(Path(unfinished))
                (Path(unfinished) / "root").rename(folder)
    return folder


def _make(folder: Path) -> None:
    if shutil.which("mmdebstrap") is None:
        _run("apt-get", "update", "-qq")
        _run("apt-get", "install", "-qq", "-y", "--no-install-recommends", "mmdebstrap")
    include = f"--include={','.join(PACKAGES)}"
    _run("mmdebstrap", "--quiet", "--variant=essential", include, SUITE, str(folder / "root.tar"))
    (folder / "root").mkdir()
    _run("tar", "-xf", str(folder / "root.tar"), "-C", str(folder / "root"))


def _run(*command: str) -> None:
    finished = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert finished.returncode == 0, f"{command[0]}: {finished.stdout}{finished.stderr}"


def wheels(*requirements: str) -> Path:
    """Return a folder with the wheels of these requirements for that machine; made once, then kept."""
    digest = hashlib.sha256("\n".join((SUITE, *requirements)).encode()).hexdigest()[:16]
    folder = _cache() / f"clean-wheels-{digest}"
    with (_cache() / "clean-wheels.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            with tempfile.TemporaryDirectory(prefix="clean-wheels-", dir=_cache()) as unfinished:
                given, made = Path(unfinished) / "given", Path(unfinished) / "wheels"
                given.mkdir()
                made.mkdir()
                (given / "requirements.txt").write_text("\n".join(requirements), encoding="utf-8")
                run_in_clean_root(_DOWNLOAD, given, made, {}, 600)
                made.rename(folder)
    return folder


def run_in_clean_root(
    script: str, given: Path, wheels: Path, environment: Mapping[str, str], timeout_s: float
) -> str:
    """Run a script of bash as root of the clean machine, and return what it printed; fail where it fails.

    ``given`` is its folder ``/given``, ``wheels`` its folder ``/wheels``. It has the network of this machine
    and its way to package indexes, and nothing else of it.
    """
    (given / "run.sh").write_text(script, encoding="utf-8")
    indexes = {name: value for name, value in os.environ.items() if name.startswith("PIP_INDEX")}
    output = given / "output"
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", _ENTER, "enter"]
    with output.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(
            [*command, str(clean_root()), str(given), str(wheels)],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", **indexes, **environment},
            stdout=file,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
        try:
            ended = f"ended with {process.wait(timeout_s)}"
        except subprocess.TimeoutExpired:
            ended = f"had no end after {timeout_s:g} s"
        finally:
            # Its children are in a namespace of processes that ends with it.
            process.kill()
            process.wait()
    printed = output.read_text(encoding="utf-8", errors="replace")
    assert ended == "ended with 0", f"it {ended}:\n{printed}"
    return printed
