# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every module of the collection says about check mode, diff mode, idempotence and where it runs."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragment ``llmops.platform.attributes``: each module fills in its ``support``."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return what would be changed, without changing anything.
  diff_mode:
    description: Returns details on what has changed, or would be changed in C(check_mode), when in diff mode.
  idempotent:
    description:
      - When run twice in a row outside check mode, with the same arguments, the second run reports no change,
        provided that what the module manages was not changed in between.
  in_process:
    description: For local connections the work is done inside the controller's process by an action plugin.
    support: full
    details:
      - Saves about one second a task, and shows progress of long waits as it happens.
      - With C(async), C(become) or a connection other than V(local) the same code runs as an ordinary module.
"""

    # For modules that only read.
    INFO_MODULE = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return what would be changed, without changing anything.
    support: full
    details:
      - This module does not change anything.
  diff_mode:
    description: Returns details on what has changed, or would be changed in C(check_mode), when in diff mode.
    support: N/A
    details:
      - This module does not change anything.
  idempotent:
    description:
      - When run twice in a row outside check mode, with the same arguments, the second run reports no change,
        provided that what the module manages was not changed in between.
    support: full
    details:
      - This module does not change anything.
"""
