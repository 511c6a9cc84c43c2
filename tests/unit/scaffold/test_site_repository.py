# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module that writes a site: what it writes, and what it never does."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.scaffold.collection import Collection
from ansible_collections.llmops.platform.plugins.module_utils._core.scaffold.entries import Entry, File, Link
from ansible_collections.llmops.platform.plugins.module_utils._core.scaffold.rendering import site_entries
from ansible_collections.llmops.platform.plugins.module_utils._core.scaffold.site import (
    CLOUDS,
    environments_of,
)
from ansible_collections.llmops.platform.plugins.module_utils._module import Context, Outcome
from ansible_collections.llmops.platform.plugins.modules.site_repository import ARGUMENT_SPEC, run
from tests.support.playbooks import ROOT, PlayRunner
from tests.support.repository import load_yaml

TEMPLATES = ROOT / "roles/scaffold/templates"
EXAMPLE = ROOT / "examples/site"
#: Of no use in a site.
OTHERS = {"lab", "scaffold"}
# As the roles read a host's model: where none is given, they take the host's name.
MODEL = "vllm_model | default(inventory_hostname, true)"


def site(folder: Path, *, check: bool = False, run_pid: int | None = None, **options: Any) -> Outcome:
    """Run the module with its defaults."""
    defaults = {name: option.get("default") for name, option in ARGUMENT_SPEC.items()}
    where = {"site": str(folder), "templates": str(TEMPLATES), "collection": str(ROOT)}
    return run({**defaults, **where, **options}, Context(check_mode=check, diff=True, run_pid=run_pid))


def held(folder: Path) -> dict[str, Entry]:
    """Return the files and links of a folder."""
    found: dict[str, Entry] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = Link(str(path.readlink()))
        elif path.is_file():
            found[name] = File(path.read_bytes())
    return found


def told(folder: Path, expression: str, environment: dict[str, str] | None = None) -> str:
    """Return what a playbook makes of variables of staging, or why it cannot."""
    playbook = folder / "tell.yml"
    # As people write it: what is dumped as data is no template.
    task = f'{{ansible.builtin.debug: {{msg: "{{{{ {expression} }}}}"}}}}'
    playbook.write_text(f"[{{hosts: models, gather_facts: false, tasks: [{task}]}}]\n")
    played = PlayRunner(folder).run(playbook, inventory=folder / "site/staging", environment=environment)
    return str(played.tasks[0].result["msg"])


def test_the_example_is_what_is_written_by_default(tmp_path: Path) -> None:
    """scripts/example_site writes it anew."""
    assert site(tmp_path / "site").changed
    assert held(tmp_path / "site") == held(EXAMPLE)


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    first, again = site(tmp_path), site(tmp_path)
    assert (first.changed, again.changed) == (True, False)
    assert again.diff is None
    assert again.result["line"] == f"{tmp_path}: nothing to write"


def test_check_mode_says_the_same_and_writes_nothing(tmp_path: Path) -> None:
    planned = site(tmp_path / "site", check=True)
    assert not (tmp_path / "site").exists()
    written = site(tmp_path / "site")
    assert (planned.changed, planned.result) == (written.changed, written.result)
    assert [planned.diff, *planned.more_diffs] == [written.diff, *written.more_diffs]
    assert {shown["after_header"] for shown in [planned.diff or {}, *planned.more_diffs]} == set(
        held(tmp_path / "site")
    )


def test_what_somebody_changed_is_never_replaced_unasked(tmp_path: Path) -> None:
    site(tmp_path)
    (tmp_path / "staging/hosts").write_text("[models]\nmine\n")
    (tmp_path / "deploy.yml").unlink()
    before = held(tmp_path)
    with pytest.raises(PlatformError, match="holds other content already: staging/hosts"):
        site(tmp_path)
    assert held(tmp_path) == before

    kept = site(tmp_path, existing="keep")
    assert (kept.result["written"], kept.result["kept"]) == (["deploy.yml"], ["staging/hosts"])
    assert (tmp_path / "staging/hosts").read_text() == "[models]\nmine\n"

    replaced = site(tmp_path, existing="replace")
    assert (replaced.result["written"], replaced.result["kept"]) == (["staging/hosts"], [])
    assert replaced.diff is not None
    assert replaced.diff["before"] == "[models]\nmine\n"
    assert held(tmp_path) == held(EXAMPLE)


def test_what_else_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "staging/host_vars").mkdir(parents=True)
    mine = tmp_path / "staging/host_vars/mine.yml"
    mine.write_text("vllm_model: mine\n")
    site(tmp_path)
    assert mine.read_text() == "vllm_model: mine\n"


