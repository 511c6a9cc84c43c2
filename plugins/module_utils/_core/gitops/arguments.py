# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a target's files go and what they say, from the arguments of a module."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..cluster.client import Authentication, ClusterClient
from ..common.actor import actor, awx_job
from ..common.deadline import check_seconds
from ..common.errors import invalid
from ..common.names import check_namespace
from .address import check_address, check_branch
from .application import MODEL, WRITER, ApplicationOptions
from .commit import Note
from .credentials import Credentials
from .delivery import GitDelivery
from .layout import Layout
from .metadata import check_annotations, check_labels, check_project, check_server
from .plain_secrets import refuse_secrets
from .repository import RepositoryOptions
from .signature import Signature

_OURS = (WRITER, MODEL)


def checked_where(params: Mapping[str, Any]) -> RepositoryOptions | Path:
    """Return the branch of a repository, or the directory. Raises ``invalid``."""
    if params["directory"]:
        return Path(params["directory"])
    author, committer = params["author"], params["committer"]
    return RepositoryOptions.checked(
        params["repository"],
        params["branch"],
        Credentials(
            params["username"],
            params["token"] or "",
            params["ssh_key"] or "",
            params["known_hosts"] or "",
            params["ca_cert"] or "",
        ),
        Signature.parsed(author, "author") if author else None,
        Signature.parsed(committer, "committer") if committer else None,
        params["git_binary"],
    )


def checked_application(params: Mapping[str, Any]) -> ApplicationOptions:
    """Return what the Application says beyond its target. Raises ``invalid``."""
    source = params["source_repository"] or params["repository"]
    if not source:
        raise invalid(
            "source_repository",
            source,
            "is missing",
            "Give the address at which Argo CD finds what is in the directory (gitops_source_repository).",
        )
    for name, value in (
        ("writer", params["writer"]),
        ("destination_name", params["destination_name"] or "-"),
    ):
        if not value or not value.isprintable():
            raise invalid(name, value, "is no name", "Give a name.")
    for name in ("labels", "annotations"):
        refuse_secrets(
            params[name], name, "Leave it out: Argo CD's own Secrets have what it needs to log in."
        )
    return ApplicationOptions(
        source_repository=check_address(source, "source_repository").url,
        source_revision=check_branch(params["source_revision"] or params["branch"], "source_revision"),
        namespace=check_namespace(params["application_namespace"], "application_namespace"),
        project=check_project(params["project"]),
        destination_server=check_server(params["destination_server"]),
        destination_name=params["destination_name"] or "",
        automated=params["automated"],
        prune=params["prune"],
        self_heal=params["self_heal"],
        cascade=params["cascade"],
        labels=check_labels(params["labels"], _OURS),
        annotations=check_annotations(params["annotations"], _OURS),
        writer=params["writer"],
    )


def checked_delivery(params: Mapping[str, Any], authentication: Authentication) -> GitDelivery:
    """Return the delivery by Git that a module's ``gitops`` describes. Raises ``invalid``."""
    given = params["gitops"] or {}
    if not given.get("repository"):
        raise invalid(
            "gitops.repository",
            None,
            "is missing, but delivery is argocd",
            "Give the address of the repository that Argo CD follows (gitops_repository).",
        )
    check_seconds(given, 1, 86400, "timeout", "sync_timeout")
    where = checked_where({**given, "directory": None})
    if isinstance(where, Path):
        raise invalid("gitops.repository", str(where), "is a directory", "Give a repository.")
    cluster = {
        name: given[f"application_{name}"]
        for name in ("kubeconfig", "context")
        if given[f"application_{name}"]
    }
    another = Authentication.from_params({**params, **cluster}) if cluster else authentication
    return GitDelivery(
        where,
        Layout.below(given["path"]),
        checked_application(given),
        checked_note({"actor": params["actor"], "reason": given["reason"] or params.get("reason")}),
        ClusterClient(another),
        given["timeout"],
        given["sync_timeout"],
        given["apply_application"],
    )


def checked_note(params: Mapping[str, Any]) -> Note:
    """Return who changes something and why. Raises ``invalid``."""
    return Note(params["actor"] or actor(), params["reason"] or "", awx_job())
