# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What members of the database roles for all environments may do, and what PostgreSQL refuses them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg2
import psycopg2.errors
import psycopg2.extensions
import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from ansible_collections.llmops.platform.plugins.module_utils._core.registry import audit
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.connection import Database
from tests.services.registry.conftest import Run, open_database, version_of
from tests.services.registry.test_schema import OLDER_TABLE
from tests.support.postgres import Server, private_server

Query = Callable[..., list[tuple[Any, ...]]]

ROLES = ("llmops_deployer", "llmops_router", "llmops_health_checker")
#: What the groups of single environments are members of.
PARENTS = tuple(role.replace("llmops_", "llmops_environment_") for role in ROLES)
NO_ROLE = "none"
PASSWORD = "weak"


class Logins:
    """Login users that are members of a role, each with a connection of its own."""

    def __init__(self, server: Server, database_name: str) -> None:
        self._server = server
        self._database = database_name
        self._opened: list[psycopg2.extensions.connection] = []
        self._administrator = server.connect(database_name)
        self._made: list[str] = []

    def make(self, role: str) -> str:
        """Make a member of the role, or a user without any, and return its name."""
        user = f"member_{role}_{self._database}".replace("-", "_")
        membership = "" if role == NO_ROLE else f'IN ROLE "{role}"'
        if user not in self._made:
            with self._administrator.cursor() as cursor:
                cursor.execute(f"CREATE ROLE {user} LOGIN PASSWORD '{PASSWORD}' {membership}")
            self._made.append(user)
        return user

    def dsn(self, role: str) -> str:
        """Return the DSN of a member of the role."""
        return self._server.dsn(self._database, user=self.make(role), password=PASSWORD)

    def query(self, role: str) -> Query:
        """Return a function that runs SQL as a member of the role."""
        connection = psycopg2.connect(self.dsn(role))
        connection.autocommit = True
        self._opened.append(connection)

        def run(statement: str, values: Any = None) -> list[tuple[Any, ...]]:
            with connection.cursor() as cursor:
                cursor.execute(statement, values)
                return list(cursor.fetchall()) if cursor.description else []

        return run

    def close(self) -> None:
        """Close the connections and remove the users."""
        for connection in self._opened:
            connection.close()
        with self._administrator.cursor() as cursor:
            for user in self._made:
                cursor.execute(f"DROP OWNED BY {user}")
                cursor.execute(f"DROP ROLE {user}")
        self._administrator.close()


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


