# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What may stand in an entry, how changes merge, and how it is shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.entry_fields import (
    COLUMNS,
    STATUSES,
    WRITABLE,
    Entry,
    as_json,
    changed_fields,
    check_changes,
    check_endpoint,
    check_target,
    merged,
    rfc3339,
    shown,
)

SEEN = Entry("m", "staging", status="failed", endpoint="http://h:1", status_reason="crashed", version=4)


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://m-staging.ml-staging.svc.cluster.local:8000",
        "https://models.example.com",
        "https://models.example.com/llama/3.1",
        "http://10.0.0.7:1",
        "http://[fd00::1]:65535",
        "http://host:8000/",
        f"http://{'a' * 63}.example.:8000",
        f"http://{'.'.join([*['a' * 63] * 3, 'a' * 61])}",
    ],
)
def test_endpoints_that_can_be_reached(endpoint: str) -> None:
    assert check_endpoint(endpoint) == endpoint.rstrip("/")


@pytest.mark.parametrize(
    "endpoint",
    [
        "host:8000",
        "ftp://host",
        "http://",
        "http://:8000",
        "http:///path",
        "http://host:0",
        "http://host:70000",
        "http://host:port",
        "http://user@host",
        "http://user:c4nary@host:8000",
        "http://host/?a=b",
        "http://host/#x",
        "http://host?",
        "http://ho st",
        "http://host/a b",
        "http://host\n",
        "http://host/\nx",
        "HTTP://host",
        "http://[::1",
        "http://hôte",
        "http://host..example:8000",
        f"http://{'a' * 64}.example",
        f"http://{'.'.join(['a' * 63] * 4)}",
        "http://h/" + "a" * 2048,
    ],
)
def test_endpoints_that_cannot(endpoint: str) -> None:
    with pytest.raises(PlatformError) as failure:
        check_endpoint(endpoint)
    assert failure.value.error_class is ErrorClass.INVALID
    assert failure.value.message.startswith("endpoint:")
    assert "http://" in failure.value.resolution
    assert "c4nary" not in str(failure.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("status", "running"),
        ("status", ""),
        ("namespace", "Team"),
        ("release_name", "A/b"),
        ("release_revision", 0),
        ("release_revision", 2**31),
        ("manifest_digest", "sha256:abc"),
        ("manifest_digest", "A1" * 32),
        ("image", "a\nb"),
        ("model_source", "a" * 1025),
        ("model_revision", "\x00"),
        ("chart_version", "\ud800"),
    ],
)
def test_bad_values_are_named(field: str, value: Any) -> None:
    with pytest.raises(PlatformError) as failure:
        check_changes({field: value})
    assert failure.value.error_class is ErrorClass.INVALID
    assert failure.value.message.startswith(f"{field}:")
    assert failure.value.resolution


def test_a_bad_text_is_shown_without_its_password() -> None:
    with pytest.raises(PlatformError) as failure:
        check_changes({"model_source": "https://u:c4nary@host/repo\n"})
    assert "https://u:[hidden]@host/repo" in failure.value.message
    assert "c4nary" not in str(failure.value)


def test_bad_targets() -> None:
    with pytest.raises(PlatformError, match="model:"):
        check_target("", "staging")
    with pytest.raises(PlatformError, match="environment:"):
        check_target("m", "Q A")


def test_changes_keep_remove_and_hide() -> None:
    changes = check_changes(
        {
            "image": "",
            "endpoint": None,
            "model_source": "https://u:c4nary@host/repo",
            "status_reason": "x\x1b[31m",
        }
    )
    assert changes == {
        "image": None,
        "model_source": "https://u:[hidden]@host/repo",
        "status_reason": "x[31m",
    }
    assert len(check_changes({"status_reason": "z" * 100_000})["status_reason"]) <= 4096


def test_a_reason_goes_with_its_status() -> None:
    assert merged(SEEN, {"image": "i"}).status_reason == "crashed"
    assert merged(SEEN, {"status": "ready"}).status_reason is None
    assert merged(SEEN, {"status": "ready", "status_reason": "fixed"}).status_reason == "fixed"


@pytest.mark.parametrize("status", STATUSES)
def test_only_ready_needs_an_endpoint(status: str) -> None:
    if status == "ready":
        with pytest.raises(PlatformError, match="needs an endpoint"):
            merged(SEEN, {"status": status, "endpoint": None})
    else:
        assert merged(SEEN, {"status": status, "endpoint": None}).endpoint is None


def test_changed_fields_are_the_writable_ones() -> None:
    later = Entry(**{**vars(SEEN), "image": "i", "version": 9, "updated_by": "x"})
    assert changed_fields(SEEN, later) == {"image": "i"}
    assert changed_fields(SEEN, SEEN) == {}


def test_every_field_has_a_column() -> None:
    assert list(COLUMNS) == list(vars(SEEN))
    assert set(WRITABLE) < set(COLUMNS)


def test_times_are_utc_whatever_they_came_in() -> None:
    moment = datetime(2026, 11, 2, 14, 44, 7, 120331, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert rfc3339(moment) == "2026-11-02T09:14:07.120331Z"
    assert rfc3339(datetime(2026, 1, 1)) == "2026-01-01T00:00:00.000000Z"  # noqa: DTZ001
    row = as_json(Entry("m", "staging", created_at=datetime(2026, 1, 1, tzinfo=UTC)))
    assert row["created_at"] == "2026-01-01T00:00:00.000000Z"
    assert row["endpoint"] is None


def test_diff_shows_what_people_set() -> None:
    assert shown(None) == {}
    assert set(shown(SEEN)) == {"model", "environment", *WRITABLE}
