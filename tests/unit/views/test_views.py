"""Views over a Kafka in memory: what is said of an event, cursors, one person's latest status, a broken file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from world import NOW, VETERAN, Memory, event, publisher, schemas, unpack

from hub.errors import Retry
from hub.kafka.following import Topic
from hub.registry.schemas import Schemas
from hub.views.receipts import Cursor, Expired, Receipts, ReceiptTable
from hub.views.statuses import Statuses, StatusTable
from hub.views.store import Beat, NotReady, Reader, Writer
from hub.views.unpack import Registered

MOD = publisher(VETERAN)
READ = Beat(NOW / 1000, 0.0, caught_up=True, progress=1.0)


def unpacked() -> Registered:
    return Registered(schemas)


@pytest.fixture
def kafka() -> Memory:
    return Memory()


class World:
    """Both views in a folder, fed with what a `Memory` holds, as the loader would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.receipts, self.statuses = Receipts(folder, unpacked()), Statuses(folder, unpacked())
        self._tables = [ReceiptTable(unpacked()), StatusTable()]
        self.writers = [Writer(folder / table.file, table.schema) for table in self._tables]

    def load(self, kafka: Memory, *, first: int = 0, to_the_end: bool = True, life: str = "") -> None:
        for table, writer, prefix in zip(self._tables, self.writers, ("receipts.", "status.person"), strict=True):
            for (topic, partition), log in kafka.topics.items():
                if topic.startswith(prefix):
                    writer.positions([Topic(topic, life, (partition,))])
                    with writer.transaction():
                        writer.begins({(topic, partition): first})
                        table.apply(writer, log)  # type: ignore[attr-defined]
                        writer.moved({(topic, partition): len(log)})
            writer.beat(READ._replace(caught_up=to_the_end))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    found = World(tmp_path)
    yield found
    for writer in found.writers:
        writer.close()


def test_an_agency_finds_what_became_of_its_own_id(world: World, kafka: Memory) -> None:
    kafka.carry(event(attributes={"id": "a-1"}, fin="AAAAAA1"), event(attributes={"id": "a-2"}, fin="AAAAAA2"))
    world.load(kafka)
    (found,) = world.receipts.verdicts(MOD, "a-1")
    assert found.value["verdict"] == "APPLIED"
    assert found.record == f"in.{MOD}/0/0"
    assert world.receipts.verdicts(MOD, "a-3") == []


def test_another_agency_does_not_find_it(world: World, kafka: Memory) -> None:
    kafka.carry(event(attributes={"id": "a-1"}))
    world.load(kafka)
    event_id = world.receipts.verdicts(MOD, "a-1")[0].value["event_id"]
    assert world.receipts.verdicts("zefer", "a-1") == []
    assert world.receipts.event("zefer", event_id) == ([], [])
    assert len(world.receipts.event(MOD, event_id)[0]) == 1


def test_one_id_for_several_persons_gives_all_of_them(world: World, kafka: Memory) -> None:
    kafka.carry(*(event(attributes={"id": "same"}, fin=f"AAAAAA{i}") for i in range(3)))
    world.load(kafka)
    assert len({v.value["event_id"] for v in world.receipts.verdicts(MOD, "same")}) == 3


def test_a_record_taken_in_twice_is_there_once(world: World, kafka: Memory) -> None:
    kafka.carry(event(attributes={"id": "a-1"}))
    world.load(kafka)
    world.load(kafka)
    assert len(world.receipts.verdicts(MOD, "a-1")) == 1


def walked(receipts: Receipts, limit: int) -> list[str]:
    found, cursor = [], None
    while (page := receipts.page(MOD, cursor, limit)).receipts:
        found += [value["id"] for _, value in page.receipts]
        cursor = Cursor.parse(str(page.cursor))
        assert page.more == (len(page.receipts) == limit and bool(receipts.page(MOD, cursor, 1).receipts))
    return found


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_pages_follow_each_other_without_gap_or_repeat(world: World, kafka: Memory, limit: int) -> None:
    kafka.carry(*(event(attributes={"id": f"a-{i}"}, fin=f"AAAAA{i:02}") for i in range(20)))
    world.load(kafka)
    found = walked(world.receipts, limit)
    assert sorted(found) == sorted(f"a-{i}" for i in range(20))


def test_what_comes_later_is_on_the_next_page(world: World, kafka: Memory) -> None:
    kafka.carry(event(attributes={"id": "a-1"}))
    world.load(kafka)
    cursor = world.receipts.page(MOD, None, 10).cursor
    assert world.receipts.page(MOD, cursor, 10).receipts == []
    kafka.carry(event(attributes={"id": "a-2"}, fin="AAAAAA2"))
    world.load(kafka)
    assert [value["id"] for _, value in world.receipts.page(MOD, cursor, 10).receipts] == ["a-2"]


