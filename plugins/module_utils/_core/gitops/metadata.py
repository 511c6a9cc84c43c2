# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Kubernetes takes for labels, annotations and names of an Application, checked before it is in Git."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ..common.errors import PlatformError, invalid
from ..common.redaction import redact_text

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_SUBDOMAIN = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL_ADVICE = "Use at most 63 letters, digits, '.', '_' and '-', with a letter or digit at both ends."
_SERVER_ADVICE = "Give an address such as https://10.0.0.1:6443; Argo CD has the login."


def check_labels(
    labels: Mapping[str, Any], reserved: tuple[str, ...], field: str = "labels"
) -> dict[str, str]:
    """Return labels; raises ``invalid`` for what an API server would refuse."""
    for key, value in check_annotations(labels, reserved, field).items():
        prefix = key.rpartition("/")[0]
        if prefix != prefix.lower():
            raise _no_key(field, key)
        if value and not _NAME.fullmatch(value):
            raise invalid(f"{field}.{key}", value, "is no value of a label", _LABEL_ADVICE)
    return dict(labels)


def check_annotations(
    annotations: Mapping[str, Any], reserved: tuple[str, ...], field: str = "annotations"
) -> dict[str, str]:
    """Return annotations; YAML reads ``true`` and numbers as something else than text."""
    for key, value in annotations.items():
        prefix, slash, name = str(key).rpartition("/")
        # Kubernetes takes capitals in an annotation's prefix, though in no label's.
        if not _NAME.fullmatch(name) or (slash and not _SUBDOMAIN.fullmatch(prefix.lower())):
            raise _no_key(field, str(key))
        if not isinstance(value, str) or key in reserved:
            raise invalid(
                f"{field}.{key}",
                value,
                "is not a text, or is not yours to set",
                "Put the value into quotes, and leave out what is set here.",
            )
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise invalid(f"{field}.{key}", value, "holds half a character", "Correct the value.")
    return dict(annotations)


def _no_key(field: str, key: str) -> PlatformError:
    return invalid(f"{field}.{key}", key, "is no key that Kubernetes takes", _LABEL_ADVICE)


def check_project(project: str, field: str = "project") -> str:
    """Return the name of an AppProject; raises ``invalid``."""
    if not _SUBDOMAIN.fullmatch(project):
        raise invalid(
            field, project, "is no name of a project", "Use lower-case letters, digits, '-' and '.'."
        )
    return project


def check_server(server: str, field: str = "destination_server") -> str:
    """Return the address of an API server; raises ``invalid``, and without showing a login."""
    try:
        parts = urlsplit(server)
        host, login = parts.hostname, "@" in parts.netloc
        parts.port  # noqa: B018 - raises for what is no number
    except ValueError as error:
        raise _no_server(field, server) from error
    if login:
        raise invalid(field, "(with a login)", "holds a login", _SERVER_ADVICE)
    if parts.scheme not in ("https", "http") or not host or not server.isprintable() or " " in server:
        raise _no_server(field, server)
    return server


def _no_server(field: str, server: str) -> PlatformError:
    return invalid(field, redact_text(server), "is no address of an API server", _SERVER_ADVICE)
