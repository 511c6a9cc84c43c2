#!/usr/bin/python
# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module site_repository."""

from __future__ import annotations

DOCUMENTATION = r"""
module: site_repository
short_description: Write the repository of a site
version_added: 0.1.0
author:
  - llmops.platform contributors (@llmops-platform)
description:
  - Writes a folder to keep in Git, from which models are deployed. It has an inventory for each environment,
    what models and GPU pools have in common in all of them, a playbook for each of the collection's, and
    what Ansible, AWX and C(ansible-builder) read.
  - The role P(llmops.platform.scaffold#role) brings the templates.
  - Files that are there with another content are never replaced without being told to. Other files are left
    alone.
extends_documentation_fragment:
  - llmops.platform.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Shows each file before and after.
  idempotent:
    support: full
options:
  site:
    description:
      - Folder of the site. It is made where it is missing.
      - A relative path begins where Ansible was started. Only the controller knows that, so with C(become)
        and the like give an absolute one.
    type: path
    required: true
  environments:
    description:
      - Names of the environments, each at most 30 lower-case letters, digits and hyphens.
      - A list, or text such as V([staging,production]), which is what C(-e) makes of it. There it
        may have no spaces.
    type: raw
    default: [staging, production]
  tiers:
    description:
      - What environments are like whose name does not say so, each V(development), V(staging) or
        V(production).
    type: dict
    default: {}
  cloud:
    description:
      - Where the GPUs are, which chooses the labels by which pools are found. V(local) is for a cluster on a
        machine of one's own, and selects nothing.
    type: str
    choices: [bare-metal, eks, gke, lke, local]
    default: bare-metal
  existing:
    description:
      - What becomes of files that are there with another content.
      - With V(refuse) it is an error, and nothing is written. V(keep) leaves them, and writes only what is
        missing, such as another environment, with the pools that the site has. V(replace) writes all.
    type: str
    choices: [refuse, keep, replace]
    default: refuse
  templates:
    description: Folder of the templates.
    type: path
    required: true
  collection:
    description: Folder of the collection.
    type: path
    required: true
seealso:
  - module: llmops.platform.vllm_deployment
"""

EXAMPLES = r"""
- name: Write a site for two environments on EKS
  llmops.platform.site_repository:
    site: ./my-site
    environments: [staging, prod-eu]
    tiers:
      prod-eu: production
    cloud: eks
    templates: "{{ role_path }}/templates"
    collection: "{{ role_path }}/../.."
"""

RETURN = r"""
site:
  description: The folder, as an absolute path.
  returned: success
  type: str
  sample: /home/alice/my-site
written:
  description: Paths of the files that were, or in check mode would be, written.
  returned: success
  type: list
  elements: str
  sample: [deploy.yml, staging/hosts]
kept:
  description: Paths of the files that were left with another content.
  returned: success
  type: list
  elements: str
  sample: [README.md]
line:
  description: What was done, in one line for people.
  returned: success
  type: str
  sample: "/home/alice/my-site: 41 files written"
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
from pathlib import Path
from typing import Any

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import invalid
from ansible_collections.llmops.platform.plugins.module_utils._core.scaffold.collection import Collection
from ansible_collections.llmops.platform.plugins.module_utils._core.scaffold.entries import Entry
from ansible_collections.llmops.platform.plugins.module_utils._core.scaffold.folder import (
    Change,
    planned,
    text_of,
    write,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.scaffold.rendering import (
    POOLS,
    site_entries,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.scaffold.site import (
    CLOUDS,
    environments_of,
)
from ansible_collections.llmops.platform.plugins.module_utils._module import (
    Context,
    ModuleContract,
    Outcome,
    run_as_module,
)

ARGUMENT_SPEC: dict[str, Any] = {
    "site": {"type": "path", "required": True},
    "environments": {"type": "raw", "default": ["staging", "production"]},
    "tiers": {"type": "dict", "default": {}},
    "cloud": {"type": "str", "choices": list(CLOUDS), "default": "bare-metal"},
    "existing": {"type": "str", "choices": ["refuse", "keep", "replace"], "default": "refuse"},
    "templates": {"type": "path", "required": True},
    "collection": {"type": "path", "required": True},
}


def run(params: Mapping[str, Any], context: Context) -> Outcome:
    """Bring the folder to the wanted state."""
    site = _folder(params["site"], context)
    environments = environments_of(params["environments"], params["tiers"])
    collection, templates = Collection.at(params["collection"]), Path(params["templates"]).resolve()
    own_pools = text_of(site, POOLS) if params["existing"] == "keep" else ""
    entries = site_entries(collection, templates, environments, params["cloud"], own_pools)
    change = planned(site, entries, params["existing"])
    if not context.check_mode:
        write(site, change)
    kept = [path for path in change.differing if path not in change.writes]
    result = {"site": str(site), "written": list(change.writes), "kept": kept}
    shown = [_difference(path, entry, change) for path, entry in change.writes.items()]
    first = shown[0] if shown else None
    return Outcome(bool(shown), {**result, "line": _line(site, change, kept)}, first, more_diffs=shown[1:])


def _folder(site: str, context: Context) -> Path:
    if not site:
        raise invalid("site", site, "names no folder", "Give one, such as -e site=./my-site.")
    if context.run_pid is None and not Path(site).is_absolute():
        # A process of its own is started in the playbook's folder.
        raise invalid("site", site, "begins nowhere in a process of its own", "Give an absolute path.")
    return Path(site).absolute()


def _difference(path: str, entry: Entry, change: Change) -> dict[str, str]:
    there = change.differing.get(path)
    before = there.shown if there else ""
    return {"before": before, "after": entry.shown, "before_header": path, "after_header": path}


def _line(site: Path, change: Change, kept: list[str]) -> str:
    done = f"{len(change.writes)} files written" if change.writes else "nothing to write"
    left = f", {len(kept)} left as they are: {', '.join(kept)}" if kept else ""
    return f"{site}: {done}{left}"


CONTRACT = ModuleContract(ARGUMENT_SPEC, run)


def main() -> None:
    """Run as a module."""
    run_as_module(CONTRACT)


if __name__ == "__main__":
    main()
