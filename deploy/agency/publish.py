"""Publish the events of a file and say what became of them; begin again after any failure.

python deploy/agency/publish.py http://127.0.0.1:8000 events.jsonl < data/mod.token

The file has CloudEvents as JSON: one a line, one on several lines, or an array. Ends with 0; with 1 where an event is
refused; with 2 where it could not ask.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from hub.client import Client, HubAway, HubProblem, NotSent

SPACE = re.compile(r"\s*")


def main() -> int:
    if len(sys.argv) != 3:
        return stop("usage: python publish.py HUB FILE < TOKEN")
    hub, file = sys.argv[1:]
    try:
        events = read(Path(file))
        with Client(hub, sys.stdin.readline(), language="az") as client:
            return publish(client, events)
    except HubAway as away:
        return stop(f"{away}: run it again with the same file, nothing is taken twice")
    except (OSError, ValueError, HubProblem, NotSent) as error:
        return stop(str(error))


def read(file: Path) -> list[Any]:
    """Raises `ValueError` that says where the file is no JSON."""
    text = file.read_text(encoding="utf-8")
    events, at = [], SPACE.match(text).end()
    while at < len(text):
        try:
            event, end = json.JSONDecoder().raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise ValueError(f"{file}:{error.lineno}:{error.colno}: {error.msg}") from None
        events.extend(event if isinstance(event, list) else [event])
        at = SPACE.match(text, end).end()
    if not events:
        raise ValueError(f"{file}: there is no event in it")
    return events


def publish(client: Client, events: list[Any]) -> int:
    outcomes = list(client.publish_many(events))
    for outcome in outcomes:
        if not outcome.ok:
            print(outcome.id, outcome.code, outcome.pointer, outcome.detail, outcome.fix, sep=" | ")
    taken = [outcome.id for outcome in outcomes if outcome.ok]
    if taken:
        print(taken[-1], client.event(taken[-1], wait=10).state)
    return 0 if len(taken) == len(outcomes) else 1


def stop(why: str) -> int:
    print(why, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
