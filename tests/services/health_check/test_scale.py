# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many entries: what they cost, and whether each is checked in time. Real servers, many entries each."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.services.health_check.checker_process import CheckerProcess
from tests.services.health_check.conftest import RegistryDatabase, StartEngine
from tests.support.model_server import parse_metrics, wait_until

Start = Callable[..., CheckerProcess]

ENGINES = 5


@dataclass(frozen=True)
class Reading:
    """Counters of a checker at a moment."""

    moment: float
    cpu_s: float
    memory_mb: float
    checks: float
    completions: float
    refused: float
    #: Checks by how late they were at most: bucket's bound in seconds, count.
    late: dict[float, float]

    @classmethod
    def of(cls, checker: CheckerProcess) -> Reading:
        """Read them."""
        samples = parse_metrics(checker.get("/metrics")[1])

        def total(name: str, **labels: str) -> float:
            return sum(
                sample.value
                for sample in samples
                if sample.name == name and labels.items() <= sample.labels.items()
            )

        return cls(
            time.monotonic(),
            total("process_cpu_seconds_total"),
            total("process_resident_memory_bytes") / 1e6,
            total("llmops_health_checks_total"),
            total("llmops_health_checks_total", kind="completion"),
            total("llmops_health_records_total", outcome="refused")
            + total("llmops_health_records_total", outcome="error"),
            {
                float(sample.labels["le"]): sample.value
                for sample in samples
                if sample.name == "llmops_health_schedule_lag_seconds_bucket"
            },
        )


def share_late(before: Reading, after: Reading, bound_s: float) -> float:
    """Return the share of checks that began later than the bound."""
    all_of_them = after.late[float("inf")] - before.late[float("inf")]
    return 1 - (after.late[bound_s] - before.late[bound_s]) / all_of_them


@pytest.mark.parametrize(
    ("entries", "interval_s", "seconds"),
    # The same 100 checks a second: few entries often, and the thousand at the default interval.
    [(200, 2, 8), pytest.param(1000, 10, 60, marks=pytest.mark.full)],
)
def test_many_entries_are_checked_in_time_on_a_fraction_of_a_core(
    registry: RegistryDatabase,
    engine: StartEngine,
    checker: Start,
    entries: int,
    interval_s: float,
    seconds: float,
) -> None:
    models = [f"org/model-{number}" for number in range(entries)]
    servers = [engine(*models[number::ENGINES]) for number in range(ENGINES)]
    registry.query(
        "INSERT INTO model_registry_entries"
        " (model_name, deployment_environment, deployment_status, deployment_endpoint)"
        " SELECT name, 'staging', 'ready', (%s::text[])[1 + (place - 1) %% %s]"
        " FROM unnest(%s::text[]) WITH ORDINALITY AS models (name, place)",
        # By name: names are resolved for each check, which is part of its cost.
        [f"http://localhost:{server.port}" for server in servers],
        ENGINES,
        models,
    )
    running = checker(
        allowed_endpoints="localhost",
        connect_timeout_s="3",
        interval_s=str(interval_s),
        completion_interval_s=str(6 * interval_s),
        refresh_s="2",
        lease_ttl_s="15",
        lease_renew_s="5",
        health_timeout_s="5",
        completion_timeout_s="30",
        registry_timeout_s="5",
    ).wait_leading()
    wait_until(lambda: registry.checks_recorded() == entries, interval_s * 1.3 + 10)

    # Generous, and the better of two: other tests may run on the same machine.
    for _time in range(2):
        before = Reading.of(running)
        time.sleep(seconds)
        after = Reading.of(running)
        passed_s = after.moment - before.moment
        cpu_s_per_minute = (after.cpu_s - before.cpu_s) / passed_s * 60
        checks = after.checks - before.checks
        late = {bound_s: share_late(before, after, bound_s) for bound_s in (0.05, 0.1, 0.5, 1.0)}
        print(
            f"{entries} entries: {checks / passed_s:.1f} checks/s, "
            f"{(after.completions - before.completions) / passed_s:.1f} completions/s, "
            f"{cpu_s_per_minute:.1f} CPU s/min, {after.memory_mb:.0f} MB, late by more than "
            + ", ".join(f"{bound_s:g} s: {share:.1%}" for bound_s, share in late.items())
        )
        wanted = pytest.approx(entries / interval_s * passed_s, rel=0.15)
        if checks == wanted and cpu_s_per_minute < 45 and late[1.0] < 0.05:
            break

    assert checks == wanted
    assert after.refused == 0
    assert cpu_s_per_minute < 45
    assert late[1.0] < 0.05
    # Half of what the role allows a pod.
    assert after.memory_mb < 128
    assert registry.query("SELECT FROM model_registry_entries WHERE deployment_status <> 'ready'") == []
    (oldest,) = registry.query(
        "SELECT extract(epoch FROM now() - min(last_checked_at)) AS s FROM health_checks"
    )
    assert float(oldest["s"]) < 2 * interval_s + 1
