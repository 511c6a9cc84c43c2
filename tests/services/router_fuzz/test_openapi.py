# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The router against its own OpenAPI document: what fits it and what does not, each gets a proper answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.core.result import Ok

from tests.services.router_fuzz.conftest import MODEL, Answer
from tests.support.router_process import SOURCE, RouterProcess

DOCUMENT = SOURCE / "llmops_router" / "openapi.json"
_FOUND = schemathesis.openapi.from_path(DOCUMENT).get_all_operations()
OPERATIONS: list[Any] = [found.ok() for found in _FOUND if isinstance(found, Ok)]
#: A page without parameters and body cannot be asked for wrongly.
CASES = [
    pytest.param(operation, mode, id=f"{operation.label}-{mode.name.lower()}")
    for operation in OPERATIONS
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    if mode is GenerationMode.POSITIVE or operation.body or operation.path_parameters
]
_SETTINGS = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))


def test_the_document_is_published(router: RouterProcess) -> None:
    assert router.get("/openapi.json").json == json.loads(DOCUMENT.read_bytes())


def conforms(operation: Any, mode: GenerationMode, router: RouterProcess, examples: int) -> None:
    """Send generated requests of one operation, valid or not, and check each answer."""

    # The short run is the same each time, so that it does not fail by chance; the long one looks further.
    @settings(_SETTINGS, max_examples=examples, derandomize=examples < 1000)
    @given(case=operation.as_strategy(generation_mode=mode), is_known=st.booleans())
    def check(case: Any, is_known: bool) -> None:
        # Nobody guesses a model's name: without this, no request would reach a server.
        reaches_server = is_known and isinstance(case.body, dict)
        if reaches_server:
            case.body["model"] = MODEL
        response = case.call(base_url=router.url, timeout=10)
        assert response.status_code < 500, response.content
        assert "x-request-id" in response.headers
        if reaches_server:
            # What comes back is the server's, whose answers the document leaves open.
            return
        # Says which of its checks failed, and how to send the request again.
        case.validate_response(response)
        if response.status_code >= 400:
            headers = {name.lower(): values[0] for name, values in response.headers.items()}
            assert Answer(response.status_code, headers, response.content).error

    check()


@pytest.mark.parametrize(("operation", "mode"), CASES)
def test_answers_conform(operation: Any, mode: GenerationMode, router: RouterProcess) -> None:
    conforms(operation, mode, router, 20)


@pytest.mark.full
@pytest.mark.parametrize(("operation", "mode"), CASES)
def test_answers_conform_at_length(operation: Any, mode: GenerationMode, router: RouterProcess) -> None:
    conforms(operation, mode, router, 1000)
