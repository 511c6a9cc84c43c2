# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Addresses and branches: what git could take for an option or a program is refused, and so is a login."""

from __future__ import annotations

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.address import (
    check_address,
    check_branch,
)

CANARY = "c4n4ry"


@pytest.mark.parametrize(
    ("url", "protocol", "origin"),
    [
        ("https://git.example.com/a/b.git", "https", "https://git.example.com/"),
        ("https://git.example.com:8443/a", "https", "https://git.example.com:8443/"),
        ("http://[::1]:8080/a", "http", "http://[::1]:8080/"),
        ("ssh://git@git.example.com:2222/a.git", "ssh", None),
        ("git@git.example.com:a/b.git", "ssh", None),
        ("git.example.com:a", "ssh", None),
        ("file:///srv/a.git", "file", None),
        ("/srv/a.git", "file", None),
    ],
)
def test_an_address_tells_its_protocol(url: str, protocol: str, origin: str | None) -> None:
    address = check_address(url)
    assert (address.url, address.protocol) == (url, protocol)
    assert origin is None or address.origin == origin


@pytest.mark.parametrize(
    "url",
    [
        "",
        "-oProxyCommand=touch /tmp/x",
        "--upload-pack=touch",
        "ext::sh -c touch",
        "ext::sh",
        "fd::17",
        "https::https://example.com",
        "git://example.com/a",
        "ftp://example.com/a",
        "ssh://-oProxyCommand=x/a",
        "ssh://-o@example.com/a",
        "-host:a",
        "host:-a",
        "host::a",
        "https:///a",
        "https://example.com:port/a",
        "a",
        "../a",
        "https://example.com/a b",
        "https://example.com/a\nb",
        "https://example.com/\x1b[31m",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(PlatformError, match=r"^repository: "):
        check_address(url)


@pytest.mark.parametrize(
    "url",
    [
        f"https://user:{CANARY}@example.com/a",
        f"https://{CANARY}@example.com/a",
        f"https://:{CANARY}@example.com/a",
        f"ssh://git:{CANARY}@example.com/a",
        f"ftp://user:{CANARY}@example.com/a",
    ],
)
def test_a_login_in_an_address_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(PlatformError) as caught:
        check_address(url)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("branch", ["main", "release/2026-11", "v1.2", "feature_x"])
def test_a_branch_is_a_name(branch: str) -> None:
    assert check_branch(branch) == branch


@pytest.mark.parametrize(
    "branch",
    ["", "-f", "--delete", "a..b", "a b", "a~1", "a^", "a:b", "+a", "a?", "a*", "a[", "a\\b", "/a", "a/",
     "a//b", ".a", "a/.b", "a.lock", "a.", "a@{1}", "HEAD", "a\nb", "x" * 201],
)  # fmt: skip
def test_what_is_no_branch_is_refused(branch: str) -> None:
    with pytest.raises(PlatformError, match="is no name of a branch"):
        check_branch(branch)
