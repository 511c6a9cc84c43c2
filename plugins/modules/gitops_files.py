#!/usr/bin/python
# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module gitops_files."""

from __future__ import annotations

DOCUMENTATION = r"""
module: gitops_files
short_description: Write what Argo CD deploys of one vLLM model server to Git
version_added: 0.1.0
author:
  - llmops.platform contributors (@llmops-platform)
description:
  - Writes an Argo CD Application, the values that M(llmops.platform.vllm_release) would give to Helm, and a
    copy of the chart, into a branch of a Git repository or into a plain directory. Argo CD makes the same
    objects of them, under the same names.
  - The files of a target are C(applications/vllm-{name}.yaml), C(values/vllm-{name}.yaml) and
    C(charts/{chart}-{version}-{digest}/). The folder of a chart is never changed or removed, so that an
    older revision can be gone back to by a change of the two files.
  - A change is one commit. It is pushed only onto the commit that it was made from. Where somebody else was
    faster, or has rewritten the branch, it is made anew on what is there, until O(timeout) is over.
  - Git runs without a working tree, hooks, and the configuration of user and machine.
  - Secrets in plain text are refused by the name of their key, and by the look of many issuers' tokens. That
    is a net with holes, so keep secrets out of the values.
extends_documentation_fragment:
  - llmops.platform.gitops_options
  - llmops.platform.attributes
attributes:
  check_mode:
    support: full
    details:
      - Reads the branch, commits and pushes nothing.
  diff_mode:
    support: full
    details:
      - Shows each file before and after, with secrets hidden, and of a chart the names of its files.
  idempotent:
    support: full
options:
  state:
    description:
      - With V(absent) the target's Application and values are removed. Charts stay, and so does the folder of
        the Applications, by a file C(.gitkeep) in it.
    type: str
    choices: [present, absent]
    default: present
  model:
    description: Full name of the model, as clients ask for it.
    type: str
    required: true
  environment:
    description: Environment of the release. Part of its name.
    type: str
    required: true
  tier:
    description:
      - What the environment is like, which chooses the chart's defaults and guards, and what is automated.
      - By default the environment itself, where it has one of these names; others have to say.
    type: str
    choices: [development, staging, production]
  namespace:
    description: Namespace of the release. It has to be there.
    type: str
    required: true
    aliases: [release_namespace]
  name:
    description:
      - Name of the release, of its Service and of the Application.
      - By default C({slug}-{environment}), where the slug is made from O(model).
    type: str
    aliases: [release_name]
  chart_path:
    description:
      - Folder of the chart C(vllm-deployment). The role P(llmops.platform.vllm#role) brings it.
      - Required if O(state=present).
    type: path
  chart_values:
    description:
      - Values of the chart, as for M(llmops.platform.vllm_release).
    type: dict
    default: {}
    aliases: [release_values]
  strategy:
    description:
      - How pods are replaced in an update.
      - With V(auto) it is what the chart's values say. M(llmops.platform.vllm_release) would choose it from
        the room on the cluster, at which nobody looks when Argo CD applies a commit.
    type: str
    choices: [auto, surge, unavailable-first, recreate]
    default: auto
  directory:
    description:
      - Directory to write to, such as a checkout that somebody else commits. It has to be there.
      - Exactly one of O(directory) and O(repository) is needed. With a directory, O(source_repository) is
        needed too, unless O(state=absent).
    type: path
  actor:
    description: On whose behalf, for a trailer of the commit. By default the user and host of this run.
    type: str
seealso:
  - module: llmops.platform.vllm_release
"""

EXAMPLES = r"""
- name: Have Argo CD deploy a model
  llmops.platform.gitops_files:
    model: meta-llama/Llama-3.1-8B-Instruct
    environment: staging
    namespace: llm-staging
    chart_path: "{{ playbook_dir }}/charts/vllm-deployment"
    chart_values:
      model:
        sizeBillions: 8
        revision: 0e9e39f249a16976918f6564b8830bc894c89659
    repository: https://git.example.com/ml/models.git
    token: "{{ git_token }}"

- name: Write the files into a checkout
  llmops.platform.gitops_files:
    model: meta-llama/Llama-3.1-8B-Instruct
    environment: staging
    namespace: llm-staging
    chart_path: "{{ playbook_dir }}/charts/vllm-deployment"
    directory: /srv/models
    source_repository: https://git.example.com/ml/models.git

- name: Take a model away
  llmops.platform.gitops_files:
    model: meta-llama/Llama-3.1-8B-Instruct
    environment: staging
    namespace: llm-staging
    repository: git@git.example.com:ml/models.git
    ssh_key: ~/.ssh/models
    state: absent
"""

