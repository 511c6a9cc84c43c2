# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deploy one model and ten, then deploy them again unchanged: ours and the peer's, in turn."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.measure import Cost, Row, measure, middle
from tests.bench.place import PEER, Place
from tests.support.playbooks import ROOT

FLOOR_NAME = "kubectl apply and kubectl wait of the same objects, rendered before"
PEER_NAME = "kubernetes.core.helm, k8s_info, uri, community.postgresql"
INVENTORY = ROOT / "tests/bench/inventory.yml"


@dataclass(frozen=True)
class Side:
    """One of the two ways to do the job."""

    name: str
    playbook: Path
    interpreter: Path
    config: Path

    def argv(self, variables: Path, models: Sequence[str]) -> list[str]:
        """Return the command for some models of the inventory."""
        return [
            str(self.interpreter / "ansible-playbook"),
            str(self.playbook),
            *("-i", str(INVENTORY), "--limit", ",".join(models), "-e", f"@{variables}"),
        ]

    def environment(self) -> dict[str, str]:
        """Return the environment of the command: the caller's, without what would change either side."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("ANSIBLE_", "K8S_AUTH_", "PG", "LLMOPS_")) and name != "KUBECONFIG"
        }
        path = f"{self.interpreter}{os.pathsep}{os.environ.get('PATH', '')}"
        return {**kept, "ANSIBLE_CONFIG": str(self.config), "PATH": path, "ANSIBLE_NOCOLOR": "1"}


def sides(peer_environment: Path | None, playbook: str = "deploy.yml") -> list[Side]:
    """Return ours, and the peer unless it is left out. Both have a playbook of that name."""
    ours = Side("ours", ROOT / "playbooks" / playbook, Path(sys.executable).parent, ROOT / "ansible.cfg")
    if peer_environment is None:
        return [ours]
    return [ours, Side("peer", PEER / playbook, peer_environment / "bin", PEER / "ansible.cfg")]


def model(number: int) -> str:
    """Return the name of a model of the inventory, which counts from 1."""
    return f"bench-model-{number:02}"


@dataclass
class Deployments:
    """The measurements: ``costs[(side, job)]``, a job being such as ``deploy_10``."""

    place: Place
    sides: list[Side]
    logs: Path
    say: Callable[[str], None]
    costs: dict[tuple[str, str], list[Cost]] = field(default_factory=dict)

    def run(self, models: int, repeats: int) -> None:
        """Measure ``deploy_N`` and ``redeploy_N``; ours and the peer's take turns in going first."""
        for repeat in range(1, repeats + 1):
            order = self.sides if repeat % 2 else self.sides[::-1]
            rendered: list[str] = []
            made_in = ""
            for side in order:
                namespace = self.place.namespace()
                variables = self.place.variables(namespace)
                try:
                    self._measure(side, f"deploy_{models}", variables, models, repeat)
                    self._check(side, namespace, models)
                    if side.name == "ours":
                        rendered, made_in = self.place.manifests(namespace), namespace
                    self._measure(side, f"redeploy_{models}", variables, models, repeat)
                    self._check(side, namespace, models)
                finally:
                    variables.unlink()
                    self.place.clear(namespace)
            self._measure_floor(f"deploy_{models}", repeat, rendered, made_in)

    def rows(self, models: int) -> list[Row]:
        """Return the rows of one number of models."""
        rows = []
        for job in (f"deploy_{models}", f"redeploy_{models}"):
            ours, peer = (self.costs.get((side, job), []) for side in ("ours", "peer"))
            for figure, unit in (("wall", "s"), ("cpu", "CPU s")):
                our, theirs = (
                    middle([getattr(cost, f"{figure}_s") for cost in side]) for side in (ours, peer)
                )
                rows.append(Row(f"{job}_{figure}", unit, our, theirs, PEER_NAME))
                if floor := self.costs.get(("floor", job)):
                    least = middle([getattr(cost, f"{figure}_s") for cost in floor])
                    rows.append(Row(f"{job}_{figure}_floor", unit, our, least, FLOOR_NAME))
        return rows

    def _measure(self, side: Side, job: str, variables: Path, models: int, repeat: int) -> None:
        log = self.logs / f"{job}-{side.name}-{repeat}.log"
        names = [model(number) for number in range(1, models + 1)]
        cost = measure(side.argv(variables, names), log, ROOT, side.environment())
        self.costs.setdefault((side.name, job), []).append(cost)
        self.say(f"{job:<12} {side.name}  {cost.wall_s:7.2f} s wall  {cost.cpu_s:7.2f} s CPU")

    def _measure_floor(self, job: str, repeat: int, manifests: list[str], made_in: str) -> None:
        """Measure what the cluster itself takes for the same objects: applied at once, and waited for."""
        namespace = self.place.namespace()
        file = self.place.folder / f"{namespace}.yaml"
        made = f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}}}\n"
        # YAML itself puts documents side by side, so that one command sends all.
        file.write_text("\n---\n".join([made, *manifests]).replace(made_in, namespace), encoding="utf-8")
        kubectl = [str(self.place.lab.binary("kubectl")), f"--kubeconfig={self.place.lab.kubeconfig}"]
        kubectl += ["-n", namespace]
        # Not the condition Available: a Deployment whose strategy lets one pod be away has it without any.
        ready = "--for=jsonpath={.status.readyReplicas}=1"
        wait = ["wait", ready, "deployment", "--all", "--timeout=120s"]
        log = self.logs / f"{job}-floor-{repeat}"
        try:
            applied = measure(
                [*kubectl, "apply", "-f", str(file)], log.with_suffix(".apply.log"), ROOT, os.environ
            )
            waited = measure([*kubectl, *wait], log.with_suffix(".wait.log"), ROOT, os.environ)
        finally:
            self.place.clear(namespace)
        cost = Cost(applied.wall_s + waited.wall_s, applied.cpu_s + waited.cpu_s)
        self.costs.setdefault(("floor", job), []).append(cost)
        self.say(f"{job:<12} floor {cost.wall_s:7.2f} s wall  {cost.cpu_s:7.2f} s CPU")

    def _check(self, side: Side, namespace: str, models: int) -> None:
        """Fail unless the job was done: every model ready in the registry, and no revision without need."""
        ready, revisions = self.place.ready_models(), self.place.revisions(namespace)
        if (ready, revisions) != (models, models):
            raise AssertionError(
                f"{side.name}: {ready} ready rows and {revisions} Helm revisions for {models} models"
            )
