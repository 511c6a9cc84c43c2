# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Users of one environment write nothing in another: each kind of write is tried with a login of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg2.errors
import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry import (
    audit,
    entries,
    operations,
    revisions,
    verifications,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.connection import (
    Database,
    settings,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.holder import Holder
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.lease import Lease
from ansible_collections.llmops.platform.plugins.module_utils._module import Outcome
from tests.services.registry.conftest import Run, fresh_database, open_database
from tests.services.registry.test_database_roles import PARENTS, PASSWORD, ROLES, Logins
from tests.services.registry.test_schema import OLDER_TABLE
from tests.support.postgres import Server, private_server

Query = Callable[..., list[tuple[Any, ...]]]

OWN, OTHER = "staging", "prod-eu"
WORKS = ("deployer", "router", "health_checker")
GROUPS = [f"llmops_{work}_{environment}" for environment in (OWN, OTHER) for work in WORKS]
OPERATIONS = {OWN: "00000000-0000-4000-8000-000000000001", OTHER: "00000000-0000-4000-8000-000000000002"}
DIGEST = f"sha256:{'a' * 64}"

#: What each environment has before anything is tried.
PREPARED = """
INSERT INTO model_registry_entries
    (model_name, deployment_environment, deployment_status, deployment_endpoint)
    VALUES ('m', '{e}', 'ready', 'http://model:8000');
INSERT INTO operations (id, model_name, deployment_environment, kind, actor, fence)
    VALUES ('{operation}', 'm', '{e}', 'deploy', 'me', 1);
INSERT INTO operation_steps (operation_id, number, name) VALUES ('{operation}', 1, 'step');
INSERT INTO operation_locks (model_name, deployment_environment, operation_id, expires_at)
    VALUES ('m', '{e}', '{operation}', now());
INSERT INTO health_check_rules (deployment_environment, successes) VALUES ('{e}', 9);
INSERT INTO promotion_approvals
    (model_name, deployment_environment, source_environment, manifest_digest, gate_set_digest, kind)
    VALUES ('m', '{e}', 'qa', 'sha256:' || repeat('2', 64), 'sha256:' || repeat('1', 64), 'requested');
SELECT router_heartbeat('router-{e}', '{e}', NULL, NULL, '{{}}');
SELECT acquire_lease('health-check/{e}', 'somebody', 0.001);
"""
#: What is tried, once in the login's own environment and once in the other. One writes what another needs, so
#: the order matters.
WRITES = {
    "deployer": [
        "UPDATE model_registry_entries SET image = 'new' WHERE deployment_environment = '{e}'",
        (
            "INSERT INTO model_registry_entries (model_name, deployment_environment, deployment_status)"
            " VALUES ('n', '{e}', 'pending')"
        ),
        (
            "INSERT INTO model_registry_entries (model_name, deployment_environment, deployment_status)"
            " VALUES ('m', '{e}', 'pending') ON CONFLICT (model_name, deployment_environment)"
            " DO UPDATE SET deployment_status = 'pending'"
        ),
        (
            "INSERT INTO model_registry_entries (model_name, deployment_environment, deployment_status)"
            " VALUES ('m', '{e}', 'pending') ON CONFLICT DO NOTHING"
        ),
        "UPDATE model_registry_entries SET last_health_check_at = now() WHERE deployment_environment = '{e}'",
        (
            "UPDATE model_registry_entries SET desired_state = 'disabled', deployment_status = 'disabled'"
            " WHERE deployment_environment = '{e}'"
        ),
        "DELETE FROM model_registry_entries WHERE deployment_environment = '{e}'",
        (
            "INSERT INTO operations (id, model_name, deployment_environment, kind, actor, fence)"
            " VALUES (gen_random_uuid(), 'm', '{e}', 'deploy', 'me', 2)"
        ),
        "INSERT INTO operation_steps (operation_id, number, name) VALUES ('{operation}', 2, 'step')",
        (
            "UPDATE operation_steps SET outcome = 'failed', finished_at = now()"
            " WHERE operation_id = '{operation}'"
        ),
        "UPDATE operations SET outcome = 'failed', finished_at = now() WHERE id = '{operation}'",
        (
            "INSERT INTO operation_locks (model_name, deployment_environment, expires_at)"
            " VALUES ('n', '{e}', now())"
        ),
        "UPDATE operation_locks SET operation_id = NULL WHERE deployment_environment = '{e}'",
        (
            "INSERT INTO operation_locks AS held (model_name, deployment_environment, expires_at)"
            " VALUES ('m', '{e}', now()) ON CONFLICT (model_name, deployment_environment)"
            " DO UPDATE SET fence = held.fence + 1"
        ),
        (
            "INSERT INTO deployment_manifests (model_name, deployment_environment, release_name,"
            " release_revision, manifest_digest) VALUES ('m', '{e}', 'm', 1, repeat('0', 64))"
        ),
        (
            "INSERT INTO manifest_verifications (model_name, deployment_environment, manifest_digest,"
            " verdict) VALUES ('m', '{e}', repeat('0', 64), 'passed')"
        ),
        (
            "INSERT INTO promotion_approvals (model_name, deployment_environment, source_environment,"
            " manifest_digest, gate_set_digest, kind) VALUES ('m', '{e}', 'qa',"
            " 'sha256:' || repeat('0', 64), 'sha256:' || repeat('1', 64), 'requested')"
        ),
        (
            "INSERT INTO promotion_approvals (model_name, deployment_environment, source_environment,"
            " manifest_digest, gate_set_digest, kind, request_id, reason)"
            " SELECT model_name, deployment_environment, source_environment, manifest_digest,"
            " gate_set_digest, 'withdrawn', id, 'no' FROM promotion_approvals"
            " WHERE deployment_environment = '{e}' ORDER BY id LIMIT 1"
        ),
        (
            "INSERT INTO health_check_rules (deployment_environment, failures) VALUES ('{e}', 1)"
            " ON CONFLICT (deployment_environment) DO UPDATE SET failures = 1"
        ),
        "UPDATE health_check_rules SET failures = 2 WHERE deployment_environment = '{e}'",
        "SELECT audit_append('test.happened', 'm', '{e}', NULL, '{{}}')",
    ],
    "router": [
        "SELECT router_heartbeat('mine-{e}', '{e}', NULL, NULL, '{{}}')",
        "SELECT router_heartbeat('router-{e}', '{e}', NULL, NULL, '{{}}')",
        "SELECT router_goodbye('router-{e}')",
    ],
    "health_checker": [
        "SELECT record_health_check('m', '{e}', 1, true, 0.1, NULL)",
        "SELECT record_health_check('m', '{e}', 1, false, 0.1, 'mine')",
        "SELECT acquire_lease('health-check/{e}', 'me', 10)",
        "SELECT release_lease('health-check/{e}', 'me')",
    ],
}
#: From the one environment into the other, or in the name of none.
CROSSING = {
    "deployer": [
        (
            "UPDATE model_registry_entries SET deployment_environment = '{other}', model_name = 'moved'"
            " WHERE deployment_environment = '{own}'"
        ),
        (
            "UPDATE model_registry_entries SET deployment_environment = '{own}', model_name = 'moved'"
            " WHERE deployment_environment = '{other}'"
        ),
        (
            "UPDATE model_registry_entries SET deployment_environment = NULL"
            " WHERE deployment_environment = '{own}'"
        ),
        "INSERT INTO model_registry_entries (model_name) VALUES ('of no environment')",
        "DELETE FROM model_registry_entries",
        "UPDATE model_registry_entries SET image = 'all'",
        (
            "UPDATE operation_locks SET deployment_environment = '{other}', model_name = 'moved'"
            " WHERE deployment_environment = '{own}'"
        ),
        (
            "UPDATE operation_locks SET deployment_environment = '{own}', model_name = 'moved'"
            " WHERE deployment_environment = '{other}'"
        ),
        (
            "INSERT INTO operation_steps (operation_id, number, name)"
            " VALUES (gen_random_uuid(), 1, 'of nothing')"
        ),
        "SELECT audit_append('test.happened', NULL, NULL, NULL, '{{}}')",
        "SELECT audit_append('test.happened', NULL, '', NULL, '{{}}')",
        "TRUNCATE model_registry_entries",
        "ALTER TABLE model_registry_entries DISABLE TRIGGER ALL",
        "SET ROLE llmops_deployer",
        'SET ROLE "llmops_deployer_{other}"',
        "SET SESSION AUTHORIZATION postgres",
        "SELECT router_goodbye('router-staging')",
    ],
    "router": [
        # A router that somebody in the other environment waits for would be forgotten there.
        "SELECT router_heartbeat('router-{other}', '{own}', NULL, NULL, '{{}}')",
        "SELECT router_heartbeat('mine', NULL, NULL, NULL, '{{}}')",
        "SELECT acquire_lease('health-check/{own}', 'me', 10)",
    ],
    "health_checker": [
        "SELECT acquire_lease('work', 'me', 10)",
        "SELECT release_lease('work', 'me')",
        "SELECT acquire_lease('health-check/{own}/{other}', 'me', 10)",
        "SELECT record_health_check('m', NULL, 1, true, 0.1, NULL)",
    ],
}
TABLES = (
    "model_registry_entries", "model_registry_history", "registry_epoch", "audit_log", "audit_head",
    "operations", "operation_steps", "operation_locks", "deployment_manifests", "manifest_verifications",
    "promotion_approvals", "router_instances", "health_check_rules", "health_checks", "service_leases",
)  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Return a server of these tests' own: roles that a database of other tests uses cannot be dropped."""
    with private_server() as running:
        yield running


@pytest.fixture
def logins(server: Server, database_name: str) -> Iterator[Logins]:
    """Return login users on the fresh database."""
    made = Logins(server, database_name)
    yield made
    made.close()


@pytest.fixture
def prepared(schema: Run, query: Query) -> None:
    """Make the groups of two environments, and a model in each."""
    assert schema(environments=[OWN, OTHER]).warnings == []
    for environment in (OWN, OTHER):
        query(PREPARED.format(e=environment, operation=OPERATIONS[environment]))


def contents(query: Query) -> list[Any]:
    """Return all rows of all tables."""
    return [query(f"SELECT to_jsonb(t) FROM {table} AS t ORDER BY 1") for table in TABLES]  # noqa: S608


def refused(query: Query, member: Query, statement: str) -> bool:
    """Tell whether a statement was refused for want of a right, and changed nothing."""
    before = contents(query)
    try:
        member(statement)
    except psycopg2.errors.InsufficientPrivilege:
        return contents(query) == before
    return False


@pytest.mark.usefixtures("prepared")
@pytest.mark.parametrize("work", WORKS)
def test_a_login_writes_in_its_own_environment_and_in_no_other(
    query: Query, logins: Logins, work: str
) -> None:
    member = logins.query(f"llmops_{work}_{OWN}")
    for statement in WRITES[work]:
        elsewhere = statement.format(e=OTHER, operation=OPERATIONS[OTHER])
        assert refused(query, member, elsewhere), f"a {work} of {OWN} may: {elsewhere}"
    for template in CROSSING[work]:
        statement = template.format(own=OWN, other=OTHER)
        assert refused(query, member, statement), f"a {work} of {OWN} may: {statement}"
    others = logins.query(f"llmops_{work}_{OTHER}")
    for environment, of_it in ((OWN, member), (OTHER, others)):
        for statement in WRITES[work]:
            before = contents(query)
            of_it(statement.format(e=environment, operation=OPERATIONS[environment]))
            assert contents(query) != before or "DO NOTHING" in statement, statement


@pytest.mark.usefixtures("prepared")
@pytest.mark.parametrize("work", WORKS)
def test_the_group_with_the_rights_alone_may_write_nothing(query: Query, logins: Logins, work: str) -> None:
    member = logins.query(f"llmops_environment_{work}")
    for statement in WRITES[work]:
        assert refused(query, member, statement.format(e=OWN, operation=OPERATIONS[OWN])), statement


@pytest.mark.usefixtures("prepared")
@pytest.mark.parametrize("work", WORKS)
def test_the_group_for_all_environments_writes_in_all(query: Query, logins: Logins, work: str) -> None:
    member = logins.query(f"llmops_{work}")
    for environment in (OWN, OTHER):
        for statement in WRITES[work]:
            member(statement.format(e=environment, operation=OPERATIONS[environment]))


@pytest.mark.usefixtures("prepared")
def test_a_login_of_two_environments_may_put_one_of_them_aside(query: Query, logins: Logins) -> None:
    user = logins.make(f"llmops_deployer_{OWN}")
    query(f'GRANT "llmops_deployer_{OTHER}" TO {user}')
    member = logins.query(f"llmops_deployer_{OWN}")
    update = "UPDATE model_registry_entries SET image = 'new' WHERE deployment_environment = '{e}'"
    append = "SELECT audit_append('test.happened', 'm', '{e}', NULL, '{{}}')"
    for statement in (update, append):
        member(statement.format(e=OTHER))
    member(f"SET ROLE llmops_deployer_{OWN}")
    for statement in (update, append):
        member(statement.format(e=OWN))
        assert refused(query, member, statement.format(e=OTHER)), statement
    member("RESET ROLE")
    member(update.format(e=OTHER))


@pytest.mark.usefixtures("prepared")
def test_who_inherits_no_right_has_to_set_the_role(query: Query, logins: Logins) -> None:
    member = logins.query("none")
    user = logins.make("none")
    query(f"ALTER ROLE {user} NOINHERIT")
    query(f"GRANT llmops_deployer_{OWN} TO {user}")
    append = "SELECT audit_append('test.happened', 'm', '{e}', NULL, '{{}}')"
    assert refused(query, member, append.format(e=OWN))
    member(f"SET ROLE llmops_deployer_{OWN}")
    member(append.format(e=OWN))
    assert refused(query, member, append.format(e=OTHER))


@pytest.mark.usefixtures("prepared")
def test_nothing_that_a_caller_sets_or_makes_leads_past_the_guard(query: Query, logins: Logins) -> None:
    user = logins.make(f"llmops_deployer_{OWN}")
    query(f"CREATE SCHEMA mine AUTHORIZATION {user}")
    try:
        member = logins.query(f"llmops_deployer_{OWN}")
        for name, arguments in (("registry_require", "text, text, name"), ("format", "text, text, text")):
            member(f"CREATE FUNCTION mine.{name}({arguments}) RETURNS text LANGUAGE sql AS $$SELECT 'x'$$")
        member(
            "CREATE FUNCTION mine.registry_in_group(name, text) RETURNS boolean LANGUAGE sql AS 'SELECT true'"
        )
        member("CREATE TEMP TABLE operations (LIKE public.operations)")
        member("INSERT INTO pg_temp.operations SELECT * FROM public.operations")
        member("UPDATE pg_temp.operations SET deployment_environment = %s", (OWN,))
        member("SET search_path = mine, pg_temp, public, pg_catalog")
        member(f"SET llmops.environment = '{OTHER}'")
        for statement in WRITES["deployer"]:
            elsewhere = statement.format(e=OTHER, operation=OPERATIONS[OTHER]).replace(
                " operations", " public.operations"
            )
            assert refused(query, member, elsewhere), elsewhere
    finally:
        query("DROP SCHEMA mine CASCADE")


@pytest.mark.usefixtures("prepared")
def test_a_group_without_its_parent_opens_no_other_environment(query: Query, logins: Logins) -> None:
    member = logins.query(f"llmops_deployer_{OWN}")
    query("ALTER ROLE llmops_environment_deployer RENAME TO llmops_formerly")
    try:
        for statement in WRITES["deployer"]:
            elsewhere = statement.format(e=OTHER, operation=OPERATIONS[OTHER])
            assert refused(query, member, elsewhere), elsewhere
        member(WRITES["deployer"][0].format(e=OWN))
    finally:
        query("ALTER ROLE llmops_formerly RENAME TO llmops_environment_deployer")


@pytest.mark.usefixtures("prepared")
def test_everything_can_be_read_from_any_environment(logins: Logins, query: Query) -> None:
    """Who promotes to one environment looks at the other."""
    member = logins.query(f"llmops_deployer_{OWN}")
    for table in TABLES:
        assert member(f"SELECT count(*) FROM {table}") == query(f"SELECT count(*) FROM {table}")  # noqa: S608


def run_operation(database: Database, dsn: str, environment: str) -> operations.Finished:
    """Do what a deployment does in the registry, from the lock to the end."""
    wanted = operations.Wanted("org/M", environment, "deploy", Holder("ann"), 60)
    started = operations.start(database, wanted, 0.0, lambda line: None)
    with Lease(settings({"dsn": dsn}), started.ref, lambda line: None) as lease:
        with lease.step("helm install"):
            pass
        changes = {
            "status": "ready", "endpoint": "http://m:8000", "release_name": "m", "release_revision": 1,
            "manifest_digest": DIGEST,
        }  # fmt: skip
        change = database.transaction(
            lambda session: entries.put(session, "org/M", environment, changes, operation=started.ref)
        )
        assert change.after is not None
        entry = change.after
        recorded = database.transaction(
            lambda session: revisions.record(session, entry, {"values": {"a": 1}}, operation=started.ref)
        )
        assert recorded.written
        verdict = verifications.Verdict(DIGEST, "passed", evidence={"completion": {"latency_s": 0.1}})
        assert database.transaction(
            lambda session: verifications.record(
                session, "org/M", environment, verdict, operation=started.ref
            )
        )
    return database.transaction(
        lambda session: operations.finish(
            session,
            "org/M",
            environment,
            started.ref,
            outcome="succeeded",
            error_class=None,
            reason=None,
            by="ann",
        )
    )


@pytest.mark.usefixtures("prepared")
def test_a_whole_operation_runs_as_a_user_of_its_environment_and_of_no_other(
    logins: Logins, query: Query
) -> None:
    dsn = logins.dsn(f"llmops_deployer_{OWN}")
    with open_database(dsn) as database:
        done = run_operation(database, dsn, OWN)
        assert (done.outcome, [step["outcome"] for step in done.steps]) == ("succeeded", ["succeeded"])
        before = contents(query)
        with pytest.raises(PlatformError, match=f"may do nothing in the environment {OTHER}") as failure:
            run_operation(database, dsn, OTHER)
        assert failure.value.error_class is ErrorClass.AUTH
        # Nor does anybody take the lock away from an operation there.
        with pytest.raises(PlatformError, match="may do nothing"):
            database.transaction(
                lambda session: operations.unlock(session, "m", OTHER, OPERATIONS[OTHER], "mine", "eve")
            )
        assert contents(query) == before
        assert database.transaction(audit.verify, read_only=True).problems == []


@pytest.mark.usefixtures("prepared")
def test_modules_tell_who_may(entry: Run, logins: Logins) -> None:
    dsn = logins.dsn(f"llmops_deployer_{OWN}")
    assert entry(dsn=dsn, environment=OWN, status="pending").changed
    with pytest.raises(PlatformError, match=rf"A member of llmops_deployer_{OTHER} may") as failure:
        entry(dsn=dsn, environment=OTHER, status="pending")
    assert failure.value.error_class is ErrorClass.AUTH


def test_rows_of_an_older_table_stay_with_those_who_had_rights_to_them(
    schema: Run, query: Query, logins: Logins
) -> None:
    query(OLDER_TABLE)
    schema(environments=[OWN])
    query(f"GRANT INSERT, SELECT, UPDATE, DELETE ON model_registry_entries TO {logins.make('none')}")
    before = query("SELECT count(*) FROM model_registry_entries WHERE deployment_environment IS NULL")
    assert before[0][0] > 0
    member = logins.query(f"llmops_deployer_{OWN}")
    for statement in (
        "DELETE FROM model_registry_entries WHERE deployment_environment IS NULL",
        "UPDATE model_registry_entries SET deployment_environment = 'staging', deployment_status = 'pending'",
    ):
        assert refused(query, member, statement)
    logins.query("none")("DELETE FROM model_registry_entries WHERE deployment_environment IS NULL")


def listed(outcome: Outcome) -> dict[str, Any]:
    """Return what diff mode shows."""
    assert outcome.diff is not None
    return outcome.diff


def test_groups_are_made_once(schema: Run, query: Query) -> None:
    names = "SELECT rolname FROM pg_roles WHERE rolname ~ '^llmops_.*_(staging|prod-eu|qa)$' ORDER BY 1"
    for group in [*GROUPS, *(f"llmops_{work}_qa" for work in WORKS)]:
        query(f'DROP ROLE IF EXISTS "{group}"')
    would = schema(check=True, environments=["qa"])
    assert would.changed
    assert query(names) == []
    assert schema().result["groups_made"] == []
    would = schema(check=True, environments=["qa", "qa"])
    assert (would.changed, would.warnings) == (True, [])
    assert would.result["groups_made"] == [f"llmops_{work}_qa" for work in WORKS]
    assert "group llmops_deployer_qa" in listed(would)["after"]
    assert "group llmops_deployer_qa" not in listed(would)["before"]
    assert query(names) == []
    done = schema(environments=["qa"])
    assert done.result["groups_made"] == would.result["groups_made"]
    assert [name for (name,) in query(names)] == sorted(would.result["groups_made"])
    again = schema(environments=["qa"])
    assert (again.changed, again.result["groups_made"], again.warnings) == (False, [], [])
    assert listed(again)["before"] == listed(again)["after"]
    # One that somebody took out of its parent is put right.
    query("REVOKE llmops_environment_router FROM llmops_router_qa")
    assert schema(environments=["qa"]).result["groups_made"] == ["llmops_router_qa"]
    # And one that may more than it should is told of.
    query("GRANT llmops_deployer TO llmops_deployer_qa")
    (warning,) = schema(environments=["qa"]).warnings
    assert "llmops_deployer_qa may write all environments" in warning
    for work in WORKS:
        query(f"DROP ROLE llmops_{work}_qa")


@pytest.mark.parametrize("wrong", ["", "Staging", "x" * 31, 'a"; DROP ROLE b; --'])
def test_what_no_environment_is_called_gets_no_group(schema: Run, wrong: str) -> None:
    with pytest.raises(PlatformError, match="environments: "):
        schema(environments=[wrong])


def test_who_may_not_make_groups_is_told_what_an_administrator_has_to_run(
    schema: Run, query: Query, database_name: str, logins: Logins
) -> None:
    schema()
    for group in GROUPS:
        query(f'DROP ROLE IF EXISTS "{group}"')
    # A deployer's run goes on: the schema is as wanted.
    dsn = logins.dsn("llmops_deployer")
    for check in (True, False):
        done = schema(check=check, dsn=dsn, environments=[OTHER])
        assert (done.changed, done.result["groups_made"]) == (False, [])
        (warning,) = done.warnings
        commands = warning.split("An administrator runs: ")[1].rstrip(".").split("; ")
    assert len(commands) == len(WORKS)
    for command in commands:
        query(command)
    done = schema(dsn=dsn, environments=[OTHER])
    assert (done.changed, done.warnings) == (False, [])
    logins.query(f"llmops_deployer_{OTHER}")("SELECT * FROM operations")


def test_groups_that_came_after_the_schema_get_their_rights(
    schema: Run, query: Query, server: Server, logins: Logins
) -> None:
    schema()
    query("DROP OWNED BY llmops_environment_deployer")
    done = schema(environments=[OWN])
    assert done.changed
    assert not schema(environments=[OWN]).changed
    logins.query(f"llmops_deployer_{OWN}")("SELECT * FROM operations")


def test_groups_for_all_environments_get_their_rights_back(schema: Run, query: Query, logins: Logins) -> None:
    schema(environments=[OWN])
    query("DROP OWNED BY llmops_deployer, llmops_router, llmops_health_checker")
    assert schema(environments=[OWN]).changed
    assert not schema(environments=[OWN]).changed
    logins.query("llmops_deployer")("SELECT * FROM operations")


def test_an_owner_who_may_make_no_groups_gives_rights_all_the_same(
    schema: Run, query: Query, database_name: str, logins: Logins
) -> None:
    owner = f"owner_{database_name}"
    query(f"CREATE ROLE {owner} LOGIN PASSWORD '{PASSWORD}'")
    query(f"ALTER SCHEMA public OWNER TO {owner}")
    try:
        schema(login_user=owner, login_password=PASSWORD)
        query("DROP OWNED BY llmops_environment_deployer")
        query(f'DROP ROLE IF EXISTS "llmops_router_{OWN}"')
        done = schema(login_user=owner, login_password=PASSWORD, environments=[OWN])
        assert done.changed
        (warning,) = done.warnings
        assert f"llmops_router_{OWN}" in warning
        assert "registry_grant_rights" not in warning
        assert query("SELECT has_table_privilege('llmops_environment_deployer', 'operations', 'SELECT')") == [
            (True,)
        ]
    finally:
        query(f"DROP OWNED BY {owner} CASCADE")
        query(f"DROP ROLE {owner}")


def test_another_database_of_the_server_makes_the_same_groups(
    schema: Run, server: Server, query: Query
) -> None:
    schema(environments=[OWN, OTHER])
    with fresh_database(server, "template0") as name:
        other = schema(dsn=server.dsn(name), environments=[OWN, OTHER])
        assert other.warnings == []
        assert other.result["groups_made"] == []


def test_the_way_down_takes_the_rights_of_all_groups(schema: Run, query: Query, logins: Logins) -> None:
    schema(environments=[OWN])
    members = [logins.query(group) for group in (f"llmops_deployer_{OWN}", *ROLES, *PARENTS)]
    schema(target_version=10, environments=[OWN])
    for member in members:
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            member("SELECT * FROM model_states")
    schema(environments=[OWN])
    members[0]("SELECT * FROM model_states")
