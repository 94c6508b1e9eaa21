"""Plain Faust: an agent for each hop, its exactly_once, a table with changelog for what is remembered."""

from __future__ import annotations

import os

import faust
from job import BOOTSTRAP, EVENTS, GROUP, IN, ONE, STATUS, TWO, job, person_id

JOB = job()
app = faust.App(
    GROUP,
    broker=f"kafka://{BOOTSTRAP}",
    datadir=os.environ["BENCH_FOLDER"],
    processing_guarantee="exactly_once",
    consumer_auto_offset_reset="earliest",
    topic_partitions=4,
    topic_replication_factor=1,
    topic_disable_leader=True,
    web_enabled=False,
    broker_commit_interval=0.5,
    stream_wait_empty=False,
)
RAW = {"value_type": bytes, "key_type": bytes, "value_serializer": "raw", "key_serializer": "raw", "partitions": 4}
inbound, passed = app.topic(IN, **RAW), app.topic(EVENTS, **RAW)
one, two, status = app.topic(ONE, **RAW), app.topic(TWO, **RAW), app.topic(STATUS, **RAW)
persons = app.Table("persons", key_type=str, value_type=list, default=lambda: [[], [-1, -1, ""]], partitions=4)


@app.agent(inbound)
async def gate(stream):
    async for value in stream:
        event = JOB.check(value)
        if event is not None:
            await passed.send(key=person_id(event["fin"]).encode(), value=value)


@app.agent(passed)
async def ledger(stream):
    async for key, value in stream.items():
        event = JOB.decode(value)
        seen, latest = persons[key.decode()]
        if event["event_id"] in seen:
            continue
        decision = [event[name] for name in ("effective", "seq", "event_id", "status", "percent", "certificate")]
        latest = max(list(latest), decision)
        persons[key.decode()] = [[*seen, event["event_id"]], latest]
        first, second = JOB.project(event)
        await one.send(key=key, value=first)
        await two.send(key=key, value=second)
        await status.send(key=key, value=JOB.status_of(key.decode(), len(seen) + 1, latest))


if __name__ == "__main__":
    from faust import Worker

    Worker(app, loglevel="ERROR", quiet=True).execute_from_commandline()
