"""The generator, a process of its own: sends what `compose` makes on an open-loop schedule and writes the history.

`python generate.py --bootstrap HOST:PORT --history FILE --seed N --run 07 --rate R --seconds S --poisoned P [--light]`
composes, says `ready`, begins when it is told to by a line, and ends on another, or when all is sent.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from chaos import catalogue, readout
from chaos.compose import Composer, Send
from chaos.history import Writer
from chaos.judge import Registry
from confluent_kafka import KafkaError, Producer

UNSURE = {KafkaError._MSG_TIMED_OUT, KafkaError._TIMED_OUT, KafkaError._TRANSPORT, KafkaError.REQUEST_TIMED_OUT}
LAST_SECONDS = 90.0
"""How long the last acknowledgements are waited for: a broker may be starting again."""


class Generator:
    """Idempotent and acks=all: what the client sends again by itself is not twice in the topic, nor out of order."""

    def __init__(self, bootstrap: str, history: Writer) -> None:
        settings = {"enable.idempotence": True, "linger.ms": 2, "message.timeout.ms": 60_000, "log_level": 0}
        self._producer = Producer({"bootstrap.servers": bootstrap, **settings})
        self._history, self._count, self._open = history, 0, 0
        self._again: list[tuple[Send, float]] = []
        self._parent = os.getppid()
        self.enough = threading.Event()

    def run(self, sends: list[Send]) -> None:
        started = time.time() + 0.2
        for send in sends:
            if self.enough.is_set():
                break
            intended = started + send.at
            while (wait := intended - time.time()) > 0:
                self._producer.poll(min(wait, 0.005))
            self._send(send, intended * 1000)
            self._repeat()
        deadline = time.monotonic() + LAST_SECONDS
        while (self._open or self._again) and time.monotonic() < deadline and os.getppid() == self._parent:
            self._producer.poll(0.1)
            self._repeat()

    def _repeat(self) -> None:
        """What nobody knows the outcome of goes again under the same id."""
        again, self._again = self._again, []
        for send, intended in again:
            self._send(send, intended)

    def _send(self, send: Send, intended: float) -> None:
        self._count += 1
        number, self._open = self._count, self._open + 1
        self._history.invoke(number, send, intended)

        def delivered(error: Any, message: Any) -> None:
            self._open -= 1
            if error is None:
                at = f"{message.topic()}/{message.partition()}/{message.offset()}"
                self._history.outcome("ok", number, record=at)
            elif error.code() in UNSURE:
                self._history.outcome("info", number, error=error.str())
                self._again.append((send, intended))
            else:
                self._history.outcome("fail", number, error=error.str())

        headers = send.headers()
        self._producer.produce(f"in.{send.agency}", send.value, send.key, headers=headers, on_delivery=delivered)
        self._producer.poll(0)


def main() -> None:
    parser = argparse.ArgumentParser()
    for name, of in (
        ("bootstrap", str),
        ("history", Path),
        ("seed", int),
        ("run", str),
        ("rate", float),
        ("seconds", float),
        ("poisoned", float),
    ):
        parser.add_argument(f"--{name}", type=of, required=True)
    parser.add_argument("--light", action="store_true", help="types with few receivers only")
    given = parser.parse_args()
    ids = Registry(readout.schemas(given.bootstrap)).ids
    composer = Composer(catalogue.read(), ids, given.seed, given.run, given.poisoned, given.light)
    sends = list(composer.compose(given.rate, given.seconds))
    generator = Generator(given.bootstrap, Writer(given.history))
    print("ready", flush=True)
    sys.stdin.readline()  # the word to begin
    threading.Thread(target=_until_told, args=(generator.enough,), daemon=True).start()
    generator.run(sends)


def _until_told(enough: threading.Event) -> None:
    """Set on the next line; not on the end of input, which is that of the whole run."""
    if sys.stdin.readline():
        enough.set()


if __name__ == "__main__":
    main()