INSERT = (
    "INSERT INTO model_registry_entries (model_name, deployment_environment, deployment_status,"
    " deployment_endpoint) VALUES ('m', 'staging', 'ready', 'http://model:8000')"
)
HEARTBEAT = "SELECT router_heartbeat('r', 'staging', NULL, NULL, '{}')"
HEALTH_CHECK = "SELECT record_health_check('m', 'staging', 1, true, 0.1, NULL)"
ASK = """
    INSERT INTO promotion_approvals (model_name, deployment_environment, source_environment, manifest_digest,
           gate_set_digest, kind{more})
    VALUES ('m', 'staging', 'qa', 'sha256:' || repeat('0', 64), 'sha256:' || repeat('1', 64),
            'requested'{values})
"""
ALLOWED = {
    "llmops_deployer": [
        "SELECT * FROM model_registry_entries FOR UPDATE",
        "UPDATE model_registry_entries SET desired_state = 'disabled', deployment_status = 'disabled'",
        "DELETE FROM model_registry_entries",
        INSERT,
        """INSERT INTO operations (id, model_name, deployment_environment, kind, actor, fence)
           VALUES (gen_random_uuid(), 'm', 'staging', 'deploy', 'me', 1)""",
        "UPDATE operations SET outcome = 'failed', finished_at = now(), error_class = 'x', reason = 'y'",
        "INSERT INTO operation_steps (operation_id, number, name) SELECT id, 1, 'step' FROM operations",
        """UPDATE operation_steps
              SET outcome = 'failed', finished_at = now(), error_class = 'x', reason = 'y', detail = '{}'""",
        """INSERT INTO operation_locks (model_name, deployment_environment, expires_at)
           VALUES ('m', 'staging', now())""",
        "UPDATE operation_locks SET expires_at = now()",
        "SELECT * FROM operation_locks FOR UPDATE",
        """INSERT INTO deployment_manifests (model_name, deployment_environment, release_name,
                  release_revision, manifest_digest) VALUES ('m', 'staging', 'm', 1, repeat('0', 64))""",
        """INSERT INTO deployment_manifests (model_name, deployment_environment, release_name,
                  release_revision, manifest_digest, source_environment, source_digest)
           VALUES ('m', 'staging', 'm', 2, repeat('0', 64), 'qa', repeat('1', 64))""",
        """INSERT INTO manifest_verifications (model_name, deployment_environment, manifest_digest, verdict)
           VALUES ('m', 'staging', repeat('0', 64), 'passed')""",
        "SELECT * FROM manifest_verifications",
        ASK.format(more="", values=""),
        "SELECT * FROM promotion_approvals",
        "INSERT INTO health_check_rules VALUES ('staging', 3, 2)",
        "UPDATE health_check_rules SET soak_s = 600",
        "SELECT * FROM health_check_rules_of('staging')",
        "SELECT audit_append('test.happened', 'm', 'staging', NULL, '{}')",
        "SELECT * FROM model_registry_history, registry_epoch, audit_log, audit_head, router_instances",
        "SELECT * FROM health_checks, service_leases, deployment_manifests, operations, operation_steps",
        "SELECT * FROM routable_models, model_states, health_states, registry_schema_migrations",
    ],
    "llmops_router": [
        "SELECT * FROM routable_models",
        "SELECT * FROM model_states",
        "SELECT registry_id, epoch FROM registry_epoch",
        HEARTBEAT,
        "SELECT router_goodbye('r')",
        "LISTEN llmops_registry",
    ],
    "llmops_health_checker": [
        "SELECT * FROM model_states",
        "SELECT * FROM health_states",
        HEALTH_CHECK,
        "SELECT acquire_lease('work', 'me', 10)",
        "SELECT release_lease('work', 'me')",
    ],
}
# What nobody but the owner may do.
REFUSED_TO_ALL = [
    "INSERT INTO audit_log (seq) VALUES (1)",
    "UPDATE audit_log SET actor = ''",
    "DELETE FROM audit_log",
    "TRUNCATE audit_log",
    "UPDATE audit_head SET seq = 0",
    "DELETE FROM audit_head",
    "SELECT * FROM audit_head FOR UPDATE",
    "SELECT audit_write('entry.insert', 'm', 'staging', NULL, '{}')",
    "INSERT INTO model_registry_history (epoch) VALUES (1)",
    "UPDATE model_registry_history SET actor = ''",
    "DELETE FROM model_registry_history",
    "TRUNCATE model_registry_history",
    "SELECT registry_record('insert', NULL, '{}')",
    "UPDATE registry_epoch SET epoch = 0",
    "DELETE FROM registry_epoch",
    "UPDATE manifest_verifications SET verdict = 'passed'",
    "DELETE FROM manifest_verifications",
    "TRUNCATE manifest_verifications",
    """INSERT INTO manifest_verifications (model_name, deployment_environment, manifest_digest, verdict,
              verified_by) VALUES ('m', 'staging', repeat('0', 64), 'passed', 'somebody else')""",
    """INSERT INTO manifest_verifications (model_name, deployment_environment, manifest_digest, verdict,
              verified_at) VALUES ('m', 'staging', repeat('0', 64), 'passed', now() - interval '1 day')""",
    "UPDATE promotion_approvals SET kind = 'approved'",
    "DELETE FROM promotion_approvals",
    "TRUNCATE promotion_approvals",
    ASK.format(more=", actor", values=", 'somebody else'"),
    ASK.format(more=", login", values=", 'somebody else'"),
    ASK.format(more=", created_at", values=", now() - interval '1 day'"),
    # What numbers and dates rows is the database.
    """INSERT INTO deployment_manifests (id, model_name, deployment_environment, release_name,
              release_revision, manifest_digest) OVERRIDING SYSTEM VALUE
       VALUES (7, 'm', 'staging', 'm', 1, repeat('0', 64))""",
    """INSERT INTO deployment_manifests (model_name, deployment_environment, release_name,
              release_revision, manifest_digest, created_by)
       VALUES ('m', 'staging', 'm', 1, repeat('0', 64), 'somebody else')""",
    """INSERT INTO model_registry_entries (id, model_name, deployment_environment, deployment_status)
       OVERRIDING SYSTEM VALUE VALUES (7, 'n', 'staging', 'pending')""",
    """INSERT INTO model_registry_entries (model_name, deployment_environment, deployment_status, created_at)
       VALUES ('n', 'staging', 'pending', now() - interval '1 day')""",
    "UPDATE model_registry_entries SET created_at = now() - interval '1 day'",
    "UPDATE model_registry_entries SET id = DEFAULT",
    """INSERT INTO operations (id, model_name, deployment_environment, kind, actor, fence, started_at)
       VALUES (gen_random_uuid(), 'm', 'staging', 'deploy', 'me', 1, now() - interval '1 day')""",
    "UPDATE deployment_manifests SET image = ''",
    "DELETE FROM deployment_manifests",
    "TRUNCATE deployment_manifests",
    "TRUNCATE model_registry_entries",
    "DELETE FROM operations",
    "UPDATE operations SET actor = 'bob'",
    "UPDATE operations SET started_at = now()",
    "UPDATE operations SET model_name = 'n'",
    "UPDATE operations SET outcome = 'succeeded', fence = 7",
    "UPDATE operation_steps SET name = 'another'",
    "UPDATE operation_steps SET started_at = now()",
    "DELETE FROM operation_locks",
    "UPDATE router_instances SET epoch = 1000",
    "UPDATE health_checks SET consecutive_failures = 0",
    "UPDATE service_leases SET holder = 'me'",
    "DELETE FROM health_check_rules",
    "DELETE FROM registry_schema_migrations",
    "SELECT registry_grant_rights()",
    "CREATE TABLE mine ()",
    "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "ALTER TABLE model_registry_entries ADD COLUMN mine text",
    "ALTER TABLE model_registry_entries DISABLE TRIGGER ALL",
    "ALTER TABLE audit_log DISABLE TRIGGER USER",
    "ALTER FUNCTION audit_write(text, text, text, uuid, jsonb) OWNER TO current_user",
    "CREATE TRIGGER mine BEFORE INSERT ON audit_log EXECUTE FUNCTION registry_refuse_rewriting()",
    "DROP TABLE audit_log",
    "DROP VIEW routable_models",
    "CREATE ROLE mine",
    "SET session_replication_role = replica",
]
DATA_PLANE_ONLY = [
    "SELECT * FROM model_registry_entries",
    INSERT,
    "UPDATE model_registry_entries SET desired_state = 'enabled'",
    "UPDATE model_registry_entries SET deployment_status = 'disabled'",
    "DELETE FROM model_registry_entries",
    "UPDATE model_states SET desired_state = 'enabled'",
    "SELECT * FROM model_registry_history",
    "SELECT * FROM audit_log",
    "SELECT * FROM deployment_manifests",
    "SELECT * FROM operation_locks",
    "UPDATE operation_locks SET operation_id = NULL",
    # A health checker that could say how many failures count would need no failures.
    "INSERT INTO health_check_rules VALUES ('staging', 1, 1)",
    "UPDATE health_check_rules SET failures = 1",
    ASK.format(more="", values=""),
    "SELECT * FROM promotion_approvals",
    "SELECT * FROM manifest_verifications",
    """INSERT INTO manifest_verifications (model_name, deployment_environment, manifest_digest, verdict)
       VALUES ('m', 'staging', repeat('0', 64), 'passed')""",
    "SELECT audit_append('test.happened', 'm', 'staging', NULL, '{}')",
]
REFUSED = {
    "llmops_deployer": [HEARTBEAT, HEALTH_CHECK, "SELECT acquire_lease('work', 'me', 10)"],
    "llmops_router": [
        *DATA_PLANE_ONLY,
        HEALTH_CHECK,
        "SELECT acquire_lease('work', 'me', 10)",
        "UPDATE routable_models SET deployment_endpoint = 'http://mine'",
        "SELECT * FROM router_instances",
        "SELECT * FROM health_states",
    ],
    "llmops_health_checker": [
        *DATA_PLANE_ONLY,
        HEARTBEAT,
        "SELECT router_goodbye('r')",
        "SELECT * FROM registry_epoch",
        "SELECT * FROM service_leases",
        "INSERT INTO service_leases VALUES ('work', 'me', 1, now())",
    ],
}


