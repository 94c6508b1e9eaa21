"""Requests over HTTP, as fast as they are answered (closed loop) or at a rate (open loop), from one process.

Every event is another one: ids and persons are written into a template, which costs next to nothing.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass, field

EVENT = (
    b'{"specversion":"1.0","id":"bench-%010d","source":"urn:az:agency:mod",'
    b'"type":"az.zefer.veteran.VeteranStatusGranted","time":"2026-11-23T09:00:00+04:00","datacontenttype":'
    b'"application/json","data":{"fin":"P%06d","surname":"N\xc3\xbcmun\xc9\x99yev","name":"S\xc4\xb1naq","patronymic":null,'
    b'"birth_date":"1980-01-02","category":"WAR","service_branch":"ARMY","conflicts":["PATRIOTIC_2020"],'
    b'"document_number":"V-%010d","document_date":"2026-11-20","effective_from":"2026-11-20","valid_until":null,'
    b'"district":"baki"}}'
)
PERSONS = 20_000
HEAD = (
    b"POST /v1/events HTTP/1.1\r\nhost: hub\r\nauthorization: Bearer %b\r\n"
    b"content-type: %b\r\ncontent-length: %d\r\n\r\n"
)
SINGLE, BATCH = b"application/cloudevents+json", b"application/cloudevents-batch+json"


@dataclass
class Seen:
    """Answers of one run: how many were 202, what else there was, seconds each took (open loop: since it was due)."""

    good: int = 0
    other: dict[int, int] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    elapsed: float = 0.0

    def percentile(self, share: float) -> float:
        """In milliseconds."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * share))]


class Requests:
    """Makes requests of `size` events each (1: a single one); numbers go on from `first`."""

    def __init__(self, token: str, size: int, first: int) -> None:
        self._token, self._size, self._numbers = token.encode(), size, itertools.count(first)

    def next(self) -> bytes:
        if self._size == 1:
            body, kind = self._event(), SINGLE
        else:
            body, kind = b"[" + b",".join(self._event() for _ in range(self._size)) + b"]", BATCH
        return HEAD % (self._token, kind, len(body)) + body

    def _event(self) -> bytes:
        number = next(self._numbers)
        return EVENT % (number, number * 7919 % PERSONS, number)


async def closed_loop(port: int, requests: Requests, connections: int, seconds: float) -> Seen:
    """`connections` callers, each asking again as soon as it has its answer."""
    seen, began = Seen(), time.perf_counter()
    await asyncio.gather(*(_caller(port, requests, began + seconds, seen) for _ in range(connections)))
    seen.elapsed = time.perf_counter() - began
    return seen


async def _caller(port: int, requests: Requests, until: float, seen: Seen) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while (began := time.perf_counter()) < until:
        await _ask(reader, writer, requests, seen, began)
    writer.close()


async def open_loop(port: int, requests: Requests, rate: float, connections: int, seconds: float) -> Seen:
    """`rate` requests a second, each due at its time whatever became of those before it."""
    seen, began = Seen(), time.perf_counter()
    due: asyncio.Queue[float | None] = asyncio.Queue()
    callers = [asyncio.create_task(_serves(port, requests, due, seen)) for _ in range(connections)]
    for number in range(int(rate * seconds)):
        at = began + number / rate
        if (wait := at - time.perf_counter()) > 0.0005:
            await asyncio.sleep(wait)
        due.put_nowait(at)
    for _ in callers:
        due.put_nowait(None)
    await asyncio.gather(*callers)
    seen.elapsed = time.perf_counter() - began
    return seen


async def _serves(port: int, requests: Requests, due: asyncio.Queue[float | None], seen: Seen) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while (at := await due.get()) is not None:
        await _ask(reader, writer, requests, seen, at)
    writer.close()


async def _ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, requests: Requests, seen: Seen, since: float
) -> None:
    writer.write(requests.next())
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head[9:12])
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    await reader.readexactly(int(length))
    seen.seconds.append(time.perf_counter() - since)
    if status == 202:
        seen.good += 1
    else:
        seen.other[status] = seen.other.get(status, 0) + 1
