"""What was sent, as a file of JSON lines: `invoke` before each send, then `ok` with the coordinates, `fail` or `info`.

`info` means that nobody knows (a timeout, a connection reset): the record may be in the topic or not.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from chaos.compose import Send


@dataclass
class Sent:
    """An invoked send and what is known of it; times are in milliseconds since 1970. The gateway may have taken one
    without knowing where it is."""

    number: int
    send: Send
    intended: float
    at: float
    record: str | None = None
    unsure: bool = False
    refused: bool = False
    taken: bool = False


@dataclass
class History:
    sent: list[Sent] = field(default_factory=list)

    @property
    def repeats(self) -> int:
        """How many sends were answered with a record that another one has already."""
        told = [sent.record for sent in self.sent if sent.record]
        return len(told) - len(set(told))

    @property
    def acknowledged(self) -> set[str]:
        """Coordinates of all records that the broker has acknowledged."""
        return {sent.record for sent in self.sent if sent.record}


class Writer:
    """Every line is with the kernel before the call returns: a killed generator has said what it was about to do. Safe
    for threads."""

    def __init__(self, path: Path) -> None:
        self._file, self._lock = path.open("w", buffering=1), threading.Lock()

    def invoke(self, number: int, send: Send, intended: float) -> None:
        body = asdict(send) | {"value": base64.b64encode(send.value).decode()}
        self._write({"do": "invoke", "number": number, "intended": intended, "at": time.time() * 1000, "send": body})

    def outcome(self, do: str, number: int, **more: Any) -> None:
        self._write({"do": do, "number": number, "at": time.time() * 1000, **more})

    def _write(self, line: dict[str, Any]) -> None:
        with self._lock:
            self._file.write(json.dumps(line) + "\n")


def read(path: Path) -> History:
    return History(list(_read(path.read_text().splitlines())))


def _read(lines: Iterable[str]) -> Iterable[Sent]:
    sent: dict[int, Sent] = {}
    for text in lines:
        try:
            line = json.loads(text)
        except ValueError:
            continue  # the last line of a generator that was killed
        number = line["number"]
        if line["do"] == "invoke":
            body = line["send"] | {"value": base64.b64decode(line["send"]["value"])}
            sent[number] = Sent(number, Send(**body), line["intended"], line["at"])
        elif line["do"] == "ok":
            sent[number].record, sent[number].taken = line["record"], True
        else:
            sent[number].unsure, sent[number].refused = True, line["do"] == "fail"
    return sent.values()


def punctual(history: History) -> bool:
    """Whether the generator kept its schedule within 1 %: by the median of its last twentieth. What is sent again,
    because its outcome is not known, is late for another reason."""
    first: dict[float, Sent] = {}
    for sent in history.sent:
        first.setdefault(sent.intended, sent)
    rows = list(first.values())
    last = rows[-max(1, len(rows) // 20) :]
    behind = sorted(row.at - row.intended for row in last)[len(last) // 2]
    return behind <= max((rows[-1].intended - rows[0].intended) * 0.01, 20)
