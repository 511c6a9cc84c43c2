# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Helm's record of a release: as real binaries wrote it (data/), changed, and damaged."""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.helm.storage import (
    failed_copy,
    parse_record,
    revision_labels,
    short_digest,
)

DATA = Path(__file__).parent / "data"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def secret(helm: str = "helm") -> dict[str, Any]:
    """Return a Secret that a real helm wrote: chart tiny 0.2.0, one ConfigMap, one value."""
    read: dict[str, Any] = json.loads((DATA / f"record-{helm}.json").read_text("utf-8"))
    return read


def unpacked(data: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(data))))
    return read


def packed(content: bytes) -> str:
    return base64.b64encode(base64.b64encode(content)).decode()


@pytest.mark.parametrize("helm", ["helm", "helm3"])
def test_a_record_of_a_real_helm_is_read(helm: str) -> None:
    record = parse_record(secret(helm))
    assert (record.revision, record.status, record.pending) == (1, "deployed", False)
    assert (record.chart_name, record.chart_version) == ("tiny", "0.2.0")
    assert record.config == {"text": "héllo"}
    assert 'data: {text: "héllo"}' in record.manifest
    assert record.description == "deployed by a test"
    assert record.modified_at == datetime.fromtimestamp(1795225559, UTC)


@pytest.mark.parametrize("helm", ["helm", "helm3"])
def test_marking_as_failed_changes_status_and_reason_only(helm: str) -> None:
    before = secret(helm)
    after = failed_copy(parse_record(before), "left by a run that died", NOW)
    assert before == secret(helm)

    old, new = unpacked(before["data"]["release"]), unpacked(after["data"]["release"])
    assert new["info"].pop("status") == "failed"
    assert new["info"].pop("description") == "left by a run that died"
    del old["info"]["status"], old["info"]["description"]
    assert new == old

    labels = {"status": "failed", "modifiedAt": str(int(NOW.timestamp()))}
    assert after["metadata"] == {**before["metadata"], "labels": {**before["metadata"]["labels"], **labels}}
    # The version that was read goes along, so that nobody's newer record is overwritten.
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    record = parse_record(after)
    assert (record.status, record.modified_at) == ("failed", NOW)
    # Helm recognises a packed release by these bytes.
    assert base64.b64decode(base64.b64decode(after["data"]["release"]))[:3] == b"\x1f\x8b\x08"


@pytest.mark.parametrize(
    ("status", "pending"),
    [
        ("pending-install", True),
        ("pending-upgrade", True),
        ("pending-rollback", True),
        ("uninstalling", False),
        ("failed", False),
    ],
)
def test_pending_is_told_from_the_status(status: str, pending: bool) -> None:
    item = secret()
    release = unpacked(item["data"]["release"])
    release["info"]["status"] = status
    item["data"]["release"] = packed(gzip.compress(json.dumps(release).encode()))
    assert parse_record(item).pending == pending


@pytest.mark.parametrize(
    ("changes", "fence"),
    [
        ({}, 7),
        ({"llmops.platform/revision": "2"}, None),
        ({"llmops.platform/fence": "seven"}, None),
        ({"llmops.platform/fence": None}, None),
    ],
)
def test_mark_of_an_operation_counts_for_its_own_revision(
    changes: dict[str, str | None], fence: int | None
) -> None:
    marked = secret()
    marked["metadata"]["labels"] |= revision_labels(1, "abc", "some-operation", fence=7) | changes
    assert parse_record(marked).fence == fence


PREFIX = "llmops.platform"
DIGEST = f"sha256:{'ab' * 32}"
#: Revision, operation, what it goes back from; the labels besides those of revision and source.
LABELS: list[tuple[int, str | None, str | None, dict[str, str]]] = [
    (1, None, None, {}),
    (1, "op", None, {"operation": "op", "fence": "7"}),
    (1, "op", "ab", {"operation": "op", "fence": "7", "left": "ab"}),
    # Helm would copy those of the revision before.
    (2, None, None, {"operation": "null", "fence": "null", "left": "null"}),
    (2, "op", None, {"operation": "op", "fence": "7", "left": "null"}),
    (2, "op", "ab", {"operation": "op", "fence": "7", "left": "ab"}),
    (2, None, "ab", {"operation": "null", "fence": "null", "left": "ab"}),
    (2, "op", "", {"operation": "op", "fence": "7", "left": "null"}),
]


