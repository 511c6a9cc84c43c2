# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prometheus' own judge of rules, and where it comes from."""

from __future__ import annotations

from pathlib import Path

from tests.support.prometheus_package import prometheus_program


def promtool() -> Path:
    """Return promtool."""
    return prometheus_program("promtool")
