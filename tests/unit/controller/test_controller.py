# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""AWX as data: judged by its rules for surveys, by awx.awx's argument specs, and by the roles' own."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.llmops.platform.plugins.filter.controller_objects import (
    argument_specs,
    controller_objects,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from ansible_collections.llmops.platform.plugins.module_utils._core.controller.surplus import (
    rights,
    surplus,
    surplus_nodes,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.controller.survey import (
    Question,
    survey_item,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.controller.verbs import VERBS
from tests.support.awx_collection import awx_collections
from tests.support.awx_survey import refusals, untouched_answers
from tests.support.playbooks import ROOT
from tests.support.repository import load_yaml

#: The first of them installs what it runs, which the cache then keeps.
pytestmark = pytest.mark.timeout(900)

ENVIRONMENTS = [
    {"name": "staging", "credentials": ["Cluster staging"], "operators": ["ML"]},
    {
        "name": "prod-eu",
        "tier": "production",
        "promote_from": "staging",
        "credentials": ["Cluster prod-eu"],
        "administrator_credentials": ["Admin prod-eu"],
        "approver_credentials": ["Approver prod-eu"],
        "source_credentials": ["Cluster staging"],
        "operators": ["ML"],
        "approvers": ["Owners"],
        "administrators": ["Platform"],
        "notify_error": ["Pager"],
    },
]
SCHEDULES = [
    {
        "name": "Nightly check",
        "verb": "check",
        "environment": "staging",
        "rrule": "DTSTART;TZID=Europe/Berlin:20260101T060000 RRULE:FREQ=DAILY;INTERVAL=1",
    }
]
#: Playbooks for a workbench: they write a site, start the lab, or make the job templates.
WITHOUT_A_TEMPLATE = {"controller", "lab", "scaffold"}
OF_MODULES = {
    "inventories": "inventory",
    "inventory_sources": "inventory_source",
    "job_templates": "job_template",
    "workflows": "workflow_job_template",
    "nodes": "workflow_job_template_node",
    "teams": "team",
    "roles": "role",
    "schedules": "schedule",
}


def made(**options: Any) -> dict[str, list[dict[str, Any]]]:
    """Return the objects of two environments."""
    given = {"organization": "LLM", "project": "Site", "schedules": SCHEDULES, **options}
    found: dict[str, list[dict[str, Any]]] = controller_objects(
        given.pop("environments", ENVIRONMENTS), **given
    )
    return found


OBJECTS = made()
TEMPLATES = [*OBJECTS["job_templates"], *OBJECTS["workflows"]]


def test_every_playbook_has_a_job_template() -> None:
    playbooks = {path.name for path in (ROOT / "playbooks").glob("*.yml")}
    offered = {item["playbook"] for item in OBJECTS["job_templates"]}
    assert offered == playbooks - {f"{name}.yml" for name in WITHOUT_A_TEMPLATE}


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda item: item["name"])
def test_awx_takes_the_survey(template: dict[str, Any]) -> None:
    if template["survey_enabled"]:
        assert list(refusals(template["survey_spec"])) == []
    else:
        assert template["survey_spec"] == {}


@pytest.mark.parametrize("verb", VERBS)
def test_a_survey_that_nobody_touched_is_what_the_role_does_anyway(verb: str) -> None:
    """The answers pass the role's own validation; those that are empty count as not given."""
    row = VERBS[verb]
    (*_, template) = [item for item in OBJECTS["job_templates"] if item["name"].startswith(f"{row.title} (")]
    options = row.options or argument_specs()[row.role][row.entry]
    answers = untouched_answers(template["survey_spec"])
    assert answers.keys() <= options.keys()
    given = {name: answer for name, answer in answers.items() if answer != ""}
    asked = {name: {**options[name], "required": False} for name in answers}
    for name, spec in asked.items():
        spec.pop("default", None)
        assert spec.get("type", "str") != "dict" or answers[name] == "", name
    validated = ArgumentSpecValidator(asked).validate(given)
    assert validated.error_messages == []
    for name, value in given.items():
        declared = options[name].get("default")
        written = isinstance(declared, str) and "{{" in declared
        if not written and declared is not None and row.questions:
            assert validated.validated_parameters[name] == declared, (name, value)


def _modules() -> Iterator[tuple[str, dict[str, Any]]]:
    for kind, module in OF_MODULES.items():
        for item in OBJECTS[kind]:
            yield module, item


class _Asked(Exception):  # noqa: N818
    """Ends a module that has said which arguments it takes."""


@pytest.fixture(scope="module")
def specs() -> Iterator[dict[str, dict[str, Any]]]:
    """Return the argument specs of awx.awx's modules, as they hand them to Ansible."""
    import ansible_collections

    before, path = list(ansible_collections.__path__), awx_collections() / "ansible_collections"
    ansible_collections.__path__ = [*before, str(path)]
    found: dict[str, dict[str, Any]] = {}
    try:
        for name in OF_MODULES.values():
            module = importlib.import_module(f"ansible_collections.awx.awx.plugins.modules.{name}")

            def ask(argument_spec: dict[str, Any], name: str = name, **_more: Any) -> None:
                found[name] = argument_spec
                raise _Asked

            module.ControllerAPIModule = ask  # type: ignore[attr-defined]
            with pytest.raises(_Asked):
                module.main()
        yield found
    finally:
        ansible_collections.__path__ = before


@pytest.mark.parametrize(("module", "item"), list(_modules()), ids=lambda value: str(value)[:60])
def test_awx_awx_takes_what_it_is_given(
    module: str, item: dict[str, Any], specs: dict[str, dict[str, Any]]
) -> None:
    validated = ArgumentSpecValidator(specs[module]).validate(item)
    assert validated.error_messages == []


def test_awx_awx_refuses_what_it_does_not_know(specs: dict[str, dict[str, Any]]) -> None:
    """The judge judges."""
    item = {**OBJECTS["job_templates"][0], "no_such_argument": 1}
    assert ArgumentSpecValidator(specs["job_template"]).validate(item).error_messages


def test_the_playbook_parses_with_awx_awx(tmp_path: Path) -> None:
    wanted = {"controller_project": {"name": "Site"}, "controller_environments": ENVIRONMENTS}
    (tmp_path / "awx.yml").write_text(yaml.safe_dump(wanted), "utf-8")
    paths = os.pathsep.join((str(ROOT / "build/collections"), str(awx_collections())))
    found = subprocess.run(
        [
            str(Path(sys.executable).parent / "ansible-playbook"),
            *("--syntax-check", str(ROOT / "playbooks/controller.yml"), "-e", f"@{tmp_path / 'awx.yml'}"),
        ],
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": paths, "LC_ALL": "C.UTF-8"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr


def test_links_lead_to_nodes_that_are_made_before() -> None:
    """The role makes them from the end."""
    known: set[str] = set()
    for node in reversed(OBJECTS["nodes"]):
        links = {*node["success_nodes"], *node["failure_nodes"], *node["always_nodes"]}
        assert links <= known, node
        known.add(node["identifier"])


def test_a_promotion_that_failed_ends_the_workflow_as_failed() -> None:
    """AWX takes a failure for handled where a link leads on from it."""
    (promotion,) = [node for node in OBJECTS["nodes"] if node["identifier"] == "promote"]
    assert not promotion["failure_nodes"]
    assert not promotion["always_nodes"]


@pytest.mark.parametrize(
    ("tier", "told"),
    [("production", ["another reason", "its output", "Approve promotions (eu)"]), ("staging", ["gates"])],
)
def test_who_agrees_is_told_where_to_look(tier: str, told: list[str]) -> None:
    """In production every failure of the first job leads there."""
    place = {"name": "eu", "tier": tier, "promote_from": "development"}
    (agree,) = [node for node in made(environments=[place], schedules=[])["nodes"] if "approval_node" in node]
    assert [text for text in told if text not in agree["approval_node"]["description"]] == []


def test_templates_that_are_named_exist() -> None:
    names = {item["name"] for item in TEMPLATES}
    for node in OBJECTS["nodes"]:
        assert "approval_node" in node or node["unified_job_template"] in names
    for role in OBJECTS["roles"]:
        assert {*role.get("job_templates", ()), *role.get("workflows", ())} <= names
    assert {item["unified_job_template"] for item in OBJECTS["schedules"]} <= names


def test_a_source_names_only_what_is_given() -> None:
    """By an empty name the module looks for one of all credentials, and finds several."""
    named = {"credential": "Vault", "execution_environment": "EE"}
    assert OBJECTS["inventory_sources"][0].keys().isdisjoint(named)
    environment = {**ENVIRONMENTS[0], "inventory_credential": "Vault"}
    objects = made(environments=[environment], execution_environment="EE", schedules=[])
    assert named.items() <= objects["inventory_sources"][0].items()


def test_only_approvers_approve() -> None:
    for role in OBJECTS["roles"]:
        titles = role.get("job_templates", ())
        if role["role"] == "approval" or any(title.startswith("Approve") for title in titles):
            assert role["teams"] == ["Owners"]


def _template(title: str, place: str, **options: Any) -> dict[str, Any] | None:
    found = made(**options)["job_templates"]
    return next((item for item in found if item["name"] == f"{title} ({place})"), None)


def test_in_production_no_job_goes_round_the_approval() -> None:
    """Neither over what was promoted, nor with values that are in no inventory; unless that is asked for."""
    for place, open_to_all in (("staging", True), ("prod-eu", False)):
        deploy = _template("Deploy models", place)
        assert deploy is not None
        asked = {item["variable"] for item in deploy["survey_spec"]["spec"]}
        assert ("vllm_promoted" in asked) == open_to_all
        assert (_template("Deploy a model of no inventory", place) is not None) == open_to_all
    named = [{"name": "production", "verbs": ["deploy_model"]}]
    template = _template("Deploy a model of no inventory", "production", environments=named, schedules=[])
    assert template is not None


@pytest.mark.parametrize(
    ("given", "approving", "promoting"),
    [
        ({}, ["Registry"], ["Registry"]),
        ({"approver_credentials": ["Approver"]}, ["Approver"], ["Registry"]),
    ],
)
def test_approvers_may_have_a_login_of_their_own(
    given: dict[str, Any], approving: list[str], promoting: list[str]
) -> None:
    """So that ``approval_by_other_login`` can be met."""
    place = {"name": "production", "credentials": ["Registry"], **given}
    options: dict[str, Any] = {"environments": [place], "schedules": []}
    for title, wanted in (("Approve promotions", approving), ("Promote models", promoting)):
        template = _template(title, "production", **options)
        assert template is not None
        assert template["credentials"] == wanted


def test_nobody_gives_variables_unless_alerts_do() -> None:
    """Whoever gives any variable may say where the credentials go."""
    assert not any(item["ask_variables_on_launch"] for item in OBJECTS["job_templates"])
    asked = made(started_by_alerts=["rollback"])["job_templates"]
    names = [item["name"] for item in asked if item["ask_variables_on_launch"]]
    assert names == ["Roll back models (staging)", "Roll back models (prod-eu)"]


def _defaults(role: str) -> dict[str, Any]:
    return dict(load_yaml(ROOT / "roles" / role / "defaults/main.yml"))


def test_jobs_may_take_longer_than_what_they_do() -> None:
    """AWX would kill it in the middle otherwise."""
    defaults = _defaults("vllm")
    longest = 2 * sum(defaults[f"vllm_{part}_timeout"] for part in ("capacity", "helm", "verify")) + 3600
    for verb in ("deploy", "promote", "rollback", "remove"):
        assert VERBS[verb].timeout > longest + 90, verb


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"environments": []}, "names no environment"),
        ({"environments": [{"name": "Not A Label"}]}, "controller_environments"),
        ({"environments": [{"name": "qa"}]}, "tier"),
        ({"environments": [{"name": "staging"}, {"name": "staging"}]}, "is there twice"),
        ({"environments": [{"name": "staging", "verbs": ["fly"]}]}, "is no verb"),
        ({"environments": [{"name": "staging", "operator": ["x"]}]}, "is no setting"),
        ({"environments": [{"name": "staging", "operators": "x"}]}, "is no list"),
        ({"started_by_alerts": ["fly"]}, "is no verb"),
        ({"schedules": [{"name": "x", "verb": "check", "environment": "staging"}]}, "says no rrule"),
        ({"schedules": [{**SCHEDULES[0], "environment": "qa"}]}, "is no job template"),
        ({"schedules": [{**SCHEDULES[0], "rrule": "FREQ=DAILY"}]}, "is no rule that AWX takes"),
    ],
)
def test_bad_input_is_named(change: dict[str, Any], named: str) -> None:
    with pytest.raises(Exception, match=named):
        made(**change)


