# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a certificate ends. Python reads that only of those whose authority it knows, and not of its own."""

from __future__ import annotations

import math
import re
import ssl
from datetime import UTC, datetime

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_VERSION, _UTC_TIME = 0xA0, 0x17


def not_after(pem: str) -> float:
    """Return when the first certificate of a text ends, in seconds since 1970; NaN where it is not known."""
    found = _PEM.search(pem)
    try:
        return _end(ssl.PEM_cert_to_DER_cert(found[0])) if found else math.nan
    except (ValueError, IndexError):
        return math.nan


def _end(der: bytes) -> float:
    # Certificate, and in it what is signed: version, number, algorithm, issuer, validity (from, to), ...
    at = _element(der, _element(der, 0)[0])[0]
    if der[at] == _VERSION:
        at = _element(der, at)[1]
    for _number_algorithm_issuer in range(3):
        at = _element(der, at)[1]
    begin = _element(der, at)[0]
    end = _element(der, begin)[1]
    start, stop = _element(der, end)
    text = der[start:stop].decode("ascii")
    if der[end] == _UTC_TIME:
        # Two digits of the year, from 1950 to 2049.
        text = ("19" if text >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()


def _element(der: bytes, at: int) -> tuple[int, int]:
    """Return where the content of an element begins and ends."""
    length, start = der[at + 1], at + 2
    if length & 0x80:
        size = length & 0x7F
        length, start = int.from_bytes(der[start : start + size]), start + size
    return start, start + length
