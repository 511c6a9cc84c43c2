#!/usr/bin/python
# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module argocd_sync."""

from __future__ import annotations

DOCUMENTATION = r"""
module: argocd_sync
short_description: Bring an Argo CD Application to a commit and wait until it is healthy
version_added: 0.1.0
author:
  - llmops.platform contributors (@llmops-platform)
description:
  - Waits until an Argo CD Application has a commit of its Git repository and is healthy. Where its sync
    policy is manual, the sync is started.
  - What the Application's status says right after a sync may be that of before it. So it is trusted only
    where Argo CD has compared since its last sync ended, with this commit and by the Application's present
    spec, and found nothing to change. Otherwise Argo CD is asked to look at Git again (a hard refresh), and
    waited for.
  - It goes through the Kubernetes API, so it needs no account of Argo CD. It needs the rights to get, list,
    watch and patch C(applications.argoproj.io) in O(namespace), which a Role can limit to the Application's
    name. Who may patch an Application may have it deploy whatever its project allows.
  - A refused object, files that cannot be rendered, a wrong login of the repository, and an Application that
    is being deleted end the wait at once. A component of Argo CD that does not answer, a sync that is tried
    again, a sync window and an Application that is not there yet are waited for.
  - An Application that stays Degraded for a minute with this commit has failed. A Deployment is that when
    its C(progressDeadlineSeconds) are over, also where its pods still wait for a node.
extends_documentation_fragment:
  - llmops.platform.attributes
  - llmops.platform.kubernetes_auth
attributes:
  check_mode:
    support: full
    details:
      - Reads the Application once, and says whether a sync would be started.
      - Argo CD may not have seen the commit yet. With a manual sync policy a sync is expected then.
      - Fails where the status says already that a run would fail.
  diff_mode:
    support: full
    details:
      - Shows commit, sync and health before and after.
  idempotent:
    support: full
options:
  name:
    description: Name of the Application.
    type: str
    required: true
  namespace:
    description: Its namespace. That is Argo CD's own, unless Argo CD takes Applications elsewhere too.
    type: str
    default: argocd
  revision:
    description:
      - The commit, by its full hash. Argo CD names no other.
      - Where the Application follows a branch that others commit to, Argo CD may go on to a later commit
        before it gets to this one. That is not known to hold this one, so it ends with V(timeout).
    type: str
    required: true
  chart_path:
    description:
      - Where the commit has the chart, as M(llmops.platform.gitops_files) returns it. As long as the
        Application takes another path, its parent is waited for to bring its new spec.
      - Give it wherever the commit changes the Application's own file, too. Without it, an Application that
        is well by its old spec is taken for done.
    type: str
  sync:
    description:
      - Whether to start a sync where Argo CD does not do so by itself, that is with a manual sync policy, or
        after a sync to this commit that failed before. It is started once at most.
      - With V(false) it is only waited for somebody to do it.
    type: bool
    default: true
  prune:
    description: Whether the sync that is started removes objects that are not in Git any more.
    type: bool
    default: true
  timeout:
    description:
      - Seconds to wait for. A sync window of Argo CD's project is waited for too, so this has to be longer
        than it lasts.
    type: float
    default: 600.0
seealso:
  - module: llmops.platform.gitops_files
  - module: llmops.platform.vllm_deployment
  - name: Argo CD, automated sync
    description: What Argo CD does by itself.
    link: https://argo-cd.readthedocs.io/en/stable/user-guide/auto_sync/
"""

EXAMPLES = r"""
- name: Wait until a model is what gitops_files has committed
  llmops.platform.argocd_sync:
    name: vllm-llama-3-1-8b-instruct-1d30a5c6-production
    revision: "{{ written.commit }}"
    chart_path: "{{ written.chart_path }}"
    context: production
    timeout: 1800

- name: Only say whether a sync would be started
  llmops.platform.argocd_sync:
    name: vllm-llama-3-1-8b-instruct-1d30a5c6-production
    revision: 3f786850e387550fdab836ed7e6dc881de23001b
  check_mode: true
  register: plan
"""

