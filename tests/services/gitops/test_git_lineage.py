# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How commits of a real repository stand to the delivered one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.git_lineage import git_lineage
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.lineage import Lineage, Relation
from tests.support.served_repository import Clone, Repository, git_repository

PATHS = ("values/llama.yaml", "charts/vllm-1")


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    """Return a repository with two targets."""
    with git_repository(tmp_path) as made:
        yield made


class Delivery:
    """The second version of a target, delivered between commits of others."""

    def __init__(self, repository: Repository, folder: Path) -> None:
        self.repository = repository
        self.first = repository.commit({"values/llama.yaml": "1", "charts/vllm-1/Chart.yaml": "name: vllm"})
        self.commit = repository.commit({"values/llama.yaml": "2"})
        folder.mkdir()
        self.clone = Clone(folder)
        self.clone.ask("init", "--quiet", "--bare")
        self.clone.ask("fetch", "--quiet", "--depth=1", "--no-tags", "--", repository.url, "main")

    @property
    def lineage(self) -> Lineage:
        """Return the lineage of the delivered commit."""
        return git_lineage(self.clone, self.repository.url, "main", self.commit, PATHS)


@pytest.fixture
def delivery(repository: Repository, tmp_path: Path) -> Delivery:
    """Return a delivery."""
    return Delivery(repository, tmp_path / "clone")


def test_the_commit_itself_asks_nobody(delivery: Delivery) -> None:
    delivery.clone.asked.clear()
    assert delivery.lineage(delivery.commit) is Relation.WANTED
    assert delivery.clone.asked == []


def test_one_from_before(delivery: Delivery) -> None:
    assert delivery.lineage(delivery.first) is Relation.EARLIER


def test_another_target_s_commit_is_as_good_and_asked_about_once(delivery: Delivery) -> None:
    later = delivery.repository.commit({"values/mistral.yaml": "1"})
    relation = delivery.lineage
    assert relation(later) is Relation.WANTED
    delivery.clone.asked.clear()
    assert relation(later) is Relation.WANTED
    assert delivery.clone.asked == []


@pytest.mark.parametrize("path", ["values/llama.yaml", "charts/vllm-1/Chart.yaml"])
def test_a_later_one_that_changes_our_files(delivery: Delivery, path: str) -> None:
    assert delivery.lineage(delivery.repository.commit({path: "3"})) is Relation.AGAINST


def test_a_revert_is_against_us_though_its_files_were_there_before(delivery: Delivery) -> None:
    assert delivery.lineage(delivery.repository.revert(delivery.commit)) is Relation.AGAINST


def test_a_commit_that_nobody_has_and_what_is_no_commit(delivery: Delivery) -> None:
    assert delivery.lineage("5" * 40) is Relation.UNKNOWN
    assert delivery.lineage("0.1.0") is Relation.UNKNOWN


def test_a_repository_that_is_away_says_nothing(delivery: Delivery) -> None:
    later = delivery.repository.commit({"values/mistral.yaml": "1"})
    away = git_lineage(delivery.clone, "http://127.0.0.1:9/none.git", "main", delivery.commit, PATHS)
    assert away(later) is Relation.UNKNOWN