@pytest.mark.parametrize(("revision", "operation", "left", "more"), LABELS)
def test_labels_say_by_whom_and_what_was_left_and_nothing_of_the_revision_before(
    revision: int, operation: str | None, left: str | None, more: dict[str, str]
) -> None:
    expected = {"revision": str(revision), "source": "abc", **more}
    labels = revision_labels(revision, "abc", operation, fence=7, left=left)
    assert labels == {f"{PREFIX}/{name}": value for name, value in expected.items()}


def test_a_label_holds_enough_of_a_digest() -> None:
    assert short_digest(DIGEST) == "ab" * 20
    # What a label holds may be written once more.
    assert short_digest(short_digest(DIGEST)) == short_digest(DIGEST)
    marked = secret()
    marked["metadata"]["labels"] |= revision_labels(1, "abc", "op", fence=7, left=short_digest(DIGEST))
    assert parse_record(marked).left == short_digest(DIGEST)
    assert parse_record(secret()).left == ""


@pytest.mark.parametrize("revision", ["2", "", "1 "])
def test_what_was_left_counts_for_its_own_revision(revision: str) -> None:
    marked = secret()
    labels = revision_labels(1, "abc", "op", fence=7, left="ab") | {f"{PREFIX}/revision": revision}
    marked["metadata"]["labels"] |= labels
    assert parse_record(marked).left == ""


def test_a_new_record_has_no_label_yet_and_is_dated_by_its_creation() -> None:
    """Helm writes modifiedAt with the first change only; until then a run that died left it pending."""
    item = secret()
    del item["metadata"]["labels"]["modifiedAt"]
    assert parse_record(item).modified_at == datetime(2026, 11, 21, 1, 45, 59, tzinfo=UTC)


def test_a_new_revision_is_not_as_old_as_the_stamp_that_it_inherits() -> None:
    """Helm copies modifiedAt from the revision before, which may be months old."""
    item = secret()
    created = datetime(2026, 11, 21, 1, 45, 59, tzinfo=UTC)
    item["metadata"]["labels"] |= {"modifiedAt": "1700000000", "createdAt": str(int(created.timestamp()))}
    assert parse_record(item).modified_at == created


def zipped(content: bytes) -> bytes:
    # Without the time: contents name their tests, and two workers have to find the same names.
    return gzip.compress(content, mtime=0)


def damaged(**changes: object) -> bytes:
    """Return a packed release with some parts replaced; None leaves a part out."""
    release = {**unpacked(secret()["data"]["release"]), **changes}
    kept = {key: value for key, value in release.items() if value is not None}
    return zipped(json.dumps(kept).encode())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no gzip",
        zipped(b"{}")[:-6],
        zipped(b"no json"),
        zipped(b"\xff\xfe"),
        zipped(b"[]"),
        zipped(b"null"),
        damaged(info=None),
        damaged(info="deployed"),
        damaged(info=[]),
        damaged(chart={"metadata": {"name": "x"}}),
        damaged(chart=7),
        damaged(version="two"),
        damaged(config="text"),
        damaged(config=[1]),
    ],
)
def test_a_damaged_record_is_a_typed_error(content: bytes) -> None:
    item = secret()
    item["data"]["release"] = packed(content)
    with pytest.raises(PlatformError, match=r"sh\.helm\.release\.v1\.rec\.v1") as caught:
        parse_record(item)
    assert caught.value.error_class is ErrorClass.INFRASTRUCTURE


@pytest.mark.parametrize(
    "change", [{"data": {}}, {"data": {"release": 7}}, {"data": {"release": "!"}}, {"data": None}]
)
def test_a_secret_that_is_no_record_is_a_typed_error(change: dict[str, Any]) -> None:
    with pytest.raises(PlatformError) as caught:
        parse_record({**secret(), **change})
    assert caught.value.error_class is ErrorClass.INFRASTRUCTURE


@pytest.mark.parametrize("stamp", ["9" * 30, "²", "soon"])
def test_a_damaged_stamp_is_no_crash(stamp: str) -> None:
    item = secret()
    item["metadata"]["labels"]["modifiedAt"] = stamp
    if stamp == "soon":
        assert parse_record(item).modified_at.year == 2026
        return
    with pytest.raises(PlatformError) as caught:
        parse_record(item)
    assert caught.value.error_class is ErrorClass.INFRASTRUCTURE


@given(st.binary(max_size=200), st.integers(min_value=0, max_value=600))
def test_no_damage_escapes_as_another_error(noise: bytes, position: int) -> None:
    item = secret()
    good = base64.b64decode(base64.b64decode(item["data"]["release"]))
    item["data"]["release"] = packed(good[:position] + noise + good[position + len(noise) :])
    with contextlib.suppress(PlatformError):
        assert parse_record(item).status
