# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The helm binary: one frozen specification of a release gives the arguments of every command.

Values travel on standard input, so they are in no file and in no process list. Every call runs in a process
group of its own that dies with us and can be killed at the deadline, or when the permission to write is lost.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from ..cluster.client import Authentication
from ..cluster.manifests import dump_json
from ..common.deadline import Deadline
from ..common.errors import ErrorClass, PlatformError, invalid
from ..common.orphans import die_with_parent
from ..common.permit import Permit
from ..common.redaction import excerpt
from ..common.run_folder import find_once, surroundings
from .kubeconfig import environment_with_proxy

MINIMUM_VERSIONS = {3: (3, 20, 2), 4: (4, 1, 4)}
HISTORY_MAX = 10
_VERSION_S = 30.0
# For another of the same run, who asks just now.
_PATIENCE_S = 5.0

_LOOK_EVERY_S = 0.2

_VERSION = re.compile(r"v(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True)
class ReleaseSpec:
    """What is to be installed where. ``values`` is merged over ``values_files``, the later ones winning."""

    name: str
    namespace: str
    chart: Path
    values_files: tuple[Path, ...]
    values: Mapping[str, Any]
    create_namespace: bool = False
    force_conflicts: bool = False

    def arguments(self) -> list[str]:
        """Return the arguments that rendering and upgrading have in common."""
        arguments = ["--namespace", self.namespace]
        for path in self.values_files:
            arguments += ["--values", _list_item(str(path))]
        # "--" ends the options: no name or path can ever be read as one
        return [*arguments, "--values", "-", "--", self.name, str(self.chart)]

    def stdin(self) -> bytes:
        """Return the values that helm reads from standard input."""
        return dump_json(self.values).encode()


class Helm:
    """Runs one helm binary against one cluster, as long as ``permit`` allows it.

    Each command raises ``fenced`` where the permission to write was lost; a helm that runs is stopped then.
    """

    def __init__(
        self,
        binary: str,
        authentication: Authentication,
        permit: Permit | None = None,
        run_folder: Path | None = None,
    ) -> None:
        found = shutil.which(binary)
        if found is None:
            raise invalid(
                "helm_binary",
                binary,
                "is not an executable on this machine",
                "Install Helm 3.20.2 or 4.1.4 or later (https://helm.sh), or give the path of its binary.",
            )
        if authentication.client_cert and not authentication.kubeconfig:
            raise invalid(
                "client_cert",
                authentication.client_cert,
                "cannot be handed to helm without a kubeconfig",
                "Put host and certificates into a kubeconfig and give that.",
            )
        self._binary = found
        self._run_folder = run_folder
        self._authentication = authentication
        self._environment = _environment(authentication)
        self._permit = permit or Permit()

    def obey(self, permit: Permit) -> None:
        """Ask this permission from now on."""
        self._permit = permit

    def check_version(self) -> tuple[int, int, int]:
        """Return the version of the binary, or raise ``invalid`` for one that is not supported."""
        return _version(self._binary, self._run_folder)

    def template(self, spec: ReleaseSpec, deadline: Deadline) -> str:
        """Return the manifests as Helm would store them, without hooks; nothing on the cluster is read."""
        self.check_version()
        return self._run(["template", "--no-hooks", *spec.arguments()], deadline, spec.stdin())

    def upgrade(
        self, spec: ReleaseSpec, deadline: Deadline, description: str, labels: Mapping[str, str] | None = None
    ) -> None:
        """Install or upgrade. Returns when the objects are written, not when the workload is ready.

        ``labels`` are written on the record of the revision, from its first moment on.
        """
        options = ["--install", "--history-max", str(HISTORY_MAX), "--description", description]
        options += ["--timeout", f"{max(1, int(deadline.remaining()))}s"]
        if self.check_version()[0] >= 4:
            # Server-side apply refuses unknown fields itself; checking here too would fetch the whole OpenAPI
            # document of the cluster, for nothing.
            options += ["--wait=hookOnly", "--disable-openapi-validation"]
            if spec.force_conflicts:
                options.append("--force-conflicts")
        if spec.create_namespace:
            options.append("--create-namespace")
        if labels:
            options += ["--labels", ",".join(f"{name}={value}" for name, value in labels.items())]
        self._permit.check()
        self._run(["upgrade", *options, *spec.arguments()], deadline, spec.stdin())

    def uninstall(self, name: str, namespace: str, deadline: Deadline) -> None:
        """Uninstall a release; one that is already gone is fine."""
        options = ["--namespace", namespace, "--ignore-not-found"]
        options += ["--timeout", f"{max(1, int(deadline.remaining()))}s"]
        self._permit.check()
        self._run(["uninstall", *options, "--", name], deadline)

    def _run(self, arguments: list[str], deadline: Deadline, stdin: bytes = b"") -> str:
        if deadline.expired():
            raise deadline.timeout_error(
                f"helm {arguments[0]}", "no time was left to start helm", "Run again with a longer timeout."
            )
        with environment_with_proxy(self._environment, self._authentication) as environment:
            return self._run_in(environment, arguments, deadline, stdin)

    def _run_in(
        self, environment: Mapping[str, str], arguments: list[str], deadline: Deadline, stdin: bytes
    ) -> str:
        parent = os.getpid()
        command, *rest = arguments
        try:
            # run_command has no process groups, and an action plugin has no module to call it on.
            process = subprocess.Popen(  # pylint: disable=ansible-bad-function
                [self._binary, command, *_identity(self._authentication), *rest],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                start_new_session=True,
                preexec_fn=lambda: die_with_parent(parent),  # noqa: PLW1509 - system calls only
            )
        except OSError as error:
            raise _cannot_be_run(self._binary, error) from error
        try:
            output, errors = self._follow(process, stdin, deadline)
        except BaseException as error:
            # A helm that is asked to end writes that down, which a run without permission may not do either.
            _stop(process, at_once=isinstance(error, PlatformError))
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            raise deadline.timeout_error(
                f"helm {arguments[0]}",
                "helm still ran when it was stopped",
                "Run again: a release that is left pending is recovered.",
            ) from None
        if process.returncode < 0:
            name = signal.Signals(-process.returncode).name
            raise PlatformError(
                ErrorClass.INFRASTRUCTURE,
                f"helm {arguments[0]} was ended by {name}.",
                "Run again: a release that is left pending is recovered. SIGKILL may mean too little memory.",
            )
        if process.returncode != 0:
            raise _failure(arguments[0], errors.decode(errors="replace"))
        return output.decode(errors="replace")

    def _follow(
        self, process: subprocess.Popen[bytes], stdin: bytes, deadline: Deadline
    ) -> tuple[bytes, bytes]:
        """Return the output of a helm that ended; raise when it may not go on."""
        given: bytes | None = stdin
        while True:
            self._permit.watch()
            try:
                return process.communicate(given, timeout=min(_LOOK_EVERY_S, deadline.remaining()))
            except subprocess.TimeoutExpired:
                if deadline.expired():
                    raise
                given = None


def _cannot_be_run(binary: str, error: Exception) -> PlatformError:
    return invalid("helm_binary", binary, f"cannot be run: {error}", "Give the path of a Helm 3 or 4 binary.")


def _list_item(text: str) -> str:
    # helm reads --values as a line of comma-separated values
    if not any(mark in text for mark in ',"\n'):
        return text
    return '"' + text.replace('"', '""') + '"'


def _stop(process: subprocess.Popen[bytes], *, at_once: bool) -> None:
    """End the process and everything that it started."""
    if not at_once:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=3)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=3)


