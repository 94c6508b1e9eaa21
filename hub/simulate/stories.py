"""Stories: what happens to people, as the events that agencies tell of it.

A story yields drafts in the order of life. It names types by their short names; a type that the catalogue does not
have, or that nobody may publish, is left out of the telling.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Any

from hub.catalogue import Catalogue
from hub.simulate.people import Person, Population
from hub.simulate.planned import Draft

Drafts = Iterator[Draft | None]


class World:
    """What stories draw from. `today` in days since 1970; `thorough`: everything that may happen happens."""

    def __init__(self, catalogue: Catalogue, population: Population, rng: Random, tag: str, today: int) -> None:
        self.catalogue, self.population, self.rng, self.tag, self.today = catalogue, population, rng, tag, today
        self.thorough = False
        self._types = {name.rpartition(".")[2]: name for name in catalogue.types}
        self._publishers = {
            name: [code for code in catalogue.agencies if catalogue.may_publish(code, name)] for name in catalogue.types
        }
        self._numbered = 0

    def person(self) -> Person:
        return self.population[self.rng.randrange(self.population.size)]

    def chance(self, share: float) -> bool:
        return self.thorough or self.rng.random() < share

    def ago(self, least: int, most: int) -> int:
        """A day between `least` and `most` days ago."""
        return self.today - self.rng.randint(least, most)

    def number(self, prefix: str) -> str:
        """A number that no other document or case of any run has: upper-case letters, digits, `-` and `/`."""
        self._numbered += 1
        return f"{prefix}/{self.tag.upper()}/{self._numbered}"

    def publisher(self, short: str) -> str | None:
        """An agency that may publish a type, by the type's short name."""
        agencies = self._publishers.get(self._types.get(short, ""))
        return self.rng.choice(agencies) if agencies else None

    def tell(
        self, short: str, person: Person, by: str | None = None, case: str | None = None, **given: Any
    ) -> Draft | None:
        """A draft, by that agency if it may publish the type, else by one that may; None when nobody may."""
        name = self._types.get(short, "")
        agency = by if by and self.catalogue.may_publish(by, name) else self.publisher(short)
        return Draft(agency, name, person, given, case) if agency else None

    def tell_of(self, name: str) -> Draft | None:
        """A draft of a type of which nothing is known but its schema; None when nobody may publish it."""
        return self.tell(name.rpartition(".")[2], self.person())


def martyr_family(w: World) -> Drafts:
    """A person is recognised as a martyr, then each of the family; an entry is corrected, a status ends."""
    martyr, case = w.person(), w.number("S")
    by, fell = w.publisher("MartyrRecognised"), w.ago(400, 2200)
    yield w.tell(
        "MartyrRecognised", martyr, by, martyr_case=case, fate_date=fell, effective_from=fell + 30,
        service_start=fell - w.rng.randint(60, 6000), document_number=w.number("SV"), document_date=fell + 45,
        court_decision=None, fate="KILLED",
    )  # fmt: skip
    for nth in range(w.rng.randint(1, 4)):
        yield from _family_member(w, w.population.relative(martyr, nth), by, case, fell + 40)


def _family_member(w: World, member: Person, by: str | None, case: str, day: int) -> Drafts:
    certificate = w.number("SA")
    told: dict[str, Any] = {"martyr_case": case, "effective_from": day, "valid_until": None}
    yield w.tell("FamilyMemberRecognised", member, by, certificate_number=certificate, certificate_date=day + 5, **told)
    if w.chance(0.2):
        newer = w.number("SA")
        yield w.tell(
            "FamilyMemberCorrected", member, by, certificate_number=newer, certificate_date=day + 90,
            voided_certificate=certificate, **told,
        )  # fmt: skip
    if w.chance(0.1):
        yield w.tell("FamilyStatusEnded", member, by, martyr_case=case, ended_on=w.ago(0, 60))


def veteran(w: World) -> Drafts:
    """A status is granted, now and then corrected under a new number, now and then ended."""
    person, document, day = w.person(), w.number("V"), w.ago(200, 1800)
    by, category = w.publisher("VeteranStatusGranted"), w.rng.choice(("WAR", "WAR", "LABOUR", "MILITARY"))
    told: dict[str, Any] = {"category": category, "effective_from": day, "valid_until": None}
    yield w.tell("VeteranStatusGranted", person, by, document_number=document, document_date=day + 3, **told)
    if w.chance(0.25):
        yield w.tell(
            "VeteranStatusCorrected", person, by, document_number=w.number("V"), document_date=day + 120,
            voided_document=document, **told,
        )  # fmt: skip
    if w.chance(0.1):
        yield w.tell("VeteranStatusEnded", person, by, category=category, ended_on=w.ago(0, 90))


