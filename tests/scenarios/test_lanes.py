"""Lanes of real workers on Apache Kafka: what they take, what they hold back, and what becomes of a deadly record."""

from __future__ import annotations

import contextlib
import json
import signal
import time
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import Producer
from kafka.admin import ConfigResource
from load import EVENTS_EACH, Load, exactly_once
from senders import Sender
from workers import DEADLY, PARTITIONS, PATIENCE, Stage, logged, until

from hub.kafka.clients import admin


@contextlib.contextmanager
def supervised(stage: Stage) -> Iterator[Callable[[], int]]:
    """One worker, started again whenever it is asked about and has died; how many it took so far."""
    stage.stop()
    lives = [stage.start(HUB_BATCH_RECORDS="16")]

    def alive() -> int:
        if not lives[-1].alive:
            assert lives[-1].process.returncode == -9
            lives.append(stage.start(HUB_BATCH_RECORDS="16"))
        return len(lives)

    yield alive


@pytest.mark.long
def test_a_record_that_kills_the_process_is_refused_once_and_all_others_are_applied(stage: Stage) -> None:
    sender, began = Sender(stage), time.time()
    events = [stage.event("mod", f"alive-{n}", f"K{n % 7:06d}", 1 + n // 7) for n in range(40)]
    gate = stage.event("mod", f"{DEADLY.decode()}.gate-1", "K900001", 1)
    with supervised(stage) as alive:
        sender.send(*events[:10], gate, *events[10:])
        until(lambda: alive() and len(sender.verdicts("mod")) == len(events) + 1, "a verdict for each", 200)
    verdicts = sender.verdicts("mod")
    assert [each.id for where, each in sender.sent.items() if verdicts[where] == "crashed_worker"] == [gate.id]
    assert sorted(verdicts.values()) == ["APPLIED"] * len(events) + ["crashed_worker"]
    print(f"{alive()} processes, {time.time() - began:.0f} s")
    letters = [stage.decode(message.value())[1] for message in stage.read("dlq.mod")]
    assert [each["value"] for each in letters if each["code"] == "crashed_worker"] == [gate.value]


@pytest.mark.long
def test_an_agency_of_which_all_is_refused_is_paused_until_it_is_resumed(stage: Stage) -> None:
    sender = Sender(stage)
    one, other = stage.workers(HUB_REFUSALS_IN_A_ROW="200")
    sender.send(*(stage.event("mes", f"junk-{n}", "P000001", n) for n in range(250)), value=b"junk")
    gauge = 'hub_agency_paused{agency="mes"}'
    until(lambda: one.measured(gauge) == other.measured(gauge) == 1, "both workers know of the pause")
    refused = len(sender.verdicts("mes"))
    assert 200 <= refused <= 250
    late = stage.event("mes", "after-the-pause", "P000002", 1)
    sender.send(late)
    neighbours = [stage.event("mod", f"neighbour-{n}", "P000003", 1 + n) for n in range(20)]
    sender.send(*neighbours)
    until(lambda: len(sender.verdicts("mod")) == len(neighbours), "others go on")
    assert len(sender.verdicts("mes")) == refused

    one, other = stage.workers(HUB_REFUSALS_IN_A_ROW="200000")
    until(lambda: one.measured(gauge) == other.measured(gauge) == 1, "the pause outlives a restart")
    again = [stage.event("mod", f"once-more-{n}", "P000003", 21 + n) for n in range(20)]
    sender.send(*again)
    until(lambda: len(sender.verdicts("mod")) == 40, "others go on after a restart")
    assert len(sender.verdicts("mes")) == refused
    (paused,) = [line for line in one.said("agency paused") if line["agency"] == "mes"]
    assert (paused["level"], paused["by"]) == ("error", "gate.3") and "hub agency resume mes" in paused["fix"]

    listed = json.loads(stage.command("agency", "list", "--json").stdout)
    (row,) = [row for row in listed if row["state"] == "paused"]
    assert row["agency"] == "mes" and "not_avro" in row["why"]
    assert "paused: mes" in stage.command("doctor").stdout
    assert stage.command("agency", "resume", "mes", "--reason", "their serializer is mended").returncode == 0
    assert "mes is not paused" in stage.command("agency", "resume", "mes").stderr
    until(lambda: len(sender.verdicts("mes")) == 251, "what waited is taken")
    assert sorted(sender.verdicts("mes").values()) == ["APPLIED"] + ["not_avro"] * 250
    until(lambda: one.measured(gauge) == other.measured(gauge) == 0, "both workers know of its end")
    _audited(stage)


@pytest.mark.long
def test_an_operator_pauses_an_agency(stage: Stage) -> None:
    sender = Sender(stage)
    one, other = stage.workers()
    gauge = 'hub_agency_paused{agency="mia"}'
    assert stage.command("agency", "pause", "mia", "--reason", "a drill").returncode == 0
    assert _retention(stage, "in.mia") == "-1", "what waits is kept for as long as it waits"
    assert "paused already" in stage.command("agency", "pause", "mia", "--reason", "a drill").stderr
    until(lambda: one.measured(gauge) == other.measured(gauge) == 1, "both workers know of the pause")
    sender.send(*(stage.event("mia", f"held-{n}", "P000009", 1 + n) for n in range(10)))
    sender.send(stage.event("mod", "not-held", "P000010", 1))
    until(lambda: sender.verdicts("mod"), "others go on")
    assert not sender.verdicts("mia")
    labels = f'{{group="{stage.environment["HUB_NAME"]}.gate",topic="in.mia"}}'

    def waiting(metric: str) -> float:
        return sum(worker.measured(metric + labels) or 0 for worker in (one, other))

    until(lambda: waiting("hub_lag_events") == 10, "what waits is lag")
    sender.send(*(stage.event("mia", f"later-{n}", "P000009", 11 + n) for n in range(5)))
    until(lambda: waiting("hub_lag_events") == 15, "and what is not fetched any more")
    assert 0 < waiting("hub_lag_seconds") < PATIENCE
    for asked in ("held-0", "in.mia/0/1000000"):  # other tests have sent as mia before
        said = stage.command("trace", asked).stderr
        assert "mia is paused since" in said and "(a drill)" in said and "hub agency resume mia" in said
    assert "paused" not in stage.command("trace", "in.mod/0/1000").stderr
    assert stage.command("agency", "resume", "mia", "--reason", "the drill is over").returncode == 0
    until(lambda: len(sender.verdicts("mia")) == 15, "what waited is taken")
    until(lambda: waiting("hub_lag_events") == waiting("hub_lag_seconds") == 0, "and is no lag any more")
    assert _retention(stage, "in.mia") == "-1", "nobody has said that it may be deleted"
    assert stage.command("topics", "apply", "--shorten").returncode == 0
    assert _retention(stage, "in.mia") == "2592000000"


def _retention(stage: Stage, topic: str) -> str:
    with admin(stage.connection) as client:
        found = client.describe_configs([ConfigResource("TOPIC", topic)], config_filter="all")
    return str(found["topic"][topic]["retention.ms"]["value"])


def test_a_version_registered_while_they_run_is_read_by_all_workers(stage: Stage) -> None:
    """One gate lets the events through, and the ledgers of both apply them: each learns by itself."""
    sender, (one, other), began = Sender(stage), stage.workers(), time.time()
    plain = [stage.event("mod", f"version-{n}", f"V{n:06d}", 1) for n in range(40)]
    newer = [stage.newer(each, "note") if n % 2 else each for n, each in enumerate(plain)]
    sender.send(*newer)
    until(lambda: len(sender.verdicts("mod")) == len(newer), "a verdict for each")
    assert set(sender.verdicts("mod").values()) == {"APPLIED"}
    id = int.from_bytes(newer[1].value[1:5], "big")
    for worker in (one, other):
        said = worker.said("a version registered since the start is read from now on")
        assert [line["schema_id"] for line in said] == [id]
        assert worker.alive and not worker.since("starting again", began)


def _audited(stage: Stage) -> None:
    """The pause is a line of the gate that made it, its end one of the operators."""
    lines = [stage.decode(message.value())[1] for message in stage.read("audit")]
    about = [line for line in lines if line["agency"] == "mes" and "the agency" in line["action"]]
    about.sort(key=lambda line: line["at"])
    assert [(line["kind"], line["writer"], line["code"]) for line in about] == [
        ("DENIAL", "gate.3", "not_avro"),
        ("OPERATOR", "operators", None),
    ]
    assert about[1]["action"].endswith(": their serializer is mended")


BIG, FACTS = 3, 200_000
"""A number of the ledger, and how many facts of persons of their own its state gets."""


@pytest.mark.long
def test_a_number_that_rebuilds_a_large_state_stops_no_other(stage: Stage) -> None:
    one, other = stage.workers()
    with Load(stage, "learn") as load:
        load.finished()
    _enlarge(stage, BIG, FACTS)
    leaving, staying = (one, other) if BIG in one.numbers("ledger") else (other, one)
    with Load(stage, "quiet", rate=200) as load:
        load.reached(100)
        at = leaving.signal(signal.SIGTERM)
        begun = until(lambda: staying.since("ready", at, lane="ledger"), "its own numbers carry again")
        big = until(lambda: staying.since("ready", at, lane="ledger", number=BIG), "the large one carries")[0]
        load.finished()
    exactly_once(load)
    first, last = logged(begun[0]), logged(big)
    meanwhile = sum(first < receipt["decided"] / 1000 < last for _, receipt in load.receipts)
    print(f"{big['keys']} keys in {big['seconds']} s, {meanwhile} verdicts of other numbers meanwhile")
    assert big["keys"] > FACTS / 2 / EVENTS_EACH and last - first > 1, "it took a while"
    assert meanwhile > load.rate / 8 * (last - first), "those that need no rebuild, a quarter at the least, carry on"
    assert len(staying.since("assigned", at, lane="ledger")) == 1, "it stays in its group"
    assert not staying.said("starting again")


def _enlarge(stage: Stage, number: int, facts: int) -> None:
    """Add to the state of a number: the facts that are there, of other persons."""
    topic = "state.ledger"
    found = [m for m in stage.read(topic) if m.partition() == number and b"/" in (m.key() or b"")]
    producer = Producer({"bootstrap.servers": stage.bootstrap, "acks": "all", "log_level": 0, "linger.ms": 50})
    for n in range(facts):
        message = found[n % len(found)]
        person, _, id = (message.key() or b"").partition(b"/")
        another = b"%032x" % (n // len(found) << 64 | int(person[:16], 16))
        producer.produce(topic, (message.value() or b"").replace(person, another), another + b"/" + id, number)
        if n % 10_000 == 0:
            producer.flush()
    assert not producer.flush(PATIENCE)


LARGE, EACH, BACKLOG_AGENCIES = 200_000, 300, ("asan", "cba", "azersigorta")


@pytest.mark.long
def test_a_slow_broker_holds_back_what_is_taken_and_memory_stays_flat(stage: Stage) -> None:
    """180 MB wait, and the worker holds no more of them than a fetch of each partition."""
    stage.stop()
    worker = stage.start(TEST_COMMIT_SECONDS="2")
    until(worker.ready, "it is ready")
    before = worker.resident
    most = [before]
    producer = Producer({"bootstrap.servers": stage.bootstrap, "acks": "all", "log_level": 0})
    for number in range(EACH):
        for agency in BACKLOG_AGENCIES:
            producer.produce(f"in.{agency}", b"x" * LARGE, partition=number % PARTITIONS)
        assert not producer.flush(PATIENCE)
        most.append(worker.resident)
    watched = time.monotonic() + 10
    while time.monotonic() < watched:
        most.append(worker.resident)
        time.sleep(0.1)
    decided = sum(len(stage.read(f"receipts.{agency}")) for agency in BACKLOG_AGENCIES)
    sent, held = EACH * len(BACKLOG_AGENCIES), max(most) - before
    print(f"{held >> 20} MiB more at the most, {decided} of {sent} decided")
    assert 0 < decided < sent / 2, "it carries, and most of it still waits"
    assert held < 100 << 20
    assert worker.ready()
    stage.stop()
