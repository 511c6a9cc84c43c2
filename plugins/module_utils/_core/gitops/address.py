# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The address of a Git repository: one that git can only read as an address, and without a password."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from ..common.errors import invalid
from ..common.redaction import redact_text

_ADVICE = "Give an address such as https://git.example.com/models.git or git@git.example.com:models.git."
_SCP = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9._-]*@)?(?P<host>[A-Za-z0-9][A-Za-z0-9.-]*):(?!:)[^:\s-][^\s]*")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_SCHEMES = ("https", "http", "ssh", "file")
_BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/+#-]*")


@dataclass(frozen=True)
class Address:
    """An address, and by which protocol git goes there."""

    url: str
    protocol: str  #: https, http, ssh or file
    origin: str = ""  #: scheme, host and port of one that is reached by HTTP
    loopback: bool = False  #: this machine's own


def check_address(url: str, field: str = "repository") -> Address:
    """Return the address; raises ``invalid`` for what git could take for an option or a program."""
    shown = redact_text(url)
    if not url or not url.isprintable() or " " in url or url.startswith("-"):
        raise invalid(field, shown, "is no address of a Git repository", _ADVICE)
    if url.startswith("/"):
        return Address(url, "file")
    if "://" not in url:
        if _SCP.fullmatch(url):
            return Address(url, "ssh")
        raise invalid(field, shown, "is no address of a Git repository", _ADVICE)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise invalid(field, shown, f"is no address ({error})", _ADVICE) from error
    if parts.scheme not in _SCHEMES:
        raise invalid(field, shown, f"is not of {', '.join(_SCHEMES)}", _ADVICE)
    _check_login(field, shown, parts)
    if parts.scheme != "file" and (not host or host.startswith("-")):
        raise invalid(field, shown, "names no host", _ADVICE)
    where = f"[{host}]" if ":" in host else host
    origin = f"{parts.scheme}://{where}{f':{port}' if port else ''}/"
    return Address(url, parts.scheme, origin, host in ("localhost", "127.0.0.1", "::1"))


def _check_login(field: str, shown: str, parts: SplitResult) -> None:
    """Raise ``invalid`` for a secret in an address, which ends up in the Application and in messages."""
    web = parts.scheme in ("https", "http")
    if parts.password is not None or (web and parts.username is not None):
        hidden = shown.replace(parts.netloc.rpartition("@")[0], "[hidden]") if "@" in parts.netloc else shown
        raise invalid(
            field,
            hidden,
            "holds a login",
            "Leave it out of the address: give username and token (gitops_token).",
        )
    if parts.username is not None and not _USER.fullmatch(parts.username):
        raise invalid(field, shown, "names no user", _ADVICE)


def check_branch(branch: str, field: str = "branch") -> str:
    """Return the name of a branch; raises ``invalid`` for what Git takes for no name, or for an option."""
    parts = branch.split("/")
    if (
        not _BRANCH.fullmatch(branch)
        or len(branch) > 200
        or ".." in branch
        or branch == "HEAD"
        # It would be the branch refs/heads/refs/heads/main.
        or branch.startswith("refs/")
        or any(not part or part[0] == "." or part.endswith((".", ".lock")) for part in parts)
    ):
        raise invalid(field, branch, "is no name of a branch", "Give a name such as main.")
    return branch