def disability(w: World) -> Drafts:
    """Referral without a name, determination within 15 working days, reassessment, appeal, annulment or end."""
    person, case, decision = w.person(), w.number("E"), w.number("Q")
    referred, cause = w.ago(400, 900), w.rng.choice(("WAR", "MILITARY_SERVICE", "GENERAL_ILLNESS", "CHILDHOOD"))
    clinic = w.publisher("ReferralMade")
    yield w.tell(
        "ReferralMade", person, clinic, case, referred_by=clinic, war_related=cause == "WAR",
        referred_on=referred, due_on=referred + 21,
    )  # fmt: skip
    told: dict[str, Any] = {"case_number": case, "cause": cause}
    yield w.tell(
        "DisabilityDetermined", person, decision_number=decision, decision_date=referred + 15,
        effective_from=referred + 15, valid_until=referred + 15 + 365, **_loss(w), **told,
    )  # fmt: skip
    if w.chance(0.3):
        yield w.tell(
            "DisabilityReassessed", person, decision_number=w.number("Q"), decision_date=referred + 380,
            replaced_decision=decision if w.chance(0.3) else None, effective_from=referred + 380, valid_until=None,
            **_loss(w), **told,
        )  # fmt: skip
    if w.chance(0.15):
        yield w.tell("AppealFiled", person, None, w.number("A"), decision_number=decision, filed_on=w.ago(0, 90))
    if w.chance(0.08):
        yield w.tell("DeterminationAnnulled", person, annulled_decision=decision, cause=cause, annulled_on=w.today)
    if w.chance(0.1):
        yield w.tell("DisabilityEnded", person, cause=cause, ended_on=w.ago(0, 10))


def _loss(w: World) -> Mapping[str, Any]:
    """Degree and percentage of functional loss that belong together (61–80 and more: second and first)."""
    percent = w.rng.randint(31, 100)
    degree = "FIRST" if percent > 80 else "SECOND" if percent > 60 else "THIRD"
    return {"functional_loss": percent, "degree": degree}


def employment(w: World) -> Drafts:
    """A programme, a placement, an insurance number, a contract, its end."""
    person, contract, day = w.person(), w.number("M"), w.ago(60, 700)
    employer: dict[str, Any] = {"employer_tin": f"{w.rng.randrange(10**10):010}", "contract_number": contract}
    if w.chance(0.3):
        yield w.tell("EmploymentProgrammeJoined", person, joined_on=day - 40, ends_on=day - 10)
        yield w.tell("JobPlaced", person, employer_tin=employer["employer_tin"], placed_on=day - 5)
    if w.chance(0.5):
        yield w.tell("SocialInsuranceNumberOpened", person)
    yield w.tell("LabourContractNotified", person, starts_on=day, ends_on=None, **employer)
    if w.chance(0.3):
        yield w.tell("LabourContractEnded", person, ended_on=w.ago(0, 50), **employer)


def support(w: World) -> Drafts:
    """What a person is given: housing, a car, a prosthesis, a voucher, one-off help."""
    person, beneficiary = w.person(), w.rng.choice(("MARTYR_FAMILY", "WAR_DISABLED"))
    yield w.tell("SupportProvided", person, beneficiary=beneficiary, provided_on=w.ago(0, 30))
    if w.chance(0.15):
        yield w.tell("ProsthesisFitted", person, war_disabled=True, fitted_on=w.ago(0, 30))
    if w.chance(0.2):
        day = w.today + w.rng.randint(5, 60)
        yield w.tell("VoucherIssued", person, beneficiary=beneficiary, stay_from=day, stay_until=day + 14)
    if w.chance(0.15):
        yield w.tell("HousingProvided", person, beneficiary=beneficiary, handed_over_on=w.ago(0, 20))


def errands(w: World) -> Drafts:
    """Small, frequent things: certificates, a visit to a DOST centre."""
    person = w.person()
    yield w.tell("CertificateIssued", person)
    if w.chance(0.4):
        yield w.tell("DostServiceCompleted", person)


def request(w: World) -> Drafts:
    """A coordination centre asks the body that provides a service."""
    centre, provided = w.publisher("ServiceRequested"), [s for s in w.catalogue.services.values() if s.providers]
    if centre and provided:
        service = w.rng.choice(provided)
        asked = {"service": service.code, "provider": w.rng.choice(service.providers), "centre": centre}
        yield w.tell("ServiceRequested", w.person(), centre, w.number("VEM"), due_on=w.today + 10, **asked)


STORIES: Mapping[Callable[[World], Drafts], int] = {
    martyr_family: 2,
    veteran: 3,
    disability: 3,
    employment: 4,
    support: 3,
    errands: 5,
}
"""The daily stories, by how often each begins; `request` has a share of its own."""

TOLD = frozenset({"ServiceRequested", "ServiceCompleted"})
"""Types that only requests and their answers bring."""
