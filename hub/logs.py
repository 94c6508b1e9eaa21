"""Structured logs on stderr: one JSON object a line, or for people at a terminal a readable line.

Nobody's personal data gets in: exceptions of libraries are logged by type and place, never by text
(pydantic's and fastavro's texts quote the value).
"""

from __future__ import annotations

import logging
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

import structlog

SPARING_SECONDS = 10.0


def configure(level: str = "INFO", *, json: bool | None = None) -> None:
    """Set up structlog and the standard library's logging alike. `json` None: unless stderr is a terminal."""
    as_json = not sys.stderr.isatty() if json is None else json
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        without_values,
    ]
    end = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=True)
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(without_texts)
    handler.addFilter(Sparing())
    sys.excepthook = _uncaught
    threading.excepthook = lambda args: _uncaught(args.exc_type, args.exc_value, args.exc_traceback)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, end],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in ("aiokafka", "faust", "mode", "asyncio", "httpx"):
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    # kafka-python prints several lines a second while a broker is away; whoever uses it says so once
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(root.level),
        cache_logger_on_first_use=True,
    )


def without_texts(record: logging.LogRecord) -> bool:
    """Replace exceptions among a record's arguments by their type; asyncio writes them into its messages."""
    if record.name == "asyncio" and isinstance(record.msg, str):
        record.msg, record.args = record.msg.splitlines()[0], None
    if isinstance(record.args, tuple):
        record.args = tuple(type(arg).__name__ if isinstance(arg, BaseException) else arg for arg in record.args)
    return True


class Sparing(logging.Filter):
    """Of aiokafka's lines, each kind once in `SPARING_SECONDS`: while a broker is away it prints hundreds a second."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[tuple[str, object], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is said; then also how many were not, since the last one."""
        if not record.name.startswith("aiokafka"):
            return True
        kind = record.name, record.msg
        at, left_out = self._said.get(kind, (float("-inf"), 0))
        if record.created - at < SPARING_SECONDS:
            self._said[kind] = at, left_out + 1
            return False
        self._said[kind] = record.created, 0
        if left_out:
            record.msg, record.args = f"{record.getMessage()} ({left_out} more like it since)", None
        return True


def _uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    """The end of a process or a thread: the type and the place, as everywhere."""
    if issubclass(kind, KeyboardInterrupt):
        return
    logging.getLogger("hub").error("uncaught", exc_info=(kind, error or kind(), trace))


def without_values(_: Any, __: str, entry: dict[str, Any]) -> dict[str, Any]:
    """Replace an exception by its type and the place that raised it."""
    info = entry.pop("exc_info", None)
    record = entry.get("_record")
    if info is None and record is not None:
        info, record.exc_info, record.exc_text = record.exc_info, None, None
    if info is True:
        info = sys.exc_info()
    if isinstance(info, BaseException):
        info = (type(info), info, info.__traceback__)
    if info and info[0] is not None:
        entry["error"] = info[0].__name__
        entry["at"] = _place(info[2])
    return entry


def _place(trace: TracebackType | None) -> str:
    """`file:line` of the innermost frame."""
    if trace is None:
        return "unknown"
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
