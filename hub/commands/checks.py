"""What `hub doctor` looks at: one function a check, each with what it found and what to do about it."""

from __future__ import annotations

import os
import shutil
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Iterator, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import SecretStr

from hub import registry
from hub.access.token_file import read
from hub.admin import keys, pauses, topics
from hub.catalogue import Catalogue
from hub.commands.terminal import catalogue_of
from hub.errors import ConfigError, HubError, SchemaError
from hub.kafka.clients import producer
from hub.kafka.connection import Connection
from hub.machine.running import announced, connect, secret
from hub.settings import Settings

HIDDEN = "**********"
DISK_FREE = 1 << 30
SKEW_SECONDS = 2.0
CLOCK = b"clock"
KEY = "key of the pseudonyms"


class Setting(NamedTuple):
    """A setting as this process has it. `source`: option, environment, the file's name, or default."""

    name: str
    value: str
    source: str


class Check(NamedTuple):
    """`ok` None: could not be looked at, because something above is wrong."""

    name: str
    ok: bool | None
    found: str
    fix: str = ""


def settings(found: Settings, options: Mapping[str, Any]) -> Iterator[Setting]:
    """Every setting, where it came from; secrets hidden."""
    environment = {name.upper() for name in os.environ}
    in_file, file = _file()
    for name in Settings.model_fields:
        variable = f"HUB_{name.upper()}"
        if options.get(name) is not None:
            source = "option"
        elif variable in environment:
            source = "environment"
        else:
            source = file if name in in_file else "default"
        yield Setting(variable, _shown(getattr(found, name)), source)


def checks(found: Settings) -> Iterator[Check]:
    """All checks, in the order in which one needs the other."""
    yield _data_dir(found.data_dir)
    yield _disk(found.data_dir)
    catalogue = yield from _catalogue(found)
    yield _tokens(found, catalogue)
    connection = yield from _broker(found)
    yield from _at_the_broker(found, catalogue, connection)
    yield from _processes(found)


def _shown(value: Any) -> str:
    if isinstance(value, SecretStr):
        return HIDDEN
    return "" if value is None else str(value)


def _file() -> tuple[set[str], str]:
    name = os.environ.get("HUB_CONFIG", "")
    if not name:
        return set(), ""
    text = Path(name).read_text(encoding="utf-8")
    values = tomllib.loads(text) if name.endswith(".toml") else yaml.safe_load(text)
    return set(values or ()), name


def _data_dir(folder: Path) -> Check:
    probe = folder / f".doctor-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        return Check("data folder", False, f"{folder}: {error.strerror}", "give this user the right to write there")
    return Check("data folder", True, f"{folder.resolve()} can be written")


def _disk(folder: Path) -> Check:
    if not folder.exists():
        return Check("disk", None, "the data folder is not there")
    free = shutil.disk_usage(folder).free
    return Check("disk", free > DISK_FREE, f"{free >> 20} MiB free", "make room: at least 1 GiB")


def _catalogue(found: Settings) -> Generator[Check, None, Catalogue | None]:
    try:
        catalogue = catalogue_of(found)
    except SchemaError as error:
        yield Check("catalogue", False, f"{len(error.problems)} problems", "`hub schema check` names them")
        return None
    yield Check("catalogue", True, f"{len(catalogue.types)} event types, {len(catalogue.agencies)} agencies")
    return catalogue


def _tokens(found: Settings, catalogue: Catalogue | None) -> Check:
    """A hub without tokens is one that nobody has begun to use over HTTP."""
    path = found.tokens_file()
    try:
        tokens = [token for token in read(path) if token.state(time.time()) in ("valid", "ending")]
    except ConfigError as error:
        return Check("tokens", False, str(error), "servers that run go on with those that they knew; none starts")
    if not tokens:
        return Check("tokens", True, f"none in {path}: `hub token issue AGENCY` makes one")
    lost = [token.id for token in tokens if catalogue and token.agency not in catalogue.agencies]
    said = f"{len(tokens)} valid, of {len({token.agency for token in tokens})} agencies"
    if lost:
        return Check("tokens", False, f"{said}; {lost[0]} is of no agency of the catalogue", "`hub token revoke` it")
    return Check("tokens", True, said)


def _broker(found: Settings) -> Generator[Check, None, Connection | None]:
    try:
        connection = connect(found)
        began = time.monotonic()
        keys.fingerprint_there(connection)
    except HubError as error:
        yield Check("broker", False, str(error), "start it, or name it in HUB_BOOTSTRAP_SERVERS")
        return None
    yield Check("broker", True, f"{connection.bootstrap} answers in {1000 * (time.monotonic() - began):.0f} ms")
    return connection