def refused(member: Query, statement: str) -> bool:
    """Run a statement and return whether PostgreSQL refused it for want of a right."""
    try:
        member(statement)
    except psycopg2.errors.InsufficientPrivilege:
        return True
    return False


@pytest.mark.parametrize("role", ROLES)
def test_what_a_member_may_and_may_not_do(schema: Run, query: Query, logins: Logins, role: str) -> None:
    assert schema().warnings == []
    query(INSERT)
    member = logins.query(role)
    for statement in [*REFUSED_TO_ALL, *REFUSED[role]]:
        before = query("SELECT hash FROM audit_head")
        assert refused(member, statement), f"{role} may: {statement}"
        assert query("SELECT hash FROM audit_head") == before
    for statement in ALLOWED[role]:
        member(statement)


def test_what_a_deployer_does_is_recorded_although_he_cannot_write_the_record(
    schema: Run, query: Query, logins: Logins, database: Database
) -> None:
    schema()
    deployer = logins.query("llmops_deployer")
    deployer("SET llmops.actor = 'ann@desk'")
    for statement in ALLOWED["llmops_deployer"]:
        deployer(statement)
    deployer("UPDATE model_registry_entries SET image = 'other'")
    user = logins.make("llmops_deployer")
    assert query("SELECT DISTINCT actor, db_user FROM model_registry_history") == [("ann@desk", user)]
    assert query("SELECT DISTINCT actor, db_user FROM audit_log") == [("ann@desk", user)]
    assert query("SELECT action FROM audit_log ORDER BY seq") == [
        ("entry.insert",),
        ("operation.started",),
        ("operation.failed",),
        ("manifest.recorded",),
        ("manifest.recorded",),
        ("manifest.passed",),
        ("approval.requested",),
        ("health_check_rules.insert",),
        ("health_check_rules.update",),
        ("test.happened",),
        ("entry.update",),
    ]
    assert database.transaction(audit.verify, read_only=True).problems == []


