# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a health checker sees for a while becomes a verdict on the manifest, by the database's rules.

Time passes by moving what the table remembers into the past.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.connection import Database
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.verifications import (
    Verdict,
    newest,
    record,
)
from ansible_collections.llmops.platform.plugins.module_utils._module import Context, Outcome
from ansible_collections.llmops.platform.plugins.modules import health_check_rules
from tests.services.registry.conftest import Run, fresh_database
from tests.support.postgres import Server

Query = Callable[..., list[tuple[Any, ...]]]
Watch = Callable[..., str | None]

DIGEST, OTHER = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
SOAK_S = 900
VERDICTS = "SELECT verdict, manifest_digest, deployment_environment FROM manifest_verifications ORDER BY id"
PASSED, REVOKED = ("passed", DIGEST, "staging"), ("revoked", DIGEST, "staging")


@pytest.fixture
def database_name(migrated_database_name: str) -> str:
    """Return the name of a fresh database that has the schema."""
    return migrated_database_name


@pytest.fixture(autouse=True)
def _model(query: Query) -> None:
    query(
        "INSERT INTO model_registry_entries (model_name, deployment_environment, deployment_status,"
        " deployment_endpoint, manifest_digest) VALUES ('m', 'staging', 'ready', 'http://m:8000', %s)",
        (DIGEST,),
    )


@pytest.fixture
def watch(query: Query) -> Watch:
    """Return a function that lets time pass and then records checks, one a second; it returns the status."""

    def run(*checks: bool, after_s: float = 1, latency_s: float | None = 0.25) -> Any:
        status = None
        for healthy in checks:
            query(
                "UPDATE health_checks SET soak_from = soak_from - make_interval(secs => %(s)s),"
                " last_checked_at = last_checked_at - make_interval(secs => %(s)s)",
                {"s": after_s},
            )
            ((status,),) = query(
                "SELECT record_health_check('m', 'staging', row_version, %s, %s, %s)"
                " FROM model_registry_entries",
                (healthy, latency_s, None if healthy else "no answer"),
            )
            after_s = 1
        return status

    return run


def soak(watch: Watch, seconds: float = SOAK_S, step_s: float = 60) -> str | None:
    """Stay healthy for so long, with a check each minute."""
    status = None
    for _ in range(int(seconds / step_s)):
        status = watch(True, after_s=step_s)
    return status


def test_a_manifest_that_serves_for_a_whole_soak_has_passed_once(query: Query, watch: Watch) -> None:
    watch(True)
    soak(watch, SOAK_S - 60)
    watch(False, True)
    assert query(VERDICTS) == []
    soak(watch, 60)
    assert query(VERDICTS) == [PASSED]
    ((evidence, by, operation),) = query(
        "SELECT evidence, verified_by, operation_id FROM manifest_verifications"
    )
    found = evidence["soak"]
    assert found.pop("from") < found.pop("to")
    assert SOAK_S <= found.pop("duration_s") < SOAK_S + 10
    assert found == {"checks": 18, "failures": 1, "p50_latency_s": 0.25, "p95_latency_s": 0.25}
    assert (by, operation) == ("postgres", None)
    soak(watch, 3 * SOAK_S)
    assert query(VERDICTS) == [PASSED]
    assert query("SELECT action, detail ->> 'manifest_digest' FROM audit_log WHERE action ~ '^manifest'") == [
        ("manifest.passed", DIGEST)
    ]
    # Nor is a row rewritten at each check.
    assert query("SELECT soak_checks, soak_latencies FROM health_checks") == [(18, [])]


def test_latencies_are_those_of_good_checks(query: Query, watch: Watch) -> None:
    watch(*[True] * 10, latency_s=0.1)
    watch(False, latency_s=30)
    for number in range(1, 16):
        watch(True, after_s=60, latency_s=number)
    ((found,),) = query("SELECT evidence -> 'soak' FROM manifest_verifications")
    assert (found["p50_latency_s"], found["p95_latency_s"]) == (3, 14)


