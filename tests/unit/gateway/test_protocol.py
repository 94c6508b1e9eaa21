"""Abuse over raw sockets: clear refusals, and a connection that ends."""

from __future__ import annotations

import gc
import gzip
import json
import resource
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pytest
import uvicorn
import uvloop
from gateway_room import Room, event

from hub.access.connections import CONNECTIONS, FILES, Loop, within_files
from hub.gateway import protocol
from hub.gateway.bounds import Bounds
from hub.gateway.protocol import BoundedProtocol

GONE = (BrokenPipeError, ConnectionResetError)
AUTH = "Authorization: Bearer mod\r\nContent-Type: application/cloudevents+json\r\n"


@contextmanager
def serving(room: Room) -> Iterator[int]:
    """A real server over the gateway in memory; its port."""
    with running(room.app) as (_, port):
        yield port


@contextmanager
def running(app: Any, sent: int | None = None) -> Iterator[tuple[uvicorn.Server, int]]:
    """On the doors' own event loop; with its port. `sent`: about so many bytes of an answer fit into a socket."""
    config = uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        server_header=False,
    )
    server, bound = uvicorn.Server(config), socket.create_server(("127.0.0.1", 0))
    if sent is not None:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, sent)
    serve = lambda: uvloop.run(server.serve([bound]), loop_factory=Loop)  # noqa: E731
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield server, bound.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.4)
    monkeypatch.setattr(protocol, "LINGER_SECONDS", 0.2)
    with serving(Room(Bounds(body_bytes=100_000, body_seconds=0.4))) as number:
        yield number


def talk(port: int, *parts: bytes | Callable[[], bytes | None], seconds: float = 10) -> tuple[int, dict[str, Any]]:
    """Send and read to the end; (status, problem). A part that is a function is called until it gives None."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as sock:
        try:
            for part in parts:
                if isinstance(part, bytes):
                    sock.sendall(part)
                    continue
                while (piece := part()) is not None:
                    sock.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass
        return answered(sock)


def answered(sock: socket.socket) -> tuple[int, dict[str, Any]]:
    head, data = b"", b""
    try:
        while b"\r\n\r\n" not in data and (piece := sock.recv(65_536)):
            data += piece
        head, _, data = data.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        while len(data) < length and (piece := sock.recv(65_536)):
            data += piece
    except ConnectionResetError:
        pass
    return int(head[9:12]), json.loads(data) if data else {}


def pour(sock: socket.socket, piece: bytes, seconds: float = 20) -> None:
    """Send for as long as it is taken."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        sock.sendall(piece)


def times(count: int, piece: bytes) -> Callable[[], bytes | None]:
    left = iter([piece] * count)
    return lambda: next(left, None)


def head(length: int | str, more: str = "") -> bytes:
    said = f"Transfer-Encoding: {length}" if isinstance(length, str) else f"Content-Length: {length}"
    return f"POST /v1/events HTTP/1.1\r\nHost: hub\r\n{AUTH}{more}{said}\r\n\r\n".encode()


def test_an_event_goes_through(port: int) -> None:
    body = json.dumps(event()).encode()
    assert talk(port, head(len(body)), body)[0] == 202
    assert talk(port, head("chunked"), b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))[0] == 202


def everything(port: int, *parts: bytes) -> bytes:
    """Sent at once; all that comes until the connection is closed."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(b"".join(parts))
        return b"".join(iter(lambda: sock.recv(65_536), b""))


@pytest.mark.parametrize("made", [[], [event(id="a")], [event(id="a"), {}], [{}]], ids=["200", "202", "207", "422"])
def test_an_answer_in_one_go_says_what_any_server_would(made: list[Any]) -> None:
    dry = b"?dry_run=true" if not made else b""
    body = json.dumps(made).encode()
    asked = head(len(body), "Connection: close\r\nAccept-Language: az\r\n").replace(b"/v1/events", b"/v1/events" + dry)
    asked = asked.replace(b"cloudevents+json", b"cloudevents-batch+json")
    with serving(Room()) as port:
        first, _, said = everything(port, asked, body).partition(b"\r\n\r\n")
    status, *lines = first.decode().split("\r\n")
    answer = Room().publish(made, headers={"Accept-Language": "az"}, params={"dry_run": "true"} if dry else {})
    assert status == f"HTTP/1.1 {answer.status_code} {answer.reason_phrase}" and said == answer.content
    headers = dict(line.split(": ", 1) for line in lines)
    assert headers.pop("date").endswith("GMT") and headers.pop("connection") == "close"
    assert headers == dict(answer.headers)


def test_what_was_asked_is_gone_once_it_is_answered() -> None:
    """Without a collection: strangers are answered too, and what they sent may be large."""
    asked = list[weakref.ref[Any]]()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        asked.append(weakref.ref(send.__self__))
        await send({"type": "http.response.start", "status": 403, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    gc.collect()
    gc.disable()
    try:
        with running(app) as (_, port):
            everything(port, *[head(0)] * 3, head(0, "Connection: close\r\n"))
        assert [each() for each in asked[:3]] == [None] * 3, "the last one is its connection's until that is gone"
    finally:
        gc.enable()


def test_answers_to_requests_sent_together_come_in_their_order(port: int) -> None:
    bodies = [json.dumps(event(id=id)).encode() for id in "abc"]
    asked = [part for body in bodies for part in (head(len(body)), body)]
    last = head(len(bodies[0]), "Connection: close\r\n") + bodies[0]
    answers = everything(port, *asked, last).split(b"HTTP/1.1 202 Accepted")[1:]
    items = [json.loads(answer.partition(b"\r\n\r\n")[2])["items"][0] for answer in answers]
    assert [(item["id"], item["status"]) for item in items] == [
        *((id, "accepted") for id in "abc"),
        ("a", "duplicate"),
    ]


def test_a_hundred_thousand_headers(port: int) -> None:
    status, said = talk(port, b"GET /v1/whoami HTTP/1.1\r\n", times(100, b"x: y\r\n" * 1_000), b"\r\n")
    assert (status, said["code"]) == (431, "headers_too_large")


def test_one_header_without_end(port: int) -> None:
    status, said = talk(port, b"GET /v1/whoami HTTP/1.1\r\nx: ", times(200, b"y" * 65_536))
    assert (status, said["code"]) == (431, "headers_too_large")


def test_an_address_without_end(port: int) -> None:
    status, said = talk(port, b"GET /", times(200, b"y" * 65_536))
    assert (status, said["code"]) == (414, "address_too_long")


def test_a_trailer_without_end(port: int) -> None:
    """After a chunked body there may be headers again."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(head("chunked") + b"2\r\n{}\r\n0\r\nx: ")
        with pytest.raises(GONE):
            pour(sock, b"y" * 65_536)


