# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a kubeconfig says that the ``kubernetes`` package does not tell."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..common.errors import ErrorClass, PlatformError

try:
    import yaml
except ImportError:
    yaml = None  # type: ignore[assignment]

# Where a cluster's entry names a file, which stands relative to the kubeconfig.
_FILES = ("certificate-authority",)
_IMPERSONATES = re.compile(r"(^|[\s{,\"'])as(-groups|-uid|-user-extra)?[\"']?\s*:", re.MULTILINE)


def named_files(given: str | None) -> list[str]:
    """Return the files of a kubeconfig: the argument's, else ``$KUBECONFIG``'s, else ``~/.kube/config``."""
    named = given or os.environ.get("KUBECONFIG") or "~/.kube/config"
    return [str(Path(part).expanduser()) for part in named.split(os.pathsep) if part]


def find_cluster(paths: Sequence[str], context: str | None) -> tuple[str, dict[str, Any]]:
    """Return the name and the content of the context's cluster; of each entry the first file's counts.

    Raises what reading and parsing raise, and ``KeyError`` or ``TypeError`` where there is none.
    """
    return _find(paths, context, "cluster")


def impersonation(paths: Sequence[str], context: str | None) -> tuple[str, tuple[str, ...]]:
    """Return whom the context's user impersonates, and with which groups; empty where nobody.

    kubectl and helm read that, the ``kubernetes`` package does not. Raises ``invalid`` for what cannot be
    followed. A kubeconfig that cannot be read says nothing here: whoever connects with it tells.
    """
    try:
        # Most kubeconfigs have none, and to parse a large one takes a while.
        if not any(_IMPERSONATES.search(Path(path).read_text(encoding="utf-8")) for path in paths):
            return "", ()
        name, user = _find(paths, context, "user")
        acts_as, groups = str(user.get("as") or ""), tuple(map(str, user.get("as-groups") or ()))
    except (OSError, ValueError, TypeError, AttributeError, KeyError, yaml.YAMLError):
        return "", ()
    if user.get("as-uid") or user.get("as-user-extra") or (groups and not acts_as):
        raise PlatformError(
            ErrorClass.INVALID,
            f"kubeconfig: the user {name!r} impersonates in a way that cannot be followed here.",
            "Use as and as-groups, or impersonate_user and impersonate_groups instead.",
            {"field": "kubeconfig"},
        )
    return acts_as, groups


def _find(paths: Sequence[str], context: str | None, kind: str) -> tuple[str, dict[str, Any]]:
    current = context
    contexts: dict[str, Any] = {}
    found: dict[str, Any] = {}
    for path in paths:
        read = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
        current = current or read.get("current-context")
        for entry in read.get("contexts") or []:
            contexts.setdefault(entry["name"], entry["context"])
        for entry in read.get(f"{kind}s") or []:
            content = dict(entry[kind])
            for key in _FILES:
                if content.get(key):
                    content[key] = str(Path(path).absolute().parent / content[key])
            found.setdefault(entry["name"], content)
    name = str(contexts[str(current)][kind])
    return name, found[name]
