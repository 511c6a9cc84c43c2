# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a campaign runs on: PostgreSQL, Redis, model servers and two routers, all real processes."""

from __future__ import annotations

import signal
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2.extensions
from psycopg2 import sql

from ansible_collections.llmops.platform.plugins.module_utils._module import Context, Outcome
from ansible_collections.llmops.platform.plugins.modules import registry_entry, registry_schema
from tests.services.registry.conftest import MIGRATIONS
from tests.support.model_server import ModelServer, build_model_server
from tests.support.postgres import PASSWORD, Server, private_server
from tests.support.redis_server import RedisServer
from tests.support.router_process import RouterProcess
from tests.support.tcp_proxy import TcpProxy

ENVIRONMENT = "staging"
#: Names of the two routers.
ROUTERS = ("router-a", "router-b")
#: Always enabled: nothing that breaks may be seen in their answers.
STEADY = ("org/steady-1", "org/steady-2")
#: Disabled and enabled again in every round.
FLIPPED = ("org/flipped-1", "org/flipped-2")
#: Disabled before anything breaks, and never enabled while it is broken.
KEPT_OUT = "org/kept-out"
#: Registered for the first time while something is broken, removed at the end of the round.
BORN = "org/born"
#: Registered for a moment only, by a commit that is lost.
LOST = "org/lost"
MODELS = (*STEADY, *FLIPPED, KEPT_OUT)


@dataclass
class World:
    """The processes, and how to reach them. ``links`` are the proxies between each router and PostgreSQL."""

    server: Server
    database: str
    redis: RedisServer
    models: dict[str, ModelServer]
    routers: dict[str, RouterProcess] = field(default_factory=dict)
    links: dict[str, TcpProxy] = field(default_factory=dict)

    def dsn(self, user: str, **others: str) -> str:
        """Return the DSN of a login with the rights of its kind: ``deployer`` or ``router``."""
        return self.server.dsn(self.database, user=f"{self.database}_{user}", **others)

    def administrator(self) -> psycopg2.extensions.connection:
        """Return a superuser's connection, for which PostgreSQL always keeps a place."""
        return self.server.connect(self.database)

    def query(self, statement: str, values: Any = None) -> list[tuple[Any, ...]]:
        """Run SQL as a superuser, over a connection of its own."""
        connection = self.administrator()
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement, values)
                return list(cursor.fetchall()) if cursor.description else []
        finally:
            connection.close()

    def entry(self, model: str, **arguments: Any) -> Outcome:
        """Run the module ``registry_entry`` with the rights of a deployer."""
        defaults = {name: option.get("default") for name, option in registry_entry.ARGUMENT_SPEC.items()}
        given = {"dsn": self.dsn("deployer"), "model": model, "environment": ENVIRONMENT, **arguments}
        assert set(given) <= set(defaults), "an argument that the module does not have"
        return registry_entry.run(defaults | given, Context())

    def register(self, model: str, **arguments: Any) -> Outcome:
        """Register a model as ready at its server."""
        return self.entry(model, endpoint=self.models[model].url, status="ready", **arguments)

    def finished(self, model: str) -> int:
        """Return how many completions the model's server has finished."""
        return int(self.models[model].metric("vllm:request_success_total"))


@contextmanager
def running_world(folder: Path) -> Iterator[World]:
    """Start everything; at the end nothing is left. ``folder`` gets the logs."""
    with ExitStack() as stack:
        server = stack.enter_context(private_server())
        database = f"faults_{uuid.uuid4().hex[:8]}"
        redis_server = stack.enter_context(RedisServer(folder))
        binary = build_model_server(folder)
        models = {
            model: stack.enter_context(
                ModelServer(
                    binary, folder / f"{model.replace('/', '-')}.log", "--served-model-name", model,
                    MODEL_SERVER_ACCESS_LOG="0",
                )
            )
            for model in (*MODELS, BORN, LOST)
        }  # fmt: skip
        world = World(server, database, redis_server, models)
        _make_database(world)
        for model_server in models.values():
            model_server.wait_open()
        for model in MODELS:
            world.register(model)
        for name in ROUTERS:
            link = world.links[name] = stack.enter_context(TcpProxy(server.port))
            world.routers[name] = stack.enter_context(
                RouterProcess(
                    name,
                    folder,
                    world.dsn("router", port=str(link.port), sslmode="disable"),
                    redis_url=redis_server.url,
                    poll_interval_s="1",
                    registry_timeout_s="1",
                )
            )
        for router in world.routers.values():
            router.wait_ready()
        yield world


def _make_database(world: World) -> None:
    """Create the database with its schema, and a login for each kind of user."""
    administrator = world.server.connect()
    with administrator.cursor() as cursor:
        # So few that they are soon taken.
        cursor.execute("ALTER SYSTEM SET max_connections = 30")
        cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(world.database)))
    administrator.close()
    world.server.stop(signal.SIGINT)
    world.server.start()
    defaults = {name: option.get("default") for name, option in registry_schema.ARGUMENT_SPEC.items()}
    given = {
        "dsn": world.server.dsn(world.database),
        "migrations_path": str(MIGRATIONS),
        "environments": [ENVIRONMENT],
    }
    registry_schema.run(defaults | given, Context())
    administrator = world.administrator()
    with administrator.cursor() as cursor:
        for kind in ("deployer", "router"):
            statement = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} IN ROLE {}").format(
                sql.Identifier(f"{world.database}_{kind}"),
                sql.Literal(PASSWORD),
                sql.Identifier(f"llmops_{kind}_{ENVIRONMENT}"),
            )
            cursor.execute(statement)
    administrator.close()
