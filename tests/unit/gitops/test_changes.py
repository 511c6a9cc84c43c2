# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is changed about a target's files, as a table of what is there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.changes import (
    annotations_of,
    changes_for,
    removal_of,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.count import Count
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.layout import Layout
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.tree import Changes
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.wanted import (
    Wanted,
    wanted_again,
    wanted_by,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.release.recorded import Recorded
from tests.support.chart import MODEL
from tests.support.git_files import OPTIONS, Files, request

LAYOUT = Layout.below("models")
APPLICATION = f"models/applications/vllm-{request().name}.yaml"
VALUES = f"models/values/vllm-{request().name}.yaml"


def plan(files: Files, wanted: Wanted | None = None, writer: str = OPTIONS.writer) -> Changes:
    return changes_for(wanted or wanted_by(request()), replace(OPTIONS, writer=writer), LAYOUT, files)


def written(**options: Any) -> Files:
    files = Files()
    files.apply(plan(files, wanted_by(request(**options))))
    return files


def recorded(**changes: Any) -> Recorded:
    wanted = wanted_by(request())
    chart = wanted.chart
    fields = {
        "revision": 2,
        "digest": "sha256:m",
        "objects": [],
        "values": wanted.values,
        "values_redacted": False,
        "chart_name": chart.name,
        "chart_version": chart.version,
        "chart_digest": chart.digest,
    }
    return Recorded(**{**fields, **changes})


def test_a_new_target_gets_two_files_and_its_chart() -> None:
    changes = plan(Files())
    (chart,) = changes.folders
    assert changes.paths == sorted([APPLICATION, VALUES, f"{chart}/"])
    assert f"path: {chart}\n" in changes.writes[APPLICATION].decode()
    assert {"Chart.yaml", "values.yaml", "templates/deployment.yaml.tpl"} <= set(changes.folders[chart])


def test_the_same_again_changes_nothing() -> None:
    assert not plan(written())


def test_other_values_are_the_next_revision() -> None:
    changes = plan(written(), wanted_by(request(values={"replicas": 3})))
    assert changes.paths == [APPLICATION, VALUES]
    lines = [set(text.splitlines()) for text in (changes.before[APPLICATION], changes.writes[APPLICATION])]
    assert lines[1] - lines[0] == {b'    llmops.platform/revision: "2"'}


def test_what_is_gone_back_from_stands_with_the_revision_and_no_longer() -> None:
    files = written()
    for replicas, left, expected in ((2, "sha256:0abc", b"0abc"), (3, None, None)):
        wanted = wanted_by(request(values={"replicas": replicas}))
        files.apply(changes_for(wanted, OPTIONS, LAYOUT, files, left))
        count = Count.of(annotations_of(files.content[APPLICATION]))
        assert (count.revision, count.left.encode() or None) == (replicas, expected)
        # The same again is no other revision, whatever it is said to go back from.
        assert not changes_for(wanted, OPTIONS, LAYOUT, files, "sha256:other")


def test_files_from_before_revisions_were_counted_stay_as_they_are() -> None:
    files = written()
    counted = files.content[APPLICATION]
    files.content[APPLICATION] = counted.replace(b'    llmops.platform/revision: "1"\n', b"")
    assert files.content[APPLICATION] != counted
    assert not plan(files)
    changes = plan(files, wanted_by(request(values={"replicas": 3})))
    assert b'llmops.platform/revision: "2"' in changes.writes[APPLICATION]


def test_another_target_has_files_of_its_own_and_shares_the_chart() -> None:
    files = written(model="org/other")
    before = dict(files.content)
    changes = plan(files)
    assert changes.paths == [APPLICATION, VALUES]
    files.apply(changes)
    assert before.items() <= files.content.items()


def test_a_hand_s_change_is_written_over() -> None:
    files = written()
    files.content[VALUES] += b"replicas: 7\n"
    changes = plan(files)
    assert changes.paths == [APPLICATION, VALUES]
    assert changes.before[VALUES].endswith(b"replicas: 7\n")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"writer: llmops.platform", b"writer: somebody", "lets 'somebody' write it"),
        (b"    llmops.platform/writer: llmops.platform\n", b"", "names nobody who may write it"),
        (b"llmops.platform/model-name: meta-llama/", b"llmops.platform/model-name: other/", "another model"),
        (b"apiVersion", b"{[", "names nobody"),
        (b"apiVersion", b"since: !!timestamp 2024-13-45\napiVersion", "names nobody"),
        (b"apiVersion", b"self: &a [*a]\napiVersion", "names nobody"),
    ],
)
def test_an_application_of_somebody_else_is_left_alone(old: bytes, new: bytes, said: str) -> None:
    files = written()
    assert old in files.content[APPLICATION]
    files.content[APPLICATION] = files.content[APPLICATION].replace(old, new)
    with pytest.raises(PlatformError, match=said):
        plan(files)
    with pytest.raises(PlatformError, match=said):
        removal_of(request(), OPTIONS.writer, LAYOUT, files)


