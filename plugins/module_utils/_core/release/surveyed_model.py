# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A model that somebody asks for in a form, as a host beside those of an inventory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..common.errors import invalid
from ..common.names import check_model, slug
from ..common.typed_text import typed_integer, typed_mapping, typed_number

_POOL = "pool_"
_MODELS = "models"
#: Ansible knows it without an inventory, and lists it nowhere.
_HERE = "localhost"


@dataclass(frozen=True)
class SurveyedModel:
    """A host of an inventory: its name, its groups, and its own values of the chart."""

    host: str
    groups: list[str]
    model: str
    chart_values: dict[str, Any]


def surveyed_model(
    answers: Mapping[str, Any],
    groups: Iterable[str],
    hosts: Mapping[str, str],
    others: Iterable[str] = (),
) -> SurveyedModel:
    """Return the host of what was asked for; what was left empty is left to the inventory and to the chart.

    ``groups`` and ``hosts`` are those of the inventory, the latter with their models; ``others`` are hosts
    that are no models, whose variables the model would get. Raises ``invalid``.
    """
    model = check_model(str(answers.get("model") or "").strip())
    host = slug(model)
    if model in hosts.values():
        known = next(name for name, served in hosts.items() if served == model)
        advice = f"Deploy it from there: deploy.yml with --limit {known}."
        raise invalid("model", model, f"is host {known} of the inventory", advice)
    if host in hosts or host in groups:
        raise invalid(
            "model", model, f"would be called {host}, as another one is", "Put it into the inventory."
        )
    if host == _HERE or host in others:
        whose = "the machine that plays it" if host == _HERE else "a host of the inventory that is no model"
        advice = "Put it into the inventory: a host of another name with vllm_model."
        raise invalid("model", model, f"would be called {host}, as {whose}", advice)
    return SurveyedModel(host, _groups(answers, groups), model, _values(answers))


def _groups(answers: Mapping[str, Any], groups: Iterable[str]) -> list[str]:
    pool = str(answers.get("pool") or "").strip()
    if not pool:
        return [_MODELS]
    known = sorted(name.removeprefix(_POOL) for name in groups if name.startswith(_POOL))
    if pool.removeprefix(_POOL) not in known:
        listed = f"Give one of {', '.join(known)}." if known else "The inventory has no group pool_NAME."
        raise invalid("pool", pool, "is no pool of the inventory", listed)
    return [_MODELS, _POOL + pool.removeprefix(_POOL)]


def _values(answers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the chart's values: those of the text, and over them the other answers."""
    values = dict(typed_mapping(answers.get("values"), "values"))
    asked = (
        ("replicas", None, typed_integer(answers.get("replicas"), "replicas")),
        ("gpu", "count", typed_integer(answers.get("gpus"), "gpus")),
        ("image", "tag", _text(answers, "image_tag")),
        ("model", "revision", _text(answers, "revision")),
        ("model", "sizeBillions", _shortest(typed_number(answers.get("size_billions"), "size_billions"))),
        ("model", "maxModelLen", typed_integer(answers.get("max_model_len"), "max_model_len")),
    )
    for part, key, value in asked:
        if value is None:
            continue
        if key is None:
            values[part] = value
        else:
            values[part] = {**typed_mapping(values.get(part), f"values.{part}"), key: value}
    return values


def _text(answers: Mapping[str, Any], name: str) -> str | None:
    return str(answers.get(name) or "").strip() or None


def _shortest(number: float | None) -> float | None:
    return int(number) if number is not None and number == int(number) else number