def test_one_that_degrades_within_its_soak_is_revoked_until_it_passes(
    database: Database, query: Query, watch: Watch
) -> None:
    verified = Verdict(DIGEST, "passed", evidence={"completion": {"latency_s": 0.1}})
    database.transaction(lambda session: record(session, "m", "staging", verified))
    soak(watch, 300)
    # A short blip is nothing.
    assert watch(False, False, True) == "ready"
    assert query(VERDICTS) == [PASSED]
    assert watch(False, False, False) == "degraded"
    assert query(VERDICTS) == [PASSED, REVOKED]
    ((reason, evidence),) = query(
        "SELECT reason, evidence -> 'soak' FROM manifest_verifications WHERE verdict = 'revoked'"
    )
    assert reason == "degraded within its soak of 900 s: no answer"
    assert evidence["failures"] == 5
    # It goes on failing, comes back, and fails again: that is no news.
    watch(*[False] * 20)
    assert watch(True, True) == "ready"
    soak(watch, 300)
    assert watch(False, False, False) == "degraded"
    assert query(VERDICTS) == [PASSED, REVOKED]
    assert watch(True, True) == "ready"
    soak(watch, SOAK_S - 60)
    assert query(VERDICTS) == [PASSED, REVOKED]
    soak(watch, 120)
    assert query(VERDICTS) == [PASSED, REVOKED, PASSED]
    found = database.transaction(lambda session: newest(session, "m", "staging", DIGEST))
    assert found is not None
    assert found.verdict == "passed"


def test_one_that_degrades_long_after_its_soak_keeps_its_verdict(query: Query, watch: Watch) -> None:
    """Nodes die; that says nothing about a manifest that had served well."""
    watch(True)
    soak(watch)
    assert watch(False, False, False, after_s=86400) == "degraded"
    assert query(VERDICTS) == [PASSED]
    # Whoever comes back and soon fails again is another matter.
    assert watch(True, True) == "ready"
    assert watch(False, False, False) == "degraded"
    assert query(VERDICTS) == [PASSED, REVOKED]


def test_many_failures_that_never_come_in_a_row(query: Query, watch: Watch) -> None:
    query("INSERT INTO health_check_rules (deployment_environment, soak_failures) VALUES ('staging', 4)")
    assert watch(*[False, True] * 3) == "ready"
    assert query(VERDICTS) == []
    assert watch(False, True) == "ready"
    assert query(VERDICTS) == [REVOKED]
    ((reason,),) = query("SELECT reason FROM manifest_verifications")
    assert reason == "4 of 7 checks failed within its soak of 900 s: no answer"
    watch(*[False, True] * 9)
    assert query(VERDICTS) == [REVOKED]
    # It has to begin anew.
    soak(watch, SOAK_S - 60)
    assert query(VERDICTS) == [REVOKED]
    soak(watch, 120)
    assert query(VERDICTS) == [REVOKED, PASSED]


def test_what_nobody_looked_at_is_no_soak(query: Query, watch: Watch) -> None:
    watch(True)
    soak(watch, 600)
    # The checker was away.
    watch(True, after_s=3600)
    assert query(VERDICTS) == []
    soak(watch, SOAK_S - 60)
    assert query(VERDICTS) == []
    soak(watch, 60)
    assert query(VERDICTS) == [PASSED]


