# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates of any age, and the kubeconfigs that hold them."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.playbooks import write_yaml


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def load(cls, certificate: Path, key: Path) -> Pair:
        """Read a pair from PEM files."""
        loaded = serialization.load_pem_private_key(key.read_bytes(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        return cls(x509.load_pem_x509_certificate(certificate.read_bytes()), loaded)

    @classmethod
    def issue(
        cls,
        name: str,
        issuer: Pair | None = None,
        *,
        group: str = "",
        days: int = 1,
        address: str = "127.0.0.1",
    ) -> Pair:
        """Make a pair for an address; self-signed without an issuer, expired with negative ``days``."""
        key = ec.generate_private_key(ec.SECP256R1())
        attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
        if group:
            attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
        subject = x509.Name(attributes)
        now = dt.datetime.now(dt.UTC)
        begin, end = sorted((now - dt.timedelta(hours=1), now + dt.timedelta(days=days)))
        subject_address = x509.IPAddress(ipaddress.ip_address(address))
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.certificate.subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([subject_address]), critical=False)
        )
        return cls(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)

    @property
    def certificate_pem(self) -> bytes:
        """The certificate as PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The private key as PEM."""
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    def write(self, folder: Path, name: str) -> Path:
        """Write certificate and key into one file, as servers read it."""
        path = folder / f"{name}.pem"
        path.write_bytes(self.certificate_pem + self.key_pem)
        return path


def write_kubeconfig(
    path: Path,
    server: str,
    *,
    ca: bytes = b"",
    user: dict[str, Any] | None = None,
    client: Pair | None = None,
) -> Path:
    """Write a kubeconfig with one context; ``user`` as in the file, or ``client`` for a certificate."""

    def encoded(data: bytes) -> str:
        return base64.b64encode(data).decode()

    if client is not None:
        user = {
            "client-certificate-data": encoded(client.certificate_pem),
            "client-key-data": encoded(client.key_pem),
        }
    cluster = {"server": server, **({"certificate-authority-data": encoded(ca)} if ca else {})}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "lab", "cluster": cluster}],
        "users": [{"name": "tester", "user": user or {}}],
        "contexts": [{"name": "tester", "context": {"cluster": "lab", "user": "tester"}}],
        "current-context": "tester",
    }
    return write_yaml(path, content)
