# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The router's rows: its speed beside other ways to the same model server, and how fast it learns."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import psycopg2

from tests.bench import load, router_propagation
from tests.bench.measure import Row
from tests.bench.place import prepared_place
from tests.bench.router_speed import Speed
from tests.bench.router_targets import all_targets
from tests.support.lab import Lab
from tests.support.litellm_proxy import installed
from tests.support.model_server import MODEL, ModelServer, build_model_server

#: Models that the registry holds besides the one that is asked for.
OTHER_MODELS = 100
ROUNDS = 2
SECONDS = 1.5


def measure(lab: Lab, say: Callable[[str], None], *, peers: bool, quick: bool = False) -> list[Row]:
    """Return the rows; ``quick`` measures less, to see that it works."""
    installation = installed() if peers else None
    redis_url = (lab.folder / "redis.url").read_text(encoding="utf-8").strip()
    with (
        tempfile.TemporaryDirectory(prefix="llmops-bench-") as name,
        prepared_place(lab, Path(name)) as place,
    ):
        folder = Path(name)
        generator = load.build(folder)
        names = ["--served-model-name", MODEL, *router_propagation.MODELS]
        arguments = [*names, "--max-num-seqs", "1024"]
        settings = {"MODEL_SERVER_ACCESS_LOG": "0", "MODEL_SERVER_CONTROL": "1"}
        with ModelServer(build_model_server(folder), folder / "engine.log", *arguments, **settings) as engine:
            engine.wait_open()
            _fill(place.dsn, engine.url)
            say("starting the router and its peers")
            with all_targets(engine, folder, place.dsn, redis_url, installation) as targets:
                speed = Speed(targets, generator, folder, say)
                speed.run(1 if quick else ROUNDS, SECONDS)
            for line in speed.details():
                print(line)
            say("propagation of changes: our router")
            changes = 10 if quick else router_propagation.CHANGES
            own = router_propagation.ours(place.dsn, redis_url, engine, folder, changes)
            peer = None
            if installation is not None:
                say("propagation of changes: LiteLLM")
                peer = router_propagation.litellm(lab, installation, redis_url, engine, folder)
    return [*speed.rows(), *router_propagation.rows(own, peer)]


def _fill(dsn: str, endpoint: str) -> None:
    """Register the model of the speed rows, and others as a registry has them."""
    names = [MODEL, *(f"other/model-{number}" for number in range(OTHER_MODELS))]
    with psycopg2.connect(dsn) as connection, connection.cursor() as cursor:
        for name in names:
            cursor.execute(
                "INSERT INTO model_registry_entries (model_name, deployment_environment, deployment_status,"
                " deployment_endpoint) VALUES (%s, 'development', 'ready', %s)",
                (name, endpoint),
            )
    connection.close()
