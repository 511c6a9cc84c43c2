# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the option in ``module_utils/_arguments.py`` (``LOCK_SPEC``)."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragment ``llmops.platform.lock``."""

    DOCUMENTATION = r"""
options:
  lock:
    description:
      - The lock that this change is made under, as the module P(llmops.platform.lock#module) returned it.
      - Fails with RV(error_class=fenced) and writes nothing if the operation does not hold the lock any more.
    type: dict
    suboptions:
      id:
        description: Id of the operation.
        type: str
        required: true
      fence:
        description: Number of the lock that it got.
        type: int
        required: true
"""
