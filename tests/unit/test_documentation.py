# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What several modules document is written once, or where Ansible has no fragments, in the same words."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.markdown import dead_links
from tests.support.playbooks import ROOT
from tests.support.repository import assigned_text, modules

# Options that so many modules have word for word belong into a fragment (plugins/doc_fragments).
TOO_OFTEN = 3
# Options that stay in their modules all the same, with the reason. None so far.
REPEATED: Mapping[str, str] = {}
# Keys of results that mean something else in a module than in the others.
OWN_MEANING = {
    ("resolution", "gpu_capacity_info"): "an answer, not a failure: what to do so that it fits",
    ("steps", "registry_schema"): "migrations, not steps of an operation",
    ("next_after", "registry_info"): "an entry has two names, a row of the log one number",
}


def documentation(module: str, name: str) -> dict[str, Any]:
    """Return a part of a module's documentation as data, without fragments."""
    loaded = yaml.safe_load(assigned_text(ROOT / f"plugins/modules/{module}.py", name))
    return dict(loaded)


def options(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each option and suboption with its content as one text."""
    for name, option in given.items():
        yield name, json.dumps(option, sort_keys=True)
        yield from options(option.get("suboptions") or {})


def repeated_options(documented: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the options that too many modules have word for word, with the modules."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for module, given in documented.items():
        for key in options(given):
            found[key].add(module)
    return {name: sorted(users) for (name, _), users in found.items() if len(users) >= TOO_OFTEN}


def summary(key: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return what has to agree: the first sentence, the type, and what kind of data the sample is."""
    description = key["description"]
    first = description[0] if isinstance(description, list) else description
    sample = key.get("sample")
    shape = "" if sample is None else type(sample).__name__
    return re.split(r"(?<=\.) (?=[A-Z])", first)[0], key["type"], shape


def differing_results(documented: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the keys that modules describe differently, with what each says.

    A module may refer to another one that has the key, and a sample may be left out.
    """
    wrong: dict[str, dict[str, Any]] = {}
    for name in {name for given in documented.values() for name in given}:
        users = {module: given[name] for module, given in documented.items() if name in given}
        told = {
            module: summary(key)
            for module, key in users.items()
            if (name, module) not in OWN_MEANING
            and not any(f"M(llmops.platform.{other})" in str(key["description"]) for other in users)
        }
        words = {(sentence, kind) for sentence, kind, _ in told.values()}
        shapes = {shape for _, _, shape in told.values() if shape}
        if len(words) > 1 or len(shapes) > 1:
            wrong[name] = told
    return wrong


@pytest.mark.parametrize("module", modules())
def test_a_module_without_options_of_its_own_has_no_such_key(module: str) -> None:
    """An empty one keeps Ansible from merging the fragments' options, and from reading anything at all."""
    assert documentation(module, "DOCUMENTATION").get("options", {}) is not None


def test_options_of_several_modules_are_in_a_fragment() -> None:
    found = repeated_options(
        {module: documentation(module, "DOCUMENTATION").get("options") or {} for module in modules()}
    )
    assert {name: users for name, users in found.items() if name not in REPEATED} == {}
    assert set(REPEATED) <= set(found), "an exception that nobody needs any more"


def test_results_of_several_modules_are_described_alike() -> None:
    results = {module: documentation(module, "RETURN") for module in modules()}
    assert differing_results(results) == {}
    for name, module in OWN_MEANING:
        assert name in results[module]
        assert sum(name in given for given in results.values()) > 1


def result_keys(given: Mapping[str, Any]) -> Iterator[str]:
    """Yield the name of each key of a result, those inside others too."""
    for name, key in given.items():
        yield name
        yield from result_keys(key.get("contains") or {})


@pytest.mark.parametrize("module", modules())
def test_times_in_results_say_their_unit(module: str) -> None:
    wrong = re.compile(r"seconds|duration|elapsed|waited")
    assert [name for name in result_keys(documentation(module, "RETURN")) if wrong.fullmatch(name)] == []


def test_the_checks_find_something() -> None:
    same = {"type": "str", "description": "Only this model."}
    inner = {"lock": {"type": "dict", "description": "x", "suboptions": {"model": same}}}
    assert repeated_options({"a": {"model": same}, "b": inner, "c": {"model": same}}) == {
        "model": ["a", "b", "c"]
    }
    assert repeated_options({"a": {"model": same}, "b": inner}) == {}
    assert repeated_options({"a": {"x": same}, "b": {"x": {**same, "type": "int"}}, "c": {"x": same}}) == {}

    key = {"type": "int", "description": "Number of pods.", "sample": 1}
    more = {**key, "description": ["Number of pods. As asked for.", "Another line."]}
    elsewhere = {**key, "type": "dict", "description": "See M(llmops.platform.a)."}
    assert differing_results({"a": {"n": key}, "b": {"n": more}, "c": {"n": elsewhere}}) == {}
    for change in ({"description": "Pods."}, {"type": "str"}, {"sample": "one"}):
        assert set(differing_results({"a": {"n": key}, "b": {"n": {**key, **change}}})) == {"n"}


PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "roles").rglob("*.md")),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert list(dead_links(page, ROOT)) == []


def granted(rules: list[dict[str, list[str]]]) -> set[tuple[str, str, str]]:
    """Return each right of some rules: group, resource, verb."""
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_rights_given_by_hand_are_those_of_the_deployer() -> None:
    page = (ROOT / "docs/deployment-workflow.md").read_text(encoding="utf-8")
    (text,) = (
        block for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "kind: ClusterRole\n" in block
    )
    by_hand = {item["kind"]: item.get("rules") for item in yaml.safe_load_all(text)}
    golden = yaml.safe_load((ROOT / "tests/api/golden/deployer_rights.yml").read_text(encoding="utf-8"))
    assert granted(by_hand["Role"]) == granted(golden["role"])
    assert granted(by_hand["ClusterRole"]) == granted(golden["cluster_role"])
