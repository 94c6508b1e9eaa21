"""Whatever raises, a log line says what kind of error and where; the text, which may quote a person, stays out."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import fastavro
import pytest
import structlog
from fastavro.validation import validate
from pydantic import BaseModel

from hub import logs

CANARY = "CANARY-5ZK3LMP"


class Person(BaseModel):
    age: int


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What was logged so far, as JSON; logging is as it was before when the test ends."""
    stream, root = io.StringIO(), logging.getLogger()
    handlers, level, before = root.handlers[:], root.level, structlog.get_config()
    levels = {
        name: logging.getLogger(name).level for name in ("aiokafka", "faust", "mode", "asyncio", "kafka", "httpx")
    }
    monkeypatch.setattr(sys, "stderr", stream)
    logs.configure("DEBUG", json=True)
    structlog.configure(cache_logger_on_first_use=False)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, was in levels.items():
        logging.getLogger(name).setLevel(was)
    structlog.configure(**before)


def pydantic_quotes() -> None:
    Person.model_validate({"age": CANARY})


def fastavro_quotes() -> None:
    schema = {"type": "record", "name": "R", "fields": [{"name": "age", "type": "int"}]}
    validate({"age": CANARY}, fastavro.parse_schema(schema), raise_errors=True)


def lookup_quotes() -> None:
    {}[CANARY]


def chain_quotes() -> None:
    try:
        raise ValueError(CANARY)
    except ValueError as error:
        raise RuntimeError(f"because of {CANARY}") from error


def group_quotes() -> None:
    raise ExceptionGroup(CANARY, [ValueError(CANARY)])


def note_quotes() -> None:
    error = OSError(5, CANARY, CANARY)
    error.add_note(CANARY)
    raise error


RAISES = [pydantic_quotes, fastavro_quotes, lookup_quotes, chain_quotes, group_quotes, note_quotes]
raising = pytest.mark.parametrize("raises", RAISES)


@raising
def test_the_examples_do_quote_the_value(raises: Callable[[], None]) -> None:
    with pytest.raises(Exception) as error:
        raises()
    assert CANARY in repr(error.value) + str(error.value)


@raising
@pytest.mark.parametrize("logger", [structlog.get_logger("hub.test"), logging.getLogger("some.library")])
def test_an_exception_is_logged_by_type_and_place(raises: Callable[[], None], logger: Any, lines: Any) -> None:
    try:
        raises()
    except Exception as error:
        logger.exception("it failed")
        logger.error("it failed", exc_info=error)  # as libraries do it
        logger.warning("it failed", exc_info=(type(error), error, error.__traceback__))
        kind = type(error).__name__
    assert len(lines()) == 3
    for line in lines():
        assert CANARY not in json.dumps(line)
        assert (line["event"], line["error"]) == ("it failed", kind)
        assert line["at"].rpartition(":")[2].isdigit()


def test_the_place_is_where_it_was_raised(lines: Any) -> None:
    try:
        lookup_quotes()
    except KeyError:
        structlog.get_logger("hub.test").exception("it failed")
    number = lookup_quotes.__code__.co_firstlineno + 1
    assert lines()[0]["at"] == f"test_logs.py:{number}"


def test_a_line_is_one_json_object_with_time_level_and_name(lines: Any) -> None:
    structlog.get_logger("hub.engine.lane").info("assigned", lane="gate", numbers=[1, 2])
    logging.getLogger("aiokafka.consumer").warning("something of %s", "a library")
    first, second = lines()
    assert first["event"] == "assigned" and first["numbers"] == [1, 2] and first["level"] == "info"
    assert first["logger"] == "hub.engine.lane" and first["timestamp"].endswith("Z")
    assert second["event"] == "something of a library" and second["level"] == "warning"


def test_what_is_below_the_level_is_not_written(monkeypatch: pytest.MonkeyPatch, lines: Any) -> None:
    logs.configure("WARNING", json=True)
    structlog.configure(cache_logger_on_first_use=False)
    structlog.get_logger("hub.test").info("quiet")
    logging.getLogger("any").info("quiet")
    assert lines() == []


def test_a_task_that_nobody_awaited_does_not_quote_either(lines: Any) -> None:
    async def fail() -> None:
        raise ValueError(CANARY)

    async def forget() -> None:
        task = asyncio.ensure_future(fail())
        await asyncio.sleep(0)
        del task

    asyncio.run(forget())
    assert [line["logger"] for line in lines()] == ["asyncio"]
    assert CANARY not in json.dumps(lines())


def test_an_exception_as_an_argument_does_not_quote_either(lines: Any) -> None:
    """As mode says it: `log.exception("Crashed reason=%r", reason)`."""
    error = ValueError(CANARY)
    for text in ("Crashed reason=%r", "Error: %s"):
        logging.getLogger("mode.services").error(text, error, exc_info=error)
    assert len(lines()) == 2 and CANARY not in json.dumps(lines())


def test_a_process_that_ends_by_an_exception_does_not_quote_either() -> None:
    program = f"from hub import logs; logs.configure(json=True)\nraise ValueError({CANARY!r}.lower())"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 1 and CANARY.lower() not in ended.stderr


def test_a_thread_that_ends_by_an_exception_does_not_quote_either() -> None:
    program = (
        "import threading\nfrom hub import logs; logs.configure(json=True)\n"
        f"def work(): raise ValueError({CANARY!r}.lower())\nt = threading.Thread(target=work); t.start(); t.join()"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert CANARY.lower() not in ended.stderr


def test_what_a_client_says_again_and_again_is_said_once_and_counted() -> None:
    """As aiokafka does for each attempt, while a broker is away."""
    sparing, said = logs.Sparing(), []
    unable = "Unable connect to node with id %s"
    lines = [(100 + n, unable, n) for n in range(9)] + [(111, unable, 9), (112, "Topic %s is not there", "out.mod")]
    for at, text, about in lines:
        made = {"name": "aiokafka.client", "msg": text, "args": (about,), "created": float(at)}
        record = logging.makeLogRecord(made)
        if sparing.filter(record):
            said.append(record.getMessage())
    assert said == [
        "Unable connect to node with id 0",
        "Unable connect to node with id 9 (8 more like it since)",
        "Topic out.mod is not there",
    ]
    assert all(sparing.filter(logging.makeLogRecord({"name": "hub", "msg": "x"})) for _ in range(3))


def test_no_request_of_the_agencies_client_is_a_line(lines: Callable[[], list[dict[str, Any]]]) -> None:
    logging.getLogger("httpx").info("HTTP Request: GET http://hub/v1/events/x")
    assert lines() == []
