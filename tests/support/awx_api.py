# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An HTTP server that keeps objects as AWX's API does, as far as ``awx.awx`` asks for them.

AWX itself needs images that cannot be had everywhere. What matters is what it refuses: a field that it does
not search by, a list that an object does not have, a login that is none (AWX 24.6.1, ``awx/api``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from itertools import count
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.support.http_server import LoopbackServer

Item = dict[str, Any]

TOKEN = "token-of-an-administrator"
_ROOT = "/api/v2/"
#: So that whoever wants all of them has to ask again.
_PAGE = 3
#: The lists that objects have.
_NOTIFY = tuple(f"notification_templates_{when}" for when in ("started", "success", "error"))
_LISTS: Mapping[str, tuple[str, ...]] = {
    "inventory_sources": _NOTIFY,
    "job_templates": ("credentials", "instance_groups", "labels", *_NOTIFY),
    "organizations": ("galaxy_credentials", "instance_groups", *_NOTIFY),
    "projects": _NOTIFY,
    "roles": ("teams", "users"),
    "schedules": ("credentials", "instance_groups", "labels"),
    "workflow_job_template_nodes": (
        *("success_nodes", "failure_nodes", "always_nodes"),
        *("credentials", "instance_groups", "labels"),
    ),
    "workflow_job_templates": ("labels", "notification_templates_approvals", *_NOTIFY),
}
#: What is searched by, besides ``id`` and ``name``.
_TEMPLATES = ("organization", "organization__name", "labels__name", "name__endswith")
_SEARCHED: Mapping[str, tuple[str, ...]] = {
    "credentials": ("organization", "credential_type"),
    "inventories": ("organization",),
    "inventory_sources": ("inventory",),
    "job_templates": (*_TEMPLATES, "project", "project__name"),
    "labels": ("organization",),
    "projects": ("organization",),
    "schedules": ("unified_job_template",),
    "teams": ("organization",),
    "unified_job_templates": ("organization",),
    "workflow_job_template_nodes": (
        *("identifier", "workflow_job_template", "workflow_job_template__name"),
        "workflow_job_template__organization__name",
    ),
    "workflow_job_templates": _TEMPLATES,
}
_ROLES: Mapping[str, tuple[str, ...]] = {
    "job_templates": ("admin_role", "execute_role", "read_role"),
    "workflow_job_templates": ("admin_role", "execute_role", "read_role", "approval_role"),
}
_UNIFIED = {
    "job_templates": "job",
    "workflow_job_templates": "workflow_job",
    "workflow_approval_templates": "workflow_approval",
}


class _RefusedError(Exception):
    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class AwxApi(LoopbackServer):
    """A context manager; ``url`` is the address. A new one has what an installed AWX has."""

    def __init__(self) -> None:
        """Open the port."""
        self._items: dict[int, Item] = {}
        self._numbers = count(1)
        #: What was asked for, but for what only reads.
        self.writes: list[str] = []
        super().__init__(_handler(self))
        self.url = f"http://127.0.0.1:{self.port}"
        for name in ("AWX EE (latest)", "Control Plane Execution Environment"):
            self.add("execution_environments", name=name)
        for name in ("Ansible Galaxy", "Demo Credential"):
            self.add("credentials", name=name)

    # What tests do.

    def all(self, kind: str) -> list[Item]:
        """Return the objects of one kind."""
        return [item for item in self._items.values() if item["_kind"] == kind]

    def named(self, kind: str, name: str) -> Item:
        """Return the one object of that name."""
        (found,) = [item for item in self.all(kind) if item["name"] == name]
        return found

    def names(self, kind: str) -> set[str]:
        """Return the names of the objects of one kind."""
        return {item["name"] for item in self.all(kind)}

    def add(self, kind: str, lists: Mapping[str, Iterable[int]] | None = None, /, **fields: Any) -> Item:
        """Make an object; ``lists`` holds what it is related to."""
        number = next(self._numbers)
        url = f"{_ROOT}{kind}/{number}/"
        item = {"name": "", **fields, "id": number, "_kind": kind, "type": _type(kind), "url": url}
        item |= {"related": {"survey_spec": f"{url}survey_spec/"}, "survey_spec": {}, "scm_revision": ""}
        item["_lists"] = {name: list((lists or {}).get(name, ())) for name in _LISTS.get(kind, ())}
        self._items[number] = item
        item["_roles"] = {role: self.add("roles", name=role)["id"] for role in _ROLES.get(kind, ())}
        return item

    def teams_with(self, template: Item, role: str) -> list[Item]:
        """Return the teams that have a right on a template."""
        return [self._items[number] for number in self._items[template["_roles"][role]]["_lists"]["teams"]]

    def let(self, team: Item, role: str, template: Item) -> None:
        """Give a right to a team."""
        self._items[template["_roles"][role]]["_lists"]["teams"].append(team["id"])

    # What AWX does.

    def answer(self, method: str, path: str, query: list[tuple[str, str]], body: Item) -> tuple[int, Any]:
        """Return the status of an answer, and what it says."""
        kind, *rest = path.removeprefix(_ROOT).strip("/").split("/")
        if method != "GET":
            self.writes.append(f"{method} {path}")
        if not rest:
            return self._of_kind(method, kind, query, body)
        item = self._items.get(int(rest[0]))
        if item is None or item["_kind"] != kind:
            raise _RefusedError(404, "Not found.")
        if len(rest) == 1:
            return self._of_item(method, item, body)
        return self._below(method, item, rest[1], query, body)

    def _of_kind(self, method: str, kind: str, query: list[tuple[str, str]], body: Item) -> tuple[int, Any]:
        if method == "POST":
            return 201, self._shown(self.add(kind, **body))
        kinds = tuple(_UNIFIED) if kind == "unified_job_templates" else (kind,)
        known = {"id", "name", *_SEARCHED.get(kind, ())}
        filters = [(key, value) for key, value in query if key not in ("page", "page_size")]
        for key, _value in filters:
            if key.removeprefix("or__") not in known:
                raise _RefusedError(400, f"{kind} has no field named {key!r}")
        of_kind = [item for item in self._items.values() if item["_kind"] in kinds]
        found = [item for item in of_kind if self._fits(item, filters)]
        return 200, self._page(f"{_ROOT}{kind}/", found, query)

    def _of_item(self, method: str, item: Item, body: Item) -> tuple[int, Any]:
        if method == "DELETE":
            self._delete(item)
            return 204, None
        if method == "PATCH":
            item |= body
        return 200, self._shown(item)

    def _below(
        self, method: str, item: Item, name: str, query: list[tuple[str, str]], body: Item
    ) -> tuple[int, Any]:
        if name == "survey_spec" and item["_kind"] in _ROLES:
            if method != "GET":
                item["survey_spec"] = body if method == "POST" else {}
            return 200, item["survey_spec"]
        if name == "create_approval_template" and item["_kind"] == "workflow_job_template_nodes":
            made = self.add("workflow_approval_templates", **body)
            item["unified_job_template"] = made["id"]
            return 201, self._shown(made)
        if name not in item["_lists"]:
            raise _RefusedError(404, "Not found.")
        numbers = item["_lists"][name]
        if method == "GET":
            found = [self._items[number] for number in numbers]
            return 200, self._page(f"{item['url']}{name}/", found, query)
        if body.get("disassociate"):
            numbers.remove(body["id"])
        else:
            numbers.append(body["id"])
        return 204, None

    def _delete(self, item: Item) -> None:
        del self._items[item["id"]]
        for other in [*self._items.values()]:
            for numbers in other["_lists"].values():
                numbers[:] = [number for number in numbers if number != item["id"]]
            if other.get("workflow_job_template") == item["id"]:
                self._delete(other)

    def _fits(self, item: Item, filters: list[tuple[str, str]]) -> bool:
        either = [self._has(item, key[4:], value) for key, value in filters if key.startswith("or__")]
        rest = [self._has(item, key, value) for key, value in filters if not key.startswith("or__")]
        return all(rest) and (not either or any(either))

    def _has(self, item: Item, key: str, value: str) -> bool:
        *way, last = key.split("__")
        if last == "endswith":
            return str(item[way[0]]).endswith(value)
        return any(str(found.get(last)) == value for found in self._reached(item, way))

    def _reached(self, item: Item, way: list[str]) -> Iterator[Item]:
        if not way:
            yield item
            return
        numbers = item["_lists"].get(way[0], [item.get(way[0])])
        for number in numbers:
            if number in self._items:
                yield from self._reached(self._items[number], way[1:])

    def _page(self, url: str, found: list[Item], query: list[tuple[str, str]]) -> Item:
        asked = dict(query)
        page, size = int(asked.get("page", 1)), int(asked.get("page_size", _PAGE))
        following = f"{url}?{urlencode({**asked, 'page': page + 1})}" if page * size < len(found) else None
        shown = [self._shown(item) for item in found[(page - 1) * size : page * size]]
        return {"count": len(found), "next": following, "previous": None, "results": shown}

    def _shown(self, item: Item) -> Item:
        roles = {role: {"id": number} for role, number in item["_roles"].items()}
        shown = {key: value for key, value in item.items() if not key.startswith("_")}
        shown["summary_fields"] = {"object_roles": roles}
        if item.get("organization") in self._items:
            owner = self._items[item["organization"]]
            shown["summary_fields"]["organization"] = {"id": owner["id"], "name": owner["name"]}
        behind = self._items.get(item.get("unified_job_template", 0))
        if behind:
            shown["related"] = {**item["related"], "unified_job_template": behind["url"]}
            shown["summary_fields"]["unified_job_template"] = {
                "id": behind["id"],
                "name": behind["name"],
                "unified_job_type": _UNIFIED[behind["_kind"]],
            }
        return shown


def _type(kind: str) -> str:
    return "inventory" if kind == "inventories" else kind[:-1]


def _handler(awx: AwxApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            parts = urlsplit(self.path)
            try:
                if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                    raise _RefusedError(401, "Authentication credentials were not provided.")
                status, said = awx.answer(self.command, parts.path, parse_qsl(parts.query), body)
            except _RefusedError as refused:
                status, said = refused.status, {"detail": str(refused)}
            answer = b"" if said is None else json.dumps(said).encode()
            self.send_response(status)
            self.send_header("X-API-Product-Name", "AWX")
            self.send_header("X-API-Product-Version", "24.6.1")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815 - their names

        def log_message(self, *_args: Any) -> None:
            pass

    return Handler
