"""Client certificate → agency. Deny by default: what no rule names is nobody.

That the certificate is good (chain, dates) the TLS handshake has made sure of, against the CA of the settings. Which
agency it is says, in this order, a rule of the settings for this very certificate (`sha256:<hex>`), one for the common
name of its subject (`CN=<name>`), or the URI `urn:az:agency:<code>` that the CA wrote into it.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from hub.access.caller import Forbidden
from hub.errors import Admission, ConfigError
from hub.event import SOURCE_PREFIX

REFUSED = ""
"""The rule's agency for a certificate that is not to be let in, whatever it says of itself."""
FINGERPRINT = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Peer:
    """A client certificate as the handshake proved it: as `ssl` takes it apart, and its SHA-256 in hex."""

    said: Mapping[str, Any]
    fingerprint: str

    @classmethod
    def of(cls, said: Mapping[str, Any], der: bytes) -> Peer:
        return cls(said, sha256(der).hexdigest())

    def names(self) -> list[str]:
        """Common names of the subject."""
        return [value for rdn in self.said.get("subject", ()) for name, value in rdn if name == "commonName"]

    def agencies(self) -> list[str]:
        """Codes in its URIs `urn:az:agency:<code>`."""
        uris = [value for kind, value in self.said.get("subjectAltName", ()) if kind == "URI"]
        return [uri.removeprefix(SOURCE_PREFIX) for uri in uris if uri.startswith(SOURCE_PREFIX)]


class Certificates:
    """`rules`: `sha256:<hex>` or `CN=<name>` → agency, or "" for one that is refused. Raises `ConfigError`."""

    def __init__(self, agencies: Container[str], rules: Mapping[str, str] | None = None) -> None:
        self._agencies = agencies
        self._rules = {_rule(name): agency for name, agency in (rules or {}).items()}
        for name, agency in self._rules.items():
            if agency != REFUSED and agency not in agencies:
                raise ConfigError(
                    f"HUB_CLIENT_CERTIFICATES: {name} is mapped to {agency!r}, no agency of the catalogue"
                )

    def agency(self, peer: Peer) -> str:
        """Raises `Forbidden`, where no agency is named, more than one, or one that the catalogue does not have."""
        found = next((set(each) for each in self._said(peer) if each), set())
        if len(found) == 1 and (code := found.pop()) in self._agencies:
            return code
        raise Forbidden(
            Admission.CERTIFICATE_UNKNOWN,
            f"certificate sha256:{peer.fingerprint[:16]}… names no agency of the catalogue, or more than one",
        )

    def _said(self, peer: Peer) -> Iterator[list[str]]:
        yield self._ruled(f"sha256:{peer.fingerprint}")
        yield [agency for name in peer.names() for agency in self._ruled(f"CN={name}")]
        yield peer.agencies()

    def _ruled(self, name: str) -> list[str]:
        return [self._rules[name]] if name in self._rules else []


def _rule(name: str) -> str:
    """Fingerprints as people copy them (`SHA256:AB:CD…`), in one form."""
    if name.startswith("CN=") and len(name) > 3:
        return name
    plain = name.lower().removeprefix("sha256:").replace(":", "")
    if not FINGERPRINT.fullmatch(f"sha256:{plain}"):
        raise ConfigError("HUB_CLIENT_CERTIFICATES: expected sha256:<64 hex digits> or CN=<name> before each agency")
    return f"sha256:{plain}"
