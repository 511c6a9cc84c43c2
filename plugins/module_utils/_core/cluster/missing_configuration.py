# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A ConfigMap or Secret that a node misses may have come since: nodes look again only now and then."""

from __future__ import annotations

import re

from .client import ClusterClient, segment

# The kubelet's two ways to say it.
_NO_OBJECT = re.compile(r'^(?P<kind>configmap|secret) "(?P<name>[^"]+)" not found', re.IGNORECASE)
_NO_KEY = re.compile(
    r"^couldn't find key (?P<key>\S+) in (?P<kind>ConfigMap|Secret) [^/\s]+/(?P<name>\S+)", re.IGNORECASE
)


def exists_by_now(client: ClusterClient, namespace_path: str, message: str) -> bool:
    """Tell whether what a container's waiting message says is missing is there.

    ``namespace_path`` is the namespace's path in the core API. False for a message of another shape.
    """
    text = message.removeprefix("Error: ")
    found = _NO_OBJECT.match(text) or _NO_KEY.match(text)
    if found is None:
        return False
    item = client.find(f"{namespace_path}/{found['kind'].lower()}s/{segment(found['name'])}")
    if item is None:
        return False
    key = found.groupdict().get("key")
    return key is None or key in (item.get("data") or {}) or key in (item.get("binaryData") or {})
