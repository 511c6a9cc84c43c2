# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which endpoints of the registry requests may be sent to."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops_router.endpoints import AllowedEndpoints

DEFAULT = AllowedEndpoints.parse(".svc.cluster.local")


@pytest.mark.parametrize(
    ("endpoint", "base"),
    [
        ("http://chat.models.svc.cluster.local:8000", "http://chat.models.svc.cluster.local:8000"),
        ("http://Chat.Models.svc.cluster.local.:8000/", "http://chat.models.svc.cluster.local:8000"),
        ("https://chat.models.svc.cluster.local", "https://chat.models.svc.cluster.local"),
        (f"http://{'a' * 63}.svc.cluster.local", f"http://{'a' * 63}.svc.cluster.local"),
        ("http://a.b.svc.cluster.local:8000/base/path/", "http://a.b.svc.cluster.local:8000/base/path"),
    ],
)
def test_services_of_the_cluster_are_allowed(endpoint: str, base: str) -> None:
    assert DEFAULT.target(endpoint).base == base


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://localhost:8000",
        "http://svc.cluster.local",
        "http://evilsvc.cluster.local",
        "http://chat.svc.cluster.local.evil.example",
        "http://user@chat.models.svc.cluster.local",
        "http://evil.example#.svc.cluster.local",
        "http://evil.example?.svc.cluster.local",
        "http://evil.example\\.svc.cluster.local",
        "http://[::1]:8000",
        "file:///etc/passwd",
        "//chat.models.svc.cluster.local",
        "http://chat.models.svc.cluster.local:99999",
        "http://chat.models.svc.cluster.local/../../x",
        "http://chat.models.svc.cluster.local/a\r\nx: y",
        "http://chat.models.svc.cluster.local/ a",
        f"http://{'a' * 64}.svc.cluster.local",
        f"http://chat.{'a' * 64}.svc.cluster.local",
        f"http://{'a.' * 120}svc.cluster.local",
        "",
    ],
)
def test_everything_else_is_not(endpoint: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        DEFAULT.target(endpoint)


def test_addresses_and_names_can_be_listed() -> None:
    allowed = AllowedEndpoints.parse("10.0.0.0/8, 127.0.0.1, ::1, engine.internal,")
    for endpoint, authority in (
        ("http://10.1.2.3:8000", "10.1.2.3:8000"),
        ("http://127.0.0.1:80", "127.0.0.1"),
        ("http://[::1]:8000", "[::1]:8000"),
        ("http://engine.internal", "engine.internal"),
    ):
        assert allowed.target(endpoint).authority == authority
    for endpoint in ("http://11.0.0.1", "http://127.0.0.2", "http://a.engine.internal", "http://0x0a010203"):
        with pytest.raises(ValueError, match="outside of"):
            allowed.target(endpoint)


def test_nothing_is_allowed_by_an_empty_list() -> None:
    with pytest.raises(ValueError, match="nothing"):
        AllowedEndpoints.parse("").target("http://chat.models.svc.cluster.local")


@pytest.mark.parametrize("text", ["10.0.0.0/33", "10.0.0.1/8", "1.2.3", "*.svc", "http://x", ".a..b", "a b"])
def test_a_wrong_list_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        AllowedEndpoints.parse(text)


@given(st.text())
def test_any_text_is_allowed_or_refused(endpoint: str) -> None:
    try:
        target = DEFAULT.target(endpoint)
    except ValueError:
        return
    assert target.host.endswith(".svc.cluster.local")


@given(st.ip_addresses())
def test_an_address_is_allowed_by_its_network_only(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    allowed = AllowedEndpoints.parse("10.0.0.0/8, fd00::/8")
    host = f"[{address}]" if address.version == 6 else str(address)
    expected = str(address).startswith("10.") if address.version == 4 else address.packed[0] == 0xFD
    try:
        allowed.target(f"http://{host}:8000")
    except ValueError:
        assert not expected
    else:
        assert expected
