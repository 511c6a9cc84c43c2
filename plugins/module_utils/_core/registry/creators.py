# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who but its owner may make objects in the registry's schema.

Whoever may can make a function there that fits a call in one of the registry's own better than the one that
is meant, and so have it run with the rights of their owner. No rights of groups are worth anything then.
"""

from __future__ import annotations

from ..common.errors import ErrorClass, PlatformError
from .connection import Database

# The owners of the schema and of its tables may, and before there are any, who is about to make them.
# pg_database_owner stands for the owner of the database.
_OTHERS = """
WITH place AS (SELECT * FROM pg_namespace WHERE nspname = current_schema()),
tables AS (
    SELECT c.relname, c.relowner FROM pg_class c JOIN place ON place.oid = c.relnamespace
     WHERE c.relname IN ('registry_schema_migrations', 'model_registry_entries')),
trusted (id) AS (
    SELECT nspowner FROM place
    UNION SELECT relowner FROM tables
    UNION SELECT oid FROM pg_roles WHERE rolname = current_user
       AND NOT EXISTS (SELECT FROM tables WHERE relname = 'registry_schema_migrations'))
SELECT DISTINCT quote_ident(place.nspname),
       CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(r.rolname) END
  FROM place CROSS JOIN aclexplode(coalesce(place.nspacl, acldefault('n', place.nspowner))) a
  LEFT JOIN pg_roles r ON r.oid = a.grantee
 WHERE a.privilege_type = 'CREATE' AND a.grantee NOT IN (SELECT id FROM trusted)
   AND NOT (r.rolname IS NOT DISTINCT FROM 'pg_database_owner' AND EXISTS (
        SELECT FROM pg_database JOIN trusted ON id = datdba WHERE datname = current_database()))
 ORDER BY 2
"""


def refuse(database: Database, *, accept: bool) -> list[str]:
    """Raise ``invalid`` where others may create in the schema; return that as a warning if accepted."""
    found = database.transaction(lambda session: session.rows(_OTHERS), read_only=True)
    if not found:
        return []
    schema = found[0][0]
    names = [name for _schema, name in found]
    message = f"Not only its owner but {', '.join(names)} may create objects in the schema {schema}."
    resolution = (
        f"Whoever may do that gets all rights to the registry. Its owner or an administrator runs: "
        f"REVOKE CREATE ON SCHEMA {schema} FROM {', '.join(names)}. See docs/database-roles.md."
    )
    if accept:
        return [f"{message} {resolution}"]
    raise PlatformError(ErrorClass.INVALID, message, resolution, {"may_create": names})
