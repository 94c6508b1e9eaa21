"""The scenarios: faults, and the load that they hit. `quick` ones are the same faults, fewer and sooner."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from chaos.mutants import STEPS
from chaos.stage import Intruder, Stage

FROZEN_SECONDS = 11.0
"""Longer than the session of a worker, which is 8 seconds."""

AWAY_SECONDS = 20.0
"""Longer than a transaction may stay open, which is 15 seconds."""

RATE, QUICK_RATE = 200.0, 120.0
Faults = Callable[[Stage], None]
Where = Literal["one", "three", "small disk"]
"""One broker, three, or one whose disk is small enough to be filled."""


@dataclass(frozen=True)
class Scenario:
    """Faults under a load of at most so many seconds. `failover`: needs a broker that notices a dead worker.

    `load` are the fields of `Load` that differ; `parts` plays follow one another and are judged as one; `after` names a
    check of `after.py` instead of a load; `calm`: no worker may start again.
    """

    name: str
    seconds: float
    faults: Faults
    where: Where = "one"
    failover: bool = True
    load: dict[str, Any] = field(default_factory=dict)
    parts: int = 1
    calm: bool = False
    after: str = ""


def nothing(seconds: float) -> Faults:
    return lambda stage: stage.sleep(seconds)


def one_after_another(*all_of_them: Faults) -> Faults:
    def faults(stage: Stage) -> None:
        for each in all_of_them:
            each(stage)

    return faults


def kill_workers(times: int, every: float) -> Faults:
    def faults(stage: Stage) -> None:
        for number in range(times):
            stage.sleep(every)
            stage.kill(number % 2)

    return faults


def crash_in_batch(steps: list[str]) -> Faults:
    """At each step, two at a time: one in a worker of its own."""

    def faults(stage: Stage) -> None:
        for pair in itertools.batched(steps, 2) if hasattr(itertools, "batched") else zip(steps[::2], steps[1::2]):
            stage.sleep(1)
            stage.crash(list(pair))

    return faults


def freeze_worker(times: int) -> Faults:
    def faults(stage: Stage) -> None:
        for number in range(times):
            stage.sleep(3)
            stage.freeze(number % 2, FROZEN_SECONDS)

    return faults


def stop_workers(times: int) -> Faults:
    """Gracefully, each started again; the next one when the last carries again."""

    def faults(stage: Stage) -> None:
        for number in range(times):
            stage.sleep(1)
            stage.restart(number % 2)
            stage.workers[number % 2].wait_ready()

    return faults


def rebalances(times: int) -> Faults:
    """A member comes and goes, in the gate's group and the ledger's in turn: two rebalances each time."""

    def faults(stage: Stage) -> None:
        with contextlib.ExitStack() as leaving:
            intruders = [Intruder(stage.broker.bootstrap, lane) for lane in ("gate", "ledger")]
            for intruder in intruders:
                leaving.callback(intruder.close)
            for number in range(times // 2):
                stage.sleep(0.5)
                stage.rebalance(intruders[number % 2])

    return faults


def broker_away(pause: float, frozen: float) -> Faults:
    """Stopped, killed, frozen, one after the other."""

    def faults(stage: Stage) -> None:
        for fault in (
            lambda: stage.stop_broker(pause),
            lambda: stage.kill_broker(pause),
            lambda: stage.freeze_broker(frozen),
        ):
            stage.sleep(2)
            fault()
        stage.sleep(2)

    return faults


def gateway_away(rounds: int, pause: float, frozen: float) -> Faults:
    """The gateway is killed, the broker that it writes to killed, and both are lost at once; from the second round on
    the broker is stopped and frozen as well."""

    def faults(stage: Stage) -> None:
        for number in range(rounds):
            gentle = [lambda: stage.stop_broker(pause), lambda: stage.freeze_broker(frozen)]
            for fault in (
                stage.kill_gateway,
                lambda: stage.kill_broker(pause),
                *(gentle if number else ()),
                lambda: stage.lose_both(frozen),
            ):
                stage.sleep(2)
                fault()
        stage.sleep(2)

    return faults


def lose_both(stage: Stage) -> None:
    stage.sleep(1)
    stage.lose_both(1)


def kill_broker(times: int, pause: float) -> Faults:
    def faults(stage: Stage) -> None:
        for _ in range(times):
            stage.sleep(3)
            stage.kill_broker(pause)
        stage.sleep(2)

    return faults


def rotate(rounds: int, pause: float) -> Faults:
    """Each broker of the cluster is killed in turn, and comes back before the next."""

    def faults(stage: Stage) -> None:
        for _ in range(rounds):
            for node in stage.broker.nodes:
                stage.sleep(2)
                stage.kill_broker(pause, node)
        stage.sleep(2)

    return faults


def disk_full(stage: Stage) -> None:
    assert stage.disk is not None
    stage.sleep(3)
    stage.fill_disk(stage.disk)
    stage.sleep(2)


_ALL = [f"{lane}_{step}" for step in STEPS for lane in ("gate", "ledger")]
_HALF = [f"{lane}_{step}" for step, lane in zip(STEPS, itertools.cycle(("gate", "ledger")))]
_BULK = {"rate": 2500.0, "light": True, "whole": True}
_HTTP = {"gateway": True, "poisoned": 0.0}
BULK_EVENTS, BULK_PARTS = 1_000_000, 5
POISON = 100_000

QUICK = (  # a tenth of every load is resent; each scenario of its own takes ten seconds to begin and to judge
    Scenario("graceful-stops", 120, stop_workers(2), failover=False),
    Scenario("set-back", 0, nothing(0), after="set_back", failover=False),
    Scenario("kill-freeze-rebalance", 240, one_after_another(rebalances(8), kill_workers(2, 2), freeze_worker(1))),
    Scenario("crash-in-batch", 240, crash_in_batch(_HALF[:4])),
    Scenario("gateway-and-broker-away", 120, gateway_away(1, 1, 4), load=_HTTP),
    Scenario("poison", 4, nothing(0), load={"rate": 500.0, "poisoned": 0.5, "whole": True}, failover=False, calm=True),
    Scenario("shadow-ledger", 0, nothing(0), after="shadow", failover=False),
    Scenario("disk-full", 120, disk_full, where="small disk"),
    Scenario("brokers-in-rotation", 180, rotate(1, 1), where="three", load={"rate": 50.0}),
)
FULL = (
    Scenario("resent", 60, nothing(30), failover=False),
    Scenario("set-back", 0, nothing(0), after="set_back", failover=False),
    Scenario("crash-in-batch", 600, crash_in_batch(_ALL)),
    Scenario("rebalances", 900, rebalances(100)),
    Scenario("freeze-worker", 240, freeze_worker(4)),
    Scenario("graceful-stops", 600, stop_workers(25), failover=False, parts=2),
    Scenario("broker-away", 240, broker_away(5, 12)),
    Scenario("gateway-and-broker-away", 600, gateway_away(5, 3, 12), load=_HTTP),
    Scenario("kill-broker", 600, kill_broker(10, 1)),
    Scenario("kill-broker-long", 120, kill_broker(1, AWAY_SECONDS)),
    Scenario(
        "poison",
        POISON / 1500,
        nothing(0),
        load={"rate": 1500.0, "poisoned": 0.51, "whole": True},
        failover=False,
        parts=2,
        calm=True,
    ),
    Scenario(
        "kill-workers",
        BULK_EVENTS / BULK_PARTS / _BULK["rate"],
        kill_workers(20 // BULK_PARTS, 16),
        load=_BULK,
        parts=BULK_PARTS,
    ),
    Scenario("shadow-ledger", 0, nothing(0), after="shadow", failover=False),
    Scenario("disk-full", 240, disk_full, where="small disk"),
    Scenario("brokers-in-rotation", 700, rotate(3, 8), where="three"),
)


class Mutant(NamedTuple):
    """The verdict that must show a fault built into the product (mutants.py), and the load that it shows under."""

    verdict: str
    faults: Faults = nothing(0)
    load: dict[str, Any] = {"whole": True}  # noqa: RUF012


MUTANTS = {
    "dedupe_off": Mutant("dup_effect"),
    "offsets_first": Mutant("lost"),
    "unkeyed": Mutant("disorder"),
    "mask_off": Mutant("over_delivery"),
    "early_202": Mutant("lost", lose_both, _HTTP | {"whole": True}),
}
