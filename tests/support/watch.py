# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Somebody outside who asks a model for completions all the time, and sets beside it what its row says."""

from __future__ import annotations

import http.client
import json
import threading
import time
from dataclasses import dataclass
from types import TracebackType

import psycopg2

from tests.support.site import Site

#: A model that does not answer for so long does not serve.
_PATIENCE_S = 1.5
_STATUS = (
    "SELECT deployment_status FROM model_registry_entries"
    " WHERE model_name = %s AND deployment_environment = coalesce(%s, deployment_environment)"
)


@dataclass(frozen=True)
class Seen:
    """What the row said before and after a completion was asked for, and whether one was answered."""

    at: float
    before: str
    after: str
    answered: bool

    @property
    def is_lie(self) -> bool:
        """Tell whether clients were sent to what does not serve."""
        return not self.answered and self.before == self.after == "ready"


class Watch:
    """Asks a model of a site directly at its Service; a context manager.

    The environment has to be named where the model has a row in several.
    """

    def __init__(
        self, site: Site, model: str, release: str, environment: str | None = None, pause_s: float = 0.05
    ) -> None:
        self._site, self._model, self._release, self._pause_s = site, model, release, pause_s
        self._environment = environment
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._failure: BaseException | None = None
        self.seen: list[Seen] = []

    def __enter__(self) -> Watch:
        service = self._site.api.get(f"/api/v1/namespaces/{self._site.namespace}/services/{self._release}")
        self._address = str(service["spec"]["clusterIP"])
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(10)
        if self._failure is not None:
            raise AssertionError("the watch broke off") from self._failure

    @property
    def lies(self) -> list[Seen]:
        """Return the moments at which the row said ready for what did not serve."""
        return [seen for seen in self.seen if seen.is_lie]

    def _run(self) -> None:
        try:
            with psycopg2.connect(self._site.dsn) as connection, connection.cursor() as cursor:
                connection.autocommit = True

                def status() -> str:
                    cursor.execute(_STATUS, (self._model, self._environment))
                    row = cursor.fetchone()
                    return str(row[0]) if row else "absent"

                while not self._ended.wait(self._pause_s):
                    at, before = time.monotonic(), status()
                    answered = self._ask()
                    self.seen.append(Seen(at, before, status(), answered))
        except Exception as error:  # noqa: BLE001 - told to the test at the end
            self._failure = error

    def _ask(self) -> bool:
        body = {"model": self._model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}
        connection = http.client.HTTPConnection(self._address, 8000, timeout=_PATIENCE_S)
        try:
            headers = {"Content-Type": "application/json"}
            connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
            response = connection.getresponse()
            answer = json.loads(response.read())
            return response.status == 200 and bool(answer["choices"][0]["message"]["content"])
        except (OSError, http.client.HTTPException, ValueError, KeyError, IndexError, TypeError):
            return False
        finally:
            connection.close()
