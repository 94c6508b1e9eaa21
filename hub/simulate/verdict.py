"""The verdict over the books: counts, percentiles, everything that does not add up."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from hub.event import Outcome
from hub.simulate.accounts import Accounts
from hub.simulate.planned import Sort
from hub.simulate.report import Report

SHOWN = 3
PERCENTILES = (50, 95, 99)
Finding = tuple[str, str]
"""What does not add up, and where: coordinates or event ids, never anybody's data."""


def summary(accounts: Accounts, agencies: Sequence[str], run: Report | None = None) -> dict[str, Any]:
    """Plain values, `balanced` among them; `problems` are sentences, one per kind, with a few places each."""
    outcomes = _by_outcome(accounts.verdicts)
    problems = [*_told(accounts), *_grouped(_findings(accounts, run))]
    open_ = {"in_flight": len(accounts.arrivals), "undelivered": len(accounts.waiting)}
    return {
        "accepted": accounts.accepted.total(),
        "applied": outcomes["APPLIED"],
        "duplicate": outcomes["DUPLICATE"],
        "rejected": _by_code(accounts.verdicts),
        **open_,
        "offered": dict(sorted(accounts.offered.items())),
        "delivered": dict(sorted(accounts.delivered.items())),
        "latency_ms": {
            "decided": percentiles(accounts.decided_ms),
            "delivered": percentiles(accounts.delivered_ms),
        },
        "agencies": {code: _agency(accounts, code) for code in agencies},
        "problems": problems,
        "balanced": not problems and not any(open_.values()),
    }


def percentiles(values: array[int]) -> dict[str, int | None]:
    """p50, p95, p99 by nearest rank; None where there is nothing."""
    ordered = sorted(values)
    return {f"p{p}": ordered[(len(ordered) * p + 99) // 100 - 1] if ordered else None for p in PERCENTILES}


def _by_outcome(verdicts: Mapping[tuple[str, str, str], int]) -> Counter[str]:
    counted: Counter[str] = Counter()
    for (_, name, _), count in verdicts.items():
        counted[name] += count
    return counted


def _by_code(verdicts: Mapping[tuple[str, str, str], int]) -> dict[str, int]:
    counted: Counter[str] = Counter()
    for (_, name, code), count in verdicts.items():
        if name == "REJECTED":
            counted[code] += count
    return dict(sorted(counted.items()))


def _agency(accounts: Accounts, agency: str) -> dict[str, Any]:
    own = {key: count for key, count in accounts.verdicts.items() if key[0] == agency}
    outcomes = _by_outcome(own)
    return {
        "accepted": accounts.accepted[agency],
        "applied": outcomes["APPLIED"],
        "duplicate": outcomes["DUPLICATE"],
        "rejected": _by_code(own),
        "offered": accounts.offered[agency],
        "delivered": accounts.delivered[agency],
    }


def _told(accounts: Accounts) -> Iterator[str]:
    for kind, count in sorted(accounts.problems.items()):
        yield _sentence(kind, count, accounts.examples[kind])


def _grouped(findings: Iterable[Finding]) -> Iterator[str]:
    grouped: dict[str, list[str]] = {}
    for kind, place in findings:
        grouped.setdefault(kind, []).append(place)
    for kind, places in sorted(grouped.items()):
        yield _sentence(kind, len(places), places)


def _sentence(kind: str, count: int, places: Sequence[str]) -> str:
    more = " …" if count > SHOWN else ""
    return f"{kind}: {count} ({', '.join(places[:SHOWN])}{more})"


def _findings(accounts: Accounts, run: Report | None) -> Iterator[Finding]:
    yield from (("a verdict without its input record", str(place)) for place in accounts.verdicts_early)
    yield from (("no verdict on an input record", str(place)) for place in accounts.arrivals)
    yield from (("rejected without a dead letter", str(place)) for place in accounts.rejected)
    yield from (("a dead letter without a rejection", str(place)) for place in accounts.letters)
    yield from (("a delivery receipt without its record", str(place)) for place in accounts.receipts_early)
    yield from (("offered and not delivered", str(place)) for place in accounts.waiting)
    for offers in accounts.unknown.values():
        yield from (("offered, but of no applied event", str(offer.place)) for offer in offers)
    for applied in accounts.events.values():
        for agency in sorted(applied.open):
            yield "not offered to an entitled agency", f"{applied.place} to {agency}"
    yield from _repeated(accounts)
    yield from _versions(accounts)
    yield from _unplanned(accounts, run) if run else ()


def _repeated(accounts: Accounts) -> Iterator[Finding]:
    for place, identity, content, name in accounts.repeats:
        first = accounts.identities.get(identity)
        if first is None:
            yield "called a repetition of an event that was never applied", str(place)
        elif (first == content) != (name == "DUPLICATE"):
            yield "duplicate and conflict are confused", str(place)


def _versions(accounts: Accounts) -> Iterator[Finding]:
    """The versions of a person's status are 1, 2, 3 and so on, one for each event applied."""
    for subject, versions in accounts.versions.items():
        if sorted(versions) != list(range(1, len(versions) + 1)):
            yield "status versions of a person with a gap or twice", f"subject {subject.hex()[:8]}"


def _unplanned(accounts: Accounts, run: Report) -> Iterator[Finding]:
    """Where the plan says otherwise; a record whose acknowledgement was lost is not in the plan's book."""
    for (topic, partition), expected in run.expected.items():
        said = accounts.said.get((topic.removeprefix("in."), partition), {})
        for offset, sort in expected.items():
            if offset in said and said[offset] != _planned(sort):
                where = f"{topic}/{partition}/{offset}: {sort.value}, but {said[offset]}"
                yield "another outcome than planned", where


def _planned(sort: Sort) -> str:
    """As `Accounts.said` has it: the code where there is one, else the verdict."""
    return sort.code.value if sort.code and sort.outcome is Outcome.REJECTED else sort.outcome.value