def test_how_an_operation_ended_is_written_once(schema: Run, query: Query, logins: Logins) -> None:
    schema()
    deployer = logins.query("llmops_deployer")
    deployer(
        "INSERT INTO operations (id, model_name, deployment_environment, kind, actor, fence)"
        " VALUES (gen_random_uuid(), 'm', 'staging', 'deploy', 'me', 1)"
    )
    deployer("UPDATE operations SET outcome = 'failed', finished_at = now(), reason = 'it hung'")
    for outcome, finished in (("succeeded", "now"), ("failed", "now"), ("running", None)):
        for user in (deployer, query):
            with pytest.raises(psycopg2.errors.RaiseException, match="has ended"):
                user("UPDATE operations SET outcome = %s, finished_at = %s", (outcome, finished))
    assert query("SELECT outcome, reason FROM operations") == [("failed", "it hung")]


@pytest.mark.parametrize("latency", ["NaN", "Infinity", "-1", "1e300"])
def test_a_latency_is_one(schema: Run, query: Query, logins: Logins, latency: str) -> None:
    schema()
    query(INSERT)
    checker = logins.query("llmops_health_checker")
    with pytest.raises(psycopg2.errors.CheckViolation):
        checker(f"SELECT record_health_check('m', 'staging', 1, true, '{latency}', NULL)")
    checker(HEALTH_CHECK)