@pytest.mark.parametrize("verb", VERBS)
def test_a_schedule_names_the_models_where_the_playbook_wants_it(verb: str) -> None:
    given = {**SCHEDULES[0], "verb": verb}
    if VERBS[verb].needs_limit:
        for limit in ("", "  ", " ,"):
            with pytest.raises(Exception, match="names no models"):
                made(schedules=[{**given, "limit": limit}])
    else:
        assert made(schedules=[given])["schedules"][0]["limit"] == ""
    assert made(schedules=[{**given, "limit": "tiny"}])["schedules"][0]["limit"] == "tiny"


def test_the_table_knows_which_playbooks_want_a_limit() -> None:
    for name, verb in VERBS.items():
        text = (ROOT / "playbooks" / verb.playbook).read_text(encoding="utf-8")
        wants = "Name the models with --limit" in text and (
            name == "remove" or verb.playbook not in ("deploy.yml", "gitops.yml")
        )
        assert verb.needs_limit == wants, name


@pytest.mark.parametrize(
    ("name", "gone"),
    [
        ("Fly models (staging)", True),
        # It is wanted.
        ("Check models (staging)", False),
        # Of another site, or of an environment that another run makes.
        ("Check models (qa)", False),
        ("Check models (eu-staging)", False),
        ("Check models staging", False),
        ("(staging) Check models", False),
    ],
)
def test_which_templates_go(name: str, gone: bool) -> None:
    there = [{"name": name}, {"name": "Check models (staging)"}, {"name": name}]
    wanted = OBJECTS["job_templates"]
    assert surplus(there, wanted, ["staging", "prod-eu"]) == ([name] if gone else [])


