# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every module is made of, and the adapter that runs it as an ordinary Ansible module.

The action plugins run the same :class:`ModuleContract` inside the controller process
(``plugin_utils/_action.py``). Private to this collection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.proxy import without_login
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.common.redaction import redact

HIDDEN_PARAMETER = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"


@dataclass(frozen=True)
class Context:
    """How a module was called.

    ``progress`` shows one line to the person who waits. A module that runs in a process of its own has
    nobody to show it to before it ends, so there the lines go to the system's log.

    ``phase`` says which part of the work begins, and how many seconds the whole is expected to take, if that
    is known.

    ``run_pid`` is the process that lives as long as the whole run of the playbook. None where that is not
    known: a module of its own ends with its task, maybe on another machine.

    ``run_folder`` is a folder of that run which only its user may read, removed at its end. None as above.
    """

    check_mode: bool = False
    diff: bool = False
    progress: Callable[[str], None] = lambda line: None
    phase: Callable[[str, float | None], None] = lambda name, expected_s: None
    run_pid: int | None = None
    run_folder: Path | None = None


@dataclass
class Outcome:
    """What a module did: JSON types only, so that both ways of running return the same."""

    changed: bool = False
    result: dict[str, Any] = field(default_factory=dict)
    diff: dict[str, Any] | None = None
    warnings: list[str] = field(default_factory=list)
    more_diffs: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class ModuleContract:
    """The contract of one module: its argument spec and the function that does the work."""

    argument_spec: Mapping[str, Any]
    run: Callable[[Mapping[str, Any], Context], Outcome]
    mutually_exclusive: Sequence[Sequence[str]] = ()
    required_together: Sequence[Sequence[str]] = ()
    required_one_of: Sequence[Sequence[str]] = ()
    required_if: Sequence[Sequence[Any]] = ()


def failure(error: PlatformError) -> dict[str, Any]:
    """Return the result keys of a failure. The class is for playbooks, the text for people."""
    return {
        **error.details,
        "msg": str(error),
        "error_class": error.error_class.value,
        "resolution": error.resolution,
    }


def shown_arguments(contract: ModuleContract, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments for Ansible's ``invocation``: no secret, not even in values."""
    return {
        name: HIDDEN_PARAMETER if contract.argument_spec.get(name, {}).get("no_log") else _shown(name, value)
        for name, value in arguments.items()
    }


def _shown(name: str, value: Any) -> Any:
    return without_login(value) if name == "proxy" and isinstance(value, str) else redact(value)


def success(outcome: Outcome, context: Context) -> dict[str, Any]:
    """Return the result keys of a success; the diff only where it was asked for."""
    result: dict[str, Any] = {**outcome.result, "changed": outcome.changed}
    if context.diff and outcome.diff is not None:
        result["diff"] = [outcome.diff, *outcome.more_diffs] if outcome.more_diffs else outcome.diff
    return result


class _PlatformModule(AnsibleModule):
    """Gives the failures that AnsibleModule raises itself (argument validation) their class."""

    contract: ModuleContract

    def fail_json(self, msg: str, **kwargs: Any) -> NoReturn:
        shown = {"module_args": shown_arguments(self.contract, self.params)}
        defaults = {"error_class": ErrorClass.INVALID.value, "resolution": "", "invocation": shown}
        super().fail_json(msg, **{**defaults, **kwargs})

    def exit_json(self, **kwargs: Any) -> NoReturn:
        super().exit_json(invocation={"module_args": shown_arguments(self.contract, self.params)}, **kwargs)


def run_as_module(contract: ModuleContract) -> None:
    """Run what a contract says as an Ansible module and exit."""
    _PlatformModule.contract = contract
    module: AnsibleModule = _PlatformModule(  # type: ignore[no-untyped-call]
        argument_spec=dict(contract.argument_spec),
        mutually_exclusive=contract.mutually_exclusive,
        required_together=contract.required_together,
        required_one_of=contract.required_one_of,
        required_if=contract.required_if,
        supports_check_mode=True,
    )
    context = Context(check_mode=module.check_mode, diff=module._diff, progress=module.log)
    try:
        outcome = contract.run(module.params, context)
    except PlatformError as error:
        module.fail_json(**failure(error))
    for warning in outcome.warnings:
        module.warn(warning)
    module.exit_json(**success(outcome, context))
