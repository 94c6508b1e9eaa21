"""Variations of events that were sent: the same again, an earlier one too late, one that says otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hub.simulate.desk import Desk, Written, subject_key
from hub.simulate.planned import Draft, Sort

TRIES = 12


def duplicate(kept: Sequence[Written], desk: Desk, at: float) -> Written | None:
    """Word for word the same record again."""
    if not kept:
        return None
    written = desk.rng.choice(kept)
    return written._replace(planned=written.planned._replace(at=at, sort=Sort.DUPLICATE))


def late(kept: Sequence[Written], desk: Desk, at: float) -> Written | None:
    """A new decision of the same kind about the same person, effective before the one already sent."""
    return _decided_anew(kept, desk, at, Sort.LATE, -desk.rng.randint(10, 300))


def contradictory(kept: Sequence[Written], desk: Desk, at: float) -> Written | None:
    """A new decision effective on the same day that says something else."""
    return _decided_anew(kept, desk, at, Sort.CONTRADICTORY, 0)


def conflict(kept: Sequence[Written], desk: Desk, at: float) -> Written | None:
    """Another content under the identity of an event already sent."""
    if not kept:
        return None
    written = desk.rng.choice(kept)
    form = desk.forms[written.planned.type]
    key_field = form.type.key_field
    draft = Draft(written.draft.agency, written.draft.type, written.draft.person, {}, written.draft.case)
    body = {**desk.fill(draft, at, "conflict"), key_field: written.body[key_field]}
    value = form.encode(body)
    if value == written.planned.value:
        return None
    return Written(draft, body, written.planned._replace(at=at, sort=Sort.CONFLICT, value=value))


def _decided_anew(kept: Sequence[Written], desk: Desk, at: float, sort: Sort, days: int) -> Written | None:
    before = _with_status(kept, desk)
    if before is None:
        return None
    rule = desk.forms[before.planned.type].type.status
    assert rule is not None
    given: dict[str, Any] = {rule.effective: before.body[rule.effective] + days}
    if rule.until:
        given[rule.until] = None
    if rule.slot:
        given[rule.slot] = before.body[rule.slot]
    draft = Draft(before.draft.agency, before.draft.type, before.draft.person, given)
    written = desk.write(draft, at, sort)
    # The person's key must be that of the event before: only then they come in this order.
    assert written.planned.key == subject_key(before.body[desk.forms[before.planned.type].type.key_field])
    return written


def _with_status(kept: Sequence[Written], desk: Desk) -> Written | None:
    """One of the events that changed a status; None where a few tries find none."""
    for _ in range(TRIES if kept else 0):
        written = desk.rng.choice(kept)
        if desk.forms[written.planned.type].type.status is not None:
            return written
    return None
