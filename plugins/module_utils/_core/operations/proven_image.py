# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What runs is the image that was proven, whatever its tag points to by now."""

from __future__ import annotations

from ..cluster.workload import running_images
from ..common.errors import ErrorClass, PlatformError
from .deploy.run import Run


def require_image(run: Run, digest: str | None, image: str | None) -> None:
    """Raise ``verification`` where pods run another image; without a digest on record nobody can tell."""
    runs = running_images(run.observed.pods) if run.observed is not None else set()
    if digest and runs - {digest}:
        raise PlatformError(
            ErrorClass.VERIFICATION,
            f"{run.target.name}: the image {image} is not the one that was proven: "
            f"{', '.join(sorted(runs))} runs, {digest} is on record",
            "Somebody moved the tag: deploy the recorded digest (image.digest in the chart's values).",
        )
