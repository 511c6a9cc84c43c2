# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the connection options in ``module_utils/_arguments.py`` (``POSTGRES_SPEC``)."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragment ``llmops.platform.postgres_auth``."""

    DOCUMENTATION = r"""
options:
  dsn:
    description:
      - Where the registry's database is, as a libpq URI or as C(keyword=value) pairs.
      - Settings given one by one, such as O(login_host), replace those of the DSN.
      - If the value is not specified, the environment variable E(LLMOPS_REGISTRY_DSN) is used.
    type: str
  login_host:
    description:
      - Host name, address, or folder of the Unix socket.
      - Where neither this nor O(dsn) says it, libpq's environment variable E(PGHOST) counts.
    type: str
  login_port:
    description:
      - TCP port.
      - Where neither this nor O(dsn) says it, libpq's environment variable E(PGPORT) counts.
    type: int
  login_db:
    description:
      - Name of the database.
      - Where neither this nor O(dsn) says it, libpq's environment variable E(PGDATABASE) counts.
    type: str
  login_user:
    description:
      - Role to connect as.
      - Where neither this nor O(dsn) says it, libpq's environment variable E(PGUSER) counts.
    type: str
  login_password:
    description:
      - Password of the role. A C(~/.pgpass) file or E(PGPASSFILE) works too.
      - Where neither this nor O(dsn) says it, libpq's environment variable E(PGPASSWORD) counts.
    type: str
  ssl_mode:
    description:
      - How far TLS is demanded and the server's certificate is checked.
      - Use V(verify-full) wherever the connection leaves the machine.
      - Where neither this nor O(dsn) says it, libpq's environment variable E(PGSSLMODE) counts.
    type: str
    choices: [disable, allow, prefer, require, verify-ca, verify-full]
  ssl_rootcert:
    description:
      - File with the certificates of authorities that the server's certificate is checked with.
      - Where neither this nor O(dsn) says it, libpq's environment variable E(PGSSLROOTCERT) counts.
    type: path
  ssl_cert:
    description: File with the client's certificate.
    type: path
  ssl_key:
    description: File with the client's private key.
    type: path
  connect_timeout:
    description:
      - Seconds that one attempt to connect may take.
    type: int
    default: 10
requirements:
  - psycopg2 >= 2.9.6
"""
