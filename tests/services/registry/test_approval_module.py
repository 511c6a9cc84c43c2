# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module registry_approval, as a user calls it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from ansible_collections.llmops.platform.plugins.module_utils._module import Context, Outcome
from ansible_collections.llmops.platform.plugins.modules import registry_approval
from tests.services.registry.conftest import _defaults
from tests.support.playbooks import PlayResult, PlayRunner
from tests.support.postgres import Server

Query = Callable[..., list[tuple[Any, ...]]]
MANIFEST, OTHER, GATES = "a" * 64, "ab" * 32, "c" * 64
ASK = {
    "state": "requested", "source_environment": "staging", "manifest_digest": MANIFEST,
    "gate_set_digest": GATES, "actor": "alice@laptop",
}  # fmt: skip
Say = Callable[..., Outcome]


@pytest.fixture
def database_name(migrated_database_name: str) -> str:
    """Return the name of a fresh database that has the schema."""
    return migrated_database_name


@pytest.fixture
def say(dsn: str, query: Query) -> Say:
    """Return a function that runs the module; staging has two manifests on record."""
    for revision, digest in enumerate((MANIFEST, f"sha256:{OTHER}"), 1):
        query(
            "INSERT INTO deployment_manifests (model_name, deployment_environment, release_name,"
            " release_revision, manifest_digest) VALUES ('m', 'staging', 'm', %s, %s)",
            (revision, digest),
        )

    def run(check: bool = False, **arguments: Any) -> Outcome:
        given = {"dsn": dsn, "model": "m", "environment": "prod-eu", "actor": "bob", **arguments}
        return registry_approval.run(
            _defaults(registry_approval.ARGUMENT_SPEC, given), Context(check_mode=check, diff=True)
        )

    return run


def test_check_mode_says_what_a_run_then_does(say: Say, query: Query) -> None:
    for arguments in (
        ASK,
        {"reason": "evaluated"},
        {"state": "withdrawn", "reason": "it leaks"},
    ):
        before = query("SELECT count(*) FROM promotion_approvals")
        planned = say(check=True, **arguments)
        assert query("SELECT count(*) FROM promotion_approvals") == before
        done, again = say(**arguments), say(**{"manifest_digest": MANIFEST[:8], **arguments})
        assert (planned.changed, done.changed, again.changed) == (True, True, False)
        for outcome in (done, again):
            assert outcome.result["approval"]["id"] is not None
        own = ("id", "login", "requested_login", "request_id", "created_at", "expires_at")
        assert {k: v for k, v in planned.result["approval"].items() if k not in own} == {
            k: v for k, v in done.result["approval"].items() if k not in own
        }
        assert done.diff is not None
        assert again.diff is not None
        assert done.diff["before"] != done.diff["after"]
        assert again.diff["before"] == again.diff["after"] == done.diff["after"]
    assert query("SELECT kind, actor, reason, login FROM promotion_approvals ORDER BY id") == [
        ("requested", "alice@laptop", None, "postgres"),
        ("approved", "bob", "evaluated", "postgres"),
        ("withdrawn", "bob", "it leaks", "postgres"),
    ]


def test_an_approval_is_said_in_one_line(say: Say) -> None:
    say(**ASK)
    outcome = say(expires_in=600, reason="evaluated")
    found = outcome.result["approval"]
    assert found["requested_by"] == "alice@laptop"
    assert found["holds"] is True
    assert outcome.result["line"] == (
        f"m {MANIFEST[:12]} from staging to prod-eu, gates {GATES[:12]}, approved by bob until"
        f" {found['expires_at']}: evaluated"
    )


