# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A registry that lost changes in a failover gives no epoch twice, and finds routers that are ahead."""

from __future__ import annotations

import signal
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.services.registry.conftest import Run
from tests.support.postgres import Server, private_server

Query = Callable[..., list[tuple[Any, ...]]]

HEARTBEAT = "SELECT registry_id, epoch FROM router_heartbeat('r', 'staging', %s, %s, '{}')"
REPORTED = "SELECT epoch FROM router_instances"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Return a server of these tests' own: its timeline changes."""
    with private_server() as running:
        yield running


def test_router_that_is_ahead_counts_as_having_nothing(schema: Run, entry: Run, query: Query) -> None:
    schema()
    entry()
    ((registry, epoch),) = query("SELECT registry_id, epoch FROM registry_epoch")
    assert query(HEARTBEAT, (registry, epoch)) == [(registry, epoch)]
    assert query(REPORTED) == [(epoch,)]

    jumped = query(HEARTBEAT, (registry, epoch + 7))[0][1]
    # In one step: another router may have had the epochs in between, for something else.
    assert jumped == epoch + 8
    assert query(REPORTED) == [(None,)]
    assert query("SELECT registry_id, epoch FROM registry_epoch") == [(registry, jumped)]
    # It has read everything since.
    assert query(HEARTBEAT, (registry, jumped)) == [(registry, jumped)]
    assert query(REPORTED) == [(jumped,)]


def test_no_report_uses_up_the_numbers(schema: Run, entry: Run, query: Query) -> None:
    schema()
    ((registry, epoch),) = query("SELECT registry_id, epoch FROM registry_epoch")
    # No failover loses so much: it is not followed, and counts as having nothing.
    for ahead in ((1 << 63) - 1, epoch + (1 << 36) + 1):
        assert query(HEARTBEAT, (registry, ahead)) == [(registry, epoch)]
        assert query(REPORTED) == [(None,)]
    step = epoch + (1 << 36)
    assert query(HEARTBEAT, (registry, step)) == [(registry, step + 1)]
    # Nor is one after the other.
    assert query(HEARTBEAT, (registry, step + 7)) == [(registry, step + 1)]
    assert query(REPORTED) == [(None,)]
    query("UPDATE registry_epoch SET outrun_at = outrun_at - interval '11 s'")
    assert query(HEARTBEAT, (registry, step + 7)) == [(registry, step + 8)]
    assert entry().changed


def test_no_report_leads_back_or_to_the_last_number(schema: Run, entry: Run, query: Query) -> None:
    schema()
    high = (1 << 62) + 5
    query("UPDATE registry_epoch SET epoch = %s", (high,))
    ((registry,),) = query("SELECT registry_id FROM registry_epoch")
    for ahead in (high + 1, (1 << 63) - 1):
        assert query(HEARTBEAT, (registry, ahead)) == [(registry, high)]
        assert query(REPORTED) == [(None,)]
    assert entry().changed
    assert query("SELECT epoch FROM registry_epoch") == [(high + 1,)]


def test_router_of_another_registry_changes_nothing(schema: Run, entry: Run, query: Query) -> None:
    schema()
    entry()
    before = query("SELECT registry_id, epoch FROM registry_epoch")
    assert query(HEARTBEAT, (str(uuid.uuid4()), 1 << 60)) == before
    assert query(HEARTBEAT, (None, None)) == before
    assert query("SELECT registry_id, epoch FROM registry_epoch") == before


def test_service_that_hides_its_timeline(schema: Run, entry: Run, query: Query, database_name: str) -> None:
    schema()
    ((before,),) = query("SELECT epoch FROM registry_epoch")
    # As a service that says nothing about WAL: for this database only.
    plain = f"{database_name}_plain"
    query(f"CREATE ROLE {plain}; GRANT CREATE ON SCHEMA public TO {plain}")
    query(f"ALTER FUNCTION registry_epoch_outruns_lost_commits() OWNER TO {plain}")
    query("REVOKE EXECUTE ON FUNCTION pg_catalog.pg_current_wal_lsn() FROM PUBLIC")
    assert entry().changed
    assert query("SELECT epoch FROM registry_epoch") == [(before + 1,)]


def test_first_change_after_a_promotion_jumps(schema: Run, entry: Run, query: Query, server: Server) -> None:
    schema()
    entry()
    server.stop(signal.SIGINT)
    server.run("/bin/touch", str(server.folder / "data" / "standby.signal"))
    server.start()
    administrator = server.connect()
    with administrator.cursor() as cursor:
        cursor.execute("SELECT pg_promote()")
    administrator.close()
    entry(model="org/another")
    # Room for four billion changes that may have been lost.
    assert query("SELECT epoch FROM registry_epoch") == [(1 << 32,)]
    entry(model="org/a-third")
    assert query("SELECT epoch FROM registry_epoch") == [((1 << 32) + 1,)]
    assert query("SELECT max(epoch) FROM model_registry_history") == [((1 << 32) + 1,)]
