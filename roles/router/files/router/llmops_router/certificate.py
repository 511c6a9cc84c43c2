# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The router's own certificate. It is renewed while we run, and no connection notices."""

from __future__ import annotations

import math
import ssl
from pathlib import Path

from .not_after import not_after

_Stamp = tuple[tuple[int, int, int], ...]


class Certificate:
    """Certificate chain and key from two PEM files, which change together, as in a mounted Secret."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Read the files.

        :raises ValueError: naming them, where they are no pair.
        """
        self._files = (certificate, key)
        self._seen = self._stamp()
        self._current = self._read()
        #: When it ends, in seconds since 1970; NaN where that is not known.
        self.ends_at = self._read_end()
        #: What a listener is made with; each handshake takes the newest pair.
        self.context = self._read()
        self.context.sni_callback = self._choose

    def reload(self) -> bool:
        """Read the files again if they changed; return whether they did. Bad ones leave the old pair.

        :raises ValueError: where the new files are no pair.
        """
        stamp = self._stamp()
        if stamp == self._seen:
            return False
        self._current = self._read()
        self.ends_at = self._read_end()
        self._seen = stamp
        return True

    def _choose(self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _own: object) -> None:
        # Loading into the context in use would leave it without a key for a moment, or for good.
        connection.context = self._current

    def _read(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        certificate, key = self._files
        try:
            # Without a function it would ask the terminal for the password of an encrypted key.
            context.load_cert_chain(certificate, key, password=lambda: "")
        except OSError as error:
            # An error of TLS is one, too, and says less than nothing to people.
            reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror
            raise ValueError(f"{certificate} and {key} are no certificate and its key: {reason}") from None
        return context

    def _read_end(self) -> float:
        try:
            return not_after(self._files[0].read_text(encoding="utf-8", errors="replace"))
        except OSError:
            return math.nan

    def _stamp(self) -> _Stamp:
        stamp = []
        for path in self._files:
            try:
                status = path.stat()
            except OSError:
                return ()
            stamp.append((status.st_mtime_ns, status.st_ino, status.st_size))
        return tuple(stamp)