def _at_the_broker(found: Settings, catalogue: Catalogue | None, connection: Connection | None) -> Iterator[Check]:
    if catalogue is None or connection is None:
        for name in ("topics", "schemas", KEY, "clock", "agencies"):
            yield Check(name, None, "not looked at: see above")
        return
    looks: list[tuple[str, Callable[[], Check]]] = [
        ("topics", lambda: _topics(found, catalogue, connection)),
        ("schemas", lambda: _schemas(catalogue, connection)),
        (KEY, lambda: _key(found, connection)),
        ("clock", lambda: _clock(connection)),
        ("agencies", lambda: _agencies(connection)),
    ]
    for name, look in looks:
        yield _guarded(name, look)


def _guarded(name: str, look: Callable[[], Check]) -> Check:
    try:
        return look()
    except Exception as error:  # whatever a broker or registry answers: a doctor names it and goes on
        said = str(error) if isinstance(error, HubError) else type(error).__name__
        return Check(name, False, said, "see the broker's log")


def _topics(found: Settings, catalogue: Catalogue, connection: Connection) -> Check:
    planned = topics.plan_for(connection, catalogue, found.partitions, found.replication)
    differ = len(planned.drift) + len(planned.shorter)
    what = [f"{len(planned.create)} missing", f"{len(planned.alter)} to mend", f"{differ} differ"]
    if planned.empty and not differ:
        return Check("topics", True, f"{len(planned.unchanged)} as the catalogue wants them")
    fix = "`hub topics plan` names them"
    if not planned.empty:
        fix += ", `hub topics apply` makes and mends them"
    if planned.copies:
        fix += f", `hub topics apply --copies` gives {len(planned.copies)} the copies that they lack"
    return Check("topics", False, ", ".join(what), fix)


def _schemas(catalogue: Catalogue, connection: Connection) -> Check:
    known = registry.read(connection)
    missing = [subject for subject, text in catalogue.schemas() if known.same(subject, text) is None]
    if missing:
        return Check("schemas", False, f"{len(missing)} not registered ({missing[0]}…)", "`hub topics apply` does")
    return Check("schemas", True, f"{len(known.subjects())} subjects registered")


def _key(found: Settings, connection: Connection) -> Check:
    match keys.compare(connection, secret(found)):
        case keys.Match.SAME:
            return Check(KEY, True, "the one that this hub began with")
        case keys.Match.UNKNOWN:
            return Check(KEY, True, "no worker has run yet: the first one sets it")
    return Check(
        KEY,
        False,
        "HUB_PERSON_SECRET is not the one that this hub began with",
        "set the former one: under another key every person becomes another one",
    )


def _clock(connection: Connection) -> Check:
    """The broker stamps a record on arrival; ours is somewhere between before and after."""
    with producer(connection) as client:
        before = time.time()
        stamped = client.send(keys.TOPIC, key=CLOCK, value=b"", partition=0).get(timeout=15).timestamp / 1000
        after = time.time()
    skew = max(before - stamped, stamped - after, 0.0)
    fix = "set both clocks by NTP: times on receipts come from both"
    return Check("clock", skew < SKEW_SECONDS, f"{skew:.1f} s from the broker's", fix)


def _agencies(connection: Connection) -> Check:
    """Nothing of a paused one is taken: that is somebody's to end."""
    paused = pauses.pauses(connection)
    if not paused:
        return Check("agencies", True, "none is paused")
    fix = "`hub agency list` says why; once that is mended, `hub agency resume AGENCY`"
    return Check("agencies", False, f"paused: {', '.join(sorted(paused))}", fix)


def _processes(found: Settings) -> Iterator[Check]:
    ports: dict[str, int] = announced(found.data_dir)
    if not ports and found.metrics_port:
        ports = {"process": found.metrics_port}
    if not ports:
        yield Check("processes", None, f"none is known in {found.data_dir}; HUB_METRICS_PORT names one to look at")
    for name, port in ports.items():
        yield _process(name, f"http://{found.metrics_host}:{port}")


def _process(name: str, url: str) -> Check:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=3):  # noqa: S310 - an address of our own making
            return Check(name, True, f"{url} is ready")
    except urllib.error.HTTPError as error:
        return Check(name, False, f"{url}/readyz answers {error.code}", "it may still be reading; its log says more")
    except (OSError, HTTPException):
        return Check(name, False, f"nothing answers at {url}", "start it, or look at the end of its log")
