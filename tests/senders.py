"""Sends single events to the workers of a `Stage`, and says what became of them."""

from __future__ import annotations

from collections.abc import Callable

from confluent_kafka import Producer
from workers import PATIENCE, Input, Stage
from world import VETERAN, headers


class Sender:
    """Sends events for agencies and waits until the broker has them; what became of them is in `verdicts`."""

    def __init__(self, stage: Stage) -> None:
        self._stage, self.sent = stage, dict[str, Input]()
        self._producer = Producer({"bootstrap.servers": stage.bootstrap, "acks": "all", "log_level": 0})

    def send(self, *inputs: Input, value: bytes | None = None) -> None:
        for each in inputs:
            marks = headers(VETERAN, each.agency, id=each.id, sequence=str(each.sequence))
            body = each.value if value is None else value
            self._producer.produce(
                f"in.{each.agency}", body, each.fin.encode(), partition=3, headers=marks, on_delivery=self._taken(each)
            )
        assert not self._producer.flush(PATIENCE)

    def verdicts(self, agency: str) -> dict[str, str]:
        """Coordinates of what was sent here → its verdict, or the code for which it was refused."""
        found: dict[str, str] = {}
        for message in self._stage.read(f"receipts.{agency}"):
            where = (message.key() or b"").decode()
            if where in self.sent:
                assert where not in found, "one receipt each"
                receipt = self._stage.decode(message.value())[1]
                found[where] = receipt["code"] or receipt["verdict"]
        return found

    def _taken(self, each: Input) -> Callable[..., None]:
        def delivered(error: object, message: object) -> None:
            assert not error
            self.sent[f"{message.topic()}/{message.partition()}/{message.offset()}"] = each  # type: ignore[attr-defined]

        return delivered
