# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings of the router: defaults, files for secrets, and mistakes that are named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from llmops_router.settings import OPTIONS, SettingsError, read_settings, usage

NEEDED = {"LLMOPS_ROUTER_ENVIRONMENT": "staging", "LLMOPS_ROUTER_DSN": "host=db password=s3cret"}


def test_only_environment_and_registry_have_to_be_set() -> None:
    settings = read_settings(NEEDED)
    assert settings.environment == "staging"
    assert settings.listen_dsn == settings.dsn == "host=db password=s3cret"
    assert settings.redis_url is None
    assert settings.port == 8080
    assert str(settings.allowed_endpoints) == ".svc.cluster.local"
    assert settings.forward_headers == frozenset()
    assert "s3cret" not in repr(settings)


def test_each_process_has_its_own_name() -> None:
    assert read_settings(NEEDED).instance != read_settings(NEEDED).instance
    assert read_settings({**NEEDED, "LLMOPS_ROUTER_INSTANCE": "pod-1"}).instance == "pod-1"


def test_secrets_come_from_files(tmp_path: Path) -> None:
    file = tmp_path / "dsn"
    file.write_text("host=from-file\n", encoding="utf-8")
    settings = read_settings({"LLMOPS_ROUTER_ENVIRONMENT": "staging", "LLMOPS_ROUTER_DSN_FILE": str(file)})
    assert settings.dsn == "host=from-file"
    file.write_text(" \n", encoding="utf-8")
    with pytest.raises(SettingsError, match="is empty"):
        read_settings({"LLMOPS_ROUTER_ENVIRONMENT": "staging", "LLMOPS_ROUTER_DSN_FILE": str(file)})
    with pytest.raises(SettingsError, match="both set"):
        read_settings({**NEEDED, "LLMOPS_ROUTER_DSN_FILE": str(file)})
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        read_settings(
            {"LLMOPS_ROUTER_ENVIRONMENT": "staging", "LLMOPS_ROUTER_DSN_FILE": str(tmp_path / "no")}
        )


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("ENVIRONMENT", "", "the name of an environment"),
        ("PORT", "65536", "a whole number from 0 to 65535"),
        ("PORT", "http", "a whole number"),
        ("CONNECT_TIMEOUT_S", "nan", "a number from 0.05 to 60"),
        ("CONNECT_TIMEOUT_S", "-1", "a number from 0.05 to 60"),
        ("ACCESS_LOG", "maybe", "true or false"),
        ("MAX_BODIES_BYTES", "1000000", "a whole number from 33554432"),
        ("LOG_LEVEL", "loud", "debug, info, warning or error"),
        ("ALLOWED_ENDPOINTS", "10.0.0.0/33", "a list of places"),
        ("ALLOWED_ENDPOINTS", "*.example", "no suffix, host name, address or network"),
        ("FORWARD_HEADERS", "X-Good, X Bad", "no header name"),
    ],
)
def test_a_wrong_value_is_named(name: str, value: str, wanted: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(f"LLMOPS_ROUTER_{name} is {value!r}")) as wrong:
        read_settings({**NEEDED, f"LLMOPS_ROUTER_{name}": value})
    assert wanted in str(wrong.value)


@pytest.mark.parametrize(("given", "missing"), [("CERTIFICATE", "KEY"), ("KEY", "CERTIFICATE")])
def test_a_certificate_and_its_key_come_together(given: str, missing: str) -> None:
    assert read_settings(NEEDED).tls_files is None
    one = {f"LLMOPS_ROUTER_TLS_{given}_FILE": "/tls/one"}
    with pytest.raises(SettingsError, match=f"set LLMOPS_ROUTER_TLS_{missing}_FILE as well"):
        read_settings({**NEEDED, **one})
    both = read_settings({**NEEDED, **one, f"LLMOPS_ROUTER_TLS_{missing}_FILE": "/tls/two"})
    assert both.tls_files is not None
    assert both.tls_port == 8443


def test_a_missing_registry_is_told() -> None:
    with pytest.raises(SettingsError, match="LLMOPS_ROUTER_DSN_FILE"):
        read_settings({"LLMOPS_ROUTER_ENVIRONMENT": "staging"})


def test_a_misspelt_setting_is_no_setting() -> None:
    with pytest.raises(SettingsError, match="LLMOPS_ROUTER_POLL_INTERVAL:"):
        read_settings({**NEEDED, "LLMOPS_ROUTER_POLL_INTERVAL": "1"})


def test_variables_that_kubernetes_adds_for_a_service_are_none() -> None:
    added = {
        "LLMOPS_ROUTER_SERVICE_HOST": "10.0.0.1",
        "LLMOPS_ROUTER_SERVICE_PORT": "80",
        "LLMOPS_ROUTER_SERVICE_PORT_HTTP": "80",
        "LLMOPS_ROUTER_PORT_80_TCP": "tcp://10.0.0.1:80",
        "LLMOPS_ROUTER_PORT_80_TCP_ADDR": "10.0.0.1",
    }
    assert read_settings({**NEEDED, **added}).port == 8080


def test_a_service_of_this_name_does_not_set_the_port() -> None:
    with pytest.raises(SettingsError, match="enableServiceLinks: false"):
        read_settings({**NEEDED, "LLMOPS_ROUTER_PORT": "tcp://10.0.0.1:80"})


def test_help_explains_every_setting() -> None:
    text = usage()
    assert all(f"LLMOPS_ROUTER_{name}" in text and option.meaning in text for name, option in OPTIONS.items())
