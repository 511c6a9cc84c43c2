# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What AWX offers: a job template for each thing that people do with models, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .survey import Question

#: Who may start it. An operator works with models, an approver agrees to promotions of others, and an
#: administrator changes what all models of an environment stand on.
OPERATORS, APPROVERS, ADMINISTRATORS = "operators", "approvers", "administrators"

#: Seconds. Longer than the parts of the playbook may take together by their defaults (a test adds them up).
_LOADS_WEIGHTS = 4 * 3600
_ASKS_MODELS = 900


@dataclass(frozen=True)
class Verb:
    """A job template. ``role`` and ``entry`` say whose options the survey asks for.

    A survey asks only for what belongs to one run: an answer, even an empty one, hides the inventory's.
    """

    title: str
    playbook: str
    description: str
    role: str
    entry: str = "main"
    questions: tuple[Question, ...] = ()
    audience: str = OPERATORS
    timeout: int = _ASKS_MODELS
    tags: str = ""
    variables: Mapping[str, object] = field(default_factory=dict)
    #: Names models by the limit, and may run beside itself: the registry's lock is for each model.
    for_models: bool = True
    #: Waits for the lock of a run that was cancelled.
    takes_lock: bool = False
    #: Reads the environment that is promoted from, too.
    reads_source: bool = False
    #: The playbook refuses to take all models because nobody named one.
    needs_limit: bool = False
    #: Also made for production where an environment names no verbs. Not what would go round an approval.
    in_production: bool = True
    #: What is asked for, where that are variables of the playbook and not of a role.
    options: Mapping[str, Mapping[str, object]] = field(default_factory=dict)


_REASON = "Why"
#: Numbers are asked for as text, since AWX refuses an optional one that was left empty.
_OF_ANY_MODEL: Mapping[str, Mapping[str, object]] = {
    "model": {"description": "Such as Qwen/Qwen2.5-7B-Instruct."},
    "pool": {"description": "Which GPUs: the group pool_NAME of the inventory, without pool_."},
    "gpus": {"description": "GPUs of each replica, a number."},
    "replicas": {"description": "Pods, a number."},
    "size_billions": {"description": "Parameters in billions, from which times and memory are derived."},
    "revision": {"description": "Commit of the model's repository."},
    "max_model_len": {"description": "Longest context, a number of tokens."},
    "image_tag": {"description": "Version of the server."},
    "values": {"type": "dict", "description": "More values of the chart, as YAML."},
    "reason": {"description": "For the record."},
}
_SOURCE = Question("promotion_from", "From which environment")

