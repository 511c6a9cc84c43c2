# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A set of objects that belong together: one namespace, one label, nothing twice. No I/O."""

from __future__ import annotations

import base64
import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..common.errors import ErrorClass, PlatformError, invalid
from ..common.names import check_namespace
from .client import JSONObject

#: Every object of a set has this label, with the set's name as its value.
SET_LABEL = "llmops.platform/set"
#: Those outside of namespaces tell which namespace their set lives in: a set's name is unique only there.
SET_NAMESPACE_LABEL = "llmops.platform/set-namespace"

_SET_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class ObjectSet:
    """The wanted objects, each complete: namespace and label filled in, a Secret's text encoded.

    ``kinds`` are all that the caller named, as (apiVersion, kind): where the set has objects besides
    ``items``, they are of these or of well-known kinds. Objects of ``optional_kinds`` are left out where the
    cluster does not have the kind. ``cluster_wide`` tells that some may belong to no namespace.
    """

    name: str
    namespace: str
    items: tuple[JSONObject, ...] = ()
    kinds: tuple[tuple[str, str], ...] = ()
    optional_kinds: frozenset[str] = frozenset()
    cluster_wide: bool = False

    @classmethod
    def build(
        cls,
        name: str,
        namespace: str,
        objects: Sequence[Any],
        *,
        present: bool = True,
        optional_kinds: Sequence[str] = (),
        cluster_wide: bool = False,
    ) -> ObjectSet:
        """Check what a caller gave; raises ``invalid`` naming the item and what is wrong with it.

        Not ``present`` is the same set without any object.
        """
        if not _SET_NAME.fullmatch(name):
            raise invalid(
                "set_name", name, "is no name for a set", "Use up to 63 of a-z, 0-9 and -, no - at its ends."
            )
        namespace = check_namespace(namespace)
        items = tuple(_complete(item, index, name, namespace) for index, item in enumerate(objects))
        seen: dict[tuple[str, str, str], int] = {}
        for index, item in enumerate(items):
            first = seen.setdefault(identity(item), index)
            if first != index:
                raise invalid(
                    f"objects[{index}]",
                    describe(item),
                    f"is in the list twice, first as objects[{first}]",
                    "Give each object once.",
                )
        kinds = tuple(dict.fromkeys((item["apiVersion"], item["kind"]) for item in items))
        return cls(name, namespace, items if present else (), kinds, frozenset(optional_kinds), cluster_wide)

    def selector(self, *, namespaced: bool = True) -> str:
        """Return the label selector of the set's objects, in its namespace or outside of namespaces."""
        own = f"{SET_LABEL}={self.name}"
        return own if namespaced else f"{own},{SET_NAMESPACE_LABEL}={self.namespace}"

    def cluster_wide_item(self, item: JSONObject) -> JSONObject:
        """Return an object of the set as it is outside of namespaces."""
        metadata = {key: value for key, value in item["metadata"].items() if key != "namespace"}
        labels = {**metadata["labels"], SET_NAMESPACE_LABEL: self.namespace}
        return {**item, "metadata": {**metadata, "labels": labels}}


def identity(item: JSONObject) -> tuple[str, str, str]:
    """Return what makes an object itself within its namespace: API group, kind and name."""
    group, slash, _version = str(item["apiVersion"]).rpartition("/")
    return (group if slash else "", item["kind"], item["metadata"]["name"])


def describe(item: JSONObject) -> str:
    """Return ``Kind/name``."""
    return f"{item['kind']}/{item['metadata']['name']}"


def _complete(item: Any, index: int, set_name: str, namespace: str) -> JSONObject:
    field = f"objects[{index}]"
    if not isinstance(item, Mapping):
        raise invalid(field, item, "is no object", "Give mappings with apiVersion, kind and metadata.")
    metadata = item.get("metadata")
    if not isinstance(metadata, Mapping):
        raise _incomplete(f"{field}.metadata")
    for where, value in (
        (f"{field}.apiVersion", item.get("apiVersion")),
        (f"{field}.kind", item.get("kind")),
        (f"{field}.metadata.name", metadata.get("name")),
    ):
        if not isinstance(value, str) or not value:
            raise _incomplete(where)
    if metadata.get("namespace") not in (None, "", namespace):
        raise invalid(
            f"{field}.metadata.namespace",
            metadata["namespace"],
            f"is not the namespace of the set, {namespace!r}",
            "Leave it out, or use a set for each namespace.",
        )
    labels = metadata.get("labels") or {}
    if not isinstance(labels, Mapping):
        raise invalid(f"{field}.metadata.labels", labels, "is no mapping", "Give names and values.")
    if labels.get(SET_LABEL, set_name) != set_name:
        raise invalid(
            f"{field}.metadata.labels", labels[SET_LABEL], "names another set", f"Leave {SET_LABEL} out."
        )
    complete: JSONObject = copy.deepcopy(dict(item))
    complete["metadata"] = {
        **complete["metadata"],
        "namespace": namespace,
        "labels": {**labels, SET_LABEL: set_name},
    }
    if complete["kind"] == "Secret":
        _encode_secret(complete, field)
    return complete


def _incomplete(field: str) -> PlatformError:
    return PlatformError(
        ErrorClass.INVALID,
        f"{field}: is missing or no text.",
        "An object needs apiVersion, kind and metadata.name.",
        {"field": field},
    )


def _encode_secret(secret: JSONObject, field: str) -> None:
    """Turn ``stringData`` into ``data``.

    The API server does so too, but a key that then leaves ``stringData`` would stay in ``data`` for ever.
    """
    given = secret.pop("stringData", None) or {}
    data = dict(secret.get("data") or {})
    for key, value in given.items():
        if not isinstance(value, str):
            # The value is not shown: it is a secret.
            raise PlatformError(
                ErrorClass.INVALID,
                f"{field}.stringData.{key}: is {type(value).__name__}, not text.",
                "Put it in quotes.",
                {"field": f"{field}.stringData.{key}"},
            )
        data[key] = base64.b64encode(value.encode()).decode()
    secret["data"] = data
