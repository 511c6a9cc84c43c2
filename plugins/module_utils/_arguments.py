# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Arguments that several modules share. Environment fallbacks are those of ``kubernetes.core`` and libpq."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import env_fallback


def _env(*names: str) -> dict[str, Any]:
    return {"fallback": (env_fallback, list(names))}


KUBERNETES_SPEC: dict[str, Any] = {
    "kubeconfig": {"type": "path", **_env("K8S_AUTH_KUBECONFIG")},
    "context": {"type": "str", **_env("K8S_AUTH_CONTEXT")},
    "host": {"type": "str", **_env("K8S_AUTH_HOST")},
    "api_key": {"type": "str", "no_log": True, **_env("K8S_AUTH_API_KEY")},
    "ca_cert": {"type": "path", "aliases": ["ssl_ca_cert"], **_env("K8S_AUTH_SSL_CA_CERT")},
    "client_cert": {"type": "path", "aliases": ["cert_file"], **_env("K8S_AUTH_CERT_FILE")},
    "client_key": {"type": "path", "no_log": False, "aliases": ["key_file"], **_env("K8S_AUTH_KEY_FILE")},
    "validate_certs": {
        "type": "bool",
        "default": True,
        "aliases": ["verify_ssl"],
        **_env("K8S_AUTH_VERIFY_SSL"),
    },
    "proxy": {"type": "str", **_env("K8S_AUTH_PROXY")},
    "no_proxy": {"type": "str", **_env("K8S_AUTH_NO_PROXY")},
    "impersonate_user": {"type": "str", **_env("K8S_AUTH_IMPERSONATE_USER")},
    "impersonate_groups": {"type": "list", "elements": "str", **_env("K8S_AUTH_IMPERSONATE_GROUPS")},
}

POSTGRES_SPEC: dict[str, Any] = {
    "dsn": {"type": "str", "no_log": True, **_env("LLMOPS_REGISTRY_DSN")},
    # No fallback to PGHOST and its like here: libpq reads them itself, for what the DSN does not say.
    # As values of these arguments they would replace what the DSN says.
    "login_host": {"type": "str"},
    "login_port": {"type": "int"},
    "login_db": {"type": "str"},
    "login_user": {"type": "str"},
    "login_password": {"type": "str", "no_log": True},
    "ssl_mode": {
        "type": "str",
        "choices": ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"],
    },
    # As community.postgresql names them; its ca_cert is the cluster's here.
    "ssl_rootcert": {"type": "path"},
    "ssl_cert": {"type": "path"},
    "ssl_key": {"type": "path", "no_log": False},
    "connect_timeout": {"type": "int", "default": 10},
}

LOCK_SPEC: dict[str, Any] = {
    "lock": {
        "type": "dict",
        "options": {
            "id": {"type": "str", "required": True},
            "fence": {"type": "int", "required": True},
        },
    },
}

#: A release by its names, how its pods are replaced, and how long each part of that may take.
ROLLOUT_SPEC: dict[str, Any] = {
    "model": {"type": "str", "required": True},
    "environment": {"type": "str", "required": True},
    "namespace": {"type": "str", "required": True, "aliases": ["release_namespace"]},
    "name": {"type": "str", "aliases": ["release_name"]},
    "strategy": {
        "type": "str",
        "choices": ["auto", "surge", "unavailable-first", "recreate"],
        "default": "auto",
    },
    "check_capacity": {"type": "bool", "default": True},
    "model_config": {"type": "raw"},
    "timeout": {"type": "float"},
    "capacity_timeout": {"type": "float", "default": 600},
    "helm_timeout": {"type": "float", "default": 300},
    "rollout_timeout": {"type": "float", "aliases": ["wait_timeout"]},
    "takeover_after": {"type": "float", "default": 30},
    "helm_binary": {"type": "str", "default": "helm", "aliases": ["binary_path"]},
}

#: What is released.
RELEASE_SPEC: dict[str, Any] = {
    **ROLLOUT_SPEC,
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "tier": {"type": "str", "choices": ["development", "staging", "production"]},
    "create_namespace": {"type": "bool", "default": False},
    "chart_path": {"type": "path"},
    "chart_values": {"type": "dict", "default": {}, "aliases": ["release_values"]},
    "force_conflicts": {"type": "bool", "default": False},
}

#: How an operation verifies what it did, and how it uses the registry.
OPERATION_SPEC: dict[str, Any] = {
    "verification": {
        "type": "dict",
        "default": {},
        "options": {
            "access": {"type": "str", "choices": ["auto", "dns", "proxy", "port_forward"], "default": "auto"},
            # A reference, not a secret.
            "api_key_secret": {
                "type": "dict",
                "no_log": False,
                "options": {"name": {"type": "str"}, "key": {"type": "str", "no_log": False}},
            },
            "max_latency_s": {"type": "float", "default": 3},
            "timeout": {"type": "float", "default": 60},
        },
    },
    "lock_timeout": {"type": "float", "default": 0},
    "lock_ttl": {"type": "float", "default": 60},
    "routers_timeout": {"type": "float", "default": 15},
    "drain_timeout": {"type": "float", "default": 30},
    "database_timeout": {"type": "float", "default": 30},
    "actor": {"type": "str"},
    "reason": {"type": "str"},
}

