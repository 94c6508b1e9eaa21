"""Certificate authorities and certificates for tests of TLS, made anew for each run."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH


class Pair(NamedTuple):
    """Files of a certificate and its key, PEM; and the certificate's SHA-256 in hex."""

    cert: Path
    key: Path
    fingerprint: str


class Authority:
    """Signs certificates; `file` is its own."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, _named(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(self._name, self._name, self._key.public_key(), timedelta(days=1))
        ca = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(ca.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))

    def server(self) -> Pair:
        """Of a server on this machine."""
        return self._signed("localhost", [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))], SERVER)

    def client(self, *uris: str, name: str = "client", lasts: timedelta = timedelta(days=1)) -> Pair:
        """Of a client with these URIs."""
        return self._signed(name, [x509.UniformResourceIdentifier(uri) for uri in uris], CLIENT, lasts)

    def _signed(
        self,
        name: str,
        others: list[x509.GeneralName],
        use: x509.ObjectIdentifier,
        lasts: timedelta = timedelta(days=1),
    ) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_named(name), self._name, key.public_key(), lasts)
        builder = builder.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        if others:
            builder = builder.add_extension(x509.SubjectAlternativeName(others), critical=False)
        cert = builder.sign(self._key, hashes.SHA256())
        stem = f"{cert.serial_number:x}"
        pair = self._folder / f"{stem}.crt", self._folder / f"{stem}.key"
        pair[0].write_bytes(cert.public_bytes(Encoding.PEM))
        pair[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return Pair(*pair, sha256(cert.public_bytes(Encoding.DER)).hexdigest())


def trusting(server: Authority, pair: Pair | None = None) -> ssl.SSLContext:
    """What a client speaks TLS with: it trusts that authority, and shows a certificate where it has one."""
    context = ssl.create_default_context(cafile=server.file)
    if pair:
        context.load_cert_chain(pair.cert, pair.key)
    return context


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, lasts: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + lasts)
    )
