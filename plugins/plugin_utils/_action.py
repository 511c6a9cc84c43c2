# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Base of the action plugins: run a module's contract inside the controller process.

An ordinary module task starts a new Python that imports the ``kubernetes`` package again; in process it is
imported once a play, and progress is shown while a task waits. Wherever running here would differ from
what was asked for (another host, another user, ``async``, or ``llmops_in_process: false``), the module runs
as usual. Private to this collection.
"""

from __future__ import annotations

import multiprocessing
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible import constants as C  # noqa: N812
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.parameters import remove_values
from ansible.module_utils.errors import UnsupportedError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.llmops.platform.plugins.module_utils._core.common.actor import awx_environment
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.common.orphans import die_with_parent
from ansible_collections.llmops.platform.plugins.module_utils._module import (
    Context,
    ModuleContract,
    failure,
    shown_arguments,
    success,
)
from ansible_collections.llmops.platform.plugins.plugin_utils._plain import plain
from ansible_collections.llmops.platform.plugins.plugin_utils._progress import Progress, send

display = Display()

# As Ansible's own check of arguments names an option.
_NAMED_OPTION = re.compile(r"^(?:argument '|value of )(?:verification\.)?(\w+)")


class CoreActionBase(ActionBase):
    """Runs ``contract``; a subclass only names it."""

    contract: ModuleContract
    #: What the variables of the module's role begin with; the rest is the name of the option.
    variable_prefix = ""
    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        variables = task_vars or {}
        self._tell_the_job(variables)
        given = without_empty(self._task.args, self.contract.argument_spec)
        in_job = bool(awx_environment(variables, ""))
        self._task.args = without_other_login(given, os.environ) if in_job else given
        result: dict[str, Any] = super().run(tmp, task_vars)
        if self._runs_in_process(variables):
            result.update(self._run_in_process(variables))
            return result
        wrap_async = self._task.async_val and not self._connection.has_native_async
        result.update(self._execute_module(task_vars=task_vars, wrap_async=wrap_async))
        if not wrap_async:
            self._remove_tmp_path(self._connection._shell.tmpdir)  # type: ignore[no-untyped-call]
        return result

    def _tell_the_job(self, variables: Mapping[str, Any]) -> None:
        """Add the AWX job and its user to the task's ``environment``; what that says itself is stronger."""
        told = {name: value for name, value in variables.items() if name.startswith(("awx_", "tower_"))}
        found = awx_environment(self._templar.template(told), os.environ.get("AWX_HOST", ""))
        if found:
            self._task.environment = [found, *(self._task.environment or [])]

    def _runs_in_process(self, variables: Mapping[str, Any]) -> bool:
        return (
            self._connection.transport == "local"
            and not self._task.async_val
            and not self._play_context.become
            and boolean(self._templar.template(variables.get("llmops_in_process", True)))
        )

    def _run_in_process(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        contract = self.contract
        worker_of = multiprocessing.parent_process()
        if worker_of is not None and worker_of.pid is not None:
            # Ansible's workers live on, in a session of their own, when the run is killed.
            die_with_parent(worker_of.pid)
        host = str(variables.get("inventory_hostname", "localhost"))
        secrets: set[str] = set()

        # Made by Ansible before it forks, and removed by it at the end.
        run_folder = Path(C.DEFAULT_LOCAL_TMP)  # type: ignore[attr-defined]

        def progress(line: str) -> None:
            # Ansible hides the result of such a task, and knows nothing of what is shown before.
            if not self._task.no_log:
                shown = str(remove_values(line, secrets))
                if not send(run_folder, Progress(host, shown)):
                    # stderr, so that a callback that prints JSON stays parseable
                    display.display(f"{host}: {shown}", stderr=True)

        def phase(name: str, expected_s: float | None) -> None:
            send(run_folder, Progress(host, phase=name, expected_s=expected_s))

        context = Context(
            check_mode=bool(self._task.check_mode),
            diff=bool(self._task.diff),
            progress=progress,
            phase=phase,
            run_pid=os.getpid() if worker_of is None else worker_of.pid,
            run_folder=run_folder,
        )
        with self._task_environment():
            validator = ArgumentSpecValidator(
                dict(contract.argument_spec),
                mutually_exclusive=contract.mutually_exclusive,
                required_together=contract.required_together,
                required_one_of=contract.required_one_of,
                required_if=contract.required_if,
            )
            parameters = plain(self._task.args)
            validated = validator.validate(parameters)
            secrets |= validated._no_log_values
            if validated.error_messages:
                message = validated.errors.msg
                if isinstance(validated.errors[0], UnsupportedError):
                    message = f"Unsupported parameters for ({self._task.action}) module: {message}"
                elif message.startswith("dictionary requested"):
                    # Ansible does not say which of them it is where the option is one of another's.
                    message = f"{', '.join(_no_mappings(contract.argument_spec, parameters))}: {message}"
                error = PlatformError(ErrorClass.INVALID, message, self._advice(message))
                return dict(remove_values({"failed": True, **failure(error)}, secrets))
            parameters = validated.validated_parameters
            try:
                outcome = contract.run(parameters, context)
            except PlatformError as error:
                result = {"failed": True, **failure(error)}
            else:
                for warning in outcome.warnings:
                    display.warning(warning)
                result = success(outcome, context)
        # What AnsibleModule does for a module: its arguments for -vvv, and no secret anywhere.
        invocation = {"module_args": shown_arguments(contract, parameters)}
        return dict(remove_values({**result, "invocation": invocation}, secrets))

    def _advice(self, message: str) -> str:
        """Return what to do about a wrong argument, in the words of the role where there is one."""
        named = _NAMED_OPTION.search(message)
        if named is None or not self.variable_prefix:
            return ""
        return f"Correct the argument; the role takes it from {self.variable_prefix}{named[1]}."

    @contextmanager
    def _task_environment(self) -> Iterator[None]:
        """Apply the task's ``environment`` keyword, as a module's own process would have it."""
        wanted: dict[str, Any] = {}
        self._compute_environment_string(raw_environment_out=wanted)  # type: ignore[no-untyped-call]
        if not wanted:
            yield
            return
        before = dict(os.environ)
        os.environ.update({str(name): str(value) for name, value in wanted.items()})
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def without_empty(values: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments without empty texts, and without null, where the option takes none.

    AWX sends an empty text for a question of a survey that nobody answered, and it is stronger than a role's
    default. ansible-core 2.19 reads it as null, since AWX writes ``!unsafe ''``.
    """
    kept = {}
    for name, value in values.items():
        option = spec.get(name) or _aliased(spec, name)
        if (value is None or value == "") and not _takes_empty_text(option):
            continue
        nested = option.get("options") if isinstance(value, Mapping) else None
        kept[name] = without_empty(value, nested) if nested else value
    return kept


def without_other_login(values: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the arguments of a job without an inventory's kubeconfig that is not there, and its context.

    The job's credential, which its template names, says which cluster it is. Without one nothing is left out:
    the cluster that the job's own pod happens to run on may be any.
    """
    kubeconfig = str(values.get("kubeconfig") or "")
    has_login = bool(environment.get("K8S_AUTH_HOST") or environment.get("K8S_AUTH_KUBECONFIG"))
    if not has_login or values.get("host") or (kubeconfig and Path(kubeconfig).expanduser().exists()):
        return dict(values)
    return {name: value for name, value in values.items() if name not in ("kubeconfig", "context")}


def _aliased(spec: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = (option for option in spec.values() if name in option.get("aliases", ()))
    return next(found, {})


def _takes_empty_text(option: Mapping[str, Any]) -> bool:
    textual = option.get("type", "str") in ("str", "raw") and "" in option.get("choices", ("",))
    return textual and not option.get("default")


def _no_mappings(spec: Mapping[str, Any], values: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Yield the options with options of their own that are given as something else."""
    for name, option in spec.items():
        value = values.get(name)
        if value is None or "options" not in option or option.get("type") != "dict":
            continue
        if isinstance(value, Mapping):
            yield from _no_mappings(option["options"], value, f"{path}{name}.")
        else:
            yield f"{path}{name}"