def test_a_cursor_older_than_what_is_kept_is_told(world: World, kafka: Memory) -> None:
    kafka.carry(event(attributes={"id": "a-1"}))
    world.load(kafka)
    start = Cursor(dict.fromkeys(world.receipts.page(MOD, None, 1).cursor.positions, 0))
    world.load(kafka, first=1)
    with pytest.raises(Expired):
        world.receipts.page(MOD, start, 10)


def test_a_cursor_of_a_topics_former_life_is_told(world: World, kafka: Memory) -> None:
    kafka.carry(event(attributes={"id": "a-1"}))
    world.load(kafka)
    ends = world.receipts.page(MOD, None, 10).cursor.positions
    with pytest.raises(Expired):
        world.receipts.page(MOD, Cursor({partition: at + 1 for partition, at in ends.items()}), 10)


def test_a_cursor_of_a_view_that_is_further_is_answered_once_this_one_has_read_as_far(
    world: World, kafka: Memory, tmp_path: Path
) -> None:
    kafka.carry(event(attributes={"id": "a-1"}))
    world.load(kafka, life="one")
    kafka.carry(event(attributes={"id": "a-2"}))
    further = World(tmp_path / "further")
    further.load(kafka, life="one")
    cursor = Cursor.parse(str(further.receipts.page(MOD, None, 10).cursor))
    assert Cursor.parse(str(further.receipts.end(MOD))).positions == cursor.positions
    with pytest.raises(NotReady):
        world.receipts.page(MOD, cursor, 10)
    world.load(kafka, life="one")
    assert world.receipts.page(MOD, cursor, 10).receipts == []
    again = World(tmp_path / "again")
    again.load(kafka, life="two")
    with pytest.raises(Expired):
        again.receipts.page(MOD, cursor, 10)


def test_a_cursor_without_a_life_goes_on(world: World, kafka: Memory) -> None:
    kafka.carry(event(attributes={"id": "a-1"}))
    world.load(kafka, life="one")
    given = world.receipts.page(MOD, None, 10).cursor
    assert given.life
    assert world.receipts.page(MOD, Cursor.parse(str(Cursor(given.positions))), 10).cursor.life == given.life


def test_what_is_no_receipt_moves_the_cursor_too_so_that_retention_may_take_it(world: World, kafka: Memory) -> None:
    kafka.carry(event(attributes={"id": "a-1"}))
    world.load(kafka)
    before = world.receipts.page(MOD, None, 10).cursor
    partition = max(before.positions, key=before.positions.__getitem__)
    place, end = (f"receipts.{MOD}", partition), before.positions[partition] + 1
    with world.writers[0].transaction():
        world.writers[0].moved({place: end})  # a transaction's marker
    cursor = world.receipts.page(MOD, before, 10).cursor
    with world.writers[0].transaction():
        world.writers[0].begins({place: end})
    assert world.receipts.page(MOD, cursor, 10).receipts == []


@pytest.mark.parametrize("now", [False, True])
def test_a_cursor_just_given_is_kept_where_retention_passed_the_view(world: World, kafka: Memory, now: bool) -> None:
    """A partition may end in an aborted transaction, of which nothing is ever delivered."""
    kafka.carry(event(attributes={"id": "a-1"}))
    world.load(kafka)
    with world.writers[0].transaction():
        world.writers[0].begins(dict.fromkeys(((f"receipts.{MOD}", p) for p in range(4)), 50))
    cursor = world.receipts.end(MOD) if now else world.receipts.page(MOD, None, 10).cursor
    assert world.receipts.page(MOD, cursor, 10).receipts == []


def test_while_a_view_is_read_nobody_is_told_that_nothing_is_known(world: World, kafka: Memory) -> None:
    world.load(kafka, to_the_end=False)
    for ask in (
        lambda: world.receipts.verdicts(MOD, "a-1"),
        lambda: world.receipts.event(MOD, "0" * 32),
        lambda: world.receipts.page(MOD, None, 10),
        lambda: world.statuses.of("0" * 32),
    ):
        with pytest.raises(NotReady):
            ask()


def test_a_receipt_is_not_passed_over_where_the_registry_does_not_answer(kafka: Memory) -> None:
    answers = [Schemas(), OSError("the broker is away"), schemas()]

    def read() -> Schemas:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    kafka.carry(event(attributes={"id": "a-1"}))
    (receipt,) = (log[0].value for (topic, _), log in kafka.topics.items() if topic == f"receipts.{MOD}" and log)
    registered = Registered(read)
    with pytest.raises(Retry):
        registered(receipt)
    found = registered(receipt)
    assert found is not None and found[1]["id"] == "a-1"


