# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: registry
short_description: Deployed models as hosts
version_added: 0.1.0
author:
  - llmops.platform contributors (@llmops-platform)
description:
  - Every entry of the model registry is a host, named C({slug}-{environment}) as its release. A model in two
    environments is two hosts.
  - A host has the row as variables C(entry_model), C(entry_status), C(entry_endpoint) and so on, as
    M(llmops.platform.registry_info) returns them. It also has C(vllm_model), C(vllm_environment) and
    C(vllm_namespace), so that playbooks of the collection can be run for it, and C(registration_endpoint) if
    no release provides the endpoint.
  - Hosts are in the group C(models), and in one group each for environment, status, desired state and
    namespace. These are called C(environment_staging), C(status_ready), C(desired_enabled),
    C(namespace_ml_staging) and so on.
  - What comes from the database is never treated as a template.
  - The file has to be called C(registry.yml) or end with C(.registry.yml).
extends_documentation_fragment:
  - ansible.builtin.constructed
  - ansible.builtin.inventory_cache
options:
  plugin:
    description: Name of this plugin, V(llmops.platform.registry).
    type: str
    required: true
    choices: [llmops.platform.registry]
  dsn:
    description:
      - Where the registry's database is, as a libpq URI or as C(keyword=value) pairs. May be a template.
      - It may hold a password, so it is best left to the environment variable. It is neither shown nor
        cached.
      - Settings given one by one, such as O(login_host), replace those of the DSN.
    type: str
    env:
      - name: LLMOPS_REGISTRY_DSN
  login_host:
    description: Host name, address, or folder of the Unix socket.
    type: str
  login_port:
    description: TCP port.
    type: int
  login_db:
    description: Name of the database.
    type: str
  login_user:
    description: Role to connect as.
    type: str
  login_password:
    description: Password of the role. May be a template. A C(~/.pgpass) file or E(PGPASSFILE) works too.
    type: str
  ssl_mode:
    description: How far TLS is demanded and the server's certificate is checked.
    type: str
    choices: [disable, allow, prefer, require, verify-ca, verify-full]
  connect_timeout:
    description: Seconds that one attempt to connect may take.
    type: int
    default: 10
  timeout:
    description: Seconds for everything, including the wait for a database that restarts.
    type: float
    default: 30.0
  model:
    description: Only this model.
    type: str
  environment:
    description: Only this environment.
    type: str
  namespace:
    description: Only this Kubernetes namespace.
    type: str
  status:
    description: Only these statuses.
    type: list
    elements: str
    choices: [pending, deploying, ready, degraded, draining, disabled, failed]
  desired_state:
    description: Only what the operator wants so.
    type: str
    choices: [enabled, disabled]
requirements:
  - psycopg2 >= 2.9.6
seealso:
  - module: llmops.platform.registry_info
"""

EXAMPLES = r"""
# registry.yml: all that the registry knows; the DSN comes from LLMOPS_REGISTRY_DSN
plugin: llmops.platform.registry

---
# production.registry.yml: what is routed in production, kept for five minutes
plugin: llmops.platform.registry
environment: production
status: [ready]
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: /tmp/llmops-inventory
cache_timeout: 300
compose:
  # Another file of the same folder says how the cluster of an environment is reached.
  vllm_context: "'llm-' ~ entry_environment"
groups:
  never_checked: entry_last_health_check_at is none
keyed_groups:
  - key: entry_chart_version
    prefix: chart
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible.utils.unsafe_proxy import wrap_var

from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.connection import (
    Database,
    Settings,
    settings,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.entries import Filter, find
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.entry_fields import as_json
from ansible_collections.llmops.platform.plugins.plugin_utils._registry_hosts import (
    host_groups,
    host_name,
    host_variables,
)

if TYPE_CHECKING:
    from ansible.inventory.data import InventoryData
    from ansible.parsing.dataloader import DataLoader

_CONNECTION = ("dsn", "login_host", "login_port", "login_db", "login_user", "login_password", "ssl_mode")
_FILTERS = ("model", "environment", "namespace", "status", "desired_state")


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    """Inventory source ``llmops.platform.registry``."""

    NAME = "llmops.platform.registry"

    def verify_file(self, path: str) -> bool:
        """Tell whether the file is meant for this plugin, by its name."""
        ours = f".{Path(path).name}".endswith((".registry.yml", ".registry.yaml"))
        return ours and bool(super().verify_file(path))  # type: ignore[no-untyped-call]

    def parse(self, inventory: InventoryData, loader: DataLoader, path: str, cache: bool = True) -> None:
        """Fill the inventory from the cache or the database."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)  # type: ignore[no-untyped-call]
        wanted = {name: self._option(name) for name in _FILTERS}
        try:
            where = settings({name: self._templated(name) for name in (*_CONNECTION, "connect_timeout")})
            entries = self._cached(path, where, wanted, use_cache=cache)
        except PlatformError as error:
            raise AnsibleParserError(f"{self.NAME}: {error}") from None
        for entry in entries:
            self._add(inventory, entry)

    def _option(self, name: str) -> Any:
        return self.get_option(name)  # type: ignore[no-untyped-call]

    def _templated(self, option: str) -> Any:
        value = self._option(option)
        return self.templar.template(value) if isinstance(value, str) else value

    def _cached(
        self, path: str, where: Settings, wanted: dict[str, Any], *, use_cache: bool
    ) -> list[dict[str, Any]]:
        """Return the entries from the cache if it has them; else read them, for the cache too.

        The cache holds rows only. Another database or another filter in the same file is another key.
        """
        if not self._option("cache"):
            return self._read(where, wanted)
        selection = json.dumps([where.where, wanted], sort_keys=True)
        key = f"{self.get_cache_key(path)}_{hashlib.sha256(selection.encode()).hexdigest()[:12]}"
        if use_cache and key in self._cache:
            return list(self._cache[key])
        # Ansible writes the cache at the end of the parsing, also where it is flushed.
        self._cache[key] = found = self._read(where, wanted)
        return found

    def _read(self, where: Settings, wanted: dict[str, Any]) -> list[dict[str, Any]]:
        chosen = Filter(
            model=wanted["model"],
            environment=wanted["environment"],
            namespace=wanted["namespace"],
            statuses=tuple(wanted["status"] or ()),
            desired_state=wanted["desired_state"],
        )
        with Database(where, Deadline(self._option("timeout")), self.display.vvv) as database:
            found = database.transaction(lambda session: find(session, chosen)[0], read_only=True)
        return [as_json(entry) for entry in found]

    def _add(self, inventory: InventoryData, entry: dict[str, Any]) -> None:
        # Whoever may write a row must not run templates on the controller of those who read it.
        entry = wrap_var(entry)
        host, strict = host_name(entry), self._option("strict")
        inventory.add_host(host)
        variables = host_variables(entry, sys.executable)
        for name, value in variables.items():
            inventory.set_variable(host, name, value)
        for group in host_groups(entry):
            inventory.add_child(inventory.add_group(self._sanitize_group_name(group)), host)
        for construct, option in (
            (self._set_composite_vars, "compose"),
            (self._add_host_to_composed_groups, "groups"),
            (self._add_host_to_keyed_groups, "keyed_groups"),
        ):
            construct(self._option(option), variables, host, strict=strict)  # type: ignore[no-untyped-call]
