# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tests of the collection. A package, so that its helpers import as ``tests.support``."""

from __future__ import annotations

import sys
from pathlib import Path

# Where scripts/setup links the checkout as an installed collection: for ``python -m tests.lanes``, for one.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "build/collections"))
