"""Runs one connector for several agencies in one process, until told to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from kafka.errors import KafkaError

from hub.delivery.backoff import Backoff
from hub.delivery.connectors import find
from hub.delivery.decode import Decoder
from hub.delivery.observer import DeliveryObserver, Unobserved
from hub.delivery.receipts import Receipts
from hub.delivery.receiver import Job, Receiver, Work
from hub.delivery.session import Session
from hub.delivery.watch import Watch
from hub.delivery.wire import Wire, answers
from hub.errors import ConfigError
from hub.kafka.connection import Connection
from hub.sdk import Clock, Connector, Context, Log, Settings

STOP_SECONDS = 30.0
CLIENT_FAILURES = (KafkaError, OSError, RuntimeError)  # the client's own thread ends in a RuntimeError


def run(
    connection: Connection,
    agencies: Sequence[str],
    name: str,
    settings: Mapping[str, Any],
    observer: DeliveryObserver,
    stop: threading.Event,
    *,
    hub: str = "zefer",
    data_dir: Path = Path("data"),
    clock: Clock = time.time,
    receipts: bool = False,
) -> None:
    """Deliver `out.<agency>` of these agencies through the connector `name` until `stop` is set.

    `receipts`: deliver `receipts.<agency>` instead, what became of the agency's own events. Nobody gets receipts of
    receipts, and they are not counted as deliveries.

    `settings` are the connector's, as typed; `<agency>.<setting>` is for that agency alone. Each agency's sink has
    a thread of its own. All processes of the same hub and connector are one group, `<hub>.delivery.<name>`.
    A broker that is away is waited for as long as it takes. A stop lets batches in flight end, for at most
    `STOP_SECONDS`; what takes longer comes again after the next start.
    Raises `ConfigError` before anything is started.
    """
    connector = find(name)
    configured = configure(connector, agencies, settings)
    label = f"{name}.receipts" if receipts else name
    wire = Wire(connection, f"{hub}.delivery.{label}")
    written = Receipts(name, wire.producer, wire.receipt_codec)
    decoder, done = Decoder(wire.schemas), SimpleQueue[Job]()
    work = Work(decoder, written.write, observer, done)
    if receipts:
        work = Work(decoder.receipts, lambda *_: None, Unobserved(), done)
    topics = {f"{'receipts' if receipts else 'out'}.{agency}": agency for agency in agencies}
    logs = {topic: Log(connector=label, agency=agency, topic=topic) for topic, agency in topics.items()}
    receivers = {
        topic: Receiver(
            partial(connector.sink, configured[agency]),
            Context(agency, data_dir / "connectors" / label / agency, logs[topic], clock),
            work,
        )
        for topic, agency in topics.items()
    }
    log = Log(connector=label)
    watch = Watch(name, observer, log)
    loop = _Loop(wire, receivers, done, lambda: observer.progress(name, clock()), watch, log, stop)
    try:
        loop.run()
    finally:
        watch.end()
        written.close()


def configure(
    connector: Connector[Any], agencies: Sequence[str], settings: Mapping[str, Any]
) -> Mapping[str, Settings]:
    """Checked settings for each agency: those for all, then those for it. Raises `ConfigError`."""
    if not agencies:
        raise ConfigError(f"connector {connector.name}: no agency to deliver to")
    shared = {name: value for name, value in settings.items() if "." not in name}
    own: dict[str, dict[str, Any]] = {agency: {} for agency in agencies}
    for name, value in settings.items():
        agency, dot, setting = name.partition(".")
        if dot and agency not in own:
            raise ConfigError(f"setting {name}: this process does not deliver to {agency}")
        if dot:
            own[agency][setting] = value
    return {agency: connector.configure(shared | own[agency]) for agency in agencies}


class _Loop:
    """Sessions, one after the other as long as they fail; the receivers outlive them."""

    def __init__(
        self,
        wire: Wire,
        receivers: Mapping[str, Receiver],
        done: SimpleQueue[Job],
        committed: Callable[[], None],
        watch: Watch,
        log: Log,
        stop: threading.Event,
    ) -> None:
        self._wire = wire
        self._receivers = receivers
        self._done = done
        self._committed = committed
        self._watch = watch
        self._log = log
        self._stop = stop
        self._backoff = Backoff(first=0.5, cap=10.0)
        self._drained = False

    def run(self) -> None:
        for receiver in self._receivers.values():
            receiver.start()
        try:
            while not self._stop.is_set():
                try:
                    self._session()
                except CLIENT_FAILURES as error:
                    self._failed(error)
        finally:
            self._drain()

    def _session(self) -> None:
        with self._wire.consumer() as consumer:
            session = Session(consumer, self._receivers, self._done, self._committed, self._log)
            try:
                session.join()
                self._watch.heard()
                self._turns(session, partial(answers, consumer, next(iter(self._receivers))))
                self._drain()
            finally:
                session.finish()

    def _turns(self, session: Session, ask: Callable[[], bool]) -> None:
        while not self._stop.is_set():
            worked = session.turn()
            self._watch.turn(worked, ask)
            if worked:
                self._backoff.succeeded()

    def _failed(self, error: Exception) -> None:
        wait = self._backoff.failed()
        self._watch.silent()
        self._log.failed("the session with the broker failed, a new one follows", error, wait_seconds=wait)
        self._stop.wait(wait)

    def _drain(self) -> None:
        """Let what is in flight end, once; nothing new is begun."""
        if self._drained:
            return
        self._drained = True
        until = time.monotonic() + STOP_SECONDS
        for receiver in self._receivers.values():
            receiver.stop()
        late = [receiver for receiver in self._receivers.values() if not receiver.join(until)]
        if late:
            self._log.warning("sinks did not end in time, their batches come again", sinks=len(late))
