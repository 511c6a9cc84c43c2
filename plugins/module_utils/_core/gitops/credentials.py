# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How git logs in, given to it by its environment: nothing is in a process list or in a file of ours."""

from __future__ import annotations

import base64
import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from ..common.errors import invalid
from .address import Address

_CONNECT_S = 15


@dataclass(frozen=True)
class Credentials:
    """A token for HTTPS, or a key for SSH. Without either, an agent or nothing."""

    username: str = "git"
    token: str = ""
    ssh_key: str = ""
    known_hosts: str = ""
    ca_cert: str = ""


def check_credentials(given: Credentials, address: Address) -> None:
    """Raise ``invalid`` for what the address has no use for, or what would be sent in the clear."""
    over_ssh, over_tls = address.protocol == "ssh", address.protocol == "https"
    for name, value, fits, wanted in (
        ("token", "(a secret)" if given.token else "", over_tls or address.loopback, "https"),
        ("ssh_key", given.ssh_key, over_ssh, "ssh"),
        ("known_hosts", given.known_hosts, over_ssh, "ssh"),
        ("ca_cert", given.ca_cert, over_tls, "https"),
    ):
        if value and not fits:
            raise invalid(
                name, value, f"is for repositories that are reached by {wanted}", "Correct one of the two."
            )
    for name, value in (
        ("ssh_key", given.ssh_key),
        ("known_hosts", given.known_hosts),
        ("ca_cert", given.ca_cert),
    ):
        if value and not os.access(value, os.R_OK):
            raise invalid(name, value, "cannot be read", "Give the path of a file on this machine.")
    if ":" in given.username or not given.username.isprintable():
        raise invalid("username", given.username, "is no name of a user", "Leave it out for a token.")
    if not given.token.isprintable():
        raise invalid("token", "(a secret)", "holds what no header can", "Give the token alone, in one line.")


def login(given: Credentials) -> str:
    """Return what the header of a login by HTTP holds."""
    return base64.b64encode(f"{given.username}:{given.token}".encode()).decode()


def secrets(given: Credentials) -> tuple[str, ...]:
    """Return what must not be shown."""
    return (login(given).rstrip("="), given.token) if given.token else ()


def git_settings(given: Credentials, address: Address) -> dict[str, str]:
    """Return git's settings for a login by HTTP. They are for the server of the address alone."""
    settings = {}
    if given.token:
        settings[f"http.{address.origin}.extraHeader"] = f"Authorization: Basic {login(given)}"
    if given.ca_cert:
        settings["http.sslCAInfo"] = str(Path(given.ca_cert).absolute())
    return settings


def ssh_command(given: Credentials, folder: Path) -> str:
    """Return the command by which git starts ssh; ``folder`` is private.

    git hands it to a shell, and ssh reads options once more: links with plain names stand for paths that
    either of them could misread.
    """
    options = ["BatchMode=yes", "StrictHostKeyChecking=yes", f"ConnectTimeout={_CONNECT_S}"]
    command = ["ssh", "-F", "none", "-a", "-x"]
    if given.known_hosts:
        options += [f'UserKnownHostsFile="{_linked(given.known_hosts, folder / "known_hosts")}"']
    if given.ssh_key:
        options += ["IdentitiesOnly=yes", "IdentityAgent=none"]
        command += ["-i", str(_linked(given.ssh_key, folder / "key"))]
    for option in options:
        command += ["-o", option]
    return shlex.join(command)


def _linked(path: str, link: Path) -> Path:
    link.symlink_to(Path(path).absolute())
    return link