RETURN = r"""
next:
  description:
    - What is to be done next, by Argo CD's status. V(done) after a run.
    - In check mode also V(wait), V(refresh) where Argo CD has to look at Git again, or V(sync) where nobody
      but this module starts the sync.
    - After a failure V(failed). There is none where the time was over.
  returned: success, and failures that Argo CD's status tells
  type: str
  sample: done
next_reason:
  description: Why that is to be done, for people.
  returned: success
  type: str
  sample: it has 3f786850e387 and is healthy
application:
  description: The Application as it is now. V(null) in check mode if there is none.
  returned: success
  type: dict
  contains:
    revisions:
      description: Commits that Argo CD has compared, one for each source.
      type: list
      elements: str
    sync:
      description: Whether the cluster is as in Git, as Argo CD names it.
      type: str
    health:
      description: Health, as Argo CD names it.
      type: str
    automated:
      description: Whether Argo CD syncs it by itself.
      type: bool
  sample:
    revisions: [3f786850e387550fdab836ed7e6dc881de23001b]
    sync: Synced
    health: Healthy
    automated: true
waited_s:
  description: How long the task waited.
  returned: success
  type: float
  sample: 41.7
error_class:
  description:
    - Kind of failure, for conditions. V(workload) where an object was refused or stays Degraded,
      V(invalid) where the files or the Application are wrong, V(auth) where a right or a login is missing,
      V(locked) where somebody deletes the Application, V(timeout) where the time was over.
  returned: failure
  type: str
  sample: workload
resolution:
  description: What to do about a failure.
  returned: failure
  type: str
last_reason:
  description: What was waited for last.
  returned: failures of class V(timeout)
  type: str
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.llmops.platform.plugins.module_utils._arguments import KUBERNETES_SPEC
from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import (
    Deadline,
    check_seconds,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.lineage import check_commit, only
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.preview import preview_commit
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.report import (
    application_result,
    difference,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.wait import (
    ApplicationName,
    wait_for_commit,
)
from ansible_collections.llmops.platform.plugins.module_utils._module import (
    Context,
    ModuleContract,
    Outcome,
    run_as_module,
)

_DAY_S = 86400.0

ARGUMENT_SPEC: dict[str, Any] = {
    **KUBERNETES_SPEC,
    "name": {"type": "str", "required": True},
    "namespace": {"type": "str", "default": "argocd"},
    "revision": {"type": "str", "required": True},
    "chart_path": {"type": "str"},
    "sync": {"type": "bool", "default": True},
    "prune": {"type": "bool", "default": True},
    "timeout": {"type": "float", "default": 600.0},
}


def run(params: Mapping[str, Any], context: Context) -> Outcome:
    """Wait for the commit, or say what would be done."""
    check_seconds(params, 0, _DAY_S, "timeout")
    revision = check_commit(params["revision"])
    which = ApplicationName.checked(params["name"], params["namespace"])
    client = ClusterClient.from_params(params)
    chart_path = params["chart_path"] or ""
    deadline = Deadline(params["timeout"])
    if context.check_mode:
        before, verdict, changed = preview_commit(
            client, which, only(revision), may_sync=params["sync"], chart_path=chart_path
        )
        result = application_result(before, verdict, deadline)
        return Outcome(changed, result, difference(before, before, revision if changed else ""))
    done = wait_for_commit(
        client,
        which,
        only(revision),
        deadline,
        context.progress,
        may_sync=params["sync"],
        prune=params["prune"],
        chart_path=chart_path,
    )
    result = application_result(done.after, done.verdict, deadline)
    return Outcome(done.synced, result, difference(done.before, done.after))


CONTRACT = ModuleContract(ARGUMENT_SPEC, run)


def main() -> None:
    """Run as a module."""
    run_as_module(CONTRACT)


if __name__ == "__main__":
    main()
