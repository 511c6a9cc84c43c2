# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two environments with one registry: models are deployed to staging, and promoted to production."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg2
import psycopg2.extras

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from ansible_collections.llmops.platform.plugins.module_utils._core.common.names import release_name
from ansible_collections.llmops.platform.plugins.module_utils._module import Context
from ansible_collections.llmops.platform.plugins.modules import lock
from tests.support.lab import Lab, fresh_database, fresh_namespace
from tests.support.models import QUICK_VALUES
from tests.support.playbooks import PlayResult, PlayRunner, RunningPlay
from tests.support.site import Site
from tests.support.watch import Watch

#: What production asks for, and the lab has no need of.
_VALUES: dict[str, Any] = {
    **QUICK_VALUES,
    "alerts": {"enabled": False},
    "serviceMonitor": {"enabled": False},
    "persistence": {"enabled": False},
    "replicas": 1,
}
_MODEL = {"revision": "8c22764a7e3675c50d4c7c9a4edb474456022b16", "sizeBillions": 8}

_TABLES = (
    "model_registry_entries",
    "deployment_manifests",
    "manifest_verifications",
    "promotion_approvals",
    "operations",
    "operation_locks",
    "audit_log",
)
#: Kinds of objects, and what changes of them when somebody writes them; nodes write the status of pods.
_KINDS = {
    "apis/apps/v1/deployments": "generation",
    "api/v1/services": "resourceVersion",
    "api/v1/secrets": "resourceVersion",
    "api/v1/configmaps": "resourceVersion",
    "api/v1/pods": "uid",
}


def version(name: str, **values: Any) -> dict[str, Any]:
    """Return host variables of a model server that is told from others by one of its variables."""
    model = values.pop("model", {})
    extra = [{"name": "VERSION", "value": name}, *model.get("extraEnv", [])]
    return {"vllm_values": {**values, "model": {**_MODEL, **model, "extraEnv": extra}}}


class Place(Site):
    """One environment of several that share a registry."""

    def __init__(
        self, lab: Lab, api: ClusterClient, namespace: str, dsn: str, runner: PlayRunner, environment: str
    ) -> None:
        super().__init__(lab, api, namespace, dsn, runner)
        self.environment = environment
        self.variables = {"vllm_environment": environment, "vllm_environment_values": _VALUES}

    def row(self, model: str) -> dict[str, Any] | None:
        """Return a model's row in this environment."""
        statement = (
            "SELECT * FROM model_registry_entries WHERE model_name = %s AND deployment_environment = %s"
        )
        with (
            psycopg2.connect(self.dsn) as connection,
            connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor,
        ):
            cursor.execute(statement, (model, self.environment))
            found = cursor.fetchone()
            return dict(found) if found is not None else None

    def status(self, model: str) -> str:
        """Return what the row says."""
        row = self.row(model)
        return str(row["deployment_status"]) if row is not None else "absent"

    def release(self, model: str) -> str:
        """Return the name of a model's release."""
        return release_name(model, self.environment)

    def deployment(self, model: str) -> dict[str, Any]:
        """Return the Deployment of a model."""
        path = f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{self.release(model)}"
        return self.api.get(path)

    def version(self, model: str) -> str:
        """Return which version of a model its Deployment is of."""
        env = self.deployment(model)["spec"]["template"]["spec"]["containers"][0]["env"]
        return next(str(item["value"]) for item in env if item["name"] == "VERSION")

    def outcomes(self, model: str) -> list[tuple[str, str]]:
        """Return kind and outcome of each operation here, oldest first."""
        found = self.query(
            "SELECT kind, outcome FROM operations WHERE model_name = %s AND deployment_environment = %s"
            " ORDER BY fence",
            (model, self.environment),
        )
        return [(kind, outcome) for kind, outcome in found]

    def verdicts(self, model: str) -> list[str]:
        """Return the verdicts on a model's manifests here, oldest first."""
        found = self.query(
            "SELECT verdict FROM manifest_verifications"
            " WHERE model_name = %s AND deployment_environment = %s ORDER BY id",
            (model, self.environment),
        )
        return [verdict for (verdict,) in found]

    def give_verdict(self, model: str, verdict: str, evidence: str = "{}") -> None:
        """Record a verdict on what the row names."""
        self.query(
            "INSERT INTO manifest_verifications"
            " (model_name, deployment_environment, manifest_digest, verdict, reason, evidence)"
            " SELECT model_name, deployment_environment, manifest_digest, %s, %s, %s::jsonb"
            "   FROM model_registry_entries WHERE model_name = %s AND deployment_environment = %s"
            " RETURNING 1",
            (verdict, None if verdict == "passed" else "answers badly", evidence, model, self.environment),
        )

    def watch(self, model: str) -> Watch:
        """Return who watches a model from outside."""
        return Watch(self, model, self.release(model), self.environment)

    @contextmanager
    def locked(self, model: str) -> Iterator[None]:
        """Have somebody else hold the lock of a model."""

        def operate(**arguments: Any) -> Mapping[str, Any]:
            defaults = {name: option.get("default") for name, option in lock.ARGUMENT_SPEC.items()}
            target = {"dsn": self.dsn, "model": model, "environment": self.environment}
            return lock.run({**defaults, **target, **arguments}, Context()).result

        held = operate(kind="maintenance", lock_ttl=600.0, actor="carol")["lock"]
        try:
            yield
        finally:
            operate(state="released", lock=held)

    def break_pods(self, model: str, fault: str = "http-500") -> None:
        """Make all pods of a model misbehave, which have to let themselves be controlled."""
        pods = f"/api/v1/namespaces/{self.namespace}/pods"
        query = {"labelSelector": f"app.kubernetes.io/instance={self.release(model)}"}
        for pod in self.api.list_pages(pods, query):
            if "deletionTimestamp" not in pod["metadata"]:
                self.api.create(f"{pods}/{pod['metadata']['name']}:8000/proxy/control", {"fault": fault})