@pytest.mark.parametrize(
    "text",
    ["", "1", "x", "1!!", "1W1swXV0", "1e30", "1WzEsMl0", "0W10", "1WzBd", "1WwAAAA", "1" * 9000, "1" + "W1tb" * 2000],
)
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a cursor"):
        Cursor.parse(text)


def test_a_cursor_is_read_as_it_was_written() -> None:
    assert Cursor.parse(str(Cursor({0: 3, 11: 99}))).positions == {0: 3, 11: 99}
    assert Cursor.parse(str(Cursor({}))).positions == {}


def test_the_latest_status_of_a_person_stands(world: World, kafka: Memory) -> None:
    kafka.carry(event(attributes={"id": "a-1"}), event(attributes={"id": "a-2"}))
    world.load(kafka)
    last = kafka.all("status.person")[-1]
    assert last.key
    found = world.statuses.of(last.key.decode())
    assert found == unpack(last.value)
    assert found and found["version"] == 2
    assert world.statuses.of("0" * 32) is None


def test_a_status_taken_away_is_gone(world: World, kafka: Memory) -> None:
    kafka.carry(event())
    world.load(kafka)
    key = kafka.all("status.person")[0].key or b""
    gone = [SimpleNamespace(key=key, value=None), SimpleNamespace(key=b"no person", value=b"x")]
    with world.writers[1].transaction():
        StatusTable().apply(world.writers[1], gone)  # type: ignore[arg-type]
    assert world.statuses.of(key.decode()) is None


def test_what_the_hub_did_not_write_is_passed_over(world: World) -> None:
    foreign = [
        record(offset=i, value=value) for i, value in enumerate((None, b"", b"\0\0\0\0\1", b"hello", b"\0\1\1\1\1x"))
    ]
    with world.writers[0].transaction():
        ReceiptTable(unpacked()).apply(world.writers[0], foreign)
    world.writers[0].beat(READ)
    assert world.receipts.page("mod", None, 10).receipts == []


def record(**given: Any) -> Any:
    return SimpleNamespace(**({"topic": "receipts.mod", "partition": 0, "offset": 0, "timestamp": NOW} | given))


def test_a_topic_of_another_life_begins_the_table_anew(world: World, kafka: Memory) -> None:
    kafka.carry(event(attributes={"id": "a-1"}))
    world.load(kafka, life="one")
    writer, topic = world.writers[0], f"receipts.{MOD}"
    assert writer.positions([Topic(topic, "one", (0,))])
    assert writer.positions([Topic(topic, "one", (0,))])
    assert writer.positions([Topic(topic, "two", (0,))]) == {}
    world.receipts.reader.look_again()
    with pytest.raises(NotReady):
        world.receipts.verdicts(MOD, "a-1")
    writer.beat(READ)
    assert world.receipts.verdicts(MOD, "a-1") == []


def test_a_broken_file_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "receipts.sqlite").write_bytes(b"no database at all, but long enough to be looked at" * 100)
    writer = Writer(tmp_path / "receipts.sqlite", ReceiptTable.schema)
    assert writer.positions([]) == {}
    writer.close()


def test_a_file_of_another_format_is_begun_anew(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "v.sqlite", ReceiptTable.schema)
    writer.db.execute("UPDATE meta SET value = '0' WHERE name = 'format'")
    with writer.transaction():
        writer.moved({("t", 0): 7})
    writer.close()
    writer = Writer(tmp_path / "v.sqlite", ReceiptTable.schema)
    assert writer.positions([]) == {}
    writer.close()


def test_a_reader_says_that_there_is_nothing_yet(tmp_path: Path) -> None:
    reader = Reader(tmp_path / "v.sqlite")
    assert reader.beat() is None
    with pytest.raises(NotReady):
        reader.rows("SELECT 1 FROM receipts")
    writer = Writer(tmp_path / "v.sqlite", ReceiptTable.schema)
    assert reader.rows("SELECT 1 FROM receipts") == []
    said = Beat(1.5, 0.25, caught_up=True, progress=1.0)
    writer.beat(said)
    assert reader.beat() == said
    writer.close()


def test_a_failed_transaction_leaves_rows_and_positions_as_they_were(world: World, kafka: Memory) -> None:
    kafka.carry(event(attributes={"id": "a-1"}))
    writer = world.writers[0]
    writer.beat(READ)
    with pytest.raises(ZeroDivisionError), writer.transaction():
        ReceiptTable(unpacked()).apply(writer, kafka.all(f"receipts.{MOD}"))
        writer.moved({(f"receipts.{MOD}", 0): 1})
        raise ZeroDivisionError
    assert world.receipts.verdicts(MOD, "a-1") == []
    assert writer.positions([]) == {}
