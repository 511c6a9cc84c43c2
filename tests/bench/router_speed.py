# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requests a second and latencies of all targets, in turns, under the same loads."""

from __future__ import annotations

import json
import math
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench.load import Sample, percentile, put_load
from tests.bench.measure import Row, RunFailedError
from tests.bench.router_targets import DIRECT, LITELLM, OURS, PASSTHROUGH, VLLM_ROUTER, Target
from tests.support.model_server import MODEL

CONNECTIONS = (1, 64, 256)
CHUNKS = 50
#: Time between two chunks. Without any, the model server would write a whole stream at once.
CHUNK_PAUSE_MS = 2
#: Where a second sees only some dozens of answers, more time is needed for a figure.
LONGER = {LITELLM: 2.0}
_PATH = "/v1/chat/completions"


@dataclass(frozen=True)
class Workload:
    """A kind of request, and how many of them are under way."""

    stream: bool
    connections: int

    @property
    def name(self) -> str:
        """Begin of its rows' names."""
        return f"router_{'stream_' if self.stream else ''}c{self.connections}"


WORKLOADS = [Workload(stream, connections) for stream in (False, True) for connections in CONNECTIONS]


class Speed:
    """Measures targets; all samples are kept by workload and target."""

    def __init__(
        self, targets: list[Target], generator: Path, folder: Path, say: Callable[[str], None]
    ) -> None:
        self._targets = targets
        self._generator = generator
        self._say = say
        self.samples: dict[tuple[Workload, str], Sample] = {}
        self._bodies = {stream: _write_body(folder, stream) for stream in (False, True)}
        self._events = {target.name: self._count_events(target) for target in targets}

    def run(self, rounds: int, seconds: float) -> None:
        """Put every load on every target, ``rounds`` times; the targets take turns."""
        for number in range(rounds):
            self._say(
                f"round {number + 1} of {rounds}: {len(WORKLOADS)} loads on {len(self._targets)} targets"
            )
            for workload in WORKLOADS:
                self._set_pace(CHUNK_PAUSE_MS if workload.stream else 0)
                # In turn first and last, as the machine may grow slower or quicker.
                for target in self._targets if number % 2 == 0 else reversed(self._targets):
                    self._measure(workload, target, seconds)

    def _set_pace(self, pause_ms: float) -> None:
        (engine,) = (target.url for target in self._targets if target.name == DIRECT)
        request = urllib.request.Request(  # noqa: S310
            f"{engine}/control",
            data=json.dumps({"itl_ms": pause_ms}).encode(),
            headers={"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request, timeout=5).close()  # noqa: S310

    def _measure(self, workload: Workload, target: Target, seconds: float) -> None:
        sample = put_load(
            self._generator,
            target.url + _PATH,
            self._bodies[workload.stream],
            workload.connections,
            seconds * LONGER.get(target.name, 1.0),
            key=target.key,
            events=self._events[target.name] if workload.stream else 0,
        )
        if sample.failures:
            self._say(f"{workload.name}, {target.name}: failures {dict(sample.failures)}")
        if target.name in (DIRECT, OURS) and (sample.failures or not sample.latencies_s):
            raise RunFailedError(f"{workload.name} through {target.name}: {dict(sample.failures)}")
        self.samples.setdefault((workload, target.name), Sample()).add(sample)

    def _count_events(self, target: Target) -> int:
        """Return how many events a stream through this target has: LiteLLM writes the chunks anew."""
        request = urllib.request.Request(  # noqa: S310
            target.url + _PATH,
            data=self._bodies[True].read_bytes(),
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {target.key}"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            text = answer.read().decode()
        events: int = text.count("data:")
        if events < CHUNKS or not text.rstrip().endswith("data: [DONE]"):
            raise RunFailedError(f"{target.name}: a stream of {events} events that ends with {text[-80:]!r}")
        return events

    def rows(self) -> list[Row]:
        """Return the rows: our router beside each of the others."""
        rows = []
        for workload in WORKLOADS:
            peers = [name for load, name in self.samples if load == workload and name not in (OURS, DIRECT)]
            if workload.connections == 1:
                rows += [self._added(workload, peer) for peer in sorted(peers, key=_order)]
            else:
                rows += [self._rate(workload, peer) for peer in sorted([*peers, DIRECT], key=_order)]
                rows.append(self._p99(workload))
        return rows

    def _rate(self, workload: Workload, peer: str) -> Row:
        ours, theirs = self.samples[workload, OURS].rate, self.samples[workload, peer].rate
        return Row(f"{workload.name}_rps{_suffix(peer)}", "1/s", ours, theirs, peer)

    def _p99(self, workload: Workload) -> Row:
        ours, theirs = (percentile(self._times(workload, name), 0.99) for name in (OURS, DIRECT))
        what = "first_chunk_p99_s" if workload.stream else "p99_s"
        return Row(f"{workload.name}_{what}", "s", ours, theirs, DIRECT)

    def _added(self, workload: Workload, peer: str) -> Row:
        """Return what the median takes longer than direct, for ours and for another."""
        ours, theirs, direct = (percentile(self._times(workload, name), 0.5) for name in (OURS, peer, DIRECT))
        what = "first_chunk_added_s" if workload.stream else "added_s"
        return Row(f"{workload.name}_{what}{_suffix(peer)}", "s", ours - direct, theirs - direct, peer)

    def _times(self, workload: Workload, name: str) -> list[float]:
        sample = self.samples[workload, name]
        return sample.first_event_s if workload.stream else sample.latencies_s

    def details(self) -> list[str]:
        """Return a line a workload and target, with what the rows leave out."""
        head = f"{'load':<20} {'target':<18} {'1/s':>7} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8}"
        lines = [f"{head} {'generator CPU':>14}"]
        for (workload, name), sample in self.samples.items():
            # An overloaded target may answer nothing in time.
            times = self._times(workload, name) or [math.inf]
            figures = [percentile(times, share) * 1000 for share in (0.5, 0.99, 1)]
            share = sample.generator_cpu_s / sample.seconds
            lines.append(
                f"{workload.name:<20} {name:<18} {sample.rate:>7.0f} "
                + " ".join(f"{figure:>8.2f}" for figure in figures)
                + f" {share:>13.0%}"
            )
        return lines


def _order(name: str) -> int:
    return [LITELLM, VLLM_ROUTER, PASSTHROUGH, DIRECT].index(name)


def _suffix(peer: str) -> str:
    """Rows without one are those beside LiteLLM."""
    return {LITELLM: "", VLLM_ROUTER: "_vllm_router", PASSTHROUGH: "_passthrough", DIRECT: "_direct"}[peer]


def _write_body(folder: Path, stream: bool) -> Path:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Hello there"}]}
    more = {"stream": True, "max_tokens": CHUNKS, "ignore_eos": True} if stream else {"max_tokens": 16}
    path = folder / f"body-{'stream' if stream else 'plain'}.json"
    path.write_text(json.dumps({**body, **more}), encoding="utf-8")
    return path