def _there(number: int, name: str, *roles: str) -> dict[str, Any]:
    ids = {f"{role}_role": {"id": 10 * number + at} for at, role in enumerate(roles)}
    return {"id": number, "name": name, "summary_fields": {"object_roles": ids}}


def test_whose_rights_are_looked_at() -> None:
    """Those to start and to approve, and only on what this run makes."""
    there = {
        "job_templates": [
            _there(1, "Deploy models (prod-eu)", "admin", "execute", "read"),
            _there(2, "Approve promotions (staging)", "execute"),
            _there(3, "Of another site (prod-eu)", "execute"),
        ],
        "workflows": [_there(4, "Promote models through gates (prod-eu)", "execute", "approval")],
    }
    assert [*rights(there, OBJECTS)] == [
        {"role": "execute", "role_id": 11, "job_templates": ["1"], "teams": ["ML"]},
        # Nobody may approve there.
        {"role": "execute", "role_id": 20, "job_templates": ["2"], "teams": []},
        {"role": "execute", "role_id": 40, "workflows": ["4"], "teams": ["ML"]},
        {"role": "approval", "role_id": 41, "workflows": ["4"], "teams": ["Owners"]},
    ]


def test_what_awx_does_not_take_away() -> None:
    job = {"summary_fields": {"unified_job_template": {"unified_job_type": "job"}}}
    waits = {"summary_fields": {"unified_job_template": {"unified_job_type": "workflow_approval"}}}
    there = [{"identifier": "gates", **job}, {"identifier": "agree", **waits}, {"identifier": "old", **job}]
    assert surplus_nodes(there, OBJECTS["nodes"]) == ["old"]
    swapped = [{"identifier": "gates", **waits}, {"identifier": "agree", **job}]
    assert surplus_nodes(swapped, OBJECTS["nodes"]) == ["gates", "agree"]


