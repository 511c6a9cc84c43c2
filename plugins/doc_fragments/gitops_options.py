# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the options in ``module_utils/_arguments.py`` about a repository that Argo CD follows."""

from __future__ import annotations

from textwrap import indent

_OPTIONS = r"""
  repository:
    description:
      - Address of the repository, by C(https), C(ssh) or as C(user@host:path), or an absolute path. A login
        has no place in it.
    type: str
  branch:
    description: Branch to write to. In a repository without any commit it is made.
    type: str
    default: main
  path:
    description: Folder in the repository, or in the directory, for the files. Empty for its root.
    type: str
    default: ""
  source_repository:
    description:
      - Address of the repository as Argo CD reaches it. By default the repository.
    type: str
  source_revision:
    description: Branch that Argo CD follows. By default that branch.
    type: str
  application_namespace:
    description: Namespace of the Application.
    type: str
    default: argocd
  project:
    description: Project of the Application.
    type: str
    default: default
  destination_server:
    description: API server of the cluster to deploy to, as Argo CD reaches it.
    type: str
    default: https://kubernetes.default.svc
  destination_name:
    description: Name of the cluster in Argo CD. It wins over the server.
    type: str
  automated:
    description:
      - Whether Argo CD applies a commit by itself. Otherwise somebody has to ask for it.
      - By default it does, but not in the tier production.
    type: bool
  prune:
    description: Whether objects go that are no more in Git, where it is automated.
    type: bool
    default: true
  self_heal:
    description: Whether what somebody changes on the cluster is set back, where it is automated.
    type: bool
    default: true
  cascade:
    description:
      - Whether the objects on the cluster go when the Application goes (a finalizer of it).
      - By default they do, but not in the tier production.
    type: bool
  labels:
    description: Further labels of the Application.
    type: dict
    default: {}
  annotations:
    description: Further annotations of the Application, such as subscriptions to notifications.
    type: dict
    default: {}
  writer:
    description:
      - Who writes. The Application says it in the annotation C(llmops.platform/writer), and one that names
        somebody else or nobody is left alone.
    type: str
    default: llmops.platform
  author:
    description: Author of commits, as C(Name <name@example.com>).
    type: str
  committer:
    description: Committer, likewise. By default the author.
    type: str
  reason:
    description: Why, in one line, for the message of the commit.
    type: str
  username:
    description: User that the token belongs to. Most servers do not care.
    type: str
    default: git
  token:
    description:
      - Token or password, for C(https).
      - If the value is not specified, the environment variable E(LLMOPS_GITOPS_TOKEN) is used.
    type: str
  ssh_key:
    description: File with the private key, for SSH. By default those of the user, and an agent.
    type: path
  known_hosts:
    description:
      - File with the host keys of the server, for SSH. By default those of the user.
      - An unknown host is refused.
    type: path
  ca_cert:
    description: File with the authorities of the server's certificate, for C(https). By default the system's.
    type: path
  git_binary:
    description: Name or path of git, 2.32 or later.
    type: str
    default: git
  timeout:
    description: Seconds for each change of the repository, from 1 to 86400.
    type: float
    default: 120
"""

_DELIVERY = r"""
options:
  delivery:
    description:
      - Who brings the release to the cluster.
      - With V(helm) it is this run, by Helm.
      - With V(argocd) this run commits to O(gitops.repository), waits until Argo CD has brought the commit to
        the cluster, and goes on as with Helm. Where the Application's sync policy is manual, the sync is
        started. Its rights are in the guide about models in Git.
      - A target that was delivered the one way is refused the other way, with what to do.
    type: str
    choices: [helm, argocd]
    default: helm
  gitops:
    description: The repository and the Application, for O(delivery=argocd).
    type: dict
    suboptions:
      application_kubeconfig:
        description: Kubeconfig of the cluster on which Argo CD runs. By default the one of the model.
        type: path
      application_context:
        description: Context of that kubeconfig. By default the one of the model.
        type: str
      apply_application:
        description:
          - Whether this run applies the Application to Argo CD's cluster, and deletes it with its objects.
          - Without it, that is left to an Application of the repository's folder, and waited for.
        type: bool
        default: false
      sync_timeout:
        description:
          - Seconds until Argo CD has brought a commit to the cluster. A sync window of its project is waited
            for, so this has to be longer than that lasts.
        type: float
        default: 600
"""


class ModuleDocFragment:
    """Fragments ``llmops.platform.gitops_options`` and ``llmops.platform.gitops_options.delivery``."""

    # With a type: ansible-test takes what has none for a literal, and these are put together.
    DOCUMENTATION: str = f"options:{_OPTIONS}"

    DELIVERY: str = _DELIVERY + indent(_OPTIONS.lstrip("\n"), "    ")
