# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bring one model back to its version before: ours, the peer's, and ``helm rollback --wait`` alone, in turn.

Three models stand side by side in one namespace behind one router, one for each way. Each has a version that
is gone back to and one that is left, made by the way's own means. First the ways are timed on a quiet
cluster, then each goes back once more while 64 streams are open.
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.bench.deployments import INVENTORY, model, sides
from tests.bench.load import Sample, put_load
from tests.bench.measure import Cost, Row, measure, middle
from tests.bench.place import Place
from tests.support.playbooks import ROOT

#: Seconds that a model server takes to start by itself.
STARTS = (0, 5)
OURS, PEER, HELM = "ours", "peer", "helm"
MODELS = {OURS: model(1), PEER: model(2), HELM: model(3)}
NAMES = {
    PEER: "helm rollback --wait, kubernetes.core.k8s_info, uri, community.postgresql",
    HELM: "helm rollback --wait alone: nobody asks the model, the registry says what it said",
}
STREAMS = 64
#: A stream of two seconds: most of those that are open when it begins outlive the switch to the new pod.
CHUNKS, CHUNK_PAUSE_MS = 40, 50
#: Seconds of streams before a rollback, and, beyond the model's start, till the old pod is gone.
BEFORE_S, WINDOW_S = 2.0, 30.0
_SETTLED_S = 90
#: The old pod ends its streams before it goes; neither way waits for it.
_DRAIN = {"preStopSeconds": 3, "shutdownTimeoutSeconds": 10, "marginSeconds": 2}


@dataclass(frozen=True)
class Version:
    """A version of all models. Those of one start and pace differ in their name alone."""

    name: str
    start_s: int
    pause_ms: int = 0

    def values(self) -> dict[str, Any]:
        """Return the values of the chart."""
        inventory = yaml.safe_load(INVENTORY.read_text(encoding="utf-8"))
        settings = {
            "MODEL_VERSION": self.name,
            "MODEL_SERVER_LOAD_SECONDS": str(self.start_s),
            "MODEL_SERVER_ITL_MS": str(self.pause_ms),
        }
        environment = [{"name": name, "value": value} for name, value in settings.items()]
        values: dict[str, Any] = inventory["models"]["vars"]["bench_values"]
        return {**values, "strategy": "surge", "drain": _DRAIN, "model": {"extraEnv": environment}}


