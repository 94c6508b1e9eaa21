"""An agency is added, or taken out, while workers carry: some have the new catalogue already, others the old one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from load import Load, exactly_once
from senders import Sender
from workers import ROOT, SESSION, Stage, Worker, until

from hub.catalogue import load as load_catalogue

NEW = "newcomer"
ENTRY = f"""
- code: {NEW}
  kind: own
  name: {{az: Yeni qurum, en: A new agency}}
  publishes:
    - az.zefer.veteran.VeteranStatusGranted
"""
RATE = 150
"""Events a second: a load lasts as long as it takes a few workers to come and go."""


@pytest.fixture(scope="module")
def schemas(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The shipped catalogue and one agency more, whose topics are there."""
    folder = tmp_path_factory.mktemp("catalogue") / "schemas"
    shutil.copytree(ROOT / "schemas", folder)
    agencies = folder / "catalogue" / "agencies.yaml"
    agencies.write_text(agencies.read_text(encoding="utf-8") + ENTRY, encoding="utf-8")
    stage.prepare(load_catalogue(Path(folder)))
    return str(folder)


def topics(worker: Worker) -> int:
    """How many topics of the gate it was given numbers of, the last time."""
    return int([line["topics"] for line in worker.said("assigned") if line["lane"] == "gate"][-1])


def share(stage: Stage, *workers: Worker) -> None:
    until(lambda: all(each.ready() for each in workers) and stage.shared(*workers), "they share the numbers")


@pytest.mark.long
def test_workers_with_the_old_and_with_the_new_catalogue_never_share_a_number(stage: Stage, schemas: str) -> None:
    """The new catalogue comes, worker by worker, and an old worker comes back beside a new one, as when a version is
    taken back. What only some of the members know waits; everything else goes on."""
    sender = Sender(stage)
    one, other = stage.workers()
    old = topics(one)
    with Load(stage, "added", rate=RATE) as load:
        load.reached(100)
        third = stage.start(HUB_SCHEMAS=schemas)
        share(stage, one, other, third)
        assert topics(third) == old, "only what all members know is shared out"
        sender.send(stage.event(NEW, "first-of-all", "N000001", 1))
        one.leave()
        share(stage, other, third)
        assert topics(third) == old and not sender.verdicts(NEW)
        other.leave()
        until(lambda: list(sender.verdicts(NEW).values()) == ["APPLIED"], "all that is left know the new agency")
        assert topics(third) == old + 1
        again = stage.start()
        share(stage, third, again)
        assert topics(third) == topics(again) == old
        sender.send(stage.event(NEW, "waits-for-its-topic", "N000002", 1))
        load.finished()
        assert len(sender.verdicts(NEW)) == 1
        again.leave()
        until(lambda: len(sender.verdicts(NEW)) == 2, "the new agency goes on", 2 * SESSION)
    exactly_once(load)
    fenced = [line for each in (one, other, third, again) for line in each.said("starting again")]
    assert not fenced, "whoever had a number that another was given would be fenced by its producer"


@pytest.mark.long
def test_what_is_under_way_of_an_agency_that_is_taken_out_is_applied_and_the_rest_is_named(
    stage: Stage, schemas: str
) -> None:
    """Before, the worker ended of the first such event, at each start."""
    sender, began = Sender(stage), [stage.event(NEW, f"passed-{n}", "N000003", 1 + n) for n in range(5)]
    stage.stop()
    gate = stage.start(HUB_SCHEMAS=schemas, TEST_LANES="gate")
    sender.send(*began)

    def passed() -> set[str]:
        headers = (dict(message.headers() or ()) for message in stage.read("events.veteran"))
        return {named["hub_origin"].decode() for named in headers}

    until(lambda: sender.sent.keys() <= passed(), "the gate lets them through, and no ledger is there")
    gate.leave()
    sender.send(stage.event(NEW, "unread", "N000003", 6))
    worker = stage.start()
    until(lambda: len(sender.verdicts(NEW)) == len(began), "what had passed has its verdicts")
    assert set(sender.verdicts(NEW).values()) == {"APPLIED"} and worker.alive
    plan = stage.command("topics", "plan", "--json")
    assert (plan.returncode, json.loads(plan.stdout)["unread"]) == (3, {f"in.{NEW}": 1})
    worker.leave()
    stage.start(HUB_SCHEMAS=schemas)
    until(lambda: len(sender.verdicts(NEW)) == len(began) + 1, "put back, it is read to its end")
    assert not json.loads(stage.command("topics", "plan", "--json").stdout)["unread"]
