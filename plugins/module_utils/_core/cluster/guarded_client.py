# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A client of the API server for whoever holds a lock: no write after the lock was lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..common.permit import Permit
from .client import Authentication, ClusterClient

if TYPE_CHECKING:
    import urllib3


class GuardedClient(ClusterClient):
    """Asks for leave just before each request that writes, and stops the reading too when it is lost."""

    def __init__(self, authentication: Authentication, permit: Permit) -> None:
        super().__init__(authentication)
        self._permit = permit

    def request(self, method: str, *arguments: Any, **options: Any) -> urllib3.BaseHTTPResponse:
        """Send one request as :meth:`ClusterClient.request` does. Raises ``fenced`` too."""
        if method == "GET":
            self._permit.watch()
        else:
            self._permit.check()
        return super().request(method, *arguments, **options)
