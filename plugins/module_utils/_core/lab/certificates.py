# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's certificate authority, the certificates it signs, and a kubeconfig for each client."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..common.deadline import Deadline
from ..common.errors import missing_library
from .filesystem import differs, write_if_changed
from .settings import API_SERVICE_ADDRESS, CLUSTER_DOMAIN, NODE_NAME, Settings
from .steps import Progress, Step

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    LIBRARY_ERROR: ImportError | None = None
except ImportError as error:
    LIBRARY_ERROR = error

_LIFETIME = dt.timedelta(days=3650)
_RENEW_BEFORE = dt.timedelta(days=30)


@dataclass(frozen=True)
class Certificate:
    """A certificate to have: who it names, and for which addresses it serves."""

    name: str
    common_name: str
    organization: str = ""
    hosts: Sequence[str] = ()


def wanted_certificates(address: str) -> list[Certificate]:
    """Return all certificates of a lab on the given node address."""
    local = ["localhost", "127.0.0.1", address]
    service = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"]
    return [
        Certificate(
            "server",
            "llmops-lab",
            hosts=[*local, *service, f"kubernetes.default.svc.{CLUSTER_DOMAIN}", API_SERVICE_ADDRESS],
        ),
        Certificate("kubelet-server", NODE_NAME, hosts=[*local, NODE_NAME]),
        Certificate("etcd-client", "kube-apiserver"),
        Certificate("kubelet-client", "kube-apiserver", "system:masters"),
        # The name that kubeadm and kind use.
        Certificate("admin", "kubernetes-admin", "system:masters"),
        # Of their own, so that the audit log tells them from the person who runs the lab.
        Certificate("kwok", "llmops-lab:kwok", "system:masters"),
        Certificate("coredns", "llmops-lab:coredns", "system:masters"),
        Certificate("network-policies", "llmops-lab:network-policies", "system:masters"),
        Certificate("prometheus", "llmops-lab:prometheus"),
        Certificate("controller-manager", "system:kube-controller-manager"),
        Certificate("scheduler", "system:kube-scheduler"),
        Certificate("kube-proxy", "system:kube-proxy"),
        Certificate("kubelet", f"system:node:{NODE_NAME}", "system:nodes"),
    ]


KUBECONFIGS = (
    "controller-manager",
    "scheduler",
    "kube-proxy",
    "kubelet",
    "kwok",
    "coredns",
    "network-policies",
    "prometheus",
)


@dataclass(frozen=True)
class CertificatesStep(Step):
    """CA, certificates, the service accounts' key, kubeconfigs."""

    settings: Settings
    address: str
    name: str = "certificates"

    def pending(self) -> str:
        """Say which certificate is missing, about to expire, or for another address."""
        if LIBRARY_ERROR is not None:
            raise missing_library("cryptography", LIBRARY_ERROR)
        pki = self.settings.pki
        if not (pki / "service-account.key").exists():
            return "no certificates yet"
        authority = _load(pki / "ca.crt")
        if authority is None or not (pki / "ca.key").exists():
            return "no certificate authority"
        for wanted in wanted_certificates(self.address):
            if reason := _unfit(pki, wanted, authority):
                return f"{wanted.name}: {reason}"
        stale = [path.name for path, content in self._kubeconfigs().items() if differs(path, content, 0o600)]
        return f"missing or different: {', '.join(stale)}" if stale else ""

    def apply(self, progress: Progress, deadline: Deadline) -> None:
        """Make what is missing; what is still good stays."""
        pki = self.settings.pki
        pki.mkdir(parents=True, exist_ok=True)
        pki.chmod(0o700)
        authority, authority_key = _authority(pki)
        for wanted in wanted_certificates(self.address):
            if _unfit(pki, wanted, authority):
                _sign(pki, wanted, authority, authority_key)
        key = pki / "service-account.key"
        if not key.exists():
            _write_key(key, ec.generate_private_key(ec.SECP256R1()))
        for path, content in self._kubeconfigs().items():
            write_if_changed(path, content, 0o600)

    def _kubeconfigs(self) -> dict[Path, str]:
        pki, port = self.settings.pki, self.settings.ports.api_server
        files = {
            pki / f"{name}.kubeconfig": kubeconfig(pki, name, f"https://127.0.0.1:{port}")
            for name in KUBECONFIGS
        }
        admin = kubeconfig(pki, "admin", f"https://{self.address}:{port}")
        return {**files, self.settings.kubeconfig_path: admin}


