# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python -m llmops_health``."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys

from . import __version__, log
from .service import Service
from .settings import SettingsError, explanation, from_environment


def main() -> int:
    """Run the service; return the exit status: 2 for wrong settings."""
    parser = argparse.ArgumentParser(
        prog="python -m llmops_health",
        description="Checks the endpoints of one environment and tells the registry which of them serve.",
        epilog="Settings are environment variables:\n\n" + explanation(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.parse_args()
    try:
        settings = from_environment(os.environ)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    log.set_up(settings.log_level)
    asyncio.run(Service(settings).run())
    return 0


if __name__ == "__main__":
    sys.exit(main())