def _identity(authentication: Authentication) -> list[str]:
    """Return the options that say whom to impersonate: in the environment a comma would divide a group."""
    user, groups = authentication.impersonate_user, authentication.impersonate_groups
    options = [f"--kube-as-user={user}"] if user else []
    return options + [f"--kube-as-group={name}" for name in groups]


def _environment(authentication: Authentication) -> dict[str, str]:
    given = authentication
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HELM_KUBE")}
    # Records are read as Secrets (helm_storage), so they have to be written as such.
    environment["HELM_DRIVER"] = "secret"
    # A helm lives for a second: collecting garbage in it costs more than the memory does.
    environment.setdefault("GOGC", "400")
    optional = {
        # A host without a kubeconfig is the whole address: nothing comes from a kubeconfig that is around.
        "KUBECONFIG": given.kubeconfig or (os.devnull if given.host else None),
        "HELM_KUBECONTEXT": given.context,
        "HELM_KUBEAPISERVER": given.host,
        "HELM_KUBETOKEN": given.api_key,
        "HELM_KUBECAFILE": given.ca_cert,
    }
    environment.update({name: value for name, value in optional.items() if value})
    if not given.validate_certs:
        environment["HELM_KUBEINSECURE_SKIP_TLS_VERIFY"] = "true"
    return environment


@lru_cache(maxsize=8)
def _version(binary: str, run_folder: Path | None) -> tuple[int, int, int]:
    state = Path(binary).stat()
    # A shim of a version manager is one file for all versions, and asks the environment which is meant.
    what = f"helm version of {binary} {state.st_mtime_ns} {state.st_size} {surroundings()}"
    told = find_once(run_folder, what, partial(_told_version, binary), _PATIENCE_S)
    major, minor, patch = map(int, told.split("."))
    minimum = MINIMUM_VERSIONS.get(major)
    if minimum is None or (major, minor, patch) < minimum:
        raise invalid(
            "helm_binary",
            binary,
            f"is Helm {told}, which is not supported",
            "Use Helm 3.20.2 or later, or 4.1.4 or later: older ones have known vulnerabilities.",
        )
    return major, minor, patch