def test_an_environment_is_added_to_a_site(tmp_path: Path) -> None:
    site(tmp_path)
    added = site(tmp_path, environments="[qa]", tiers={"qa": "staging"}, existing="keep")
    assert {path.split("/")[0] for path in added.result["written"]} == {"qa"}
    assert "vllm_tier: staging\n" in (tmp_path / "qa/group_vars/all/environment.yml").read_text()


def test_production_may_come_later(tmp_path: Path) -> None:
    """As docs/getting-started.md says: models are promoted to it all the same."""
    site(tmp_path, environments="[staging]")
    site(tmp_path, environments="[production]", existing="keep")
    assert held(tmp_path / "production") == held(EXAMPLE / "production")


@pytest.mark.parametrize(
    ("pools", "wanted"),
    [
        (
            "pool_big:\n  vars: {}\n# pool_old:\npool_small: {vars: {pool_values: {}}}\n",
            ["pool_big", "pool_small"],
        ),
        ("all:\n  children:\n    pool_big:  # one\n      vars: {}\n", ["pool_big"]),
        # None that could be told: those of the cloud.
        ("{}\n", ["pool_gpu"]),
    ],
)
def test_a_further_environment_takes_the_pools_that_the_site_has(
    tmp_path: Path, pools: str, wanted: list[str]
) -> None:
    """A group that common/pools.yml does not know has no values, and its models would run on any node."""
    site(tmp_path, environments="[staging]", cloud="local")
    (tmp_path / "common/pools.yml").write_text(pools)
    added = site(tmp_path, environments="[production]", cloud="local", existing="keep")
    assert {path.split("/")[0] for path in added.result["written"]} == {"production"}
    lines = (tmp_path / "production/hosts").read_text().splitlines()
    assert [line[1:-1] for line in lines if line.startswith("[")] == ["models:children", *wanted]
    # Written anew, the site has those of the cloud.
    site(tmp_path, environments="[production]", cloud="local", existing="replace")
    assert "[pool_gpu]" in (tmp_path / "production/hosts").read_text()


def test_the_kubeconfig_is_that_of_where_models_are_promoted_from(tmp_path: Path) -> None:
    """Whether that is said on the command line (promote_from) or by a survey (promotion_from)."""
    site(tmp_path, environments="[prod,first]", tiers={"first": "staging", "prod": "production"})
    variables = load_yaml(tmp_path / "prod/group_vars/all/environment.yml")
    assert variables["promotion_from"] == "{{ promote_from | default('first', true) }}"
    # An answer that was left empty is the role's staging.
    assert variables["promotion_source_kubeconfig"] == (
        "~/.kube/llmops-{{ promotion_from | default('staging', true) }}.yaml"
    )
    assert variables["vllm_promoted"] == "keep"
    assert "promotion_from" not in load_yaml(tmp_path / "first/group_vars/all/environment.yml")
    readme = (tmp_path / "README.md").read_text()
    assert "promote.yml -i prod --limit qwen2-5-7b -e promote_from=first" in readme
    assert "promote.yml -i first" not in readme
    assert "deploy.yml -i first" in readme
    assert "deploy.yml -i prod" not in readme


@pytest.mark.parametrize("name", ["no", "on", "null", "010", "1e3", "2026-12-01"])
def test_a_name_that_yaml_takes_for_something_else_stays_a_name(tmp_path: Path, name: str) -> None:
    site(tmp_path, environments=[name], tiers={name: "staging"})
    variables = load_yaml(tmp_path / name / "group_vars/all/environment.yml")
    assert variables["vllm_environment"] == name


def test_a_host_of_which_the_site_says_no_model_is_not_deployed(tmp_path: Path) -> None:
    """Its own name is no model: it is mistyped, or a copy without links has lost what models are."""
    site(tmp_path / "site")
    link = tmp_path / "site/staging/models.yml"
    link.unlink()
    # What Git leaves where a file system has no links.
    link.write_text("../common/models.yml")
    assert "common/models.yml says nothing of qwen2-5-7b" in told(tmp_path, MODEL)


@pytest.mark.parametrize(
    ("vault", "environment", "wanted"),
    [
        # Set and empty is as good as not set.
        (
            True,
            {"LLMOPS_REGISTRY_DSN_STAGING": "", "LLMOPS_ROUTER_PASSWORD_STAGING": ""},
            "vault, vault, vault",
        ),
        # The login of who plays wins; their token for models is not everybody's.
        (True, {"LLMOPS_REGISTRY_DSN_STAGING": "own", "HF_TOKEN": "own"}, "own, vault, vault"),
        (False, {"LLMOPS_REGISTRY_DSN": "any", "HF_TOKEN": "own"}, "any, own, "),
    ],
)
def test_secrets_come_from_the_vault_or_from_variables_of_the_environment(
    tmp_path: Path, vault: bool, environment: dict[str, str], wanted: str
) -> None:
    site(tmp_path / "site")
    names = ("registry_dsn", "hugging_face_token", "router_login_password")
    if vault:
        text = "".join(f"vault_{name}: vault\n" for name in names)
        (tmp_path / "site/staging/group_vars/all/vault.yml").write_text(text)
    assert told(tmp_path, f"[{', '.join(names)}] | join(', ')", environment) == wanted


