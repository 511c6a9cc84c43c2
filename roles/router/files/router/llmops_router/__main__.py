# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python -m llmops_router``."""

from __future__ import annotations

import os
import sys

import uvloop

from . import __version__, log
from .service import serve
from .settings import SettingsError, read_settings, usage


def main(arguments: list[str]) -> int:
    """Run until SIGTERM; return the exit status: 2 for wrong settings."""
    if arguments in (["--help"], ["-h"]):
        sys.stdout.write(usage() + "\n")
        return 0
    if arguments == ["--version"]:
        sys.stdout.write(__version__ + "\n")
        return 0
    if arguments:
        sys.stderr.write(f"llmops_router: {arguments[0]}: there are no arguments but --help and --version\n")
        return 2
    try:
        settings = read_settings(os.environ)
        log.set_up(settings.log_level)
        return uvloop.run(serve(settings))
    except SettingsError as error:
        sys.stderr.write(f"llmops_router: {error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
