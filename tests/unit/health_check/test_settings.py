# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings: every mistake is told at once, by name, and no secret with it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from llmops_health.settings import PREFIX, Settings, SettingsError, explanation, from_environment

from tests.support.playbooks import ROOT

SOURCE = ROOT / "roles/health_check/files/health_check"
NEEDED = {"DSN": "host=db password=p4ssw0rd", "ENVIRONMENT": "staging"}


def read(**variables: str) -> Settings:
    """Return the settings of these variables, named without their prefix."""
    return from_environment({PREFIX + name: value for name, value in {**NEEDED, **variables}.items()})


def test_defaults() -> None:
    settings = read()
    assert (settings.interval_s, settings.completion_interval_s) == (10, 60)
    assert settings.concurrency == 50
    assert settings.lease_name == "health-check/staging"
    assert read().instance != read().instance
    assert "p4ssw0rd" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("ENVIRONMENT", "Prod", "the name of an environment"),
        ("INTERVAL_S", "soon", "give a number"),
        ("INTERVAL_S", "0", "above 0"),
        ("INTERVAL_S", "nan", "above 0"),
        ("CONCURRENCY", "0", "from 1"),
        ("CONCURRENCY", "2.5", "whole number"),
        ("JITTER", "0.6", "0 to 0.5"),
        ("PORT", "65536", "TCP port"),
        ("LEASE_RENEW_S", "8", "LLMOPS_HEALTH_LEASE_TTL_S, which is 15"),
        ("CONNECT_TIMEOUT_S", "6", "LLMOPS_HEALTH_HEALTH_TIMEOUT_S"),
        ("COMPLETION_INTERVAL_S", "5", "LLMOPS_HEALTH_INTERVAL_S"),
        ("ALLOWED_ENDPOINTS", "10.0.0.0/33", "10.0.0.0/33"),
        ("ALLOWED_ENDPOINTS", "a b", "no host name"),
        ("CANARY_URL", "router", "give a URL"),
        ("UPSTREAM_KEYS_FILE", "/nowhere", "no such file"),
        ("LOG_LEVEL", "loud", "debug, info"),
        ("INTERVALL_S", "5", "no such setting"),
        ("DSN", "", "LLMOPS_HEALTH_DSN_FILE"),
    ],
)
def test_a_mistake_is_told_with_its_name(name: str, value: str, told: str) -> None:
    with pytest.raises(SettingsError) as error:
        read(**{name: value})
    assert PREFIX + name in str(error.value)
    assert told in str(error.value)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as error:
        read(ENVIRONMENT="Prod", FAILURES="0", JITTER="9")
    assert len(str(error.value).splitlines()) == 3


def test_a_dsn_is_never_repeated() -> None:
    with pytest.raises(SettingsError) as error:
        read(DSN="host=db p4ssw0rd")
    assert "p4ssw0rd" not in str(error.value)


def test_the_dsn_may_be_in_a_file_that_changes(tmp_path: Path) -> None:
    file = tmp_path / "dsn"
    file.write_text("host=one\n", encoding="utf-8")
    settings = read(DSN="", DSN_FILE=str(file))
    assert settings.current_dsn() == "host=one"
    file.write_text("host=two", encoding="utf-8")
    assert settings.current_dsn() == "host=two"
    for content in ("host=db p4ssw0rd", ""):
        file.write_text(content, encoding="utf-8")
        with pytest.raises(ValueError, match="cannot be used") as error:
            settings.current_dsn()
        assert "p4ssw0rd" not in str(error.value)


def test_variables_that_kubernetes_adds_for_services_are_no_mistake() -> None:
    read(
        CHECKER_SERVICE_HOST="10.0.0.1", CHECKER_PORT_80_TCP_ADDR="10.0.0.1", CHECKER_PORT="tcp://10.0.0.1:80"
    )


def test_help_explains_every_setting() -> None:
    text = explanation()
    for item in fields(Settings):
        assert f"{PREFIX}{item.name.upper()}\n" in text


def test_wrong_settings_end_the_process_with_status_2() -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "llmops_health"],
        cwd=SOURCE,
        env={f"{PREFIX}ENVIRONMENT": "Prod"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 2
    assert f"{PREFIX}ENVIRONMENT is 'Prod'" in finished.stderr
