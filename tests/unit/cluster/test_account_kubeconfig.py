# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What stands in an account's kubeconfig, which files count as one, and when it is written anew."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.account_file import (
    Found,
    why_to_write,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.account_kubeconfig import (
    Account,
    check_address,
    document,
    shown,
    token_in,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.bound_token import (
    read_token,
    subject_of,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import (
    Authentication,
    ClusterClient,
    ServerAddress,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from tests.support.tls import Pair, write_kubeconfig

ADDRESS = ServerAddress("https://api:6443", "-----BEGIN", None, None, verified=True)
ACCOUNT = Account(ADDRESS, "llm-qa", "deployer", 1000)


def token(**claims: Any) -> str:
    payload = {"sub": subject_of("llm-qa", "deployer"), "iat": 0, "exp": 1000, **claims}
    part = base64.urlsafe_b64encode(json.dumps(payload).encode()).decode().rstrip("=")
    return f"eyJh.{part}.c2ln"


TOKEN = token()


def found(content: Any) -> Found:
    return Found("", 0o600, content, token_in(content, ACCOUNT.subject))


def test_what_a_token_says_of_itself() -> None:
    read = read_token(TOKEN)
    assert read is not None
    assert (read.subject, read.lifetime_s, read.expires_at) == (
        "system:serviceaccount:llm-qa:deployer",
        1000,
        "1970-01-01T00:16:40Z",
    )
    assert TOKEN not in repr(read)


@pytest.mark.parametrize(
    "text",
    ["", "abc", "a.b.c", "a.!!.c", "a..c", "a.W10.c", "a.bnVsbA.c", token(exp="x"), token(exp=1e300)]
    + [token(exp=float("nan")), token(exp=float("inf")), token(exp=None), "a.é.c"],
)
def test_what_is_no_bound_token(text: str) -> None:
    assert read_token(text) is None


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, {"server": "https://api:6443", "certificate-authority-data": "LS0tLS1CRUdJTg=="}),
        ({"authority": ""}, {"server": "https://api:6443"}),
        (
            {"authority": "", "tls_server_name": "api.example.com", "proxy": "http://u:p@proxy:3128"},
            {
                "server": "https://api:6443",
                "tls-server-name": "api.example.com",
                "proxy-url": "http://u:p@proxy:3128",
            },
        ),
    ],
)
def test_the_way_to_the_server_goes_along(change: dict[str, Any], expected: dict[str, str]) -> None:
    made = document(replace(ACCOUNT, address=replace(ADDRESS, **change)), TOKEN)
    assert made["clusters"][0]["cluster"] == expected
    assert made["users"][0]["user"] == {"token": TOKEN}
    told = shown(made, "(note)")
    assert TOKEN not in told
    assert "[hidden] (note)" in told
    assert "u:p" not in told


@pytest.mark.parametrize(
    ("now", "share", "reason"),
    [
        (0, 0.5, ""),
        (499, 0.5, ""),
        (500, 0.5, "the token ends soon"),
        (999, 0.0, ""),
        (1000, 0.0, "the token has ended"),
        (0, 1.0, "the token ends soon"),
    ],
)
def test_when_a_token_is_renewed(now: float, share: float, reason: str) -> None:
    assert why_to_write(found(document(ACCOUNT, TOKEN)), ACCOUNT, share, now) == reason


@pytest.mark.parametrize(
    "other",
    [
        replace(ACCOUNT, seconds=2000),
        replace(ACCOUNT, address=replace(ADDRESS, server="https://another:6443")),
        replace(ACCOUNT, address=replace(ADDRESS, authority="another")),
        replace(ACCOUNT, address=replace(ADDRESS, tls_server_name="another")),
        replace(ACCOUNT, address=replace(ADDRESS, proxy="http://another:3128")),
    ],
)
def test_what_was_written_for_other_settings_is_written_anew(other: Account) -> None:
    assert why_to_write(found(document(ACCOUNT, TOKEN)), other, 0.5, 0).startswith("lifetime, proxy")


def test_what_is_not_there_is_written() -> None:
    assert why_to_write(None, ACCOUNT, 0.5, 0) == "there is no file"
    assert why_to_write(found(None), ACCOUNT, 0.5, 0) == "another file is replaced"


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "Secret"},
        {"users": []},
        {"users": [{"name": "x", "user": {"token": token(sub="system:serviceaccount:llm-qa:x")}}]},
        {"users": [{"name": "x", "user": {"token": TOKEN, "client-key-data": "x"}}]},
        {"users": [{"name": "x", "user": {"tokenFile": "/x"}}]},
        {"clusters": {}},
        {"clusters": [{"name": "x", "cluster": None}]},
        {"clusters": ["x"]},
        {"contexts": [{}, {}]},
        {"contexts": None},
    ],
    ids=str,
)
def test_which_files_are_of_somebody_else(change: dict[str, Any]) -> None:
    made = document(ACCOUNT, TOKEN)
    assert token_in(made, ACCOUNT.subject)
    assert token_in({**made, **change}, ACCOUNT.subject) is None


# Where the address comes from.


def test_the_address_is_that_of_the_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    authority = Pair.issue("ca")
    file = str(write_kubeconfig(tmp_path / "admin", "https://192.0.2.1:6443", ca=authority.certificate_pem))
    address = ClusterClient(Authentication(kubeconfig=file)).address
    assert address == ServerAddress(
        "https://192.0.2.1:6443", authority.certificate_pem.decode(), None, None, verified=True
    )
    check_address(address)

    # A proxy of the environment is not written: everybody finds it there.
    monkeypatch.setenv("HTTPS_PROXY", "http://of-environment:3128")
    assert ClusterClient(Authentication(kubeconfig=file)).address == address
    given = Authentication(kubeconfig=file, proxy="http://u:p@named:3128")
    assert ClusterClient(given).address.proxy == "http://u:p@named:3128"
    around = replace(given, no_proxy="192.0.2.0/24")
    assert ClusterClient(around).address.proxy is None

    # Nor is a key that stands beside the certificates.
    both = authority.write(tmp_path, "both")
    told = ClusterClient(Authentication(kubeconfig=file, ca_cert=str(both))).address
    assert told.authority == authority.certificate_pem.decode()


@pytest.mark.parametrize(
    "given",
    [
        Authentication(host="https://192.0.2.1:6443", api_key="x", validate_certs=False),
        Authentication(host="http://192.0.2.1:8080", api_key="x"),
    ],
    ids=["unchecked", "plain text"],
)
def test_an_address_that_anybody_could_have_is_refused(given: Authentication) -> None:
    with pytest.raises(PlatformError, match="validate_certs"):
        check_address(ClusterClient(given).address)
