"""Waits, settings, connectors by name, decoding, the log that cannot leak, the watch."""

from __future__ import annotations

import io
import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fastavro
import pytest
import structlog
from pydantic import Field, SecretStr

from hub.delivery import watch as watching
from hub.delivery.backoff import LONGEST_SECONDS, Backoff
from hub.delivery.connectors import find, names
from hub.delivery.decode import Decoder
from hub.delivery.run import configure
from hub.delivery.watch import Watch
from hub.errors import ConfigError
from hub.sdk import Connector, Log, Retry, Settings, Text, plain, structured
from hub.sdk.testing import samples
from tests.unit.delivery.fakes import Memory, Rec, Script, delivery

VIEW = {
    "type": "record",
    "name": "test.View",
    "fields": [
        {"name": "fin", "type": "string"},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "at", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}]},
    ],
}
HEADERS = [
    ("ce_specversion", b"1.0"),
    ("ce_id", b"0123456789abcdef0123456789abcdef"),
    ("ce_originid", b"mod-1"),
    ("ce_source", b"urn:az:agency:mod"),
    ("ce_type", b"test.View"),
    ("ce_time", b"2026-03-02T09:15:00.250z"),
    ("ce_sequence", b"7"),
    ("ce_statusversion", b"3"),
    ("ce_late", b"true"),
    ("content-type", b"application/avro"),
    ("hub_accepted", b"1700000000123"),
]


class Example(Settings):
    url: str = Field(description="Where to.")
    attempts: int = Field(default=3, ge=1, description="How often.")
    token: SecretStr = Field(default=SecretStr("x"), description="Who we are.")


EXAMPLE = Connector("example", Text("Nümunə.", "An example."), Example, lambda _: Script())


def test_waits_double_up_to_the_cap_and_begin_anew_after_a_success() -> None:
    backoff = Backoff(first=0.5, cap=5.0)
    assert [backoff.failed() for _ in range(6)] == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    backoff.succeeded()
    assert backoff.failed() == 0.5


def test_a_wait_that_was_asked_for_is_never_shortened() -> None:
    backoff = Backoff(first=0.5, cap=5.0)
    assert [backoff.failed(2.0), backoff.failed(2.0), backoff.failed(2.0)] == [2.0, 4.0, 5.0]
    assert backoff.failed(60.0) == 60.0
    assert Backoff().failed(0.0) == 0.0


@pytest.mark.parametrize("asked", [float("inf"), 1e10, float("nan"), "60", -1.0, float("-inf")])
def test_no_wait_is_without_end(asked: Any) -> None:
    assert 0.0 <= Backoff(first=0.5).failed(asked) <= LONGEST_SECONDS


def test_settings_for_all_and_for_one() -> None:
    settings = configure(EXAMPLE, ["mod", "asan"], {"url": "a", "attempts": "5", "asan.url": "b"})
    assert {agency: (each.url, each.attempts) for agency, each in settings.items()} == {  # type: ignore[attr-defined]
        "mod": ("a", 5),
        "asan": ("b", 5),
    }


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({}, "url"),
        ({"url": "a", "attempts": "CANARY"}, "attempts"),
        ({"url": "a", "colour": "CANARY"}, "colour"),
        ({"url": "a", "dost.url": "CANARY"}, "dost"),
    ],
)
def test_wrong_settings_are_named_and_not_quoted(values: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named) as error:
        configure(EXAMPLE, ["mod"], values)
    assert "CANARY" not in str(error.value) and error.value.__cause__ is None


def test_no_agency_is_refused() -> None:
    with pytest.raises(ConfigError, match="no agency"):
        configure(EXAMPLE, [], {"url": "a"})


def test_the_manifest_documents_and_checks_itself() -> None:
    assert [tuple(option)[:5] for option in EXAMPLE.options()] == [
        ("url", "str", True, False, ""),
        ("attempts", "int", False, False, "3"),
        ("token", "SecretStr", False, True, "***"),
    ]

    class Careless(Settings):
        api_token: str = "x"

    wrong = Connector("careless", Text("", "Careless."), Careless, lambda _: Script())
    assert len(wrong.problems()) == 3


def test_connectors_are_found_by_the_name_of_their_folder() -> None:
    assert "file_drop" in names()
    assert find("file_drop").name == "file_drop"
    for name in ("nothing", "../hub", "file_drop.connector", ""):
        with pytest.raises(ConfigError, match="file_drop"):
            find(name)


def wire(schema_id: int, value: dict[str, Any]) -> bytes:
    body = io.BytesIO()
    body.write(b"\0" + schema_id.to_bytes(4, "big"))
    fastavro.schemaless_writer(body, fastavro.parse_schema(VIEW), value)
    return body.getvalue()


