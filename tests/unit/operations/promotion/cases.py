# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A source that was proven, a run of a promotion without a cluster, and who notes what it was asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from ansible_collections.llmops.platform.plugins.module_utils._core.common.permit import Permit
from ansible_collections.llmops.platform.plugins.module_utils._core.helm.binary import ReleaseSpec
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.deploy.run import (
    Registry,
    Run,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.deploy.state import Wanted
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.source import Source
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.connection import Session
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.entry_fields import Entry
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.holder import Holder
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.manifests import (
    Content,
    Manifest,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.release.comparison import Comparison
from ansible_collections.llmops.platform.plugins.module_utils._core.release.rendering import Rendered
from ansible_collections.llmops.platform.plugins.module_utils._core.release.request import ReleaseTarget
from ansible_collections.llmops.platform.plugins.module_utils._core.release.tools import Tools, Waits

T = TypeVar("T")
MODEL = "org/Model-7B"
DIGEST, OTHER = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
ENTRY = Entry(
    MODEL,
    "staging",
    status="ready",
    namespace="llm",
    release_name="m-staging",
    release_revision=3,
    manifest_digest=DIGEST,
)
MANIFEST = Manifest(
    7, "m-staging", 3, DIGEST, "0.1.0", None, "vllm:0.33", None, None, "main",
    datetime(2026, 11, 30, tzinfo=UTC),
)  # fmt: skip
SOURCE = Source(ENTRY, MANIFEST, Content({"model": {"name": MODEL}}))


class NotedPermit(Permit):
    """Notes the steps, as a journal does: name, outcome, detail."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, str, Mapping[str, Any]]] = []
        self.lost: Exception | None = None

    def watch(self) -> None:
        if self.lost is not None:
            raise self.lost

    @contextmanager
    def step(self, name: str) -> Iterator[dict[str, Any]]:
        detail: dict[str, Any] = {}
        outcome = "failed"
        try:
            yield detail
            outcome = "succeeded"
        finally:
            self.steps.append((name, outcome, detail))


@dataclass(frozen=True)
class NoRegistry(Registry):
    """Answers nothing: whoever is given its session asks something else."""

    wrote: list[Callable[..., object]] = field(default_factory=list)

    def read(self, work: Callable[[Session], T]) -> T:
        return work(None)  # type: ignore[arg-type]

    def write(self, work: Callable[[Session], T]) -> T:
        self.wrote.append(work)
        return None  # type: ignore[return-value]


def rendered(name: str = "m-production", args: Sequence[str] = (), **container: Any) -> Rendered:
    """Return a manifest with one Deployment."""
    spec = {"containers": [{"name": "vllm", "args": list(args), **container}]}
    manifest = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": 1, "template": {"spec": spec}},
    }
    return Rendered(ReleaseSpec(name, "llm", Path("/chart"), (), {}), json.dumps(manifest), "")


def make_run(waits: Waits | None = None, **more: Any) -> tuple[Run, NotedPermit, list[str]]:
    """Return a run that has looked and found another release; its permit; what it says to people."""
    permit, said = NotedPermit(), list[str]()
    tools = Tools(None, None, said.append, permit, None)  # type: ignore[arg-type]
    registry = NoRegistry(None, Holder("ann@desk"))  # type: ignore[arg-type]
    target = ReleaseTarget(MODEL, "production", "llm", "m-production")
    run = Run(target, Wanted(), tools, waits or Waits(), registry, verification={"timeout": 5.0}, **more)
    run.comparison = Comparison(rendered())
    return run, permit, said
