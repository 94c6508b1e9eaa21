"""Who is let in: deny by default, one answer for each wrong proof, and the audit is told of each."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from auditors import Auditors
from starlette.requests import Request

from hub.access import Caller, Denied, Doorkeeper, Forbidden, Unauthenticated, token
from hub.access.certificates import Certificates, Peer
from hub.access.tls import KEY
from hub.access.token_file import Token, writing
from hub.access.tokens import Tokens
from hub.errors import Admission, ConfigError

AGENCIES = {"mod", "mia"}
DER = b"a certificate"
FINGERPRINT = Peer.of({}, DER).fingerprint


class Door:
    """A door with a token each of an agency that is there and of one that was taken out of the catalogue."""

    def __init__(self, path: Path, *, basic: bool = False, rules: dict[str, str] | None = None) -> None:
        self.audit, self.mine, self.gone = Auditors(), token.make(), token.make()
        with writing(path) as tokens:
            tokens += [Token(self.mine.id, "mod", self.mine.digest, 1), Token(self.gone.id, "old", self.gone.digest, 1)]
        certificates = Certificates(AGENCIES, rules)
        self.keeper = Doorkeeper("gateway", Tokens(path), AGENCIES, certificates, self.audit, basic=basic)

    def caller(self, *headers: str, peer: Peer | None = None) -> Caller:
        return self.keeper.caller(asking(*headers, peer=peer))

    def refused(self, *headers: str, peer: Peer | None = None) -> tuple[type[Denied], Admission]:
        """How it is refused; and the audit was told exactly that, once."""
        with pytest.raises(Denied) as found:
            self.caller(*headers, peer=peer)
        denied = found.value
        assert self.audit.denials == [(denied.agency, "come in at gateway", denied.code)]
        self.audit.denials.clear()
        assert self.mine.text not in str(denied) and self.gone.text not in str(denied)
        return type(denied), denied.code


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path / "tokens.json")


def asking(*headers: str, peer: Peer | None = None) -> Request:
    scope: dict[str, Any] = {"type": "http", "headers": [(b"authorization", h.encode("latin-1")) for h in headers]}
    return Request({**scope, "extensions": {KEY: peer}} if peer else scope)


def basic(text: str) -> str:
    return f"Basic {base64.b64encode(text.encode()).decode()}"


def certificate(*uris: str, name: str | None = None) -> Peer:
    subject = ((("commonName", name),),) if name else ()
    return Peer.of({"subject": subject, "subjectAltName": tuple(("URI", uri) for uri in uris)}, DER)


def test_a_bearer_token_is_its_agency(door: Door) -> None:
    for header in (f"Bearer {door.mine.text}", f"bearer  {door.mine.text}"):
        assert door.caller(header) == Caller("mod", "token", door.mine.id)
    assert door.audit.denials == []


def test_who_says_nothing_is_told_apart_from_who_says_it_wrongly(door: Door) -> None:
    assert door.keeper.maybe(asking()) is None and door.audit.denials == []
    assert door.refused() == (Unauthenticated, Admission.CREDENTIALS_MISSING)


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Bearer x", "Digest {}", "{}", "Basic !!!", "Bearer ü"])
def test_what_is_no_proof_is_refused(door: Door, header: str) -> None:
    assert door.refused(header.format(door.mine.text)) == (Unauthenticated, Admission.TOKEN_MALFORMED)


def test_two_headers_are_no_proof(door: Door) -> None:
    header = f"Bearer {door.mine.text}"
    assert door.refused(header, header) == (Unauthenticated, Admission.TOKEN_MALFORMED)


def test_a_stranger_and_an_agency_that_is_gone(door: Door) -> None:
    assert door.refused(f"Bearer {token.make().text}") == (Unauthenticated, Admission.TOKEN_UNKNOWN)
    assert door.refused(f"Bearer {door.gone.text}") == (Forbidden, Admission.AGENCY_UNKNOWN)


def test_basic_is_for_doors_that_take_it(door: Door, tmp_path: Path) -> None:
    assert door.refused(basic(f"mod:{door.mine.text}")) == (Unauthenticated, Admission.TOKEN_MALFORMED)
    taking = Door(tmp_path / "others.json", basic=True)
    assert taking.caller(basic(f"mod:{taking.mine.text}")).agency == "mod"
    assert taking.caller(f"Bearer {taking.mine.text}").agency == "mod"
    assert taking.refused(basic(f"mia:{taking.mine.text}")) == (Unauthenticated, Admission.PROOFS_DIFFER)
    for wrong in ("mod", "mod:", f":{taking.mine.text}", "mod:wrong"):
        assert taking.refused(basic(wrong))[0] is Unauthenticated
    assert taking.refused("Basic /w==")[0] is Unauthenticated


def test_a_certificate_is_the_agency_in_its_uri(door: Door) -> None:
    assert door.caller(peer=certificate("urn:az:agency:mod")) == Caller("mod", "certificate", None)
    assert door.caller(peer=certificate("spiffe://other", "urn:az:agency:mod")).agency == "mod"


@pytest.mark.parametrize(
    "peer",
    [
        certificate(),
        certificate(name="mod"),
        certificate("urn:az:agency:nobody"),
        certificate("urn:az:agency:"),
        certificate("urn:az:agency:mod:more"),
        certificate("URN:az:agency:mod"),
        certificate("https://x/urn:az:agency:mod"),
        certificate("urn:az:agency:mod", "urn:az:agency:mia"),
    ],
)
def test_a_certificate_of_nobody_is_forbidden_also_beside_a_good_token(door: Door, peer: Peer) -> None:
    assert door.refused(peer=peer) == (Forbidden, Admission.CERTIFICATE_UNKNOWN)
    assert door.refused(f"Bearer {door.mine.text}", peer=peer) == (Forbidden, Admission.CERTIFICATE_UNKNOWN)


def test_rules_of_the_settings_go_before_what_a_certificate_says(tmp_path: Path) -> None:
    pretty = ":".join(FINGERPRINT[i : i + 2] for i in range(0, 64, 2)).upper()
    of_it = Door(tmp_path / "1.json", rules={f"SHA256:{pretty}": "mia"})
    assert of_it.caller(peer=certificate("urn:az:agency:mod")).agency == "mia"
    by_name = Door(tmp_path / "2.json", rules={"CN=gateway.mod.az": "mod"})
    assert by_name.caller(peer=certificate(name="gateway.mod.az")).agency == "mod"
    assert by_name.refused(peer=certificate(name="GATEWAY.mod.az"))[0] is Forbidden
    refused = Door(tmp_path / "3.json", rules={f"sha256:{FINGERPRINT}": ""})
    assert refused.refused(peer=certificate("urn:az:agency:mod")) == (Forbidden, Admission.CERTIFICATE_UNKNOWN)


@pytest.mark.parametrize("rules", [{"mod": "mod"}, {"CN=": "mod"}, {"sha256:12": "mod"}, {"CN=x": "nobody"}])
def test_a_rule_that_can_mean_nothing_stops_the_start(rules: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="HUB_CLIENT_CERTIFICATES"):
        Certificates(AGENCIES, rules)


def test_token_and_certificate_are_of_one_agency(door: Door) -> None:
    header = f"Bearer {door.mine.text}"
    assert door.caller(header, peer=certificate("urn:az:agency:mod")) == Caller("mod", "token", door.mine.id)
    assert door.refused(header, peer=certificate("urn:az:agency:mia")) == (Forbidden, Admission.PROOFS_DIFFER)
    assert door.refused("Bearer x", peer=certificate("urn:az:agency:mod"))[0] is Unauthenticated


def test_a_header_is_no_certificate(door: Door) -> None:
    names = (b"x-forwarded-client-cert", b"x-ssl-client-cert", b"ssl-client-subject-dn")
    headers = [(name, b'URI="urn:az:agency:mod"') for name in names]
    with pytest.raises(Unauthenticated):
        door.keeper.caller(Request({"type": "http", "headers": headers}))