def _told_version(binary: str) -> str:
    """Return the version as ``4.1.4``; what is no answer raises, so that nobody else takes it for one."""
    parent = os.getpid()
    try:
        answer = subprocess.run(  # pylint: disable=ansible-bad-function
            [binary, "version", "--short"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_VERSION_S,
            check=False,
            preexec_fn=lambda: die_with_parent(parent),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _cannot_be_run(binary, error) from error
    if answer.returncode < 0:
        raise PlatformError(
            ErrorClass.INFRASTRUCTURE,
            f"helm version was ended by signal {-answer.returncode}.",
            "Run again. If it happens often, look for what ends it, such as a lack of memory.",
        )
    match = _VERSION.search(answer.stdout.decode(errors="replace"))
    if match is None:
        raise invalid(
            "helm_binary", binary, "does not tell a Helm version", "Give the path of a Helm 3 or 4 binary."
        )
    return ".".join(match.groups())


# What helm says, the class of it, and what to do. The first pattern that is found wins, so what says more
# comes first: "cluster unreachable" also introduces refused credentials and wrong certificates.
_FAILURES: tuple[tuple[str, ErrorClass, str], ...] = (
    (
        r"values don't meet the specifications of the schema",
        ErrorClass.INVALID,
        "Correct the value that is named; the chart's README lists them all.",
    ),
    (
        r"(parse|execution) error (at|on) |release name is invalid|path \"[^\"]*\" not found",
        ErrorClass.INVALID,
        "Correct what the message names, then run again.",
    ),
    (
        (
            r"another operation .* is in progress|(release:|sh\.helm\.release\.v1\.\S+) already exists|"
            r"cannot re-?use a name that is still in use"
        ),
        ErrorClass.LOCKED,
        "Wait until it has ended, then run again.",
    ),
    (
        r"x509:|tls: [^\n]*certificate",
        ErrorClass.AUTH,
        "Check that the certificates in the kubeconfig are the cluster's and have not expired.",
    ),
    (
        r"asked for the client to provide credentials|[Uu]nauthorized|getting credentials",
        ErrorClass.AUTH,
        "Log in again: the credentials are missing, wrong or expired.",
    ),
    (
        r"because it is being terminated",
        ErrorClass.LOCKED,
        "Wait until the namespace is gone, then run again.",
    ),
    (
        r"is forbidden: User",
        ErrorClass.AUTH,
        "Ask for the right that the message names (Role or ClusterRole).",
    ),
    (
        r"context \"[^\"]*\" does not exist",
        ErrorClass.INVALID,
        "Give a context that is in the kubeconfig.",
    ),
    (
        (
            r"cluster unreachable|connection refused|connection reset|broken pipe|i/o timeout|no such host|"
            r"no route to host|network is unreachable|\": (unexpected )?EOF|http2: |TLS handshake timeout|"
            r"etcdserver|the server is currently unable|too many requests|context deadline exceeded|"
            r"an error on the server|the object has been modified|Timeout: request did not complete|"
            r"Internal error occurred|(Get|Post|Put|Patch|Delete) \"https?://[^\"]*\": "
        ),
        ErrorClass.INFRASTRUCTURE,
        "Check that the API server can be reached, then run again.",
    ),
    (r"exceeded quota", ErrorClass.CAPACITY, "Ask for a larger ResourceQuota or free some of it."),
    (
        r"namespaces \"[^\"]*\" not found",
        ErrorClass.INVALID,
        "Create the namespace first, or set create_namespace (vllm_create_namespace).",
    ),
    (
        r"[Cc]onflict.* with|conflict occurred",
        ErrorClass.INVALID,
        (
            "Somebody else manages a field of the chart (kubectl edit, an autoscaler). Undo that change or "
            "leave the field out of the values."
        ),
    ),
    (
        r"cannot be imported into the current release|already exists",
        ErrorClass.INVALID,
        "An object of that name exists outside this release: remove it or choose another name.",
    ),
)


# "exclusiveMinimum: got 0, want 0" tells nobody what is wrong.
_EXCLUSIVE = re.compile(r"exclusive(Minimum|Maximum): got (\S+), want (\S+)")
_NOISE = re.compile(r"^(level|time)=.*$|^WARNING: .*$|^Use --debug flag to render .*$", re.MULTILINE)


def _failure(command: str, errors: str) -> PlatformError:
    text = excerpt(_NOISE.sub("", errors), 3000)
    text = _EXCLUSIVE.sub(r"got \2, want \1 than \3", text).replace("want Minimum", "want more")
    text = text.replace("want Maximum", "want less")
    for pattern, error_class, advice in _FAILURES:
        if re.search(pattern, text, re.DOTALL):
            return PlatformError(error_class, f"helm {command}: {text}", advice)
    return PlatformError(
        ErrorClass.INVALID, f"helm {command}: {text}", "Correct what the message names, then run again."
    )
