"""Agencies that are paused: listed, paused and resumed by an operator. Workers follow the notes in `state.hub`."""

from __future__ import annotations

from hub.admin import operators
from hub.clock import now_ms
from hub.errors import HubError
from hub.kafka.connection import Connection
from hub.pipeline.pause import Pause, agency_of, key_of, read_pause


class PausedAlready(HubError):
    """Nothing was changed."""


def pauses(connection: Connection) -> dict[str, Pause]:
    """Agency → its pause, of those that are paused now."""
    found = operators.read_notes(connection)
    named = ((agency_of(key), note) for key, note in found.items())
    return {agency: read_pause(agency, note) for agency, note in named if agency}


def pause(connection: Connection, hub: str, agency: str, who: str, reason: str) -> Pause:
    """Nothing of the agency is taken from now on. Raises `PausedAlready`."""
    there = pauses(connection).get(agency)
    if there is not None:
        raise PausedAlready(f"{agency} is paused already, by {there.by}: {there.reason}")
    made = Pause(agency, now_ms(), who, reason)
    action = f"pause the agency, by {who}: {reason}"
    operators.record(connection, hub, agency, action, notes={made.key: made.note()})
    return made


def resume(connection: Connection, hub: str, agency: str, who: str, reason: str) -> Pause:
    """The agency's records are taken again, from where they were left. Raises `HubError` where it is not paused."""
    there = pauses(connection).get(agency)
    if there is None:
        raise HubError(f"{agency} is not paused; `hub agency list` names those that are")
    action = f"resume the agency, by {who}: {reason}"
    operators.record(connection, hub, agency, action, notes={key_of(agency): None})
    return there
