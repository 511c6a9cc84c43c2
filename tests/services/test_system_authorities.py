# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``sslrootcert=system`` in the images: libpq of the wheels has to be told where these authorities are."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.playbooks import ROOT
from tests.support.postgres import private_server
from tests.support.tls import Pair
from tests.support.tls_database import tls_database

#: Where Debian, and so the images' base, has them.
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
CONTAINERFILES = [
    ROOT / "roles/router/files/router/Containerfile",
    ROOT / "roles/health_check/files/health_check/Containerfile",
]


@pytest.fixture(scope="module")
def authority() -> Pair:
    return Pair.issue("authority")


@pytest.fixture(scope="module")
def dsn(authority: Pair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return a DSN of a database whose certificate the system's authorities have to vouch for."""
    pem = Pair.issue("database", authority).write(tmp_path_factory.mktemp("tls"), "database")
    with private_server() as server, tls_database("127.0.0.1", server.port, pem) as port:
        yield server.dsn(port=str(port), sslmode="verify-full", sslrootcert="system")


@pytest.mark.parametrize("file", CONTAINERFILES, ids=lambda file: file.parent.name)
def test_the_images_say_where_they_are(file: Path, dsn: str, authority: Pair, tmp_path: Path) -> None:
    named = re.findall(rf"\b(\w+)={re.escape(AUTHORITIES)}", file.read_text(encoding="utf-8"))
    (tmp_path / "authorities").write_bytes(authority.certificate_pem)
    subprocess.run(
        [sys.executable, "-c", "import psycopg, sys; psycopg.connect(sys.argv[1]).close()", dsn],
        env={**os.environ, **dict.fromkeys(named, str(tmp_path / "authorities"))},
        check=True,
    )