def test_temporary_tables_of_a_caller_are_not_mistaken_for_the_real_ones(
    schema: Run, query: Query, logins: Logins
) -> None:
    schema()
    deployer = logins.query("llmops_deployer")
    for table in ("audit_log", "audit_head", "model_registry_history", "registry_epoch", "operation_locks"):
        deployer(f"CREATE TEMP TABLE {table} (LIKE public.{table})")
    deployer("INSERT INTO pg_temp.audit_head VALUES (true, 0, '')")
    deployer("INSERT INTO pg_temp.registry_epoch VALUES (true, gen_random_uuid(), 0, now())")
    deployer(INSERT)
    assert query("SELECT epoch FROM registry_epoch") == [(1,)]
    assert query("SELECT count(*) FROM model_registry_history") == [(1,)]
    assert query("SELECT seq FROM audit_head") == [(1,)]
    assert deployer("SELECT epoch FROM pg_temp.registry_epoch") == [(0,)]


def test_every_function_with_its_owners_rights_has_a_safe_path_and_is_not_for_everybody(
    schema: Run, query: Query
) -> None:
    schema()
    functions = query(
        "SELECT proname, proconfig,"
        " EXISTS (SELECT FROM aclexplode(coalesce(proacl, acldefault('f', proowner))) WHERE grantee = 0)"
        " FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef"
    )
    assert len(functions) > 10
    for name, settings, is_for_everybody in functions:
        assert "search_path=public, pg_temp" in settings, name
        assert not is_for_everybody, name


@pytest.mark.parametrize("role", [*ROLES, *PARENTS, NO_ROLE])
def test_nobody_puts_a_function_with_its_owners_rights_on_a_table_of_his_own(
    schema: Run, query: Query, logins: Logins, role: str
) -> None:
    schema()
    functions = query(
        "SELECT oid::regproc::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        " AND prosecdef AND prorettype = 'trigger'::regtype"
    )
    assert len(functions) >= 8
    member = logins.query(role)
    member("CREATE TEMP TABLE mine (model_name text, deployment_environment text, row_version bigint)")
    for (function,) in functions:
        trigger = f"CREATE TRIGGER mine AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION {function}()"
        assert refused(member, trigger), f"{role} may use {function}"


def test_modules_run_as_a_deployer(schema: Run, entry: Run, info: Run, logins: Logins, query: Query) -> None:
    schema()
    dsn = logins.dsn("llmops_deployer")
    assert entry(dsn=dsn, status="pending").changed
    assert entry(dsn=dsn, status="ready", endpoint="http://model:8000").changed
    assert len(info(dsn=dsn).result["entries"]) == 1
    # A schema that is as wanted needs no rights to change it.
    assert not schema(dsn=dsn).changed
    assert not schema(dsn=dsn, check=True).changed
    assert entry(dsn=dsn, state="absent").changed
    with open_database(dsn) as deployers:
        verdict = deployers.transaction(audit.verify, read_only=True)
    assert verdict.rows > 2
    assert verdict.problems == []


