"""The client: one method for each thing that an agency does. For one thread."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote
from uuid import uuid4

import httpx

from hub.client.errors import HubAway, HubProblem, sendable
from hub.client.results import Identity, Outcome, Receipts, Status, Story
from hub.client.retry import Retry

SOURCE = "urn:az:agency:"
BATCH_EVENTS = 100
BATCH_BYTES = 1 << 20
TIMEOUT = 30.0
SINGLE, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"


class Client:
    """Speaks for one agency. `url` is the gateway's; give a `token`, or a client `certificate` (file, key file).

    Space around the token, such as the end of its file's line, is left away. Raises `NotSent` for what is none.
    `ca`: certificates to trust, where it is not the machine's own. `language`: of what is for people, az or en.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        certificate: tuple[Path, Path] | None = None,
        ca: Path | None = None,
        language: str = "en",
        timeout: float = TIMEOUT,
        retry: Retry | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        headers = {"Accept-Language": language}
        if token:
            headers["Authorization"] = f"Bearer {token.strip()}"
        trust = _trust(ca, certificate)
        with sendable():
            self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout, verify=trust, transport=transport)
        self._retry = retry or Retry()
        self._timeout = timeout
        self._source: str | None = None

    def publish(self, type: str, data: Mapping[str, Any], **attributes: Any) -> Outcome:
        """Publish one event. `attributes`: id, time, sequence and others of CloudEvents; id and time are made where
        they are not given. Raises `HubProblem` where the request as a whole is refused, `HubAway`
        with the `event` to send again: made anew it would be another one."""
        event = self.event_of(type, data, **attributes)
        try:
            answer = self._post("/v1/events", event, SINGLE)
        except HubAway as away:
            away.event = event
            raise
        return self._outcomes(answer, [event])[0]

    def publish_many(self, events: Iterable[Mapping[str, Any]], *, dry_run: bool = False) -> Iterator[Outcome]:
        """Publish CloudEvents (see `event_of`) in requests of a size that the hub takes; outcomes in the same order.

        Lazy: it goes on as the outcomes are taken. After an error begin again with the events that have none yet,
        or with all of them: what the hub has is then a duplicate.
        """
        for batch in _batches(events):
            yield from self._publish_batch(batch, dry_run)

    def explain(self, type: str, data: Mapping[str, Any], **attributes: Any) -> Outcome:
        """What would happen to such an event; nothing is stored."""
        return next(iter(self.publish_many([self.event_of(type, data, **attributes)], dry_run=True)))

    def event_of(self, type: str, data: Mapping[str, Any], **attributes: Any) -> dict[str, Any]:
        """A CloudEvent as JSON. Made once and sent as often as it takes, it is the same event."""
        made = {"id": str(uuid4()), "time": datetime.now(UTC).isoformat(timespec="milliseconds")}
        given = {
            name: value.isoformat() if isinstance(value, datetime) else str(value)
            for name, value in attributes.items()
            if value is not None
        }
        if "id" in given and "time" not in given:
            raise ValueError("give `time` beside `id`: sent again with another time it would be another event")
        fixed = {"specversion": "1.0", "source": self.source, "type": type, "datacontenttype": "application/json"}
        return {**fixed, **made, **given, "data": dict(data)}

    def event(self, id: str, *, wait: float = 0) -> Story:
        """What became of your own id; waits up to `wait` seconds. `HubProblem` 404 where nothing is known of it."""
        return Story.of(self._get(f"/v1/events/{quote(id, safe='')}", {"wait": wait} if wait else {}, wait))

    def receipts(self, since: str | None = None, *, limit: int = 100, wait: float = 0) -> Receipts:
        """The receipts after `since`; waits up to `wait` seconds for the first."""
        asked = {"limit": limit, **({"since": since} if since else {}), **({"wait": wait} if wait else {})}
        return Receipts.of(self._get("/v1/receipts", asked, wait))

    def status(self, fin: str, *, as_of: date | None = None, after: str | None = None) -> Status:
        """A person's status, as far as you may see it. `after`: an id of yours that the answer should have in it."""
        question = {"fin": fin, "as_of": as_of and as_of.isoformat(), "after": after}
        given = {name: value for name, value in question.items() if value is not None}
        return Status.of(_read(self._post("/v1/status/query", given, "application/json")))

    def whoami(self) -> Identity:
        """Who the hub takes you for, and what you may do."""
        return Identity.of(self._get("/v1/whoami", {}))

    @property
    def source(self) -> str:
        """`source` of your events; asked for once."""
        if self._source is None:
            self._source = SOURCE + self.whoami().agency
        return self._source

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _publish_batch(self, batch: list[Mapping[str, Any]], dry_run: bool) -> Iterator[Outcome]:
        """In halves where the hub says that it is too much at once."""
        answer = self._post("/v1/events", batch, BATCH, {"dry_run": "true"} if dry_run else {})
        if answer.status_code == 413 and len(batch) > 1:
            middle = len(batch) // 2
            yield from self._publish_batch(batch[:middle], dry_run)
            yield from self._publish_batch(batch[middle:], dry_run)
            return
        yield from self._outcomes(answer, batch)

    def _outcomes(self, answer: httpx.Response, events: list[Any]) -> list[Outcome]:
        """An outcome for each event, from the hub's items or from its word on the request."""
        body = _json(answer)
        items = body.get("items") or body.get("results") if isinstance(body, Mapping) else body
        if items is None and isinstance(body, Mapping) and "status" in body and "id" in body:
            items = [body]
        if not isinstance(items, list) or len(items) != len(events):
            raise HubProblem(answer.status_code, body if isinstance(body, Mapping) else {})
        return [Outcome.of(item) for item in items]

    def _post(self, path: str, value: Any, kind: str, asked: Mapping[str, Any] | None = None) -> httpx.Response:
        content = json.dumps(value, ensure_ascii=False).encode()
        headers = {"Content-Type": kind}
        return self._retry.send(lambda: self._http.post(path, content=content, headers=headers, params=asked))

    def _get(self, path: str, asked: Mapping[str, Any], wait: float = 0) -> Any:
        timeout = self._timeout + wait
        return _read(self._retry.send(lambda: self._http.get(path, params=asked, timeout=timeout)))


def _batches(events: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    batch: list[Mapping[str, Any]] = []
    size = 0
    for event in events:
        length = len(json.dumps(event, ensure_ascii=False).encode()) + 2
        if batch and (len(batch) == BATCH_EVENTS or size + length > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(event)
        size += length
    if batch:
        yield batch


def _read(answer: httpx.Response) -> Any:
    body = _json(answer)
    if answer.is_success:
        return body
    raise HubProblem(answer.status_code, body if isinstance(body, Mapping) else {})


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        raise HubProblem(answer.status_code, {"detail": "the answer is no JSON: is this the hub's gateway?"}) from None


def _trust(ca: Path | None, certificate: tuple[Path, Path] | None) -> ssl.SSLContext | bool:
    if ca is None and certificate is None:
        return True
    context = ssl.create_default_context(cafile=ca)
    if certificate:
        context.load_cert_chain(*certificate)
    return context