def test_another_writer_needs_consent() -> None:
    with pytest.raises(PlatformError, match=r"lets 'llmops\.platform' write it"):
        plan(written(), writer="somebody")


def test_a_chart_that_was_changed_is_refused_and_not_mended() -> None:
    files = written()
    (path,) = [name for name in files.content if name.endswith("templates/service.yaml.tpl")]
    files.content[path] += b"\n"
    with pytest.raises(PlatformError, match="stays as it was written"):
        plan(files)


def test_what_git_keeps_beside_a_chart_is_no_part_of_it() -> None:
    files = written()
    folder = next(name for name in files.content if name.endswith("/Chart.yaml")).rpartition("/")[0]
    files.content[f"{folder}/.gitattributes"] = b"* text=auto\n"
    assert not plan(files)


def test_a_removal_leaves_the_charts() -> None:
    files = written()
    files.apply(removal_of(request(), OPTIONS.writer, LAYOUT, files))
    kept = "models/applications/.gitkeep"
    assert {name.split("/")[1] for name in files.content if name != kept} == {"charts"}
    # Else the folder would go with its last file, which is an error for the Application that follows it.
    assert files.content[kept] == b""
    assert not removal_of(request(), OPTIONS.writer, LAYOUT, files)


def test_a_recorded_revision_comes_back_with_the_chart_that_was_kept() -> None:
    first = written()
    files = written(values={"replicas": 3})
    files.apply(plan(files, wanted_again(recorded(), request())))
    assert Count.of(annotations_of(files.content.pop(APPLICATION))).revision == 2
    assert files.content.items() <= first.content.items()


def test_a_chart_that_was_not_kept_is_told() -> None:
    with pytest.raises(PlatformError, match="is not in the repository"):
        plan(Files(), wanted_again(recorded(), request()))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"values_redacted": True}, "secrets in plain text"),
        (
            {"values": {"model": {"name": "org/other"}, "environment": "staging"}},
            "not recorded for this model",
        ),
        ({"values": {"model": {"name": MODEL}, "environment": "production"}}, "not recorded for this model"),
        ({"values": {}}, "not recorded for this model"),
        ({"chart_digest": ""}, "is no SHA-256"),
        ({"chart_version": "../.."}, "is no version"),
    ],
)
def test_a_record_that_cannot_be_gone_back_to_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(PlatformError, match=said) as caught:
        plan(written(), wanted_again(recorded(**changes), request()))
    assert caught.value.error_class is ErrorClass.INVALID


def test_a_name_beside_a_chart_that_is_no_text_counts_as_a_change() -> None:
    files = written()
    folder = next(name for name in files.content if name.endswith("/Chart.yaml")).rpartition("/")[0]
    files.content[f"{folder}/bad\udcff.txt"] = b"x"
    with pytest.raises(PlatformError, match="stays as it was written"):
        plan(files)


def test_half_a_character_is_refused() -> None:
    with pytest.raises(PlatformError, match=r"^chart_values: .*half a character"):
        plan(Files(), wanted_by(request(values={"podAnnotations": {"x": "a\udcffb"}})))


@pytest.mark.parametrize(
    ("values", "writer", "said"),
    [
        (b"mine: true\n", "llmops.platform", "names nobody who may write it"),
        (None, "somebody", "lets 'llmops.platform' write it"),
    ],
)
def test_values_without_an_application_are_left_to_whoever_wrote_them(
    values: bytes | None, writer: str, said: str
) -> None:
    files = written()
    del files.content[APPLICATION]
    files.content[VALUES] = values or files.content[VALUES]
    with pytest.raises(PlatformError, match=said):
        plan(files, writer=writer)
    with pytest.raises(PlatformError, match=said):
        removal_of(request(), writer, LAYOUT, files)


def test_values_that_a_run_left_behind_are_taken_up_again() -> None:
    for writer in ("llmops.platform", "somebody"):
        files = Files()
        files.apply(plan(files, writer=writer))
        del files.content[APPLICATION]
        files.content[VALUES] = b"# a remark\r\n" + files.content[VALUES].replace(b"\n", b"\r\n")
        assert plan(files, writer=writer).paths == [APPLICATION, VALUES]
        assert removal_of(request(), writer, LAYOUT, files).removals == (VALUES,)
