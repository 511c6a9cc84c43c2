# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a login reaches git: for one server alone, and through a shell as it was."""

from __future__ import annotations

import base64
import itertools
import shlex
from pathlib import Path

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.address import check_address
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.credentials import (
    Credentials,
    check_credentials,
    git_settings,
    ssh_command,
)

TOKEN = "c4n4ry"
HTTPS = check_address("https://git.example.com/a")
SSH = check_address("git@git.example.com:a")


def test_a_token_is_for_the_server_of_the_address() -> None:
    (name, value), *others = git_settings(Credentials("bot", TOKEN), HTTPS).items()
    assert name == "http.https://git.example.com/.extraHeader"
    assert value == f"Authorization: Basic {base64.b64encode(b'bot:c4n4ry').decode()}"
    assert others == []


@pytest.mark.parametrize(
    ("credentials", "url"),
    [
        (Credentials(token=TOKEN), "http://git.example.com/a"),
        (Credentials(token=TOKEN), "git@git.example.com:a"),
        (Credentials(token=TOKEN), "/srv/a"),
        (Credentials(token=f"{TOKEN}\r\nX: y"), "https://git.example.com/a"),
        (Credentials("a:b", TOKEN), "https://git.example.com/a"),
        (Credentials(ssh_key="/dev/null"), "https://git.example.com/a"),
        (Credentials(ssh_key="/nowhere"), "git@git.example.com:a"),
        (Credentials(known_hosts="/nowhere"), "git@git.example.com:a"),
        (Credentials(ca_cert="/nowhere"), "https://git.example.com/a"),
    ],
)
def test_what_does_not_fit_is_refused_and_not_shown(credentials: Credentials, url: str) -> None:
    with pytest.raises(PlatformError) as caught:
        check_credentials(credentials, check_address(url))
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("url", ["https://git.example.com/a", "http://127.0.0.1:80/a"])
def test_a_token_is_fine_where_nobody_reads_along(url: str) -> None:
    check_credentials(Credentials(token=TOKEN), check_address(url))


def test_paths_for_ssh_survive_a_shell_and_ssh_itself(tmp_path: Path) -> None:
    folder = tmp_path / "private"
    folder.mkdir()
    odd = tmp_path / 'it\'s $(touch x) %h a, "b"'
    odd.write_text("key")
    given = Credentials(ssh_key=str(odd), known_hosts=str(odd))
    check_credentials(given, SSH)
    words = shlex.split(ssh_command(given, folder))
    assert words[:3] == ["ssh", "-F", "none"]
    assert words[words.index("-i") + 1] == str(folder / "key")
    assert (folder / "key").read_text() == (folder / "known_hosts").read_text() == "key"
    options = {word for before, word in itertools.pairwise(words) if before == "-o"}
    assert {
        "StrictHostKeyChecking=yes",
        "BatchMode=yes",
        "IdentitiesOnly=yes",
        f'UserKnownHostsFile="{folder / "known_hosts"}"',
    } <= options
