# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way to the model server of the source: its pods, and completions as a client would ask for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...cluster.client import ClusterClient, segment
from ...cluster.workload import image_ids
from ...common.deadline import Deadline
from ...common.errors import ErrorClass, PlatformError
from ...endpoint.arguments import DEFAULTS, check_arguments
from ...endpoint.verification import verify_service
from ...release.request import selector
from ..rollback.look import api_key_secret
from .source import Source

#: A completion that takes this many times the limit is not waited for any longer.
PATIENCE = 5


@dataclass(frozen=True)
class SourceAccess:
    """Reads the pods of a source and asks its Service. ``access`` is as for a verification."""

    client: ClusterClient
    source: Source
    access: str = "auto"

    def image_ids(self) -> set[str]:
        """Return what the pods' nodes call the image that they run, such as ``repository@sha256:...``."""
        entry = self.source.entry
        path = f"/api/v1/namespaces/{segment(entry.namespace or '')}/pods"
        return image_ids(
            list(self.client.list_pages(path, {"labelSelector": selector(entry.release_name or "")}))
        )

    def asker(self, limit_s: float, total: Deadline) -> Callable[[], float]:
        """Return what asks for one completion and returns its seconds, see ``gates.completions``.

        Each gets a share of ``total``.
        """
        arguments = self._arguments(limit_s * PATIENCE)
        check_arguments(arguments)

        def ask() -> float:
            deadline = total.share(limit_s * PATIENCE)
            report = verify_service(self.client, arguments, deadline, lambda _line: None)
            return float(report["completion"]["latency_s"])

        return ask

    def _arguments(self, patience_s: float) -> dict[str, Any]:
        entry = self.source.entry
        return {
            **DEFAULTS,
            "model": entry.model,
            "service": entry.release_name,
            "namespace": entry.namespace,
            "access": self.access,
            "api_key_secret": api_key_secret(self.source.objects),
            "max_latency_s": patience_s,
            "timeout": patience_s,
        }


def image_to_pin(access: SourceAccess) -> str | None:
    """Return the digest that an image can be pulled by; None where its nodes know none, as of a local build.

    Raises ``verification`` where pods run another image than was recorded, or several.
    """
    found, manifest = access.image_ids(), access.source.manifest
    # Where some nodes tell a digest that can be pulled, what the others call it is no other image.
    pullable = {one for one in found if "@sha256:" in one}
    digests = {one.rpartition("@")[2] for one in pullable or found}
    if len(digests) > 1 or (manifest.image_digest and digests - {manifest.image_digest}):
        raise PlatformError(
            ErrorClass.VERIFICATION,
            f"{access.source.environment} runs {', '.join(sorted(digests))}, but "
            f"{manifest.image_digest or 'one image'} was proven",
            "Somebody moved the tag: deploy the model there again, with image.digest.",
        )
    return next((one.rpartition("@")[2] for one in pullable), None)
