# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keep the kubeconfig of a ServiceAccount at its path: look, decide why to write, then write or leave it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..common.errors import ErrorClass, PlatformError
from .account_kubeconfig import Account, check_address, document, dump, is_for, parse, shown, token_in
from .bound_token import BoundToken, account_uid, is_accepted, request_token, subject_of
from .client import APIError, Authentication, ClusterClient, ServerAddress
from .private_file import MODE, check_path, check_writable, read_private, remove_private, write_private

# Less than this share of what was asked for is told.
_MUCH_SHORTER = 0.9
_FOREIGN = "(another file, which is not shown)\n"


@dataclass(frozen=True)
class Found:
    """What is at the path. ``token`` is that of a kubeconfig of the account, None for any other file."""

    text: str
    mode: int
    content: Any
    token: BoundToken | None


@dataclass(frozen=True)
class Done:
    """What was (or would be) done, and why; the token that holds now, None where none was asked for."""

    reason: str
    token: BoundToken | None
    diff: dict[str, str]
    warnings: list[str]


def look(path: Path, subject: str, address: ServerAddress | None, *, force: bool) -> Found | None:
    """Read what is at the path, None for nothing; raises ``invalid`` for what belongs to somebody else.

    So does the file of another cluster, which may have an account of the same name. Without an ``address``
    any will do.
    """
    read = read_private(path)
    # An empty file, as tempfile makes one, is nobody's loss.
    if read is None or not read[0].strip():
        return None
    content = parse(read[0])
    token = token_in(content, subject)
    elsewhere = token is not None and address is not None and not is_for(content, address)
    found = Found(*read, content, None if elsewhere else token)
    if found.token is None and not force:
        what = (
            f"is a kubeconfig of {subject} for another API server or with another certificate authority"
            if elsewhere
            else f"is no kubeconfig of {subject} alone"
        )
        raise PlatformError(
            ErrorClass.INVALID,
            f"path: {str(path)!r} {what}, and is left as it is.",
            "Give another path, or force: true to have this file replaced or removed.",
            {"field": "path"},
        )
    return found


def why_to_write(found: Found | None, account: Account, share: float, now: float) -> str:
    """Return the reason for a new token, as far as the file tells; empty where it is as wanted."""
    if found is None:
        return "there is no file"
    token = found.token
    if token is None:
        return "another file is replaced"
    if found.content != document(account, token.text):
        return "lifetime, proxy or another setting differs"
    if token.ends_at - now <= share * token.lifetime_s:
        return "the token has ended" if token.ends_at <= now else "the token ends soon"
    return ""


def present(
    client: ClusterClient,
    path: str,
    account: Account,
    progress: Callable[[str], None],
    *,
    share: float,
    force: bool = False,
    check_mode: bool = False,
) -> Done:
    """Have a kubeconfig of the account there, with a token that the API server takes and that holds on."""
    check_address(account.address)
    file = check_path(path)
    found = look(file, account.subject, account.address, force=force)
    reason = why_to_write(found, account, share, time.time())
    if not reason and found is not None and _is_gone(client, account, found):
        reason = "the account of the token is gone"
    if not reason and not is_accepted(_client_of(file, client), account.subject):
        reason = "the API server does not take the token any more"
    if not reason and found is not None:
        return _keep(file, found, check_mode=check_mode)
    check_writable(file)
    before = _shown(found)
    if check_mode:
        warnings = []
        if account_uid(client, account.namespace, account.name) is None:
            warnings.append(f"There is no ServiceAccount {account.namespace}/{account.name} yet.")
        after = shown(document(account, ""), f"(for {account.seconds} s)")
        return Done(reason, None, {"before": before, "after": after}, warnings)
    token = request_token(client, account.namespace, account.name, account.seconds)
    content = document(account, token.text)
    write_private(file, dump(content))
    progress(f"{path}: {reason}; a token of {account.subject} until {token.expires_at}")
    warnings = []
    if token.lifetime_s < _MUCH_SHORTER * account.seconds:
        warnings.append(
            f"The API server grants a token of {token.lifetime_s:g} s where {account.seconds} s were asked "
            f"for: it ends at {token.expires_at}."
        )
    return Done(reason, token, {"before": before, "after": shown(content, _until(token))}, warnings)


def absent(
    path: str,
    namespace: str,
    name: str,
    address: ServerAddress | None,
    *,
    force: bool = False,
    check_mode: bool = False,
) -> Done:
    """Remove the file. Its token holds as long as its account does."""
    file = check_path(path)
    found = look(file, subject_of(namespace, name), address, force=force)
    if found is None and read_private(file) is None:
        return Done("", None, {"before": "", "after": ""}, [])
    if not check_mode:
        remove_private(file)
    return Done("it is to be absent", None, {"before": _shown(found), "after": ""}, [])


def _is_gone(client: ClusterClient, account: Account, found: Found) -> bool:
    """Tell whether the account is not that of the token, which the API server takes for some seconds more."""
    if found.token is None or not found.token.account_uid:
        return False
    try:
        return account_uid(client, account.namespace, account.name) != found.token.account_uid
    except APIError as error:
        if error.status == 403:
            # Who may ask for tokens need not be allowed to look at accounts.
            return False
        raise


def _keep(file: Path, found: Found, *, check_mode: bool) -> Done:
    """Leave the token, and take the file from others who may read it."""
    if found.mode == MODE:
        return Done("", found.token, {"before": "", "after": ""}, [])
    if not check_mode:
        # Written anew, so that who has it open does not see what comes later.
        write_private(file, found.text)
    modes = {"before": f"mode: {found.mode:04o}\n", "after": f"mode: {MODE:04o}\n"}
    warning = (
        f"{file} had the mode {found.mode:04o}. If others read it, delete it and run again for a new token."
    )
    return Done(f"the mode is {found.mode:04o}", found.token, modes, [warning] if found.mode & 0o077 else [])


def _client_of(file: Path, client: ClusterClient) -> ClusterClient:
    """Connect as those do who use the file."""
    return ClusterClient(Authentication(kubeconfig=str(file), no_proxy=client.authentication.no_proxy))


def _shown(found: Found | None) -> str:
    if found is None:
        return ""
    return _FOREIGN if found.token is None else shown(found.content, _until(found.token))


def _until(token: BoundToken) -> str:
    return f"(until {token.expires_at})"