def test_a_changed_entry_begins_anew(query: Query, watch: Watch) -> None:
    watch(True)
    soak(watch, SOAK_S - 60)
    query("UPDATE model_registry_entries SET manifest_digest = %s", (OTHER,))
    soak(watch, SOAK_S)
    assert query(VERDICTS) == []
    soak(watch, 60)
    assert query(VERDICTS) == [("passed", OTHER, "staging")]
    # Deployed again, as it is: it has to serve again, but that it did is no news.
    query("UPDATE model_registry_entries SET deployment_status = 'deploying', release_revision = 2")
    assert watch(True) == "deploying"
    query("UPDATE model_registry_entries SET deployment_status = 'ready'")
    soak(watch, 2 * SOAK_S)
    assert query(VERDICTS) == [("passed", OTHER, "staging")]
    query("UPDATE model_registry_entries SET deployment_status = 'deploying', release_revision = 3")
    query("UPDATE model_registry_entries SET deployment_status = 'ready'")
    assert watch(False, False, False) == "degraded"
    assert query(VERDICTS) == [("passed", OTHER, "staging"), ("revoked", OTHER, "staging")]


def test_what_changes_nothing_that_runs_begins_no_soak(query: Query, watch: Watch) -> None:
    watch(True)
    soak(watch)
    query("UPDATE model_registry_entries SET desired_state = 'disabled', deployment_status = 'disabled'")
    assert watch(True) == "disabled"
    query("UPDATE model_registry_entries SET desired_state = 'enabled', deployment_status = 'ready'")
    soak(watch, 300)
    # A node dies.
    assert watch(False, False, False) == "degraded"
    assert query(VERDICTS) == [PASSED]
    # Before the end of a soak it begins anew, and may end badly.
    query("UPDATE model_registry_entries SET deployment_status = 'ready', manifest_digest = %s", (OTHER,))
    watch(True)
    query("UPDATE model_registry_entries SET deployment_status = 'ready', chart_version = '2'")
    watch(False, False, False)
    assert query(VERDICTS) == [PASSED, ("revoked", OTHER, "staging")]
    # Nor is one soak both manifests': the first one is on trial again.
    query("UPDATE model_registry_entries SET deployment_status = 'ready', manifest_digest = %s", (DIGEST,))
    watch(False, False, False)
    assert query(VERDICTS)[2:] == [REVOKED]


@pytest.mark.parametrize("reason", ["leaks customer data", "rolled back: wrong answers"])
def test_no_soak_lifts_what_it_did_not_say(
    database: Database, query: Query, watch: Watch, reason: str
) -> None:
    watch(True)
    revoked = Verdict(DIGEST, "revoked", reason)
    database.transaction(lambda session: record(session, "m", "staging", revoked))
    soak(watch, 2 * SOAK_S)
    assert query(VERDICTS) == [REVOKED]
    # What it says itself does not hide it.
    query("UPDATE model_registry_entries SET release_revision = 2")
    watch(True, False, False, False)
    watch(True, True)
    soak(watch, 2 * SOAK_S)
    assert query(VERDICTS) == [REVOKED]


def test_a_soak_that_is_shorter_than_a_few_checks_take(query: Query, watch: Watch) -> None:
    query("INSERT INTO health_check_rules (deployment_environment, soak_s) VALUES ('staging', 45)")
    watch(True)
    soak(watch, 50, step_s=10)
    assert query(VERDICTS) == [PASSED]
    query("UPDATE model_registry_entries SET manifest_digest = %s", (OTHER,))
    watch(True)
    watch(True, after_s=62)
    assert query(VERDICTS) == [PASSED]


def test_no_verdict_without_a_manifest_nor_under_a_lock(query: Query, watch: Watch) -> None:
    query("UPDATE model_registry_entries SET manifest_digest = NULL")
    watch(True)
    soak(watch, 2 * SOAK_S)
    assert watch(False, False, False) == "degraded"
    watch(True, True)
    assert query(VERDICTS) == []
    query("UPDATE model_registry_entries SET manifest_digest = %s", (DIGEST,))
    watch(True)
    soak(watch, SOAK_S - 60)
    query(
        "INSERT INTO operation_locks (model_name, deployment_environment, operation_id, expires_at)"
        " VALUES ('m', 'staging', gen_random_uuid(), now() + interval '1 min')"
    )
    assert watch(True, after_s=120) is None
    assert watch(*[False] * 5) is None
    assert query(VERDICTS) == []
    query("UPDATE operation_locks SET operation_id = NULL")
    assert watch(True) == "ready"
    assert query(VERDICTS) == [PASSED]


