"""Records that the hub wrote, unpacked by the schema they were written with, whenever that was registered."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from hub.admin.records import Unpacker, schema_id_of
from hub.errors import Retry
from hub.registry.schemas import Schemas

ASK_AGAIN_SECONDS = 5.0

log = structlog.get_logger(__name__)

Unpack = Callable[[bytes | None], tuple[str, Mapping[str, Any]] | None]
"""Wire bytes → the record's name and its plain value; None for what the hub did not write."""


class Registered:
    """An `Unpack` over the registry. An id that is not known yet is asked for, at most every few seconds. Raises
    `Retry` where that fails: what cannot be judged must not be passed over."""

    def __init__(self, read: Callable[[], Schemas]) -> None:
        self._read = read
        self._unpacker = Unpacker(read())
        self._asked: dict[int, float] = {}
        self._lock = threading.Lock()

    def __call__(self, data: bytes | None) -> tuple[str, Mapping[str, Any]] | None:
        if data is None:
            return None
        try:
            return self._unpacker.unpack(data)
        except KeyError:
            return self._again(data)
        except Exception as error:  # whoever wrote it had no business here: the others are still to be read
            log.warning("a record that the hub did not write is passed over", error=type(error).__name__)
            return None

    def _again(self, data: bytes) -> tuple[str, Mapping[str, Any]] | None:
        with self._lock:
            id, now = schema_id_of(data), time.monotonic()
            if now - self._asked.get(id, -ASK_AGAIN_SECONDS) >= ASK_AGAIN_SECONDS:
                try:
                    self._unpacker = Unpacker(self._read())
                except Exception as error:
                    raise Retry(f"the schemas cannot be read: {type(error).__name__}") from error
                self._asked[id] = now
        try:
            return self._unpacker.unpack(data)
        except KeyError:
            log.warning("a record of an unknown schema is passed over")
            return None