@pytest.mark.parametrize("first", [b"", b"GET /v1/whoami HTTP/1.1\r\nx: y\r\n"])
def test_a_head_that_does_not_come(port: int, first: bytes) -> None:
    began = time.monotonic()
    status, said = talk(port, first)
    assert (status, said["code"]) == (408, "body_too_slow") and time.monotonic() - began < 5


def test_a_body_that_comes_too_slowly(port: int) -> None:
    began = time.monotonic()
    status, said = talk(port, head(1_000), b"{")
    assert (status, said["code"]) == (408, "body_too_slow") and time.monotonic() - began < 5


def test_a_body_that_says_it_is_large_is_refused_before_it_comes(port: int) -> None:
    status, said = talk(port, head(10**12))
    assert (status, said["code"]) == (413, "body_too_large")


def test_a_body_that_does_not_say_so_is_refused_when_it_is(port: int) -> None:
    status, said = talk(port, head("chunked"), times(20, b"4000\r\n" + b" " * 0x4000 + b"\r\n"))
    assert (status, said["code"]) == (413, "body_too_large")


def test_what_nobody_wants_any_more_is_not_taken_for_ever(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(head(10**12))
        with pytest.raises(GONE):
            pour(sock, b" " * 65_536)


def test_a_compressed_body_is_not_unpacked(port: int) -> None:
    bomb = gzip.compress(b" " * 10_000_000)
    status, said = talk(port, head(len(bomb), "Content-Encoding: gzip\r\n"), bomb)
    assert (status, said["code"]) == (415, "content_encoding_unsupported")


@pytest.mark.parametrize(
    "said",
    [
        b"hello\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /v1/events HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST /v1/events HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/events HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_what_is_no_http_is_a_400(port: int, said: bytes) -> None:
    status, problem = talk(port, said)
    assert (status, problem["code"]) == (400, "request_malformed")


def test_many_requests_at_once_on_one_connection_are_bounded(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(b"GET /v1/whoami HTTP/1.1\r\nHost: hub\r\n\r\n" * 5_000)
        data = b""
        while piece := sock.recv(1 << 20):
            data += piece
    assert 1 <= data.count(b"HTTP/1.1 401") <= protocol.PIPELINED + 2


def test_one_connection_serves_many_requests_after_each_other(port: int) -> None:
    body = json.dumps(event()).encode()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        for _ in range(50):
            sock.sendall(head(len(body)) + body)
            assert answered(sock)[0] == 202


def test_the_next_request_is_answered_after_a_refused_one(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(head(200_000) + b" " * 200_000)
        assert answered(sock)[0] == 413
        body = json.dumps(event()).encode()
        sock.sendall(head(len(body)) + body)
        assert answered(sock)[0] == 202


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., socket.socket]]:
    """Of a gateway with room for three connections: opens one, sends what is given, and reads the answer to it."""
    monkeypatch.setattr(protocol, "CONNECTIONS", 3)
    with serving(Room(Bounds(body_seconds=10))) as port, ExitStack() as stack:

        def opened(*parts: bytes, status: int = 0) -> socket.socket:
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
            sock.sendall(b"".join(parts))
            if status:
                assert answered(sock)[0] == status
                time.sleep(0.005)  # the loop's clock has milliseconds: the next one is later
            else:
                time.sleep(0.05)  # it has come before the next one
            return sock

        yield opened


WHOAMI = b"GET /v1/whoami HTTP/1.1\r\nHost: hub\r\n"
PROOF = AUTH.encode() + b"\r\n"


def closed(sock: socket.socket, seconds: float = 0.3) -> bool:
    sock.settimeout(seconds)
    try:
        return sock.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True


@pytest.mark.parametrize(
    "asked", [b"", b"GET /v1/who", WHOAMI + b"\r\n", b"GET /healthz HTTP/1.1\r\nHost: hub\r\n\r\n"]
)
def test_a_house_full_of_strangers_keeps_no_agency_out(full: Callable[..., socket.socket], asked: bytes) -> None:
    strangers = [full(asked) for _ in range(3)]
    agency = full(WHOAMI, PROOF, status=200)
    for _ in range(5):
        strangers.append(full(asked))
        agency.sendall(WHOAMI + PROOF)
        assert answered(agency)[0] == 200, "who has proved himself stays"
    for sock in strangers:
        sock.setblocking(False)
        with suppress(BlockingIOError, *GONE):
            sock.recv(65_536)
    assert [closed(sock) for sock in strangers] == [True] * 6 + [False] * 2, "the oldest go first"


def test_where_all_have_proved_themselves_one_that_asks_nothing_goes(full: Callable[..., socket.socket]) -> None:
    busy = full(head(1_000), b"{")
    idle = [full(WHOAMI, PROOF, status=200) for _ in range(2)]
    assert not closed(full(WHOAMI, PROOF, status=200))
    assert [closed(sock) for sock in (busy, *idle)] == [False, True, False]


def test_an_answer_that_nobody_reads_keeps_nobody_out_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one after it is written when there is room again."""
    monkeypatch.setattr(protocol, "ANSWER_SECONDS", 3.0, raising=False)
    with serving(Room(Bounds(requests=1))) as port, socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        sock.connect(("127.0.0.1", port))
        for _ in range(60):  # more than the sockets hold
            sock.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: hub\r\n\r\n")
            time.sleep(0.01)
        assert talk(port, WHOAMI + PROOF)[0] == 200
        with pytest.raises(GONE):
            while True:
                sock.sendall(b"GET")
                time.sleep(0.1)


MUCH = 60_000


async def much(scope: Any, receive: Any, send: Any) -> None:
    """An answer that two small sockets do not hold, and that is too little to keep its writer waiting."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % MUCH)]})
    await send({"type": "http.response.body", "body": b"x" * MUCH})


@contextmanager
def unread(port: int, more: bytes = b"Connection: close\r\n") -> Iterator[socket.socket]:
    """A connection whose answer nobody reads."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
        sock.connect(("127.0.0.1", port))
        sock.sendall(b"GET / HTTP/1.1\r\nHost: hub\r\n" + more + b"\r\n")
        yield sock


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.01)


@pytest.mark.parametrize("closes", ["door", "peer"])
def test_a_connection_that_closes_ends_though_nobody_reads(monkeypatch: pytest.MonkeyPatch, closes: str) -> None:
    monkeypatch.setattr(protocol, "ANSWER_SECONDS", 0.5)
    more = b"Connection: close\r\n" if closes == "door" else b""
    with running(much, sent=2_048) as (server, port), unread(port, more) as sock:
        until(lambda: server.server_state.total_requests == 1)
        if closes == "peer":
            sock.shutdown(socket.SHUT_WR)
        until(lambda: not server.server_state.connections)
        assert len(b"".join(iter(lambda: sock.recv(65_536), b""))) < MUCH, "the rest of the answer waited"


def test_connections_that_close_are_among_those_there_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "CONNECTIONS", 3)
    with running(much, sent=2_048) as (server, port), ExitStack() as stack:
        for number in range(1, 8):
            stack.enter_context(unread(port))
            until(lambda number=number: server.server_state.total_requests == number)  # type: ignore[misc]
            until(lambda: len(server.server_state.connections) <= 3)
        assert len(server.server_state.connections) == 3


def test_where_a_process_may_open_few_files_fewer_connections_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    for files, most in (
        (1_024, 682),
        (FILES, CONNECTIONS),
        (10**6, CONNECTIONS),
        (resource.RLIM_INFINITY, CONNECTIONS),
    ):
        monkeypatch.setattr(resource, "getrlimit", lambda _, files=files: (files, before[1]))
        assert within_files(CONNECTIONS, 2 / 3) == most


def test_where_all_are_at_work_nobody_else_comes_in(full: Callable[..., socket.socket]) -> None:
    busy = [full(head(1_000), b"{") for _ in range(3)]
    assert closed(full(), 5) and not any(map(closed, busy))


def test_a_head_that_is_refused_is_answered_in_the_language_that_it_had_named(port: int) -> None:
    many = b"".join(b"x-%d: 1\r\n" % i for i in range(200))
    status, problem = talk(port, b"GET /v1/whoami HTTP/1.1\r\nAccept-Language: az\r\n" + many + b"\r\n")
    assert status == 431 and problem["detail"].startswith("gözlənilir: ən çoxu 100 başlıq")
    assert talk(port, b"GET /v1/whoami HTTP/1.1\r\n" + many + b"\r\n")[1]["detail"].startswith("expected at most 100")
