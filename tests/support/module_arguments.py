# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Arguments of a module as Ansible hands them over, for tests that call ``run`` themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def with_defaults(spec: Mapping[str, Any], **given: Any) -> dict[str, Any]:
    """Return what is given, and the default of every other option."""
    return {**{name: option.get("default") for name, option in spec.items()}, **given}
