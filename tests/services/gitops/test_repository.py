# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One target after the other in a real repository: what is committed, what is left alone, what is refused."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.address import Address
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.credentials import Credentials
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.git import Answer, Git
from tests.services.gitops.conftest import Write
from tests.support.git_server import Bare


def test_a_target_comes_stays_changes_and_goes(bare: Bare, write: Write) -> None:
    first = write(actor="ann@host", author="Ann <ann@example.com>", reason="first try")
    assert first.changed
    assert first.result["commit"] == bare.head()
    assert set(bare.files()) >= {first.result["application_path"], first.result["values_path"]}
    assert (
        bare.git("log", "-1", "--format=%an <%ae>/%cn <%ce>") == "Ann <ann@example.com>/Ann <ann@example.com>"
    )
    trailers = bare.git("log", "-1", "--format=%(trailers:only,unfold)").splitlines()
    assert "Actor: ann@host" in trailers
    assert "first try" in bare.git("log", "-1", "--format=%b")

    again = write()
    assert (again.changed, again.result["commit"], again.result["files"]) == (
        False,
        first.result["commit"],
        [],
    )

    other = write(environment="production", namespace="llm-production")
    assert other.result["files"] == [other.result["application_path"], other.result["values_path"]]

    changed = write(chart_values={"replicas": 2})
    # The Application counts the revisions.
    assert changed.result["files"] == [changed.result["application_path"], changed.result["values_path"]]
    assert "replicas: 2" in bare.git("show", f"main:{changed.result['values_path']}")

    gone = write(state="absent")
    assert gone.changed
    assert not [path for path in bare.files() if "staging" in path and not path.startswith("charts/")]
    assert any(path.startswith("charts/") for path in bare.files())
    assert not write(state="absent").changed
    assert len(bare.subjects()) == 4
    bare.git("fsck", "--strict")


def test_check_mode_pushes_nothing_and_shows_what_it_would(bare: Bare, write: Write) -> None:
    tried = write(check_mode=True)
    assert tried.changed
    assert tried.result["commit"] is None
    assert tried.diff is not None
    assert "kind: Application" in tried.diff["after"]
    assert bare.head() == ""
    done = write()
    assert done.result["files"] == tried.result["files"]
    assert write(check_mode=True).result["commit"] == bare.head()


def test_files_of_others_stay(bare: Bare, write: Write) -> None:
    bare.commit("applications/other.yaml", "mine")
    bare.commit("README.md", "mine")
    write(path="")
    write(path="clusters/eu")
    assert bare.git("show", "main:applications/other.yaml") == "mine"
    assert {"README.md", "clusters/eu/applications", "applications"} <= {
        path if path == "README.md" else path.rpartition("/")[0] for path in bare.files()
    }


def test_a_secret_is_refused_before_git_is_asked(bare: Bare, write: Write) -> None:
    with pytest.raises(PlatformError, match=r"chart_values\.secrets\.hfToken: looks like a secret") as caught:
        write(chart_values={"secrets": {"hfToken": "hf_c4n4ryc4n4ryc4n4ry"}}, git_binary="git")
    assert "c4n4ry" not in str(caught.value)
    assert bare.head() == ""


def test_a_branch_that_is_not_there_is_made_only_in_an_empty_repository(bare: Bare, write: Write) -> None:
    bare.commit("README.md", "mine")
    with pytest.raises(PlatformError, match="is not in the repository"):
        write(branch="mian")
    assert bare.head("mian") == ""