@pytest.mark.parametrize(
    ("option", "found"),
    [
        (
            {"type": "bool", "default": True},
            {"type": "multiplechoice", "default": "yes", "choices": ["yes", "no"]},
        ),
        ({"type": "int", "default": 3}, {"type": "integer", "default": 3}),
        ({"type": "str", "no_log": True}, {"type": "password", "default": ""}),
        ({"type": "dict"}, {"type": "textarea", "default": ""}),
        ({"type": "str", "default": "{{ x }}"}, {"type": "text", "default": ""}),
        ({"choices": ["a", "b"], "default": "b"}, {"type": "multiplechoice", "default": "b"}),
    ],
)
def test_questions(option: dict[str, Any], found: dict[str, Any]) -> None:
    assert found.items() <= survey_item(Question("x", "X"), option).items()


@pytest.mark.parametrize("option", [{"type": "int"}, {"choices": ["a"]}, {"type": "raw"}])
def test_questions_that_would_break_a_launch(option: dict[str, Any]) -> None:
    with pytest.raises(PlatformError):
        survey_item(Question("x", "X"), option)


def test_the_table_of_the_guide_is_the_table() -> None:
    guide = (ROOT / "docs/awx.md").read_text(encoding="utf-8")
    for name, verb in VERBS.items():
        asked = ", ".join(f"`{question.option}`" for question in verb.questions)
        assert f"| `{name}` | {verb.title} | `{verb.playbook}` | {verb.audience} | {asked} |" in guide, name
