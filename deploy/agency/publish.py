"""Publish the events of a file (one CloudEvent a line) and say what became of each; begin again after any failure.

python publish.py https://hub.example events.jsonl < token
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from hub.client import Client, HubAway


def main() -> int:
    hub, file = sys.argv[1:]
    events = [json.loads(line) for line in Path(file).read_text(encoding="utf-8").splitlines() if line.strip()]
    with Client(hub, sys.stdin.readline().strip(), language="az") as client:
        try:
            refused = [outcome for outcome in client.publish_many(events) if not outcome.ok]
        except HubAway as away:
            sys.exit(f"{away}: run it again with the same file, nothing is taken twice")
        for outcome in refused:
            print(outcome.id, outcome.code, outcome.pointer, outcome.fix)
        print(client.event(events[-1]["id"], wait=10).state)
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
