# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: registry_login
short_description: The registry's database for a service, as files of its Secret
version_added: 0.1.0
author:
  - llmops.platform contributors (@llmops-platform)
description:
  - Takes the settings with which the deployer connects, and returns those of another user of the same
    database, in the form that libpq reads, whatever characters the password has.
  - User, password, certificates and other files of the deployer are left out. The file of authorities comes
    along, as pods have to check the server's certificate as well.
  - What the settings do not say comes from E(LLMOPS_REGISTRY_DSN) and libpq's environment variables, as for
    the modules.
positional: user, password
options:
  _input:
    description:
      - The arguments of a module for the registry, such as C(dsn), C(login_host) and C(ssl_rootcert).
    type: dict
    required: true
  user:
    description: Name of the login user.
    type: str
    required: true
  password:
    description: Its password; empty for none.
    type: str
    required: true
  folder:
    description: Where the service finds the files.
    type: path
    required: true
  dsn:
    description:
      - A DSN of the service's own, in place of O(user) and O(password), which is left as it is.
      - The file of authorities comes along all the same. A DSN that names none finds it by E(PGSSLROOTCERT).
    type: str
    default: ""
seealso:
  - module: llmops.platform.registry_info
"""

EXAMPLES = r"""
- name: Make the Secret of a service
  kubernetes.core.k8s:
    definition:
      apiVersion: v1
      kind: Secret
      metadata:
        name: my-service
        namespace: my-namespace
      stringData: "{{ database | llmops.platform.registry_login('me', password, folder='/etc/service') }}"
  vars:
    database: {dsn: "{{ registry_dsn }}", ssl_rootcert: /etc/ssl/registry.pem}
"""

RETURN = r"""
_value:
  description:
    - Content of the files by name, which are C(dsn) and, where there is a file of authorities, C(ca.crt).
  type: dict
  sample: {dsn: "host=db.example.com user=me password=secret sslmode=verify-full"}
"""

from typing import TYPE_CHECKING

from ansible.errors import AnsibleFilterError

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.login import login_files

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


def registry_login(
    settings: Mapping[str, Any], user: str, password: str, *, folder: str, dsn: str = ""
) -> dict[str, str]:
    """Return the files, or raise for settings that lead nowhere."""
    plain = {str(name): str(value) for name, value in settings.items() if value is not None}
    try:
        return login_files(plain, str(user), str(password), str(folder), str(dsn))
    except PlatformError as error:
        raise AnsibleFilterError(f"registry_login: {error}") from None


class FilterModule:
    """Filters of the collection about the registry's database."""

    def filters(self) -> dict[str, Callable[..., dict[str, str]]]:
        """Return the filters by name."""
        return {"registry_login": registry_login}