def kubeconfig(pki: Path, user: str, server: str) -> str:
    """Return a kubeconfig with everything inside, so that it can be copied elsewhere (JSON is YAML)."""
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "llmops-lab",
            "clusters": [
                {
                    "name": "llmops-lab",
                    "cluster": {"server": server, "certificate-authority-data": _base64(pki / "ca.crt")},
                }
            ],
            "users": [
                {
                    "name": user,
                    "user": {
                        "client-certificate-data": _base64(pki / f"{user}.crt"),
                        "client-key-data": _base64(pki / f"{user}.key"),
                    },
                }
            ],
            "contexts": [{"name": "llmops-lab", "context": {"cluster": "llmops-lab", "user": user}}],
        },
        indent=1,
    )


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _load(path: Path) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        return None


def _unfit(pki: Path, wanted: Certificate, authority: x509.Certificate) -> str:
    present = _load(pki / f"{wanted.name}.crt")
    if present is None or not (pki / f"{wanted.name}.key").exists():
        return "is missing"
    if present.not_valid_after_utc - _now() < _RENEW_BEFORE:
        return f"expires on {present.not_valid_after_utc:%Y-%m-%d}"
    if present.subject != _subject(wanted):
        return "names somebody else"
    if _hosts(present) != {str(_general_name(host).value) for host in wanted.hosts}:
        return "is for other addresses"
    try:
        present.verify_directly_issued_by(authority)
    except Exception:  # noqa: BLE001 - cryptography raises one of several: each means the same here
        return "is signed by another authority"
    return ""


def _hosts(certificate: x509.Certificate) -> set[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {str(name.value) for name in names}


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _subject(wanted: Certificate) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, wanted.common_name)]
    if wanted.organization:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, wanted.organization))
    return x509.Name(parts)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _authority(pki: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    present = _load(pki / "ca.crt")
    if present is not None and (pki / "ca.key").exists():
        key = serialization.load_pem_private_key((pki / "ca.key").read_bytes(), password=None)
        if isinstance(key, ec.EllipticCurvePrivateKey):
            return present, key
    key = ec.generate_private_key(ec.SECP256R1())
    # A name of its own each time: clients must not mistake a new authority for an old one.
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"llmops-lab {secrets.token_hex(4)}")])
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        _builder(subject, subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write_key(pki / "ca.key", key)
    write_if_changed(pki / "ca.crt", certificate.public_bytes(serialization.Encoding.PEM))
    return certificate, key


def _sign(
    pki: Path, wanted: Certificate, authority: x509.Certificate, authority_key: ec.EllipticCurvePrivateKey
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = _builder(_subject(wanted), authority.subject, key.public_key())
    if wanted.hosts:
        usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
        names = x509.SubjectAlternativeName([_general_name(host) for host in wanted.hosts])
        builder = builder.add_extension(names, critical=False)
    authority_identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    certificate = (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(authority_identifier, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    _write_key(pki / f"{wanted.name}.key", key)
    write_if_changed(pki / f"{wanted.name}.crt", certificate.public_bytes(serialization.Encoding.PEM))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    # An hour back, for clocks that disagree.
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_now() - dt.timedelta(hours=1))
        .not_valid_after(_now() + _LIFETIME)
    )


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    write_if_changed(path, pem, 0o600)
