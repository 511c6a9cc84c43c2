# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A registry of the tests' own, and a real LiteLLM proxy with a database of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.export_registry import Registry, fresh_registry
from tests.support.litellm_proxy import LiteLLMProxy, proxy_with_database
from tests.support.model_server import ModelServer
from tests.support.postgres import Server, private_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """Return a server for the registries and for the proxy."""
    with private_server() as running:
        yield running


@pytest.fixture
def registry(postgres: Server) -> Iterator[Registry]:
    """Return an empty registry."""
    with fresh_registry(postgres) as rows:
        yield rows


@pytest.fixture(scope="session")
def proxy(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiteLLMProxy]:
    """Return a running LiteLLM proxy with its database."""
    dsn = postgres.dsn(postgres.create_database("litellm"))
    with proxy_with_database(dsn, tmp_path_factory.mktemp("litellm")) as running:
        yield running


@pytest.fixture(scope="module")
def engine(model_server_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    """Return a running model server."""
    log = tmp_path_factory.mktemp("engine") / "engine.log"
    with ModelServer(model_server_binary, log) as running:
        yield running.wait_open()