def test_a_link_in_the_repository_is_not_followed(bare: Bare, write: Write, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    bare.commit("applications", link=str(victim))
    with pytest.raises(PlatformError, match="is a link"):
        write()
    assert list(victim.iterdir()) == []
    assert bare.files() == ["applications"]


def test_a_file_in_a_folder_s_place_is_not_replaced(bare: Bare, write: Write) -> None:
    bare.commit("charts", "mine")
    with pytest.raises(PlatformError, match="is a link"):
        write()
    assert bare.files() == ["charts"]


def test_hostile_names_stay_names(bare: Bare, write: Write, tmp_path: Path) -> None:
    model = f'../../x/$(touch {tmp_path}/touched) "\\ 😀'
    done = write(model=model)
    assert done.result["application_path"].startswith("applications/vllm-")
    trailers = bare.git("log", "-1", "--format=%(trailers:key=Model,valueonly)")
    assert trailers == model
    for name, value in (
        ("branch", "--upload-pack=touch"),
        ("repository", f"ext::touch {tmp_path}/touched"),
        ("repository", f"--upload-pack=touch {tmp_path}/touched"),
        ("repository", f"ssh://-oProxyCommand=touch%20{tmp_path}/touched/x"),
        ("path", "../x"),
        ("actor", "a\nSigned-off-by: b"),
        ("author", "a <b>\ncommitter x"),
    ):
        with pytest.raises(PlatformError, match=name):
            write(**{name: value})
    assert not (tmp_path / "touched").exists()
    assert len(bare.subjects()) == 1


def test_configuration_and_hooks_around_it_have_no_say(
    bare: Bare, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = tmp_path / "ran"
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("pre-push", "reference-transaction", "post-commit"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {marker}\n")
        (hooks / name).chmod(0o755)
    config = tmp_path / "gitconfig"
    elsewhere = '[url "file:///nowhere/"]\n\tinsteadOf = file:///\n'
    config.write_text(f"[core]\n\thooksPath = {hooks}\n{elsewhere}[user]\n\tname = Mallory\n")
    for name, value in {
        "HOME": str(tmp_path),
        "GIT_CONFIG_GLOBAL": str(config),
        "GIT_DIR": "/nowhere",
        "GIT_SSH_COMMAND": f"touch {marker}",
        "GIT_EXTERNAL_DIFF": f"touch {marker}",
        "GIT_AUTHOR_NAME": "Mallory",
    }.items():
        monkeypatch.setenv(name, value)
    (tmp_path / ".gitconfig").write_text(config.read_text())
    done = write()
    for name in ("GIT_CONFIG_GLOBAL", "GIT_DIR", "HOME"):
        monkeypatch.delenv(name)
    assert done.changed
    assert not marker.exists()
    assert bare.git("log", "-1", "--format=%an") == "llmops.platform"


def test_a_hook_of_the_server_that_declines_is_told_and_not_asked_again(bare: Bare, write: Write) -> None:
    bare.commit("README.md", "mine")
    bare.hook("pre-receive", 'echo asked >> asked; echo "no model on a Friday" >&2; exit 1')
    with pytest.raises(PlatformError, match="no model on a Friday") as caught:
        write()
    assert caught.value.error_class.value == "invalid"
    assert (bare.path / "asked").read_text() == "asked\n"


def test_a_git_that_hangs_is_ended_with_all_that_it_started(bare: Bare, write: Write, tmp_path: Path) -> None:
    bare.commit("README.md", "mine")
    bare.hook("pre-receive", f"echo $$ > {tmp_path}/pid; exec sleep 60")
    with pytest.raises(PlatformError, match="git push did not finish within 5 s") as caught:
        write(timeout=5.0)
    assert caught.value.error_class.value == "timeout"
    # Gone, or dead and not yet collected.
    process = Path("/proc") / (tmp_path / "pid").read_text().strip() / "cmdline"
    assert not process.exists() or process.read_text() == ""
    assert bare.subjects() == ["add README.md"]


def test_what_is_no_repository_is_told(write: Write, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with pytest.raises(PlatformError) as caught:
        write(repository=str(tmp_path / "plain"))
    assert caught.value.error_class.value == "invalid"


def test_nothing_is_left_behind(
    bare: Bare, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    write()
    with pytest.raises(PlatformError):
        write(branch="mian")
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("content", ["not a program", "#!/nonexistent\n"])
def test_a_git_that_cannot_be_started_is_told(write: Write, tmp_path: Path, content: str) -> None:
    binary = tmp_path / "git"
    binary.write_text(content)
    binary.chmod(0o755)
    with pytest.raises(PlatformError, match=r"^git_binary: .*cannot be started") as caught:
        write(git_binary=str(binary))
    assert caught.value.error_class.value == "invalid"


def test_a_machine_without_a_folder_for_temporary_files_is_told(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(PlatformError, match="No such file") as caught:
        write()
    assert caught.value.error_class.value == "infrastructure"
    assert "TMPDIR" in caught.value.resolution


def test_a_login_is_hidden_in_what_the_server_says_too(bare: Bare) -> None:
    address, login = Address(bare.url, "https", "https://h/"), Credentials("bot", "c4n4ry")
    git = Git("git", bare.path.parent, address, login, Deadline(10))
    said = base64.b64encode(b"bot:c4n4ry").decode()
    shown = str(git.failure("push", Answer(1, b"", f"remote: you sent {said} for c4n4ry")))
    assert said not in shown
    assert "c4n4ry" not in shown
