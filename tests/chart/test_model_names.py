# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A model's name is input from outside: whatever it holds, it arrives literally and nowhere else."""

from __future__ import annotations

import functools
import json

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.chart import MODEL, HelmChart, Rendered, expand, option, started_arguments

HOSTILE = (
    'quote"s and \'others\' and `ticks`',
    "{{ .Values.secrets }} {{ fail \"x\" }}",
    "{% raw %} }} {{",
    "$(MODEL_PATH) $$(HOST) $$ $ $(",
    "line\nbreak: yes\n---\nkind: Secret",
    "# comment: - [a, {b: c}] & *anchor !!tag | > %",
    "tab\tcarriage\rbell\x07delete\x7f",
    "modèle/模型/😀/\u200b\ufeff\u2028\x85",
    "$(touch /tmp/x); `reboot` && true | sh",
    "null", "true", "~", "1e3", "0x10", "2026-11-21", " ", "a" * 300,
)  # fmt: skip

# Characters that mean something to YAML, to Helm's templates, to Kubernetes or to a shell come up often.
_PIECES = st.sampled_from(
    ["{{", "}}", "$(", "$$", ")", '"', "'", "\\", "\n", ": ", "- ", "#", "/", "\u2028", "😀"]
)
_CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\x00")
_NAMES = st.lists(st.one_of(_PIECES, st.text(_CHARACTERS, max_size=6)), min_size=1, max_size=12).map("".join)


def assert_literal(chart: HelmChart, name: str) -> None:
    """Render with the name; compare where it must be, and what must not have changed."""
    plain = _plain(chart)
    rendered = chart.render({"model": {"name": name}}, environment="staging")

    arguments = started_arguments(rendered)
    assert arguments[:2] == ["serve", name]
    assert option(rendered, "--served-model-name") == name
    assert rendered.one("ConfigMap")["data"]["MODEL_PATH"] == name

    environment = {item["name"]: item.get("value", "") for item in _test_container(rendered)["env"]}
    assert json.loads(expand(environment["REQUEST_BODY"], {}))["model"] == name

    assert [item["kind"] for item in rendered.objects] == [item["kind"] for item in plain.objects]
    for item, same in zip(rendered.objects, plain.objects, strict=True):
        assert item["metadata"]["annotations"]["llmops.platform/model-name"] == name
        assert item["metadata"]["labels"] == same["metadata"]["labels"]
    assert rendered.one("NetworkPolicy")["spec"]["ingress"] == plain.one("NetworkPolicy")["spec"]["ingress"]
    assert rendered.one("PrometheusRule")["spec"] == plain.one("PrometheusRule")["spec"]


@functools.cache
def _plain(chart: HelmChart) -> Rendered:
    return chart.render({"model": {"name": MODEL}}, environment="staging")


def _test_container(rendered: Rendered) -> dict[str, list[dict[str, str]]]:
    (container,) = rendered.one("Pod")["spec"]["containers"]
    return dict(container)


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_arrive_literally(each_helm: HelmChart, name: str) -> None:
    assert_literal(each_helm, name)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_NAMES.filter(lambda name: not name.startswith("-")).filter(bool))
@example("$$(MODEL_PATH)")
def test_any_name_arrives_literally(chart: HelmChart, name: str) -> None:
    assert_literal(chart, name)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_extra_arguments_arrive_literally(chart: HelmChart, text: str) -> None:
    rendered = chart.render({"model": {"extraArgs": [f"--chat-template={text}"]}})
    assert started_arguments(rendered)[-1] == f"--chat-template={text}"