def test_sequence_of_an_older_table_is_usable(schema: Run, query: Query, logins: Logins) -> None:
    query(OLDER_TABLE)
    query("ALTER TABLE model_registry_entries ALTER COLUMN model_version SET DEFAULT ''")
    assert schema().warnings == []
    logins.query("llmops_deployer")(INSERT)
    assert query("SELECT count(*) FROM model_registry_entries WHERE model_name = 'm'") == [(1,)]


def test_schema_of_its_own_is_opened_to_the_roles(
    schema: Run, query: Query, dsn: str, logins: Logins
) -> None:
    query("CREATE SCHEMA team")
    assert schema(dsn=f"{dsn} options='-c search_path=team'").warnings == []
    deployer = logins.query("llmops_deployer")
    deployer("SET search_path = team")
    deployer(INSERT)
    assert query("SELECT epoch FROM team.registry_epoch") == [(1,)]
    router = logins.query("llmops_router")
    assert router("SELECT model_name FROM team.routable_models") == [("m",)]
    assert router("SELECT epoch FROM team.router_heartbeat('r', 'staging', NULL, NULL, '{}')") == [(1,)]
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        router("SELECT * FROM team.model_registry_entries")


def _drop_roles(query: Query) -> None:
    for role in (*ROLES, *PARENTS):
        query(f"DROP ROLE IF EXISTS {role}")


def test_role_that_another_database_makes_at_the_same_moment(
    schema: Run, query: Query, server: Server
) -> None:
    _drop_roles(query)
    other = server.connect()
    other.autocommit = False
    with other.cursor() as cursor, ThreadPoolExecutor(1) as pool:
        cursor.execute("CREATE ROLE llmops_router NOLOGIN")
        migrating = pool.submit(schema)
        deadline = time.monotonic() + 20
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"
        while query(waiting) == [(0,)]:
            assert time.monotonic() < deadline, "nobody waits for the other transaction"
            time.sleep(0.01)
        other.commit()
        assert migrating.result(30).warnings == []
    other.close()
    assert query("SELECT has_table_privilege('llmops_router', 'routable_models', 'SELECT')") == [(True,)]


def test_owner_who_may_not_make_roles_is_told_what_an_administrator_has_to_do(
    schema: Run, query: Query, server: Server, database_name: str, logins: Logins
) -> None:
    _drop_roles(query)
    owner = f"owner_{database_name}"
    query(f"CREATE ROLE {owner} LOGIN PASSWORD '{PASSWORD}'")
    query(f"ALTER SCHEMA public OWNER TO {owner}")
    try:
        warnings = schema(login_user=owner, login_password=PASSWORD).warnings
        assert len(warnings) == len(ROLES) + len(PARENTS)
        for role, warning in zip((*ROLES, *PARENTS), warnings, strict=True):
            assert f"CREATE ROLE {role} NOLOGIN" in warning
            assert "SELECT registry_grant_rights()" in warning
        # As the warning says.
        for role in (*ROLES, *PARENTS):
            query(f"CREATE ROLE {role} NOLOGIN")
        query(f"SET ROLE {owner}")
        query("SELECT registry_grant_rights()")
        query("RESET ROLE")
        deployer = logins.query("llmops_deployer")
        deployer(INSERT)
        assert query("SELECT db_user FROM audit_log") == [(logins.make("llmops_deployer"),)]
        # Going down takes the rights away, as the same owner.
        before_roles = version_of("database_roles") - 1
        schema(login_user=owner, login_password=PASSWORD, target_version=before_roles)
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            deployer("SELECT * FROM model_registry_entries")
    finally:
        query(f"DROP OWNED BY {owner} CASCADE")
        query(f"DROP ROLE {owner}")


