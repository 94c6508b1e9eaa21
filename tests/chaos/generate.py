"""The generator, a process of its own: sends what `compose` makes on an open-loop schedule and writes the history.

`python generate.py --bootstrap HOST:PORT --history FILE --seed N --run 07 --rate R --seconds S --poisoned P [--light]
[--gateway PORT --tokens FILE]` composes, says `ready`, begins when it is told to by a line, and ends on another, or
when all is sent.
"""

from __future__ import annotations

import argparse
import http
import http.client
import json
import os
import sys
import threading
import time
from pathlib import Path
from queue import SimpleQueue
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from chaos import catalogue, readout
from chaos.as_json import cloud_event
from chaos.catalogue import Type
from chaos.compose import Composer, Send
from chaos.history import Writer
from chaos.judge import Registry
from confluent_kafka import KafkaError, Producer

UNSURE = {KafkaError._MSG_TIMED_OUT, KafkaError._TIMED_OUT, KafkaError._TRANSPORT, KafkaError.REQUEST_TIMED_OUT}
DUE_MOST, AGAIN_SECONDS, ANSWER_SECONDS = 100, 1.0, 30.0
"""Events of one request; how soon one without an answer goes again; how long an answer is waited for."""

OUTAGE_MS = 600_000
"""Longer than any outage here: what is given up and sent again comes after what was sent behind it, such as the event
that is to be refused because it repeats its id."""

NOWHERE = "acknowledged without an offset"
"""librdkafka takes a broker's "sequence number seen before" for an acknowledgement. Four records to a partition whose
leader had just come back were so acknowledged, and were nowhere: the record behind them had been taken first."""

LAST_SECONDS = 90.0
"""How long the last acknowledgements are waited for: a broker may be starting again."""


class Generator:
    """By Kafka. Idempotent and acks=all: what the client sends again by itself is not twice in the topic, nor out of
    order."""

    def __init__(self, bootstrap: str, history: Writer) -> None:
        settings = {"enable.idempotence": True, "linger.ms": 2, "message.timeout.ms": OUTAGE_MS, "log_level": 0}
        self._producer = Producer({"bootstrap.servers": bootstrap, **settings})
        self._history, self._count, self._open = history, 0, 0
        self._again: list[tuple[Send, float]] = []
        self._parent = os.getppid()
        self.enough = threading.Event()

    def _wait(self, seconds: float) -> None:
        self._producer.poll(seconds)

    def run(self, sends: list[Send]) -> None:
        started = time.time() + 0.2
        for send in sends:
            if self.enough.is_set():
                break
            intended = started + send.at
            while (wait := intended - time.time()) > 0:
                self._wait(min(wait, 0.005))
            self._send(send, intended * 1000)
            self._repeat()
        deadline = time.monotonic() + LAST_SECONDS
        while (self._open or self._again) and time.monotonic() < deadline and os.getppid() == self._parent:
            self._wait(0.1)
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
            if error is None and message.offset() is not None:
                at = f"{message.topic()}/{message.partition()}/{message.offset()}"
                self._history.outcome("ok", number, record=at)
            elif error is None or error.code() in UNSURE:
                self._history.outcome("info", number, error=error.str() if error else NOWHERE)
                self._again.append((send, intended))
            else:
                self._history.outcome("fail", number, error=error.str())

        headers = send.headers()
        self._producer.produce(f"in.{send.agency}", send.value, send.key, headers=headers, on_delivery=delivered)
        self._producer.poll(0)


class HttpGenerator(Generator):
    """By HTTP: for each agency one request at a time, with what is due by then. What is not answered, or with 5xx, goes
    again as it was until it is."""

    def __init__(self, port: int, tokens: dict[str, str], types: dict[str, Type], history: Writer) -> None:
        self._history, self._count, self._open, self._again = history, 0, 0, []
        self._port, self._types, self._parent = port, types, os.getppid()
        self.enough, self._lock = threading.Event(), threading.Lock()
        self._queues = {agency: SimpleQueue[tuple[int, Send, float]]() for agency in tokens}
        for agency, token in tokens.items():
            threading.Thread(target=self._carry, args=(self._queues[agency], token), daemon=True).start()

    def _wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def _send(self, send: Send, intended: float) -> None:
        self._queues[send.agency].put((self._invoke(send, intended), send, intended))

    def _invoke(self, send: Send, intended: float) -> int:
        with self._lock:
            self._count, self._open = self._count + 1, self._open + 1
            number = self._count
        self._history.invoke(number, send, intended)
        return number

    def _carry(self, queue: SimpleQueue[tuple[int, Send, float]], token: str) -> None:
        while True:
            due = [queue.get()]
            while len(due) < DUE_MOST and not queue.empty():
                due.append(queue.get())
            while (items := self._ask(token, [send for _, send, _ in due])) is None:
                again = [(self._invoke(send, intended), send, intended) for _, send, intended in due]
                for number, _, _ in due:
                    self._outcome("info", number, error="no answer")
                due = again
                time.sleep(AGAIN_SECONDS)
            for (number, _, _), item in zip(due, items, strict=True):
                if item["status"] == "rejected":
                    self._outcome("fail", number, error=item["code"])
                else:
                    self._outcome("ok", number, record=item["record"])

    def _outcome(self, do: str, number: int, **more: Any) -> None:
        self._history.outcome(do, number, **more)
        with self._lock:
            self._open -= 1

    def _ask(self, token: str, sends: list[Send]) -> list[dict[str, Any]] | None:
        """The items of the answer; None where there is none, or it is 5xx."""
        body = json.dumps([cloud_event(send, self._types[send.type]) for send in sends])
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/cloudevents-batch+json"}
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_SECONDS)
        try:
            connection.request("POST", "/v1/events", body, headers)
            answer = connection.getresponse()
            said = answer.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        if answer.status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
            return None
        items: list[dict[str, Any]] = json.loads(said)["items"]
        return items


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
    parser.add_argument("--gateway", type=int, help="port of the gateway, for a load over HTTP")
    parser.add_argument("--tokens", type=Path, help="JSON: agency → its token")
    given = parser.parse_args()
    ids = Registry(readout.schemas(given.bootstrap)).ids
    known = catalogue.read()
    composer = Composer(known, ids, given.seed, given.run, given.poisoned, given.light)
    sends = list(composer.compose(given.rate, given.seconds))
    history = Writer(given.history)
    if given.gateway:
        tokens = json.loads(given.tokens.read_text())
        generator: Generator = HttpGenerator(given.gateway, tokens, known.types, history)
    else:
        generator = Generator(given.bootstrap, history)
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
