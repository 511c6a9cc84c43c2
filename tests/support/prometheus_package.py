# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prometheus' programs, and where they come from."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.prometheus import program, provide


def prometheus_program(name: str) -> Path:
    """Return a program: the installed one, else the one that the lab keeps in the user's cache."""
    provide(lambda line: None, Deadline(900))
    return program(name)
