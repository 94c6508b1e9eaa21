"""A logger that cannot leak: it takes fixed words and numbers, and no text that came from anywhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from pathlib import Path

import structlog

from hub.sdk.delivery import Delivery

Fact = int | float | bool | None | Enum | Delivery
WORDS = re.compile(r"[a-z][a-z ,;'-]{0,99}")


class Log:
    """`log.warning("receiver refused", status=503, delivery=delivery)`.

    The first argument is lower-case words. A `Delivery` is logged as its event id. Any other value than a
    number, an enum member or a delivery is replaced by the name of its type, an exception's text left out.
    """

    __slots__ = ("_logger",)

    def __init__(self, **bound: str) -> None:
        self._logger = structlog.get_logger("hub.delivery").bind(**bound)

    def info(self, words: str, **facts: Fact) -> None:
        self._logger.info(_checked(words), **_safe(facts))

    def warning(self, words: str, **facts: Fact) -> None:
        self._logger.warning(_checked(words), **_safe(facts))

    def error(self, words: str, **facts: Fact) -> None:
        self._logger.error(_checked(words), **_safe(facts))

    def failed(self, words: str, error: BaseException, **facts: Fact) -> None:
        """An exception as its class, the place that raised it and, where it has one, the system's error number."""
        about: dict[str, object] = {"error": type(error).__name__, "at": _place(error)}
        if isinstance(error, OSError) and error.errno is not None:
            about["errno"] = error.errno
        self._logger.error(_checked(words), **_safe(facts) | about)


def _checked(words: str) -> str:
    return words if WORDS.fullmatch(words) else "a message that is not plain lower-case words was withheld"


def _safe(facts: Mapping[str, object]) -> dict[str, object]:
    return {name: _harmless(value) for name, value in facts.items()}


def _harmless(value: object) -> object:
    if isinstance(value, Delivery):
        return value.event_id
    if isinstance(value, Enum):
        return value.name
    return value if value is None or type(value) in (int, float, bool) else f"<{type(value).__name__}>"


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "unknown"
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
