# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python -m tests.bench``: measure, print a table, write ``build/bench.json``."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import (
    Authentication,
    ClusterClient,
)
from tests.bench import capacity_scale, load, router
from tests.bench.deployments import Deployments, sides
from tests.bench.measure import Row, RunFailedError
from tests.bench.place import peer_environment, prepared_place
from tests.bench.rollbacks import STARTS, Rollbacks
from tests.support.lab import Lab, running_lab
from tests.support.playbooks import ROOT

RESULT = ROOT / "build/bench.json"
LOGS = ROOT / "build/bench-logs"
MODELS = (1, 10, 40)
GROUPS = (
    *(f"deploy_{models}" for models in MODELS),
    *(f"capacity_{nodes}" for nodes in capacity_scale.SIZES),
    *(f"rollback_{start_s}" for start_s in STARTS),
    "router",
)


def main() -> int:
    """Run the benchmark; return the exit status."""
    arguments = _arguments()
    started = time.monotonic()

    def say(line: str) -> None:
        print(f"bench: [{time.monotonic() - started:6.1f} s] {line}", file=sys.stderr, flush=True)

    wanted = [group for group in GROUPS if arguments.only is None or _covers(group, arguments.only)]
    if not wanted:
        print(f"bench: no group measures {arguments.only!r}; groups: {', '.join(GROUPS)}", file=sys.stderr)
        return 2
    lab = running_lab()
    say(surroundings(lab))
    rows: list[Row] = []
    if deploy := [models for models in MODELS if f"deploy_{models}" in wanted]:
        shutil.rmtree(LOGS, ignore_errors=True)
        peer = None if arguments.no_peer else peer_environment(say)
        with (
            tempfile.TemporaryDirectory(prefix="llmops-bench-") as folder,
            prepared_place(lab, Path(folder)) as place,
        ):
            measured = Deployments(place, sides(peer), LOGS, say)
            for models in deploy:
                # One model is quick to repeat; ten are repeated less.
                measured.run(models, arguments.repeats or (3 if models == 1 else 2))
                rows += measured.rows(models)
                _write(rows)
    if nodes := [size for size in capacity_scale.SIZES if f"capacity_{size}" in wanted]:
        rows += capacity_scale.measure(str(lab.kubeconfig), str(lab.binary("kubectl")), say, nodes)
    if starts := [start_s for start_s in STARTS if f"rollback_{start_s}" in wanted]:
        peer = None if arguments.no_peer else peer_environment(say)
        with (
            tempfile.TemporaryDirectory(prefix="llmops-bench-") as folder,
            prepared_place(lab, Path(folder)) as place,
        ):
            rollbacks = Rollbacks(place, peer, load.build(Path(folder)), LOGS, say)
            for start_s in starts:
                rollbacks.run(start_s, arguments.repeats or 3)
                rows += rollbacks.rows(start_s)
                _write(rows)
    if "router" in wanted:
        rows += router.measure(lab, say, peers=not arguments.no_peer, quick=arguments.repeats == 1)
    print(table(rows))
    _write(rows)
    say(f"written to {RESULT.relative_to(ROOT)}")
    return 0


def surroundings(lab: Lab) -> str:
    """Return what else decides the figures: the machine, its other load, and what the cluster holds."""
    api = ClusterClient(Authentication(kubeconfig=str(lab.kubeconfig)))
    nodes, pods = (sum(1 for _ in api.list_pages(f"/api/v1/{kind}")) for kind in ("nodes", "pods"))
    load = ", ".join(f"{figure:.1f}" for figure in os.getloadavg())
    return (
        f"{os.cpu_count()} cores, load before the start {load}; {nodes} nodes and {pods} pods in the cluster"
    )


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a table for people."""
    lines = [f"{'name':<50} {'unit':<6} {'ours':>10} {'peer':>10} {'ratio':>7}  peer"]
    for row in rows:
        figures = [_figure(value) for value in (row.ours, row.peer)]
        ratio = f"{row.ratio:.3f}" if row.ratio is not None else "-"
        lines.append(
            f"{row.name:<50} {row.unit:<6} {figures[0]:>10} {figures[1]:>10} {ratio:>7}  {row.peer_name}"
        )
    return "\n".join(lines)


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if abs(value) >= 1 or value == 0 else f"{value:.5f}"


def _write(rows: Sequence[Row]) -> None:
    """Write what is known so far: a run that is cut short keeps its finished groups."""
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps([row.as_json() for row in rows], indent=2) + "\n", encoding="utf-8")


def _covers(group: str, only: str) -> bool:
    """Tell whether a group measures the row that was asked for (``redeploy_1`` comes with ``deploy_1``)."""
    if group == "router" and "_propagation" in only:
        return True
    name = only.removeprefix("re")
    return name == group or name.startswith(f"{group}_") or group.startswith(f"{name}_")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "--only", metavar="NAME", help=f"measure one of {', '.join(GROUPS)}, or what starts like that"
    )
    parser.add_argument("--repeats", type=int, help="runs of each job; the median counts")
    parser.add_argument("--no-peer", action="store_true", help="measure ours alone")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RunFailedError as error:
        sys.exit(f"bench: {error}")