def test_secrets_go_to_the_cluster_that_models_go_to() -> None:
    (play,) = load_yaml(EXAMPLE / "secrets.yml")
    (task,) = play["tasks"]
    assert task["llmops.platform.kubernetes_objects"]["context"] == "{{ vllm_context | default(omit, true) }}"


def _blocked_by_a_folder(folder: Path) -> None:
    (folder / "deploy.yml").mkdir()


def _blocked_by_a_file(folder: Path) -> None:
    (folder / "staging").write_text("")


def _led_elsewhere(folder: Path) -> None:
    (folder.parent / "elsewhere").mkdir()
    (folder / "staging").symlink_to("../elsewhere")


@pytest.mark.parametrize("existing", ["refuse", "keep", "replace"])
@pytest.mark.parametrize("spoil", [_blocked_by_a_folder, _blocked_by_a_file, _led_elsewhere])
def test_where_no_file_can_be_nothing_is_written(tmp_path: Path, spoil: Any, existing: str) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    spoil(folder)
    with pytest.raises(PlatformError, match=r"is no file|is no folder|is a link"):
        site(folder, existing=existing)
    assert len(list(folder.iterdir())) == 1
    assert not list(tmp_path.glob("elsewhere/*"))


def test_a_site_that_cannot_be_written_whole_is_not_begun(tmp_path: Path) -> None:
    """As on a full disk, or on a file system without links."""
    (tmp_path / "site").mkdir()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        with pytest.raises(PlatformError, match="File too large"):
            site(tmp_path / "site")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list((tmp_path / "site").iterdir()) == []


def test_a_link_in_place_of_a_file_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "deploy.yml").symlink_to("mine")
    site(tmp_path, existing="replace")
    assert (tmp_path / "mine").read_text() == "mine"
    assert not (tmp_path / "deploy.yml").is_symlink()


@pytest.mark.parametrize("where", ["", "/proc/nobody/site"])
def test_a_folder_that_cannot_be_is_told(where: str) -> None:
    with pytest.raises(PlatformError, match="names no folder" if not where else "cannot be used"):
        site(Path(where), site=where)


def test_a_relative_folder_begins_where_the_run_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert site(tmp_path, site="./my-site", run_pid=1).result["site"] == str(tmp_path / "my-site")
    assert (tmp_path / "my-site/deploy.yml").is_file()
    assert not os.access(tmp_path / "my-site/deploy.yml", os.X_OK)
    with pytest.raises(PlatformError, match="begins nowhere"):
        site(tmp_path, site="./other")
    assert not (tmp_path / "other").exists()


def test_every_playbook_of_the_collection_has_its_wrapper() -> None:
    playbooks = {path.stem for path in (ROOT / "playbooks").glob("*.yml")} - OTHERS
    for name in playbooks:
        (play,) = load_yaml(EXAMPLE / f"{name}.yml")
        assert play["ansible.builtin.import_playbook"] == f"llmops.platform.{name}"
        # What it says of itself comes along.
        head = (ROOT / f"playbooks/{name}.yml").read_text().splitlines()[1]
        assert head in (EXAMPLE / f"{name}.yml").read_text()


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("names", [["development"], ["staging", "production"], ["prod-eu", "prod-us"]])
def test_every_cloud_gives_a_site_that_can_be_read(cloud: str, names: list[str]) -> None:
    environments = environments_of(names, {name: "production" for name in names if name.startswith("prod-")})
    entries = site_entries(Collection.at(str(ROOT)), TEMPLATES, environments, cloud)
    pools = load_yaml(ROOT / f"inventories/pools/{cloud}.yml")
    assert pools
    for name in names:
        hosts = entries[f"{name}/hosts"]
        assert isinstance(hosts, File)
        sections = [line[1:-1] for line in hosts.shown.splitlines() if line.startswith("[")]
        assert sections == ["models:children", *pools]
        assert entries[f"{name}/models.yml"] == Link("../common/models.yml")
        assert entries[f"{name}/pools.yml"] == Link("../common/pools.yml")
    for path, entry in entries.items():
        if isinstance(entry, File):
            assert not any(mark in entry.shown for mark in ("[%", "%]", "[[", "]]", "[#")), path
            assert entry.shown.endswith("\n"), path
            assert not entry.shown.endswith("\n\n"), path
            assert max(map(len, entry.shown.splitlines())) <= 160, path
