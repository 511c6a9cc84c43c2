#!/usr/bin/python
# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service_account_kubeconfig
short_description: Write a kubeconfig that logs in as a ServiceAccount, by a bound token
version_added: 0.1.0
author:
  - llmops.platform contributors (@llmops-platform)
description:
  - Asks the API server for a token of a ServiceAccount (TokenRequest), and writes it into a kubeconfig with
    one context. Server, certificate authority, C(tls-server-name) and proxy are those of the connection that
    this module uses, whatever it logs in with.
  - The token ends by itself, and with its account. Nothing is stored in the cluster.
  - The file is written for its owner alone (mode V(0600)), whole or not at all. Folders that are missing are
    made with mode V(0700).
  - A file that is as wanted is left alone as long as the API server takes its token and enough of the token's
    time is left (O(renew_share)). So an account that was made anew is seen.
  - A proxy of the environment (E(HTTPS_PROXY)) is not written. One of O(proxy) or of the kubeconfig is, with
    its password if it has one.
  - A connection that does not check the API server's certificate is refused.
  - A kubeconfig of the account for another API server, or with another certificate authority, is somebody
    else's file (O(force)), since accounts of one name are in many clusters.
  - Needs the right to V(create) C(serviceaccounts/token), and in check mode to V(get) C(serviceaccounts).
    Without the latter an account that was made anew is only seen some seconds later.
extends_documentation_fragment:
  - llmops.platform.attributes
  - llmops.platform.kubernetes_auth
attributes:
  check_mode:
    support: full
    details:
      - No token is asked for. An account that is still missing is a warning.
  diff_mode:
    support: full
    details:
      - Shows the kubeconfig without its token, and nothing of a file that O(force) replaces.
  idempotent:
    support: full
    details:
      - With O(renew_share=1) each run asks for a new token.
options:
  state:
    description:
      - With V(present) the file is there, with a token that holds.
      - With V(absent) it is removed. Its token holds until it ends, or until the account is deleted.
    type: str
    choices: [present, absent]
    default: present
  path:
    description:
      - Path of the file, absolute or beginning with C(~), on the host that the task runs on.
      - A symbolic link is refused.
    type: path
    required: true
  namespace:
    description: Namespace of the ServiceAccount. It becomes that of the context too.
    type: str
    required: true
  service_account:
    description: Name of the ServiceAccount.
    type: str
    required: true
  expiration_seconds:
    description:
      - Seconds that the token is to hold, at least 600. The API server may grant less, which is a warning
        where it is much less.
      - Another value than before means another token.
    type: int
    default: 86400
  renew_share:
    description:
      - A new token is asked for once no more than this share of the lifetime is left. V(0) waits until it has
        ended, V(1) asks each time.
    type: float
    default: 0.5
  force:
    description:
      - Replace or remove a file that is not a kubeconfig of this account alone.
      - Without it such a file is an error.
    type: bool
    default: false
seealso:
  - name: TokenRequest
    description: The API that gives the token.
    link: https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/
"""

EXAMPLES = r"""
- name: Write a kubeconfig of the account that deploys
  llmops.platform.service_account_kubeconfig:
    path: ~/.kube/llmops-staging.yaml
    namespace: llm-staging
    service_account: llmops-deployer
    context: staging-admin

- name: A token for a whole season, a new one for each run
  llmops.platform.service_account_kubeconfig:
    path: /run/llmops/deployer.kubeconfig
    namespace: llm-staging
    service_account: llmops-deployer
    expiration_seconds: 7776000
    renew_share: 1

- name: Remove it
  llmops.platform.service_account_kubeconfig:
    path: ~/.kube/llmops-staging.yaml
    namespace: llm-staging
    service_account: llmops-deployer
    state: absent
"""

RETURN = r"""
path:
  description: Path of the file.
  returned: success
  type: str
  sample: /home/alice/.kube/llmops-staging.yaml
reason:
  description: Why the file was written or removed, or would be; empty where it is as wanted.
  returned: success
  type: str
  sample: the token ends soon
user:
  description: Name of the account as a user.
  returned: success
  type: str
  sample: system:serviceaccount:llm-staging:llmops-deployer
expires_at:
  description: End of the token in the file, RFC 3339 in UTC. Null where there is none (yet).
  returned: success
  type: str
  sample: "2026-11-21T05:12:24Z"
error_class:
  description: Kind of failure, for conditions.
  returned: failure
  type: str
  sample: invalid
resolution:
  description: What to do about a failure.
  returned: failure
  type: str
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.llmops.platform.plugins.module_utils._arguments import KUBERNETES_SPEC
from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.account_file import (
    absent,
    present,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.account_kubeconfig import Account
from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.bound_token import (
    LONGEST_S,
    SHORTEST_S,
    subject_of,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import (
    ClusterClient,
    ServerAddress,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import check_seconds
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    PlatformError,
    invalid,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.common.names import check_namespace
from ansible_collections.llmops.platform.plugins.module_utils._module import (
    Context,
    ModuleContract,
    Outcome,
    run_as_module,
)

ARGUMENT_SPEC: dict[str, Any] = {
    **KUBERNETES_SPEC,
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "path": {"type": "path", "required": True},
    "namespace": {"type": "str", "required": True},
    "service_account": {"type": "str", "required": True},
    "expiration_seconds": {"type": "int", "default": 86400},
    "renew_share": {"type": "float", "default": 0.5},
    "force": {"type": "bool", "default": False},
}


def run(params: Mapping[str, Any], context: Context) -> Outcome:
    """Bring the file to the wanted state."""
    check_seconds(params, SHORTEST_S, LONGEST_S, "expiration_seconds")
    if not 0 <= params["renew_share"] <= 1:
        raise invalid("renew_share", params["renew_share"], "is no share", "Give a number from 0 to 1.")
    namespace, name = check_namespace(params["namespace"]), params["service_account"]
    how = {"force": params["force"], "check_mode": context.check_mode}
    if params["state"] == "present":
        client = ClusterClient.from_params(params)
        account = Account(client.address, namespace, name, params["expiration_seconds"])
        done = present(client, params["path"], account, context.progress, share=params["renew_share"], **how)
    else:
        done = absent(params["path"], namespace, name, _address_if_any(params), **how)
    result = {
        "path": params["path"],
        "reason": done.reason,
        "user": subject_of(namespace, name),
        "expires_at": done.token.expires_at if done.token else None,
    }
    return Outcome(bool(done.reason), result, done.diff, done.warnings)


def _address_if_any(params: Mapping[str, Any]) -> ServerAddress | None:
    """Return where the cluster is. A file is removed without that, too: no cluster has to answer."""
    try:
        return ClusterClient.from_params(params).address
    except PlatformError:
        return None


CONTRACT = ModuleContract(ARGUMENT_SPEC, run)


def main() -> None:
    """Run as a module."""
    run_as_module(CONTRACT)


if __name__ == "__main__":
    main()
