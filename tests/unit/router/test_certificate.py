# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When the router's own certificate ends: of any age, alone or with its chain."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from llmops_router.certificate import Certificate
from llmops_router.not_after import not_after
from tests.support.tls import Pair


def mounted(folder: Path, pair: Pair, chain: bytes = b"") -> Certificate:
    (folder / "tls.crt").write_bytes(pair.certificate_pem + chain)
    (folder / "tls.key").write_bytes(pair.key_pem)
    return Certificate(folder / "tls.crt", folder / "tls.key")


# From 2050 on another kind of time is written.
@pytest.mark.parametrize("days", [-400, -1, 1, 90, 20_000])
def test_its_end_is_known(tmp_path: Path, days: int) -> None:
    pair = Pair.issue("routér", days=days)
    assert mounted(tmp_path, pair).ends_at == pair.certificate.not_valid_after_utc.timestamp()


def test_of_a_chain_the_first_counts(tmp_path: Path) -> None:
    authority = Pair.issue("authority", days=300)
    pair = Pair.issue("router", authority, days=10)
    found = mounted(tmp_path, pair, b"\n# whoever signed it\n" + authority.certificate_pem)
    assert found.ends_at == pair.certificate.not_valid_after_utc.timestamp()


def test_a_renewal_has_another_end(tmp_path: Path) -> None:
    certificate = mounted(tmp_path, Pair.issue("router", days=1))
    renewed = Pair.issue("router", days=30)
    (tmp_path / "tls.crt").write_bytes(renewed.certificate_pem)
    with pytest.raises(ValueError, match="no certificate and its key"):
        certificate.reload()
    assert certificate.ends_at < renewed.certificate.not_valid_after_utc.timestamp()
    (tmp_path / "tls.key").write_bytes(renewed.key_pem)
    assert certificate.reload()
    assert certificate.ends_at == renewed.certificate.not_valid_after_utc.timestamp()


@pytest.mark.parametrize("length", [0, 4, 40, 120])
def test_what_cannot_be_read_ends_nowhere(length: int) -> None:
    pem = Pair.issue("router").certificate_pem.decode()
    assert math.isnan(not_after(""))
    lines = pem.splitlines()
    cut = "".join(lines[1:-1])[:length]
    assert math.isnan(not_after(f"{lines[0]}\n{cut}\n{lines[-1]}\n"))
