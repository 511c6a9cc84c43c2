# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names on the cluster: valid, predictable, and never shared by two models."""

from __future__ import annotations

import hashlib
import re

from .errors import invalid

#: What an environment is like, which chooses defaults and guards; its name is free.
TIERS = ("development", "staging", "production")
ENVIRONMENT_MAX_LENGTH = 30

# A release name has at most 53 characters (Helm). So much the name of an environment of up to 11 characters
# leaves for the model, and a longer one less.
SLUG_MAX_LENGTH = 41
_RELEASE_MAX_LENGTH = 53
MODEL_MAX_LENGTH = 512

_HASH_LENGTH = 8
_DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_LOOKS_HASHED = re.compile(rf".*-[0-9a-f]{{{_HASH_LENGTH}}}")
_ENVIRONMENT = re.compile(rf"[a-z0-9]([-a-z0-9]{{0,{ENVIRONMENT_MAX_LENGTH - 2}}}[a-z0-9])?")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def check_model(model: str, field: str = "model") -> str:
    """Return the model name if it can be served and stored, else raise an ``invalid`` error.

    Slashes, capitals, dots and Unicode are fine: the slug absorbs them. Control characters are not,
    because the name travels through HTTP headers, logs and labels; neither are template delimiters,
    which are a mistake in a variable rather than a name.
    """
    advice = (
        "Give the name that clients put into the request's 'model' field, such as 'org/name-7b-instruct'."
    )
    if not model or not model.strip():
        raise invalid(field, model, "is empty", advice)
    if model != model.strip():
        raise invalid(field, model, "starts or ends with white space", advice)
    if model.startswith("-"):
        raise invalid(field, model, "starts with a hyphen, which a server would read as an option", advice)
    if len(model) > MODEL_MAX_LENGTH:
        raise invalid(field, model, f"has more than {MODEL_MAX_LENGTH} characters", advice)
    if not model.isprintable():
        raise invalid(field, model, "holds control or other unprintable characters", advice)
    for mark in ("{{", "}}", "{%", "%}", "{#"):
        if mark in model:
            raise invalid(field, model, f"holds the template delimiter {mark!r}", advice)
    if model in ("True", "False", "None"):
        raise invalid(
            field,
            model,
            "is what YAML makes of a word such as yes, no or null",
            f"Put it into quotes. {advice}",
        )
    if model[0] in "[{":
        # Ansible turns a list or a mapping into its text where a text is wanted.
        raise invalid(field, model, "looks like a list or a mapping", advice)
    return model


def check_environment(environment: str, field: str = "environment") -> str:
    """Return the name of an environment if it can be part of names on the cluster, else raise ``invalid``."""
    if not _ENVIRONMENT.fullmatch(environment):
        raise invalid(
            field,
            environment,
            "is no name of an environment",
            f"Use at most {ENVIRONMENT_MAX_LENGTH} characters: lower-case letters, digits and hyphens, "
            "such as staging or prod-eu.",
        )
    return environment


def tier_of(environment: str, tier: str | None = None, field: str = "tier") -> str:
    """Return the tier of an environment: what is given, else that of its name; raises ``invalid``.

    Nothing is guessed: an unknown name taken for development would lose the guards of production.
    """
    if tier:
        if tier not in TIERS:
            raise invalid(field, tier, "is unknown", f"Give one of {', '.join(TIERS)}.")
        return tier
    if environment not in TIERS:
        raise invalid(
            field,
            tier,
            f"is needed for the environment {environment!r}, whose name does not tell what it is like",
            f"Give {'tier (vllm_tier)' if field == 'tier' else field}, one of {', '.join(TIERS)}.",
        )
    return environment


def slug(model: str, max_length: int = SLUG_MAX_LENGTH) -> str:
    """Return a DNS-1035 label of at most ``max_length`` characters for a model name.

    It is the last path part in lower case. Where that loses information (an organisation, capitals, dots)
    or is too long, or could be mistaken for a shortened name, eight hex digits of the name's SHA-256 follow.
    """
    base = re.sub(r"[^a-z0-9]+", "-", model.rsplit("/", 1)[-1].lower()).strip("-")
    if not base or not base[0].isalpha():
        base = f"m-{base}".rstrip("-")
    if base == model and len(base) <= max_length and not _LOOKS_HASHED.fullmatch(base):
        return base
    digest = hashlib.sha256(model.encode()).hexdigest()[:_HASH_LENGTH]
    kept = base[: max_length - _HASH_LENGTH - 1].rstrip("-")
    return f"{kept}-{digest}"


def release_name(model: str, environment: str) -> str:
    """Return the name shared by the Helm release and the Service: ``{slug}-{environment}``."""
    return f"{slug_in(model, environment)}-{environment}"


def slug_in(model: str, environment: str) -> str:
    """Return the slug of a model that leaves room for the environment in the name of its release."""
    return slug(model, min(SLUG_MAX_LENGTH, _RELEASE_MAX_LENGTH - 1 - len(environment)))


def endpoint_url(service: str, namespace: str, port: int = 8000) -> str:
    """Return the in-cluster URL of a model server's Service."""
    return f"http://{service}.{namespace}.svc.cluster.local:{port}"


def check_release_name(name: str, field: str = "name") -> str:
    """Return the name if it is valid as Helm release and as Service, else raise an ``invalid`` error."""
    if len(name) > 53 or not _DNS_1035.fullmatch(name):
        raise invalid(
            field,
            name,
            "is not a valid release and Service name",
            "Use at most 53 characters: lower-case letters, digits and hyphens, starting with a letter. "
            "Leave it out to derive it from the model's name.",
        )
    return name


def check_namespace(namespace: str, field: str = "namespace") -> str:
    """Return the namespace if Kubernetes would accept its name, else raise an ``invalid`` error."""
    if not _NAMESPACE.fullmatch(namespace):
        raise invalid(
            field,
            namespace,
            "is not a valid namespace name",
            "Use at most 63 characters: lower-case letters, digits and hyphens.",
        )
    return namespace