def test_a_manifest_is_named_by_its_beginning(say: Say, query: Query) -> None:
    # Both on record begin with "a", but not with eight of them.
    first = say(**ASK | {"manifest_digest": "aaaaaaaa"}).result["approval"]
    assert first["manifest_digest"] == f"sha256:{MANIFEST}"
    say(**ASK | {"manifest_digest": f"sha256:{OTHER[:9]}"})
    with pytest.raises(PlatformError, match="Several promotions may be meant") as failure:
        say()
    assert MANIFEST[:12] in failure.value.message
    assert say(manifest_digest=OTHER[:8]).result["approval"]["manifest_digest"] == f"sha256:{OTHER}"
    assert say().result["approval"]["manifest_digest"] == f"sha256:{MANIFEST}"
    query(
        "INSERT INTO deployment_manifests (model_name, deployment_environment, release_name,"
        " release_revision, manifest_digest) VALUES ('m', 'staging', 'm', 3, %s)",
        ("a" * 9 + "b" * 55,),
    )
    with pytest.raises(PlatformError, match="is the beginning of 2 manifests"):
        say(**ASK | {"manifest_digest": "aaaaaaaa"})


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (ASK | {"manifest_digest": "f" * 64}, "is no manifest of m that is on record in staging"),
        (ASK | {"source_environment": "prod-eu"}, "on record in prod-eu"),
        (ASK | {"actor": "unknown@pod"}, "does not say which person acts"),
        (ASK | {"gate_set_digest": "c" * 8}, "gate_set_digest: .* is no SHA-256"),
        (ASK | {"manifest_digest": "aaaa"}, "is no beginning"),
        ({}, "Nobody asks to promote m to prod-eu"),
        ({"state": "withdrawn"}, "reason: None is missing"),
        ({"state": "withdrawn", "reason": " "}, "reason: ' ' is missing"),
        ({"expires_in": 2_592_001}, "expires_in: "),
        ({"expires_in": float("nan")}, "expires_in: "),
        ({"environment": "PROD"}, "environment: "),
        ({"source_environment": "PROD"}, "source_environment: "),
    ],
)
def test_a_mistake_is_named(say: Say, query: Query, wrong: dict[str, Any], told: str) -> None:
    for check in (True, False):
        with pytest.raises(PlatformError, match=told) as failure:
            say(check, **wrong)
        assert failure.value.error_class == "invalid"
    assert query("SELECT count(*) FROM promotion_approvals") == [(0,)]


def test_whoever_asked_does_not_approve(say: Say) -> None:
    say(**ASK)
    for check in (True, False):
        with pytest.raises(PlatformError, match="'ALICE' asked for this promotion, as 'alice@laptop'"):
            say(check, actor="ALICE")


def test_withdrawing_nothing_changes_nothing(say: Say) -> None:
    outcome = say(state="withdrawn", reason="no")
    assert (outcome.changed, outcome.result["approval"]) == (False, None)


def test_a_login_of_another_environment_is_refused(
    say: Say, server: Server, query: Query, database_name: str
) -> None:
    say(**ASK)
    user, group = f"other_{database_name}", f"llmops_deployer_{database_name}"
    query(f"CREATE ROLE {group} NOLOGIN IN ROLE llmops_environment_deployer")
    query(f"CREATE ROLE {user} LOGIN PASSWORD 'weak' IN ROLE {group}")
    try:
        with pytest.raises(PlatformError, match="may do nothing in the environment prod-eu") as failure:
            say(dsn=server.dsn(database_name, user=user, password="weak"))
        assert failure.value.error_class == "auth"
    finally:
        query(f"DROP ROLE {user}, {group}")


def test_the_playbook_approves_what_somebody_asked_for(
    say: Say, query: Query, dsn: str, tmp_path: Path
) -> None:
    say(**ASK)
    shared = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "vllm_model": "m",
        "vllm_environment": "prod-eu",
        "registry_dsn": dsn,
        "awx_user_name": "Bob",
    }
    inventory = {"models": {"hosts": {"tiny": shared, "other": shared}}}

    def play(*arguments: str, **variables: Any) -> PlayResult:
        result = PlayRunner(tmp_path).run(
            "llmops.platform.approve", inventory=inventory, arguments=arguments, extra_vars=variables
        )
        assert "c4n@ry" not in result.output
        return result

    assert "Name the models with --limit" in play().output
    assert "Digests are one model" in play("--limit", "tiny,other", digest=MANIFEST[:12]).output
    approved = play("--limit", "tiny", reason="evaluated", digest=MANIFEST[:12]).check()
    assert f"tiny: m {MANIFEST[:12]} from staging to prod-eu" in approved.output
    assert approved.changed
    assert not say(actor="carol").changed
    assert play("--limit", "tiny", reason="it leaks", approve="withdrawn").check().changed
    assert query("SELECT kind, actor, reason FROM promotion_approvals ORDER BY id") == [
        ("requested", "alice@laptop", None),
        ("approved", "Bob", "evaluated"),
        ("withdrawn", "Bob", "it leaks"),
    ]