@dataclass
class Rollbacks:
    """The measurements: costs by start and way, and what the streams saw."""

    place: Place
    peer: Path | None
    generator: Path
    logs: Path
    say: Callable[[str], None]
    costs: dict[tuple[int, str], list[Cost]] = field(default_factory=dict)
    streams: dict[tuple[int, str], Sample] = field(default_factory=dict)

    @property
    def ways(self) -> list[str]:
        """Return the ways that are measured."""
        return [OURS] if self.peer is None else [OURS, PEER, HELM]

    def run(self, start_s: int, repeats: int) -> None:
        """Measure all ways for models that take so long to start."""
        namespace = self.place.namespace()
        try:
            good, bad = Version("good", start_s), Version("bad", start_s)
            self._deploy(namespace, good)
            self._play_router(namespace, good)
            for repeat in range(repeats):
                self._deploy(namespace, bad)
                for way in self.ways if repeat % 2 == 0 else self.ways[::-1]:
                    self._measure(namespace, way, bad, good, to=2 * repeat + 1)
            slow, slow_bad = (Version(f"slow-{one.name}", start_s, CHUNK_PAUSE_MS) for one in (good, bad))
            self._deploy(namespace, slow)
            self._deploy(namespace, slow_bad)
            for way in self.ways:
                self._measure_streams(namespace, way, slow_bad, slow, to=2 * repeats + 2)
        finally:
            self.place.clear(namespace)

    def rows(self, start_s: int) -> list[Row]:
        """Return the rows of one start."""
        rows = []
        for other in self.ways[1:] or [PEER]:
            suffix = "" if other == PEER else f"_{other}"
            ours, theirs = self.costs[start_s, OURS], self.costs.get((start_s, other), [])
            wall, their_wall = (middle([cost.wall_s for cost in side]) for side in (ours, theirs))
            cpu, their_cpu = (middle([cost.cpu_s for cost in side]) for side in (ours, theirs))
            failed, their_failed = (self._failed(start_s, way) for way in (OURS, other))
            name = f"rollback_{start_s}"
            rows.append(Row(f"{name}_wall{suffix}", "s", wall, their_wall, NAMES[other]))
            if start_s:
                beyond, their_beyond = (
                    seconds - start_s if seconds is not None else None for seconds in (wall, their_wall)
                )
                rows.append(Row(f"{name}_beyond{suffix}", "s", beyond, their_beyond, NAMES[other]))
            rows.append(Row(f"{name}_cpu{suffix}", "CPU s", cpu, their_cpu, NAMES[other]))
            rows.append(Row(f"{name}_failed_streams{suffix}", "", failed, their_failed, NAMES[other]))
        return rows

    def _failed(self, start_s: int, way: str) -> float | None:
        sample = self.streams.get((start_s, way))
        return None if sample is None else float(sample.failures.total())

    def _deploy(self, namespace: str, version: Version) -> None:
        """Bring all models to a version; nothing is counted. The peer's are its own, as Helm 3 makes them."""
        variables = self._variables(namespace, version)
        for side in sides(self.peer):
            ours = side.name == OURS
            models = [MODELS[way] for way in self.ways if (way == PEER) != ours]
            log = self.logs / f"rollback_{version.start_s}-deploy-{version.name}-{side.name}.log"
            # What was gone back from is deployed once more for the next round.
            again = ["-e", "vllm_retry_rejected=true"] if ours else []
            measure([*side.argv(variables, models), *again], log, ROOT, side.environment())
        for way in self.ways:
            self._check(namespace, way, version)
        self._settle(namespace)
        self.say(f"rollback_{version.start_s}: all models are {version.name}")

    def _play_router(self, namespace: str, version: Version) -> None:
        (router,) = sides(None, "router.yml")
        argv = router.argv(self._variables(namespace, version), [MODELS[OURS]])
        measure(argv, self.logs / f"rollback_{version.start_s}-router.log", ROOT, router.environment())

    def _measure(self, namespace: str, way: str, left: Version, back: Version, to: int) -> Cost:
        """Go back and see that it was done; return what it took."""
        self._check(namespace, way, left)
        job, started = f"rollback_{back.start_s}", time.strftime("%H%M%S")
        if way == HELM:
            lab = self.place.lab
            argv = [str(lab.binary("helm")), "rollback", f"{MODELS[HELM]}-development", str(to), "--wait"]
            argv += ["--timeout=300s", f"--namespace={namespace}", f"--kubeconfig={lab.kubeconfig}"]
            environment: Mapping[str, str] = sides(None)[0].environment()
        else:
            (side,) = (side for side in sides(self.peer, "rollback.yml") if side.name == way)
            variables = self._variables(namespace, back, bench_revision=to)
            argv, environment = side.argv(variables, [MODELS[way]]), side.environment()
        cost = measure(argv, self.logs / f"{job}-{way}-{back.name}-{started}.log", ROOT, environment)
        self._check(namespace, way, back)
        if not back.pause_ms:
            self.costs.setdefault((back.start_s, way), []).append(cost)
            self._settle(namespace)
        self.say(f"{job:<12} {way:<5} {cost.wall_s:7.2f} s wall  {cost.cpu_s:7.2f} s CPU")
        return cost

    def _measure_streams(self, namespace: str, way: str, left: Version, back: Version, to: int) -> None:
        """Go back while streams are open; count those that break, from before its begin to after its end."""
        service = self.place.api.get(f"/api/v1/namespaces/{namespace}/services/router")
        url = f"http://{service['spec']['clusterIP']}:80/v1/chat/completions"
        question: dict[str, Any] = {"messages": [{"role": "user", "content": "Hello there"}], "stream": True}
        question |= {"model": MODELS[way], "max_tokens": CHUNKS, "ignore_eos": True}
        body = self.place.folder / f"stream-{way}.json"
        body.write_text(json.dumps(question), encoding="utf-8")
        events = _count_events(url, body)
        window = BEFORE_S + back.start_s + WINDOW_S
        with ThreadPoolExecutor(1) as pool:
            load = pool.submit(put_load, self.generator, url, body, STREAMS, window, events=events)
            time.sleep(BEFORE_S)
            cost = self._measure(namespace, way, left, back, to)
            sample = load.result()
        if cost.wall_s > window - BEFORE_S:
            self.say(f"{way} took longer than the streams, which count for nothing: the machine is too busy")
            return
        if not sample.latencies_s:
            raise AssertionError(f"{way}: no stream came through: {dict(sample.failures)}")
        self.streams[back.start_s, way] = sample
        told = f"{len(sample.latencies_s)} whole streams, {sample.failures.total()} failed"
        self.say(
            f"rollback_{back.start_s:<3} {way:<5} under {STREAMS} streams: {told} {dict(sample.failures)}"
        )

    def _variables(self, namespace: str, version: Version, **more: Any) -> Path:
        settings = {**self.place.router_settings(namespace), "bench_values": version.values(), **more}
        return self.place.variables(namespace, settings)

    def _check(self, namespace: str, way: str, version: Version) -> None:
        """Fail unless a model is what it should be, with its pod ready and its row as well."""
        name = f"{MODELS[way]}-development"
        deployment = self.place.api.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}")
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        found = {item["name"]: item.get("value") for item in container["env"]}["MODEL_VERSION"]
        available, ready = deployment["status"].get("availableReplicas", 0), self.place.ready_models()
        if found != version.name or available < 1 or ready != len(self.ways):
            raise AssertionError(
                f"{way}: {found} instead of {version.name}, {available} pods available, {ready} ready rows"
            )

    def _settle(self, namespace: str) -> None:
        """Wait until no pod is on its way out, whose end would count for the next."""
        deadline = time.monotonic() + _SETTLED_S
        path = f"/api/v1/namespaces/{namespace}/pods"
        while any("deletionTimestamp" in pod["metadata"] for pod in self.place.api.list_pages(path)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"pods of {namespace} do not end within {_SETTLED_S} s")
            time.sleep(0.5)


def _count_events(url: str, body: Path) -> int:
    """Return how many events a stream has, by asking for one."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, data=body.read_bytes(), headers=headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        text: str = answer.read().decode()
    if text.count("data:") < CHUNKS or not text.rstrip().endswith("data: [DONE]"):
        raise AssertionError(f"a stream that ends with {text[-80:]!r}")
    return text.count("data:")