@pytest.mark.parametrize("who", ["PUBLIC", "llmops_deployer", "pg_monitor"])
def test_schema_in_which_others_may_create_is_refused(schema: Run, query: Query, who: str) -> None:
    schema()
    query(f"GRANT CREATE ON SCHEMA public TO {who}")
    for check in (False, True):
        with pytest.raises(PlatformError, match=f"{who} may create") as failure:
            schema(check=check)
        assert f"REVOKE CREATE ON SCHEMA public FROM {who}" in failure.value.resolution
    (warning,) = schema(allow_create_by_others=True).warnings
    assert f"REVOKE CREATE ON SCHEMA public FROM {who}" in warning
    query(f"REVOKE CREATE ON SCHEMA public FROM {who}")
    assert schema().warnings == []


def test_nothing_is_written_to_a_schema_in_which_others_may_create(schema: Run, query: Query) -> None:
    query("GRANT CREATE ON SCHEMA public TO PUBLIC")
    with pytest.raises(PlatformError, match="PUBLIC may create"):
        schema()
    assert query("SELECT to_regclass('registry_schema_migrations')") == [(None,)]


def test_owner_who_is_not_the_schemas_owner_may_create(
    schema: Run, query: Query, database_name: str, logins: Logins
) -> None:
    owner = f"owner_{database_name}"
    query(f"CREATE ROLE {owner} LOGIN PASSWORD '{PASSWORD}'")
    query(f"GRANT CREATE ON SCHEMA public TO {owner}")
    try:
        assert schema(login_user=owner, login_password=PASSWORD).changed
        # Whoever looks.
        assert schema(dsn=logins.dsn("llmops_deployer")).warnings == []
    finally:
        query(f"DROP OWNED BY {owner} CASCADE")
        query(f"DROP ROLE {owner}")


def test_triggers_find_nothing_of_a_callers(schema: Run, query: Query, logins: Logins) -> None:
    schema()
    functions = query(
        "SELECT proname, proconfig FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        " AND prorettype = 'trigger'::regtype"
    )
    assert len(functions) > 10
    for name, settings in functions:
        assert "search_path=public, pg_temp" in (settings or []), name
    query(INSERT)
    query(f"CREATE SCHEMA mine AUTHORIZATION {logins.make('llmops_deployer')}")
    try:
        deployer = logins.query("llmops_deployer")
        deployer(
            "CREATE FUNCTION mine.to_jsonb(public.model_registry_entries) RETURNS jsonb LANGUAGE sql"
            " AS $$SELECT '{}'::jsonb$$"
        )
        deployer("SET search_path = mine, public")
        deployer("UPDATE model_registry_entries SET image = 'another'")
        assert query("SELECT row_version FROM model_registry_entries") == [(2,)]
    finally:
        query("DROP SCHEMA mine CASCADE")


def test_nothing_in_the_schema_takes_the_place_of_what_its_functions_call(
    schema: Run, query: Query, logins: Logins
) -> None:
    """Where others may create there after all."""
    schema(environments=["staging", "prod-eu"])
    query(INSERT)
    query("GRANT CREATE ON SCHEMA public TO llmops_environment_deployer")
    member = logins.query("llmops_deployer_prod-eu")
    try:
        member(
            "CREATE FUNCTION public.format(text, text, text) RETURNS text LANGUAGE sql"
            " AS $$SELECT 'llmops_deployer_prod-eu'$$"
        )
        member(
            "CREATE FUNCTION public.to_jsonb(model_registry_entries) RETURNS jsonb LANGUAGE sql"
            " AS $$SELECT '{}'::jsonb$$"
        )
        assert refused(member, "UPDATE model_registry_entries SET image = 'another'")
        query("UPDATE model_registry_entries SET image = 'another'")
        assert query("SELECT row_version FROM model_registry_entries") == [(2,)]
        assert query("SELECT after ->> 'image' FROM model_registry_history ORDER BY seq DESC LIMIT 1") == [
            ("another",)
        ]
    finally:
        query(
            "DROP FUNCTION IF EXISTS public.to_jsonb(model_registry_entries), public.format(text, text, text)"
        )
        query("REVOKE CREATE ON SCHEMA public FROM llmops_environment_deployer")