def test_many_checkers_at_once_come_to_one_verdict(
    query: Query, watch: Watch, server: Server, database_name: str
) -> None:
    watch(True)
    soak(watch, SOAK_S - 60)
    query("UPDATE health_checks SET soak_from = soak_from - make_interval(secs => 60)")

    def check(number: int) -> None:
        connection = server.connect(database_name)
        with connection.cursor() as cursor:
            cursor.execute("SELECT record_health_check('m', 'staging', 1, true, %s, NULL)", (number,))
        connection.close()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(check, range(12)))
    assert query(VERDICTS) == [PASSED]


def test_another_environment_has_verdicts_of_its_own(query: Query, watch: Watch) -> None:
    query("INSERT INTO health_check_rules (deployment_environment, soak_s) VALUES ('prod-eu', 1)")
    watch(True)
    soak(watch, 300)
    assert query(VERDICTS) == []
    query("INSERT INTO health_check_rules (deployment_environment, soak_s) VALUES ('staging', 330)")
    soak(watch, 60)
    assert query(VERDICTS) == [PASSED]


@pytest.fixture
def rules(dsn: str) -> Run:
    """Return a function that runs the operation of health_check_rules on the fresh database."""

    def run(check: bool = False, **arguments: Any) -> Outcome:
        defaults = {name: option.get("default") for name, option in health_check_rules.ARGUMENT_SPEC.items()}
        given = {"dsn": dsn, "environment": "staging", "actor": "ann@desk", **arguments}
        return health_check_rules.run({**defaults, **given}, Context(check_mode=check))

    return run


def test_rules_are_set_once_and_noted(rules: Run, query: Query) -> None:
    usual = {"failures": 3, "successes": 2, "soak_s": 900.0, "soak_failures": 10}
    assert (rules().changed, rules().result["rules"]) == (False, usual)
    would = rules(check=True, failures=5)
    assert (would.changed, would.result["rules"]) == (True, {**usual, "failures": 5})
    assert query("SELECT count(*) FROM health_check_rules") == [(0,)]
    assert rules(failures=5).changed
    assert not rules(failures=5).changed
    assert rules(soak_s=60.0, soak_failures=2, successes=2).changed
    assert rules().result["rules"] == {"failures": 5, "successes": 2, "soak_s": 60.0, "soak_failures": 2}
    assert rules(environment="prod-eu").result["rules"] == usual
    assert query(
        "SELECT action, actor, deployment_environment, detail -> 'changes' -> 'failures'"
        " FROM audit_log WHERE action ~ '^health' ORDER BY seq"
    ) == [
        ("health_check_rules.insert", "ann@desk", "staging", [None, 5]),
        ("health_check_rules.update", "ann@desk", "staging", None),
    ]


def test_rules_of_a_registry_that_check_mode_did_not_make(rules: Run, server: Server) -> None:
    with fresh_database(server, "template0") as name:
        would = rules(check=True, dsn=server.dsn(name), failures=5)
        assert (would.changed, would.result["rules"]) == (True, {"failures": 5})
        assert "no schema" in would.warnings[0]
        with pytest.raises(PlatformError, match="42883"):
            rules(dsn=server.dsn(name), failures=5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"failures": 0},
        {"successes": 100_001},
        {"soak_s": 0.0},
        {"soak_s": float("nan")},
        {"soak_failures": -1},
        {"environment": "Prod"},
    ],
)
def test_rules_that_cannot_be(rules: Run, wrong: dict[str, Any]) -> None:
    with pytest.raises(PlatformError, match=f"{next(iter(wrong))}: ") as failure:
        rules(**wrong)
    assert failure.value.error_class is ErrorClass.INVALID