class Registry:
    """Knows a schema only from the second reading on."""

    def __init__(self) -> None:
        self.readings = 0

    def __call__(self) -> Registry:
        self.readings += 1
        return self

    def by_id(self, id: int) -> Any:
        if id != 7 or self.readings < 2:
            raise KeyError(id)
        return SimpleNamespace(schema=json.dumps(VIEW))


def test_a_record_becomes_a_delivery_and_an_unknown_schema_is_looked_up_again() -> None:
    registry = Registry()
    decoder = Decoder(registry)
    raw = wire(7, {"fin": "5SMPL01", "day": 20_000, "at": None})
    record = Rec(41, partition=2, value=raw, headers=HEADERS)
    with pytest.raises(Retry):
        decoder([record])
    (found,) = decoder([record])
    decoder([record, record])
    assert registry.readings == 2
    assert (found.event_id, found.originid) == ("0123456789abcdef0123456789abcdef", "mod-1")
    assert found.time == datetime(2026, 3, 2, 9, 15, 0, 250_000, tzinfo=UTC)
    assert (found.version, found.late, found.sequence, found.key) == (3, True, "7", "p")
    assert (found.partition, found.offset, found.schema_id, found.accepted) == (2, 41, 7, 1_700_000_000_123)
    assert found.raw == raw and found.data == {"fin": "5SMPL01", "day": date(2024, 10, 4), "at": None}
    assert "5SMPL01" not in repr(found)


def test_a_delivery_as_cloudevent_is_plain_json() -> None:
    event = structured(delivery(0, version=2, late=True, data={"day": date(2026, 3, 1), "sum": Decimal("1.10")}))
    assert json.loads(json.dumps(event)) == {
        "specversion": "1.0",
        "id": "id-0-0",
        "source": "urn:az:agency:asan",
        "type": "test.View",
        "time": "2026-03-02T09:15:00Z",
        "originid": "o-0",
        "partitionkey": "p",
        "statusversion": 2,
        "late": True,
        "datacontenttype": "application/json",
        "data": {"day": "2026-03-01", "sum": "1.10"},
    }
    assert "late" not in structured(delivery(0)) and "statusversion" not in structured(delivery(0))
    assert plain([b"\xff", {"a": datetime(2026, 1, 1, tzinfo=UTC)}]) == [
        "/w==",
        {"a": "2026-01-01T00:00:00Z"},
    ]


def test_any_time_can_be_written() -> None:
    first, last = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))), datetime.max.replace(tzinfo=UTC)
    assert plain([first, last]) == ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999Z"]


class Colour(StrEnum):
    RED = "red"


def test_the_log_takes_numbers_and_no_text() -> None:
    with structlog.testing.capture_logs() as logs:
        log = Log(agency="mod")
        log.warning("receiver refused", status=503, colour=Colour.RED, delivery=delivery(4), body="CANARY")  # type: ignore[arg-type]
        log.info("CANARY is a person")
        try:
            raise OSError(28, "CANARY")
        except OSError as error:
            log.failed("not written", error)
    assert "CANARY" not in repr(logs)
    assert logs[0] == {
        "agency": "mod",
        "event": "receiver refused",
        "log_level": "warning",
        "status": 503,
        "colour": "RED",
        "delivery": "id-0-4",
        "body": "<str>",
    }
    assert (logs[2]["error"], logs[2]["errno"]) == ("OSError", 28)
    assert logs[2]["at"].startswith("test_delivery_parts.py:")


def test_the_watch_asks_only_after_a_silence_and_tells_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    observer, answers = Memory(), [False, False, True]
    now = [100.0]
    monkeypatch.setattr(watching, "time", SimpleNamespace(monotonic=lambda: now[0]))
    watch = Watch("example", observer, Log())
    watch.heard()
    watch.turn(False, lambda: pytest.fail("asked too early"))
    for _ in range(3):
        now[0] += watching.QUIET_SECONDS
        watch.turn(False, lambda: answers.pop(0))
    watch.turn(True, lambda: pytest.fail("asked while working"))
    watch.end()
    assert observer.states == [True, False, True, False]


@pytest.mark.parametrize("there", [False, True], ids=["no folder", "an empty one"])
def test_a_folder_without_samples_fails_the_connectors_test(tmp_path: Path, there: bool) -> None:
    if there:
        (tmp_path / "samples").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no samples: .*samples has no \*\.json; put CloudEvents there"):
        samples(tmp_path / "samples")
