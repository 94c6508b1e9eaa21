"""The benchmark's own arithmetic, and its claim that all sides do the same job."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType
from typing import Any

import pytest
from bench import throughput
from bench.chart import chart
from bench.contenders import BY_NAME
from bench.events import SCHEMAS, TYPE, events, number_of, raw_schema, resent
from bench.latency import percentile
from bench.ledger_log import FactsOf
from bench.readme import BEGIN, END, ROOT, write_readme
from bench.room import SECRET
from bench.scaling import BYTES_A_PERSON, BYTES_AN_EVENT, SOAK_PERSONS, catalogue_of, soaked
from bench.targets import ratios, targets
from bench.throughput import differences, measure
from bench.watch import Sample, warm_pace
from world import Memory, Rec

from hub.catalogue import load
from hub.pipeline.gate import Gate
from hub.pipeline.ledger import Ledger
from hub.pipeline.rulebook import compile_rulebook
from hub.registry.schemas import Schemas


def _samples(per_second: int, cpu: float = 0.1) -> list[Sample]:
    return [Sample(float(t), t * per_second, t * cpu, t * cpu / 2) for t in range(11)]


def test_pace_is_that_of_the_second_half():
    slow_start = [Sample(-10.0, 0, -5.0, 0.0), *_samples(100)]
    pace = warm_pace(slow_start, 1000, 1.02)
    assert pace.events_per_second == pytest.approx(102)
    assert pace.cpu_us == pytest.approx(0.1 / 102 * 1e6)
    assert pace.broker_cpu_us == pytest.approx(pace.cpu_us / 2)


def test_who_commits_seldom_is_measured_from_commit_to_commit():
    rare = [Sample(t / 10, t // 20 * 200, t / 100, 0.0) for t in range(101)]
    assert warm_pace(rare, 10**6, 1.0).events_per_second == pytest.approx(100)


def test_too_little_to_measure_is_an_error_and_no_figure():
    with pytest.raises(ValueError, match="commits"):
        warm_pace([Sample(0, 0, 0, 0), Sample(1, 5, 0, 0)], 5, 1.0)


def test_a_side_that_could_not_run_is_null():
    hub = {"each_events_per_second": [30.0, 10.0, 30.0], "each_cpu_us": [10.0, 30.0, 10.0]}
    found = ratios({"hub": hub, "faust": {"each_events_per_second": [1.5, 0.5, 1.0]}, "quixstreams": {"reason": "no"}})
    assert found["faust"] == 20.0  # a round in which the machine was slow is slow for both
    assert found["quixstreams"] is None
    assert found["confluent_loop"] is None and found["kafka_streams_cpu"] is None
    verdicts = {row.name: row.plain()["met"] for row in targets({"ratios": found})}
    assert verdicts["events/s, hub : faust"] is True
    assert verdicts["events/s, hub : confluent_loop"] is None


def test_percentile_is_the_nearest_rank():
    assert percentile(list(range(100)), 0.99) == 99
    assert percentile([5.0], 0.5) == 5.0


def test_input_is_the_same_every_time_and_has_repeats():
    first, again = (list(events(200, 1, 10)) for _ in range(2))
    assert first == again
    assert len(first) == 200 + resent(200)
    assert len({event.value for event in first}) == 200


def test_chart_names_every_side_and_says_why_one_is_missing():
    sides = {"hub": {"events_per_second": 10.0, "cpu_us": 1.0}, "faust": {"reason": "no <python>"}}
    text = chart({"sides": sides, "broker": "apache", "cores": 2})
    assert "hub" in text and "no &lt;python>" in text


def test_catalogue_with_31_receivers_is_sound(tmp_path):
    catalogue_of(tmp_path, receivers=31)
    assert len(load(tmp_path).entitlements[TYPE]) == 31


@pytest.mark.parametrize("leak", [0, 50])
def test_a_soak_takes_off_what_the_state_explains_and_shows_the_rest(leak):
    so_far = [SOAK_PERSONS // 4 * number for number in range(9)]
    state = [min(n, SOAK_PERSONS) * BYTES_A_PERSON + n * (BYTES_AN_EVENT + leak) for n in so_far]
    found = soaked(so_far, [100 + each / 2**20 for each in state])
    assert found["unexplained_bytes_per_event"] == pytest.approx(leak, abs=25)
    grown, allowed = state[-1], SOAK_PERSONS * 800 + so_far[-1] * 120
    assert found["of_allowed"] == pytest.approx(grown / allowed, abs=0.001)


def test_the_log_of_facts_is_what_the_ledger_writes_of_the_same_events():
    catalogue, schemas, persons = load(SCHEMAS), Schemas(), 50
    schemas.assign(catalogue.schemas())
    rules = compile_rulebook(catalogue, schemas, SECRET.encode(), 4)
    memory = Memory()
    memory.gate, memory.ledger = Gate(rules, lambda: 0), Ledger(rules, lambda: 0)
    for event in events(2 * persons, schemas.id_of(TYPE), persons):
        memory.carry(Rec("in.src", 0, 0, None, event.value, event.headers))
    written = {(record.partition, record.key): record.value for record in memory.all("state.ledger")}
    facts = FactsOf(SCHEMAS, schemas, persons)
    made = {(partition, key): value for wave in (0, 1) for _, partition, key, value, _ in facts.wave(wave)}
    assert set(made) == set(written)
    assert all(_without_content(made[place]) == _without_content(value) for place, value in written.items())


def _without_content(fact: bytes) -> bytes:
    """Of a `hub.Fact`, without the digest of what the event says: behind header, person id and identity."""
    return fact[:54] + fact[70:]


def test_peers_project_what_the_hub_projects():
    """Both over 100 events with repeats, in memory: the same bytes for the same receivers."""
    hub, job = _through_the_hub(), _peer_job()
    peers, known = set(), {}
    for event in _input():
        found = job["peer"].decode(event.value)
        person = job["module"].person_id(found["fin"])
        before = known.get(person, job["module"].NOBODY)
        if found["event_id"] not in before.seen:
            known[person] = job["module"].remember(before, found)
            peers |= set(zip(("one", "two"), job["peer"].project(found), strict=True))
    assert differences(hub, peers) is None
    assert len(hub) == 200
    assert {number_of(projection) for _, projection in hub} == set(range(100))


def test_a_projection_that_differs_is_seen():
    assert differences({("one", b"a")}, {("one", b"b")}) == "1 projections are missing, 1 are others"


def _registered():
    catalogue, schemas = load(SCHEMAS), Schemas()
    schemas.assign(catalogue.schemas())
    return catalogue, schemas


def _input():
    _, schemas = _registered()
    return events(100, schemas.id_of(TYPE), 10)


def _through_the_hub() -> set[tuple[str, bytes]]:
    catalogue, schemas = _registered()
    rules, memory = compile_rulebook(catalogue, schemas, b"b" * 32, 4), Memory()
    memory.gate, memory.ledger = Gate(rules, lambda: 0), Ledger(rules, lambda: 0)
    for offset, event in enumerate(_input()):
        memory.carry(Rec("in.src", 0, offset, event.key.encode(), event.value, event.headers))
    return {(name, record.value) for name in ("one", "two") for record in memory.all(f"out.{name}")}


def _peer_job():
    catalogue, schemas = _registered()
    views = [catalogue.projections[catalogue.entitlements[TYPE][i].mask] for i in range(2)]
    told = {
        "event": raw_schema(catalogue.types[TYPE].schema),
        "views": [{"id": schemas.id_of(view.name), "schema": raw_schema(view.schema)} for view in views],
    }
    module = _load("job")
    return {"module": module, "peer": module.Job(told)}


def _load(name: str) -> ModuleType:
    """A program of a side; it stands outside any package because it runs in an environment of its own."""
    path = SCHEMAS.parent / "sides" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"side_{name}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_readme_gets_the_figures_between_its_marks_and_nothing_else_changes(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}old\n{END}after\n")
    side = {"events_per_second": 1234.0, "cpu_us": 1.0, "each_events_per_second": [10.0]}
    peer = {"reason": "it is not there"}
    latency = {"hub": {"1000": {"p50": 1.2, "p99": 3.4}, "half": {"void": "no time left"}}}
    report = {"sides": {"hub": side, "faust": peer}, "latency": latency, "broker": "apache", "cores": 2}
    write_readme(report, readme, tmp_path / "chart.svg")
    text = readme.read_text()
    assert text.startswith(f"before\n{BEGIN}| side") and text.endswith(f"{END}after\n") and "old" not in text
    assert "| hub | 1 234 | 1.0 | – | – | 1.00 | 1 / 3 | – |" in text
    assert "<svg" in (tmp_path / "chart.svg").read_text()


def test_readme_has_a_place_for_the_figures():
    assert BEGIN in (ROOT / "README.md").read_text() and END in (ROOT / "README.md").read_text()


@pytest.mark.parametrize(("fails", "measured"), [([], True), ([1], True), ([1, 3], True), ([1, 2], False)])
def test_a_run_that_says_nothing_is_made_once_more(
    monkeypatch: pytest.MonkeyPatch, fails: list[int], measured: bool
) -> None:
    """`fails`: which of the runs, in their order, see too few commits."""
    names = list[str]()

    def run_once(room: Any, side: Any, run: str, *_: Any) -> dict[str, float]:
        names.append(run)
        if len(names) - 1 in fails:
            raise ValueError("only 1 commits were seen")
        return {"events_per_second": 100.0, "cpu_us": 1.0, "broker_cpu_us": 1.0, "memory_mib": 1.0}

    monkeypatch.setattr(throughput, "run_once", run_once)
    found = measure(None, [BY_NAME["quixstreams"]], 1, 1, 3, 1.0, lambda _: None)["quixstreams"]  # type: ignore[arg-type]
    assert len(set(names)) == len(names), "each with topics of its own"
    assert (found.runs, found.reason) == ((3, None) if measured else (0, "only 1 commits were seen"))