class Production(Place):
    """Where models are promoted to; ``staging`` is where they come from."""

    def __init__(self, staging: Place, namespace: str) -> None:
        super().__init__(staging.lab, staging.api, namespace, staging.dsn, staging.runner, "production")
        self.staging = staging
        # Metrics and soak have tests of their own.
        self.variables |= {
            "promotion_gates": {"soak_s": 0, "metrics": "none", "completions": 2, "approval": False},
            "promotion_watch": {"period_s": 0},
            "vllm_verify_timeout": 4,
        }

    def begin(self, limit: str, *arguments: str, **extra_vars: Any) -> RunningPlay:
        """Start promote.yml."""
        return self._start("promote", limit, arguments, extra_vars)

    def promote(self, limit: str, *arguments: str, **extra_vars: Any) -> PlayResult:
        """Play promote.yml to its end."""
        return self.begin(limit, *arguments, **extra_vars).wait(240)

    def approve(self, limit: str, *arguments: str, **extra_vars: Any) -> PlayResult:
        """Play approve.yml to its end."""
        return self._start("approve", limit, arguments, extra_vars).wait(120)

    def begin_rollback(self, limit: str, *arguments: str, **extra_vars: Any) -> RunningPlay:
        """Start rollback.yml."""
        return self._start("rollback", limit, arguments, extra_vars)

    def _start(
        self, playbook: str, limit: str, arguments: tuple[str, ...], extra_vars: Mapping[str, Any]
    ) -> RunningPlay:
        return self.runner.start(
            f"playbooks/{playbook}.yml",
            inventory=self.inventory(),
            arguments=["--limit", limit, *arguments],
            extra_vars=extra_vars,
        )

    def everything(self) -> dict[str, Any]:
        """Return all that a promotion could write: rows of the registry, objects of both namespaces."""
        found: dict[str, Any] = {}
        for table in _TABLES:
            found[table] = self.query(f"SELECT to_jsonb(t)::text FROM {table} t ORDER BY 1")  # noqa: S608
        for place in (self, self.staging):
            for kind, mark in _KINDS.items():
                metadata = [item["metadata"] for item in place.objects(kind)]
                found[f"{place.environment} {kind}"] = {item["name"]: item[mark] for item in metadata}
        return found

    def written(self, model: str) -> tuple[Any, ...]:
        """Return what stands of a model here, whatever others did to its lock meanwhile."""
        journal = [one for one in self.outcomes(model) if one != ("maintenance", "succeeded")]
        row = self.row(model)
        return row, self.revisions(model, self.environment), self.verdicts(model), journal


@contextmanager
def two_places(lab: Lab, api: ClusterClient, runner: PlayRunner, prefix: str) -> Iterator[Production]:
    """Make an empty staging and an empty production with a registry of their own."""
    with ExitStack() as stack:
        dsn = stack.enter_context(fresh_database(lab))
        staging, production = (
            stack.enter_context(fresh_namespace(api, f"{prefix}-{name}"))
            for name in ("staging", "production")
        )
        yield Production(Place(lab, api, staging, dsn, runner, "staging"), production)


def failure(result: PlayResult, model: str) -> dict[str, Any]:
    """Return the failed task's result of a model."""
    found = [task.result for task in result.find(host=model) if task.status == "failed"]
    assert found, result.output
    return found[0]


def report(result: PlayResult, model: str) -> dict[str, Any]:
    """Return what a promotion of a model returned."""
    return result.find(action="vllm_promotion", host=model)[-1].result
