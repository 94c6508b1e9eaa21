"""An agency that learns of a status learns of its corrections and its end: half a story is a wrong decision."""

from __future__ import annotations

from collections import defaultdict

from world import catalogue


def test_who_sees_a_status_begin_sees_all_that_changes_it() -> None:
    by_kind: dict[str, set[str]] = defaultdict(set)
    begins: set[str] = set()
    for of in catalogue().types.values():
        if of.status is not None:
            by_kind[of.status.kind].add(of.name)
            if of.status.transition == "set":
                begins.add(of.name)
    seen = {(e.agency, e.type) for rows in catalogue().entitlements.values() for e in rows}
    half = {
        (agency, kind, missing)
        for agency in catalogue().agencies
        for kind, types in by_kind.items()
        if any((agency, name) in seen for name in types & begins)
        for missing in types
        if (agency, missing) not in seen
    }
    assert half == set()