VERBS: Mapping[str, Verb] = {
    "check": Verb(
        "Check models",
        "deploy.yml",
        "Says whether the models fit and what would change. Writes nothing.",
        "vllm",
        tags="preflight",
    ),
    "deploy": Verb(
        "Deploy models",
        "deploy.yml",
        "Deploys, verifies and registers the models of the inventory, or those of the limit.",
        "vllm",
        questions=(
            Question(
                "vllm_promoted", "A promoted model that the inventory says otherwise", in_production=False
            ),
            Question("vllm_reason", _REASON),
        ),
        timeout=_LOADS_WEIGHTS,
        takes_lock=True,
    ),
    "deploy_model": Verb(
        "Deploy a model of no inventory",
        "deploy_model.yml",
        "Deploys one model that is asked for here, such as for a trial. Others belong into the inventory.",
        "vllm",
        questions=(
            Question("model", "Model", required=True),
            Question("pool", "Pool of GPUs"),
            Question("gpus", "GPUs of each replica"),
            Question("replicas", "Replicas"),
            Question("size_billions", "Size in billions"),
            Question("revision", "Revision"),
            Question("max_model_len", "Longest context"),
            Question("image_tag", "Tag of the server's image"),
            Question("values", "More values"),
            Question("reason", _REASON),
        ),
        timeout=_LOADS_WEIGHTS,
        takes_lock=True,
        # A limit would leave out the host that takes the answers.
        for_models=False,
        in_production=False,
        options=_OF_ANY_MODEL,
    ),
    "remove": Verb(
        "Remove models",
        "deploy.yml",
        "Takes models from clients, then removes their servers. Needs a limit.",
        "vllm",
        audience=ADMINISTRATORS,
        timeout=_LOADS_WEIGHTS,
        variables={"vllm_state": "absent"},
        takes_lock=True,
        needs_limit=True,
    ),
    "promote": Verb(
        "Promote models",
        "promote.yml",
        "Brings what was proven in another environment to this one, through gates. Needs a limit.",
        "promotion",
        questions=(_SOURCE, Question("promotion_retry_rejected", "Try again what did not serve here")),
        timeout=_LOADS_WEIGHTS,
        takes_lock=True,
        reads_source=True,
        needs_limit=True,
    ),
    "approve": Verb(
        "Approve promotions",
        "approve.yml",
        "Approves a promotion that somebody else asked for, or takes that back. Needs a limit.",
        "promotion",
        "approve",
        questions=(
            Question("promotion_approval", "What to say", default="approved"),
            _SOURCE,
            Question("promotion_approval_manifest", "Which manifest, where several wait"),
            Question("promotion_approval_expires_in", "For how many seconds"),
            Question("promotion_reason", _REASON, required=True),
        ),
        audience=APPROVERS,
        needs_limit=True,
    ),
    "rollback": Verb(
        "Roll back models",
        "rollback.yml",
        "Brings models back to what was proven. Needs a limit.",
        "rollback",
        questions=(
            Question("rollback_reason", _REASON, required=True),
            Question("rollback_to", "Where to"),
            Question("rollback_reject", "Mark what is given up"),
            Question("rollback_allow_rejected", "Go to what was given up"),
            Question("rollback_first_revision", "Where there is no other revision"),
        ),
        timeout=_LOADS_WEIGHTS,
        takes_lock=True,
        needs_limit=True,
    ),
    "register": Verb(
        "Register models",
        "register.yml",
        "Verifies servers that run already and gives them to clients.",
        "registration",
        "register",
        questions=(Question("registration_reason", _REASON),),
    ),
    "deregister": Verb(
        "Deregister models",
        "deregister.yml",
        "Drains models and removes them from the registry; their servers go on. Needs a limit.",
        "registration",
        "deregister",
        questions=(Question("registration_reason", _REASON, required=True),),
        audience=ADMINISTRATORS,
        needs_limit=True,
    ),
    "disable": Verb(
        "Disable models",
        "disable.yml",
        "Takes models from clients until somebody enables them. Needs a limit.",
        "registration",
        "disable",
        questions=(Question("registration_reason", _REASON, required=True),),
        needs_limit=True,
    ),
    "enable": Verb(
        "Enable models",
        "enable.yml",
        "Verifies models and gives them back to clients.",
        "registration",
        "enable",
        questions=(Question("registration_reason", _REASON),),
    ),
    "gitops": Verb(
        "Write models to Git",
        "gitops.yml",
        "Writes what Argo CD deploys to its repository.",
        "gitops",
        questions=(Question("gitops_reason", _REASON),),
        # It asks for neither evidence nor approval.
        in_production=False,
    ),
    "doctor": Verb(
        "Examine the environment",
        "doctor.yml",
        "Finds out what stands in the way of deploying. Writes nothing.",
        "doctor",
    ),
    "registry": Verb(
        "Update the registry's schema",
        "registry.yml",
        "Creates or updates the schema of the registry. Needs the login of its owner.",
        "registry",
        audience=ADMINISTRATORS,
        for_models=False,
    ),
    "environment": Verb(
        "Set the environment apart",
        "environment.yml",
        "Makes the namespace with its quota, policies and deployer. Needs an administrator of the cluster.",
        "environment",
        audience=ADMINISTRATORS,
        # A file would end with the container of the job.
        variables={"environment_deployer_kubeconfig": ""},
        for_models=False,
    ),
    "router": Verb(
        "Run the router",
        "router.yml",
        "Brings the router of the environment to what the inventory says.",
        "router",
        audience=ADMINISTRATORS,
        for_models=False,
    ),
    "export": Verb(
        "Export the registry",
        "export.yml",
        "Brings a LiteLLM proxy or routes of the Gateway API to what the registry says.",
        "router",
        for_models=False,
    ),
    "health_check": Verb(
        "Run the health checker",
        "health_check.yml",
        "Brings the health checker of the environment to what the inventory says.",
        "health_check",
        audience=ADMINISTRATORS,
        for_models=False,
    ),
}
