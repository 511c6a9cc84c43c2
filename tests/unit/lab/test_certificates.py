# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's own authority: what is good stays, what does not fit is made anew, chains verify."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509

from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.lab import certificates
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.certificates import (
    CertificatesStep,
    wanted_certificates,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.settings import Settings


def _step(folder: Path, address: str = "192.0.2.7") -> CertificatesStep:
    return CertificatesStep(Settings(folder, folder), address)


def _apply(step: CertificatesStep) -> None:
    step.apply(lambda line: None, Deadline(30))


def test_made_once(tmp_path: Path) -> None:
    step = _step(tmp_path)
    assert step.pending() == "no certificates yet"
    _apply(step)
    assert step.pending() == ""
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    _apply(step)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_keys_are_for_root_only(tmp_path: Path) -> None:
    _apply(_step(tmp_path))
    secret = [*tmp_path.rglob("*.key"), *tmp_path.rglob("*kubeconfig")]
    assert len(secret) >= 10
    assert {path.stat().st_mode & 0o777 for path in secret} == {0o600}
    assert (tmp_path / "pki").stat().st_mode & 0o777 == 0o700


def test_another_address_renews_what_names_it(tmp_path: Path) -> None:
    _apply(_step(tmp_path))
    pki = tmp_path / "pki"
    before = {path.name: path.read_bytes() for path in pki.glob("*.crt")}
    moved = _step(tmp_path, "192.0.2.8")
    assert moved.pending() == "server: is for other addresses"
    _apply(moved)
    changed = {name for name, content in before.items() if (pki / name).read_bytes() != content}
    assert changed == {"server.crt", "kubelet-server.crt"}
    assert "192.0.2.8" in (tmp_path / "kubeconfig").read_text()


def test_all_are_signed_by_the_authority_and_name_their_owner(tmp_path: Path) -> None:
    _apply(_step(tmp_path))
    authority = x509.load_pem_x509_certificate((tmp_path / "pki" / "ca.crt").read_bytes())
    for wanted in wanted_certificates("192.0.2.7"):
        made = x509.load_pem_x509_certificate((tmp_path / "pki" / f"{wanted.name}.crt").read_bytes())
        made.verify_directly_issued_by(authority)
        assert f"CN={wanted.common_name}" in made.subject.rfc4514_string()


def test_a_lost_authority_replaces_everything(tmp_path: Path) -> None:
    _apply(_step(tmp_path))
    (tmp_path / "pki" / "ca.key").unlink()
    step = _step(tmp_path)
    assert step.pending() == "no certificate authority"
    _apply(step)
    assert step.pending() == ""


def test_one_that_expires_soon_is_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _apply(_step(tmp_path))
    later = certificates._now() + certificates._LIFETIME - certificates._RENEW_BEFORE / 2
    monkeypatch.setattr(certificates, "_now", lambda: later)
    assert "expires on" in _step(tmp_path).pending()


def test_a_kubeconfig_that_is_a_link_is_replaced(tmp_path: Path) -> None:
    """Provider existing leaves a link to the user's own file; that file must never be written to."""
    users = tmp_path / "users-own"
    users.write_text("precious")
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "kubeconfig").symlink_to(users)
    step = _step(tmp_path / "lab")
    _apply(step)
    assert users.read_text() == "precious"
    assert not (tmp_path / "lab" / "kubeconfig").is_symlink()
    assert step.pending() == ""
