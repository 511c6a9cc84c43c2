# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""To which ports a service has to get: those that were named, and those of the databases it is told of."""

from __future__ import annotations

import os
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.ports import registry_ports


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what the environment says of databases."""
    for name in [name for name in os.environ if name.startswith("PG")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("LLMOPS_REGISTRY_DSN", raising=False)


@pytest.mark.parametrize(
    ("settings", "addresses", "expected"),
    [
        ({}, [], [5432, 6379]),
        ({"dsn": "postgresql://a:b@db/registry"}, [], [5432, 6379]),
        ({"dsn": "postgresql://a:b%40c@db:24073/registry?sslmode=require"}, [], [5432, 6379, 24073]),
        ({"dsn": "host=db port=1", "login_port": "24073"}, [], [5432, 6379, 24073]),
        ({"dsn": "postgresql://one:5432,two:5433/registry"}, [], [5432, 6379, 5433]),
        ({"login_host": "db", "login_port": 6432}, ["host=pooler port=6433", ""], [5432, 6379, 6432, 6433]),
        ({}, ["postgresql://a@db:6432/x", "rediss://:p%40@redis:6380/0"], [5432, 6379, 6432, 6380]),
        ({}, ["redis://redis", "redis://[fd00::1]:7000", "unix:///run/redis.sock"], [5432, 6379, 7000]),
    ],
)
def test_what_the_addresses_say_is_added(
    settings: dict[str, Any], addresses: list[str], expected: list[int]
) -> None:
    assert registry_ports(settings, [5432, 6379], addresses) == expected


def test_the_environment_counts_as_for_the_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMOPS_REGISTRY_DSN", "postgresql://a@db:24073/registry")
    assert registry_ports({}, [5432], []) == [5432, 24073]
    assert registry_ports({"dsn": "host=db"}, [5432], []) == [5432]
    monkeypatch.setenv("PGPORT", "24074")
    assert registry_ports({"dsn": "host=db"}, [5432], []) == [5432, 24074]


def test_who_names_no_port_wants_no_rule() -> None:
    assert registry_ports({"login_port": "24073"}, [], ["redis://redis:6380"]) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"login_port": "none"},
        {"login_port": "0"},
        {"login_port": "70000"},
        {"addresses": ["redis://:c4n4ry@redis:port"]},
        {"addresses": ["host=db password='c4n4ry"]},
    ],
)
def test_what_is_no_port_is_refused_without_a_secret(wrong: dict[str, Any]) -> None:
    addresses = wrong.pop("addresses", [])
    with pytest.raises(PlatformError) as failed:
        registry_ports(wrong, [5432], addresses)
    assert failed.value.error_class is ErrorClass.INVALID
    assert "c4n4ry" not in str(failed.value)
