# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a failure of git means, read from what it and the server say."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..common.errors import ErrorClass, PlatformError
from ..common.redaction import HIDDEN, excerpt

# The first pattern that is found wins, so what says more comes first: "could not read from remote repository"
# follows whatever ssh has said.
_FAILURES: tuple[tuple[str, ErrorClass, str], ...] = (
    (
        r"Host key verification failed|REMOTE HOST IDENTIFICATION|No \S+ host key is known",
        ErrorClass.AUTH,
        "Put the server's host key into the file of known_hosts (gitops_known_hosts), after a look at it.",
    ),
    (
        r"UNPROTECTED PRIVATE KEY|error in libcrypto|invalid format",
        ErrorClass.AUTH,
        "Give a private key that ssh takes, readable by its owner alone (gitops_ssh_key).",
    ),
    (
        r"SSL certificate|certificate verif|unable to get local issuer|SSL: no alternative certificate",
        ErrorClass.AUTH,
        "Give the authorities of the server's certificate (gitops_ca_cert).",
    ),
    (
        r"Authentication failed|could not read (User|Pass)|Permission denied \(|(error:|HTTP) 40[13]\b",
        ErrorClass.AUTH,
        "Check the token or the key, and that it may write to the repository (gitops_token, gitops_ssh_key).",
    ),
    (
        (
            r"[Pp]rotected branch|[Pp]ermission to \S+ denied|insufficient permission|[Pp]ermission denied|"
            r"not allowed to push|write access"
        ),
        ErrorClass.AUTH,
        "Ask for the right to push to that branch, or give another one (gitops_branch).",
    ),
    (
        r"dubious ownership",
        ErrorClass.AUTH,
        "Let the repository belong to the user who runs this, or reach it by ssh or https.",
    ),
    (
        (
            r"No space left on device|[Dd]isk quota exceeded|out of memory|"
            r"unable to create temporary (?!object directory)"
        ),
        ErrorClass.INFRASTRUCTURE,
        "Make room, then run again.",
    ),
    (
        r"unable to create temporary object directory",
        ErrorClass.AUTH,
        "Let the user of the server write to the repository, or give another one (gitops_repository).",
    ),
    (
        (
            r"not appear to be a git repository|[Rr]epository '?[^']*'? ?not found|error: 404|does not exist|"
            r"[Rr]epository not found|no such repository"
        ),
        ErrorClass.INVALID,
        "Correct the address (gitops_repository); a server may say the same to those who may not see it.",
    ),
    (
        r"hook declined|\[remote rejected\]|pre-receive",
        ErrorClass.INVALID,
        "The server has refused the commit, and says why above: correct that, or ask who runs it.",
    ),
    (
        r"transport '\S*' not allowed|redirect|error: 30\d\b|not valid: is this a git repository",
        ErrorClass.INVALID,
        "Give the address at which the repository is (gitops_repository).",
    ),
    (
        (
            r"[Cc]ould not resolve|[Cc]onnection (refused|reset|closed|timed out)|[Ff]ailed to connect|"
            r"timed out|early EOF|hung up|error: (429|5\d\d)\b|HTTP (429|5\d\d)\b|unexpected disconnect|"
            r"[Nn]etwork is unreachable|No route to host|RPC failed|Empty reply|kex_exchange_identification|"
            r"Could not read from remote repository|unable to access"
        ),
        ErrorClass.INFRASTRUCTURE,
        "Check that the repository's server can be reached, then run again.",
    ),
)


def words(text: str, secrets: Iterable[str] = ()) -> str:
    """Return what git and the server say, without a secret."""
    for secret in filter(None, secrets):
        text = text.replace(secret, HIDDEN)
    return excerpt(text, 2000)


def failure(command: str, errors: str, secrets: Iterable[str] = ()) -> PlatformError:
    """Return the error for what git wrote to standard error, without a secret."""
    text = words(errors, secrets)
    message = f"git {command}: {text or 'failed without a word'}"
    for pattern, error_class, advice in _FAILURES:
        if re.search(pattern, text):
            return PlatformError(error_class, message, advice)
    return PlatformError(ErrorClass.INVALID, message, "Correct what the message names, then run again.")
