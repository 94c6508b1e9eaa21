"""Checks that need no load of their own: what the topics hold already is carried, or folded, once more."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable

from chaos import readout
from chaos.judge import Registry, origin_of
from chaos.readout import Place, Topics
from chaos.stage import Stage
from chaos.subject import HERE, Worker, stop
from chaos.theatre import Report, Theatre
from chaos.watch import Watch
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient

QUIET_SECONDS, PATIENCE = 4.0, 240.0
"""No topic has grown for so long: all is carried."""

LANES = {"zefer.gate": "in.", "zefer.ledger": "events."}


def set_back(theatre: Theatre, name: str) -> Report:
    """Gate and ledger begin again at the first record, and know what they knew: all is a duplicate."""
    broker, folder = theatre.broker, theatre.folder / name
    folder.mkdir()
    marks = readout.ends(broker.bootstrap)
    told = {at: end for at, end in marks.items() if at[0].startswith(("in.", "receipts."))}
    before = readout.read(broker.bootstrap, {}, told)
    _to_the_first(broker.bootstrap, marks)
    workers = [Worker(f"worker-{n}", broker.bootstrap, folder) for n in (1, 2)]
    watch = Watch(broker.bootstrap, marks)
    stage = Stage(broker, workers, watch, theatre.tick)
    try:
        for worker in workers:
            worker.start()
        with stage.fault("set back to the first offset", "lanes"):
            _until_quiet(stage, sum(len(log) for topic, log in before.items() if topic.startswith("in.")))
    finally:
        stops = stop(workers)
        watch.close()
    again = readout.read(broker.bootstrap, marks, readout.ends(broker.bootstrap))
    registry = Registry(readout.schemas(broker.bootstrap))
    found = _compared(before, again, registry)
    facts = {"records": len(_verdicts(before, registry)), "longest_stop_seconds": round(max(stops), 1)}
    facts["duplicates"] = sum("DUPLICATE" in said for said in _verdicts(again, registry).values())
    report = Report(name, {k: len(v) for k, v in found.items()}, found, stage.faults, facts)
    if not facts["records"]:
        report.vacuous.append("there was nothing to carry again: it comes after a scenario with a load")
    (folder / "verdicts.json").write_text(json.dumps(report.as_dict() | {"examples": found}, indent=1))
    return report


def _compared(before: Topics, again: Topics, registry: Registry) -> dict[str, list[str]]:
    """Nothing new for receivers, no status another; each record counted once more, as a duplicate or a refusal."""
    first, second = _verdicts(before, registry), _verdicts(again, registry)
    status = [rec.at for rec in again.get("status.person", ())]
    offered = [rec.at for topic, log in again.items() if topic.startswith("out.") for rec in log]
    other = [
        at
        for at, said in second.items()
        if not said <= ({"REJECTED"} if "REJECTED" in first.get(at, ()) else {"DUPLICATE"})
    ]
    return {
        "status_changed": status,
        "new_in_out": offered,
        "not_a_duplicate": other,
        "uncounted": sorted(first.keys() - second.keys()),
    }


def _verdicts(topics: Topics, registry: Registry) -> dict[str, set[str]]:
    """Coordinates → what receipts say of that record."""
    found: dict[str, set[str]] = defaultdict(set)
    for topic in [topic for topic in topics if topic.startswith("receipts.")]:
        for rec in topics[topic]:
            name, value = registry.decode(rec.value or b"")
            if name == "hub.Receipt":
                found[origin_of(value)].add(value["verdict"])
    return found


def _to_the_first(bootstrap: str, marks: dict[Place, int]) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    for group, prefix in LANES.items():
        places = [TopicPartition(*at, 0) for at in marks if at[0].startswith(prefix) and at[0] != "events.benefit"]
        asked = admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, places)])
        asked[group].result(60)


def _until_quiet(stage: Stage, records: int) -> None:
    """All `records` have a verdict again, and nothing is written any more."""
    deadline, last, since = time.monotonic() + PATIENCE, {}, time.monotonic()
    while time.monotonic() < deadline:
        stage.sleep(0.5)
        now = {at: end for at, end in readout.ends(stage.broker.bootstrap).items() if at[0].startswith("receipts.")}
        if now != last:
            last, since = now, time.monotonic()
        elif len(stage.seen()) >= records and time.monotonic() - since > QUIET_SECONDS:
            return


def shadow(theatre: Theatre, name: str) -> Report:
    """The status of every person, folded anew from `events.*` by a ledger of its own: the same bytes."""
    program = [sys.executable, str(HERE / "shadow.py"), theatre.broker.bootstrap]
    worker = Worker("shadow", theatre.broker.bootstrap, theatre.folder)
    run = subprocess.run(program, env=worker.environment, capture_output=True, text=True, check=False)
    if run.returncode:
        raise RuntimeError(f"the shadow ledger failed:\n{run.stderr[-3000:]}")
    said = json.loads(run.stdout)
    report = Report(name, {"wrong_status": len(said["different"])}, {"wrong_status": said["different"]}, [], {})
    report.facts |= {"persons": said["persons"], "events": said["events"]}
    if not said["persons"]:
        report.vacuous.append("there was no status to fold: it comes after a scenario with a load")
    return report


AFTER: dict[str, Callable[[Theatre, str], Report]] = {"set_back": set_back, "shadow": shadow}