RETURN = r"""
application_name:
  description: Name of the Application, which is the release's.
  returned: success
  type: str
  sample: llama-3-1-8b-instruct-1d30a5c6-staging
application_path:
  description: Path of the Application in the repository or directory.
  returned: success
  type: str
  sample: applications/vllm-llama-3-1-8b-instruct-1d30a5c6-staging.yaml
values_path:
  description: Path of the values.
  returned: success
  type: str
  sample: values/vllm-llama-3-1-8b-instruct-1d30a5c6-staging.yaml
chart_path:
  description: Path of the chart. V(null) if O(state=absent).
  returned: success
  type: str
  sample: charts/vllm-deployment-0.1.0-0c1d4f7f7e8a
commit:
  description:
    - Commit that has the files. The one of the change, or where nothing was changed the branch's newest.
    - V(null) with O(directory), and in check mode where something would be changed.
  returned: success
  type: str
  sample: 1f0d2b8d6d34f4b3c2a1908070605040302010f0
files:
  description:
    - Paths of the files that were, or in check mode would be, written or removed.
    - A chart is one of them, with a slash at its end.
  returned: success
  type: list
  elements: str
  sample: [values/vllm-llama-3-1-8b-instruct-1d30a5c6-staging.yaml]
error_class:
  description: Kind of failure, for conditions.
  returned: failure
  type: str
  sample: auth
resolution:
  description: What to do about a failure.
  returned: failure
  type: str
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.llmops.platform.plugins.module_utils._arguments import GITOPS_SPEC
from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import (
    Deadline,
    check_seconds,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.arguments import (
    checked_application,
    checked_note,
    checked_where,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.difference import differences
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.layout import Layout
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.writing import (
    Written,
    opened_place,
    remove_target,
    write_target,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.release.request import (
    ReleaseRequest,
    ReleaseTarget,
)
from ansible_collections.llmops.platform.plugins.module_utils._module import (
    Context,
    ModuleContract,
    Outcome,
    run_as_module,
)

ARGUMENT_SPEC: dict[str, Any] = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "model": {"type": "str", "required": True},
    "environment": {"type": "str", "required": True},
    "tier": {"type": "str", "choices": ["development", "staging", "production"]},
    "namespace": {"type": "str", "required": True, "aliases": ["release_namespace"]},
    "name": {"type": "str", "aliases": ["release_name"]},
    "chart_path": {"type": "path"},
    "chart_values": {"type": "dict", "default": {}, "aliases": ["release_values"]},
    "strategy": {
        "type": "str",
        "choices": ["auto", "surge", "unavailable-first", "recreate"],
        "default": "auto",
    },
    "directory": {"type": "path"},
    **GITOPS_SPEC,
    "actor": {"type": "str"},
}


def run(params: Mapping[str, Any], context: Context) -> Outcome:
    """Bring the target's files to the wanted state."""
    check_seconds(params, 1, 86400, "timeout")
    deadline = Deadline(params["timeout"])
    names = {key: params[key] for key in ("model", "environment", "namespace", "name")}
    layout, where, note = Layout.below(params["path"]), checked_where(params), checked_note(params)
    if params["state"] == "absent":
        target = ReleaseTarget.named(**names)
        with opened_place(where, layout, deadline, context.progress, context.run_folder) as place:
            done = remove_target(place, target, params["writer"], note, check_mode=context.check_mode)
    else:
        request = ReleaseRequest.build(
            **names,
            chart=params["chart_path"],
            values=params["chart_values"],
            tier=params["tier"],
            strategy=params["strategy"],
        )
        options = checked_application(params)
        with opened_place(where, layout, deadline, context.progress, context.run_folder) as place:
            done = write_target(place, request, options, note, check_mode=context.check_mode)
    return _outcome(done, shows=context.diff)


def _outcome(done: Written, *, shows: bool) -> Outcome:
    result = {
        "application_name": done.application,
        "application_path": done.application_path,
        "values_path": done.values_path,
        "chart_path": done.chart_path,
        "commit": done.commit,
        "files": done.changes.paths,
    }
    shown = differences(done.changes) if shows else []
    return Outcome(done.changed, result, shown[0] if shown else None, more_diffs=shown[1:])


CONTRACT = ModuleContract(
    ARGUMENT_SPEC,
    run,
    mutually_exclusive=[("directory", "repository")],
    required_one_of=[("directory", "repository")],
    required_if=[("state", "present", ("chart_path",))],
)


def main() -> None:
    """Run as a module."""
    run_as_module(CONTRACT)


if __name__ == "__main__":
    main()
