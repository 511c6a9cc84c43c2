# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which proxy leads to an API server, and which values of the options nothing could use."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import Authentication
from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.proxy import (
    check_exceptions,
    check_proxy,
    credentials_of,
    goes_around,
    proxy_for,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._module import (
    ModuleContract,
    Outcome,
    shown_arguments,
)

SERVER = "https://api.Example.com:6443"
PROXY, OTHER = "http://proxy:3128", "http://other:3128"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what the environment says of proxies."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize(
    ("server", "rules", "around"),
    [
        (SERVER, "", False),
        (SERVER, " , ", False),
        (SERVER, "*", True),
        (SERVER, "API.example.com", True),
        (SERVER, "example.com", True),
        (SERVER, "a, example.com.", True),
        (SERVER, ".example.com", True),
        (SERVER, "*.example.com", True),
        (SERVER, ".api.example.com", False),
        (SERVER, "xample.com", False),
        (SERVER, "api.example.com:6443", True),
        (SERVER, "api.example.com:443", False),
        ("https://api.example.com", "api.example.com:443", True),
        ("http://api.example.com", "api.example.com:80", True),
        ("https://10.1.2.3:6443", "10.0.0.0/8", True),
        ("https://10.1.2.3:6443", "10.1.2.3", True),
        ("https://10.1.2.3:6443", "10.1.2.3:6443", True),
        ("https://10.1.2.3:6443", "10.1.2.3:1", False),
        ("https://10.1.2.3:6443", "2.3", False),
        ("https://[fd00::1]:6443", "fd00::/8", True),
        ("https://[fd00::1]:6443", "[fd00::1]:6443", True),
        ("https://[fd00::1]:6443", "fd00::1", True),
        ("https://[fd00::1]:6443", "10.0.0.0/8", False),
    ],
)
def test_exceptions(server: str, rules: str, around: bool) -> None:
    assert goes_around(server, rules) is around


def test_the_option_wins_over_the_kubeconfig_and_that_over_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert proxy_for(SERVER, None, None, None) is None
    monkeypatch.setenv("HTTPS_PROXY", "from-environment:1")
    assert proxy_for(SERVER, None, None, None) == "http://from-environment:1"
    assert proxy_for("https://127.0.0.1:6443", None, None, None) is None
    assert proxy_for("https://localhost:6443", None, None, None) is None
    assert proxy_for("http://api.example.com", None, None, None) is None
    assert proxy_for(SERVER, None, None, OTHER) == OTHER
    assert proxy_for(SERVER, PROXY, None, OTHER) == PROXY
    monkeypatch.setenv("NO_PROXY", "example.com")
    assert proxy_for(SERVER, None, None, None) is None
    assert proxy_for(SERVER, None, None, OTHER) == OTHER
    assert proxy_for(SERVER, PROXY, None, None) == PROXY
    for given, configured in ((PROXY, None), (None, OTHER)):
        assert proxy_for(SERVER, given, "example.com", configured) is None
        assert proxy_for(SERVER, given, "example.org", configured) == (given or configured)


def test_credentials_are_decoded() -> None:
    assert credentials_of("http://a%40b:c%2Fd@proxy:1") == "a@b:c/d"
    assert credentials_of("http://a@proxy:1") == "a:"
    assert credentials_of(PROXY) is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        *[
            ({"proxy": value}, "is not the URL of an HTTP proxy")
            for value in (
                "proxy:3128",
                "socks5://p:1",
                "http://",
                "http://p:x",
                "http://p:0",
                "http://a b",
                "x\n",
            )
        ],
        ({"no_proxy": "https://api.example.com"}, "has the entry 'https://api.example.com'"),
        ({"no_proxy": "a,b c"}, "has the entry 'b c'"),
        ({"no_proxy": "10.0.0.0/99"}, "has the entry '10.0.0.0/99'"),
        ({"impersonate_user": "a\r\nImpersonate-Group: system:masters"}, "is no name"),
        ({"impersonate_user": " jane"}, "is no name"),
        ({"impersonate_user": "jane", "impersonate_groups": ["a", ""]}, "is no name"),
        ({"impersonate_user": "jane", "impersonate_groups": ["a\tb"]}, "is no name"),
        ({"impersonate_groups": ["system:masters"]}, "is given without a user"),
    ],
)
def test_bad_values_name_the_option(given: dict[str, Any], words: str) -> None:
    with pytest.raises(PlatformError) as caught:
        Authentication.from_params(given)
    assert caught.value.error_class is ErrorClass.INVALID
    assert words in caught.value.message
    assert caught.value.message.startswith(f"{caught.value.details['field']}:")
    assert caught.value.details["field"] == list(given)[-1]


def test_the_password_of_a_bad_proxy_is_not_shown() -> None:
    with pytest.raises(PlatformError) as caught:
        Authentication.from_params({"proxy": "socks5://user:c4n4ry@proxy:1"})
    assert "c4n4ry" not in str(caught.value)


def test_what_is_empty_is_not_given() -> None:
    empty = {"proxy": "", "no_proxy": "", "impersonate_user": "", "impersonate_groups": [""]}
    given = Authentication.from_params({"host": "https://h", **empty})
    assert (given.impersonate_user, given.impersonate_groups) == (None, ())
    assert proxy_for("https://h", given.proxy, given.no_proxy, None) is None


@pytest.mark.parametrize(
    "url",
    [
        "u:c4n4ry@proxy:80",
        "http:/u:c4n4ry@h",
        "//u:c4n4ry@h:1",
        "http://u:c4n4ry x@h:1",
        "http://u:c4n4ry%zz@h",
    ],
)
def test_a_password_is_not_shown_however_the_url_is_written(url: str) -> None:
    with pytest.raises(PlatformError, match="is not the URL of an HTTP proxy") as caught:
        check_proxy("proxy", url)
    assert "c4n4ry" not in str(caught.value)
    contract = ModuleContract({"proxy": {"type": "str"}}, lambda params, context: Outcome())
    assert "c4n4ry" not in str(shown_arguments(contract, {"proxy": url}))


def test_brackets_of_an_address_are_read() -> None:
    assert goes_around("https://[fd00::1]:6443", "[fd00::1]")
    with pytest.raises(PlatformError, match="no_proxy"):
        check_exceptions("no_proxy", "a;b")
