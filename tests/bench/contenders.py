"""The sides: who they are, what each guarantees, how each is started and stopped."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.room import SECRET, Room

from hub.kafka.address import free_ports

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PEERS_PYTHON = Path(os.environ.get("BENCH_PEERS", ROOT / ".venv-peers")) / "bin" / "python"
STREAMS_POM = HERE / "kafka_streams" / "pom.xml"
STOP_SECONDS = 15.0
READY_SECONDS = 300.0


@dataclass(frozen=True)
class Side:
    """`events`: a share of the run's events, for those that would take all day; `patience`: how much longer than the
    others one may take for it, whose commits come so seldom that few of them say nothing."""

    name: str
    guarantees: str
    program: str
    events: float = 1.0
    patience: float = 1.0


SIDES = (
    Side("hub", "exactly once, fenced; status a function of the set; receipts, audit, headers", "hub"),
    Side(
        "confluent_loop", "exactly once; state read back at start; no receipts, audit or headers", "confluent_loop.py"
    ),
    Side("kafka_streams", "exactly once v2 (JVM); state with changelog; no receipts, audit or headers", "java"),
    Side("quixstreams", "exactly once; state in RocksDB with changelog", "quix_streams.py", 0.5, 2.0),
    Side("faust", "its exactly_once; state in tables with changelog", "plain_faust.py", 0.05, 3.0),
    Side("faststream", "at least once, no transactions; state in memory, not read back", "fast_stream.py", 0.05),
)
BY_NAME = {side.name: side for side in SIDES}


class Unavailable(Exception):
    """This side cannot run on this machine; the text says why."""


@dataclass
class Started:
    """A side that runs: its processes, and the topics to look at (`in, events, status, one, two`).

    `start` starts one more process of it, `ready` says where a process answers when it carries (the hub's).
    """

    processes: list[subprocess.Popen[bytes]]
    topics: Sequence[str]
    log: Path
    start: Callable[[], subprocess.Popen[bytes]] | None = None
    ready: str = ""

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self.processes]

    def alive(self) -> bool:
        return all(process.poll() is None for process in self.processes)

    def again(self) -> float:
        """Stop its one process, start it anew over what is there; seconds until it carries again."""
        assert self.start is not None
        _stop(self.processes)
        self.processes[:] = [self.start()]
        return self.until_ready()

    def until_ready(self) -> float:
        """Seconds from now until its first process carries. Raises `ValueError` where it does not."""
        began = time.monotonic()
        while self.alive() and time.monotonic() - began < READY_SECONDS:
            if _answers(self.ready):
                return time.monotonic() - began
            time.sleep(0.1)
        raise ValueError(f"it was not ready: {self.tail()}")

    def tail(self) -> str:
        return " | ".join(self.log.read_text(errors="replace").splitlines()[-4:])[-600:]


@contextmanager
def started(
    side: Side,
    room: Room,
    run: str,
    inbound: str = "in.src",
    workers: int = 1,
    schemas: Path | None = None,
    fresh: bool = True,
) -> Iterator[Started]:
    """The side over topics of its own, from the first record of `inbound` on; stopped at the end.

    Not `fresh`: the hub goes on with the topics that are there.
    """
    made = _hub(room, run, workers, schemas, fresh) if side.program == "hub" else _peer(side, room, run, inbound)
    try:
        yield made
    finally:
        _stop(made.processes)
        if side.program != "hub":
            room.delete(topic for topic in room.topics() if topic.startswith(f"peer-{run}"))


def _hub(room: Room, run: str, workers: int, schemas: Path | None, fresh: bool) -> Started:
    told = schemas or HERE / "schemas"
    if fresh:
        room.prepare_hub(told)
    environment = {
        "HUB_NAME": f"bench-{run}",
        "HUB_BOOTSTRAP_SERVERS": room.bootstrap,
        "HUB_SCHEMAS": str(told),
        "HUB_PERSON_SECRET": SECRET,
        "HUB_DATA_DIR": str(room.folder / run),
        "HUB_LOG_LEVEL": "WARNING",
    }
    log = room.folder / f"{run}.log"
    command = [sys.executable, "-m", "hub", "worker"]
    port = free_ports(1)[0]

    def start() -> subprocess.Popen[bytes]:
        return _spawn(command, environment | {"HUB_METRICS_PORT": str(port)}, log)

    processes = [start(), *(_spawn(command, environment, log) for _ in range(workers - 1))]
    topics = ("in.src", "events.veteran", "status.person", "out.one", "out.two")
    return Started(processes, topics, log, start, f"http://127.0.0.1:{port}/readyz")


def _peer(side: Side, room: Room, run: str, inbound: str) -> Started:
    topics = (inbound, *(f"peer-{run}-{name}" for name in ("events", "status", "one", "two")))
    room.create([topics[1], *topics[3:]])
    room.create([topics[2]], **{"cleanup.policy": "compact"})
    folder = room.folder / f"peer-{run}"
    folder.mkdir()
    environment = {
        "BENCH_BOOTSTRAP": room.bootstrap,
        "BENCH_GROUP": f"peer-{run}",
        "BENCH_TOPICS": ",".join(topics),
        "BENCH_JOB": str(room.folder / "job.json"),
        "BENCH_FOLDER": str(folder),
    }
    log = room.folder / f"{run}.log"
    return Started([_spawn(_command(side), environment, log, folder)], topics, log)


def _command(side: Side) -> list[str]:
    if side.program == "java":
        return [find_streams()[0], "-Xmx1g", "-cp", f"{find_streams()[1]}/*", "bench.App"]
    own = side.name == "confluent_loop"
    if not own and not PEERS_PYTHON.exists():
        raise Unavailable("its packages are not installed (`make bench` installs them into .venv-peers)")
    return [sys.executable if own else str(PEERS_PYTHON), str(HERE / "sides" / side.program)]


def find_streams() -> tuple[str, Path]:
    """Java, and the folder of jars, built with Maven the first time. Raises `Unavailable`."""
    java, maven = shutil.which("java"), shutil.which("mvn")
    if java is None or maven is None:
        raise Unavailable(f"needs a JDK and Maven: no {'java' if java is None else 'mvn'} here")
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "zefer-hub" / "kafka-streams-peer"
    sources = [STREAMS_POM, *STREAMS_POM.parent.rglob("*.java")]
    stamp = home / "built"
    if not stamp.exists() or stamp.stat().st_mtime < max(source.stat().st_mtime for source in sources):
        _build(maven, home)
        stamp.touch()
    return java, home / "jars"


def _build(maven: str, home: Path) -> None:
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(STREAMS_POM.parent, home / "source", ignore=shutil.ignore_patterns("target"))
    goals = ["package", "dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={home / 'jars'}"]
    done = subprocess.run([maven, "-q", "-B", *goals], cwd=home / "source", capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Unavailable(f"Maven could not build it: {(done.stdout + done.stderr).strip()[-300:]}")
    shutil.copy(home / "source" / "target" / "kafka-streams-peer-1.jar", home / "jars")


def _spawn(
    command: Sequence[str], environment: Mapping[str, str], log: Path, folder: Path | None = None
) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            command, env={**os.environ, **environment}, cwd=folder, stdout=output, stderr=output, start_new_session=True
        )


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for process in processes:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