#: Which branch of a repository, what its Applications say, and how to log in.
GITOPS_SPEC: dict[str, Any] = {
    "repository": {"type": "str"},
    "branch": {"type": "str", "default": "main"},
    "path": {"type": "str", "default": ""},
    "source_repository": {"type": "str"},
    "source_revision": {"type": "str"},
    "application_namespace": {"type": "str", "default": "argocd"},
    "project": {"type": "str", "default": "default"},
    "destination_server": {"type": "str", "default": "https://kubernetes.default.svc"},
    "destination_name": {"type": "str"},
    "automated": {"type": "bool"},
    "prune": {"type": "bool", "default": True},
    "self_heal": {"type": "bool", "default": True},
    "cascade": {"type": "bool"},
    "labels": {"type": "dict", "default": {}},
    "annotations": {"type": "dict", "default": {}},
    "writer": {"type": "str", "default": "llmops.platform"},
    "author": {"type": "str"},
    "committer": {"type": "str"},
    "reason": {"type": "str"},
    "username": {"type": "str", "default": "git"},
    "token": {"type": "str", "no_log": True, **_env("LLMOPS_GITOPS_TOKEN")},
    # The path of a file, not the key.
    "ssh_key": {"type": "path", "no_log": False},
    "known_hosts": {"type": "path"},
    "ca_cert": {"type": "path"},
    "git_binary": {"type": "str", "default": "git"},
    "timeout": {"type": "float", "default": 120},
}

#: Who brings a release to the cluster.
DELIVERY_SPEC: dict[str, Any] = {
    "delivery": {"type": "str", "choices": ["helm", "argocd"], "default": "helm"},
    "gitops": {
        "type": "dict",
        "options": {
            **GITOPS_SPEC,
            "application_kubeconfig": {"type": "path"},
            "application_context": {"type": "str"},
            "apply_application": {"type": "bool", "default": False},
            "sync_timeout": {"type": "float", "default": 600},
        },
    },
}

_PROMETHEUS_OPTIONS: dict[str, Any] = {
    "url": {"type": "str"},
    "token": {"type": "str", "no_log": True},
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "tenant": {"type": "str"},
    "labels": {"type": "dict"},
    "ca_cert": {"type": "path"},
    "validate_certs": {"type": "bool", "default": True},
    "timeout": {"type": "float", "default": 5},
}

#: What is carried from where, and through which gates.
GATES_SPEC: dict[str, Any] = {
    "source": {
        "type": "dict",
        "required": True,
        "options": {
            "environment": {"type": "str", "required": True},
            "kubeconfig": {"type": "path"},
            "context": {"type": "str"},
            "host": {"type": "str"},
            "api_key": {"type": "str", "no_log": True},
            "ca_cert": {"type": "path"},
            "validate_certs": {"type": "bool"},
            "access": {"type": "str", "choices": ["auto", "dns", "proxy", "port_forward"], "default": "auto"},
            "router_namespace": {"type": "str"},
            "prometheus": {"type": "dict", "options": _PROMETHEUS_OPTIONS},
        },
    },
    "tier": {"type": "str", "choices": ["development", "staging", "production"]},
    "create_namespace": {"type": "bool", "default": False},
    "chart_path": {"type": "path", "required": True},
    "chart_values": {"type": "dict", "default": {}, "aliases": ["release_values"]},
    "environment_keys": {"type": "list", "elements": "str", "no_log": False, "default": []},
    "force_conflicts": {"type": "bool", "default": False},
    "gates": {
        "type": "dict",
        "default": {},
        "options": {
            "soak_s": {"type": "float"},
            "completions": {"type": "int", "default": 10},
            "max_latency_s": {"type": "float", "default": 3},
            "metrics": {"type": "str", "choices": ["auto", "prometheus", "router", "none"]},
            "error_ratio": {"type": "float", "default": 0.01},
            "queue_waiting": {"type": "float", "default": 10},
            "min_samples": {"type": "int", "default": 50},
            "window_s": {"type": "float"},
            "approval": {"type": "bool"},
            "approval_by_other_login": {"type": "bool", "default": False},
            "freeze": {"type": "list", "elements": "dict", "default": []},
        },
    },
    "prometheus": {"type": "dict", "options": _PROMETHEUS_OPTIONS},
    "router_namespace": {"type": "str"},
}

#: What carries it out.
PROMOTION_SPEC: dict[str, Any] = {
    **GATES_SPEC,
    "overrides": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "gate": {"type": "str", "required": True},
            "reason": {"type": "str", "required": True},
        },
    },
    "watch": {
        "type": "dict",
        "default": {},
        "options": {
            "period_s": {"type": "float"},
            "interval_s": {"type": "float", "default": 15},
        },
    },
    "retry_rejected": {"type": "bool", "default": False},
}
