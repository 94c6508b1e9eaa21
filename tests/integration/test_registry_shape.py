"""What the hub itself asks of the place where schemas are kept: the same from the topic and from another registry."""

from __future__ import annotations

import contextlib
import json
import threading
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from unittest import mock
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from registry_server import Registry, serving

from hub import registry as schema_registry
from hub.catalogue import load
from hub.errors import ConfigError, Retry
from hub.kafka.connection import Connection
from hub.registry.external import External

Name = Callable[[str], str]
HUB = frozenset({"hub"})


@pytest.fixture(scope="module")
def closed(registry_broker: Connection) -> Iterator[str]:
    """A closed registry whose operator is the hub."""
    with serving(registry_broker, "closed", HUB) as url:
        yield url


@pytest.fixture(params=["topic", "another registry"])
def place(request: pytest.FixtureRequest, registry_broker: Connection, closed: str) -> Connection:
    if request.param == "topic":
        return registry_broker
    return replace(registry_broker, schema_registry=closed, schema_registry_auth="hub:hub")


def fixed(name: str, size: int) -> str:
    return json.dumps({"type": "fixed", "name": "".join(c if c.isalnum() else "_" for c in f"F{name}"), "size": size})


def test_what_is_registered_is_read(place: Connection, name: Name) -> None:
    one, two = name("x.one"), name("x.two")
    pairs = [(one, fixed(one, 1)), (two, fixed(two, 2))]
    found = schema_registry.register(place, pairs)
    assert found.id_of(two) == found.id_of(one) + 1
    again = schema_registry.register(place, reversed(pairs))
    for subject, text in pairs:
        assert again.id_of(subject, text) == found.id_of(subject)
        assert again.by_id(again.id_of(subject)) == (subject, 1, found.latest(subject).schema)  # type: ignore[union-attr]
        assert [entry.version for entry in again.versions(subject)] == [1]


def test_what_is_deleted_is_no_longer_offered_and_keeps_its_id(place: Connection, closed: str, name: Name) -> None:
    """Also for who knows it by its text: a hub starts on what an operator of another registry has deleted."""
    subject = name("x.gone")
    text = fixed(subject, 1)
    id = schema_registry.register(place, [(subject, text)]).id_of(subject)
    assert Registry(closed, "hub").ask("DELETE", f"/subjects/{subject}").body == [1]
    found = schema_registry.read(place)
    assert subject not in found.subjects() and found.by_id(id).subject == subject
    assert found.id_of(subject) == found.id_of(subject, text) == id
    with pytest.raises(KeyError):
        found.id_of(subject, fixed(subject, 2))


def test_the_whole_catalogue_can_be_kept_there(place: Connection) -> None:
    pairs = list(load().schemas())
    found = schema_registry.register(place, pairs)
    assert all(found.id_of(subject, text) == found.id_of(subject) for subject, text in pairs)
    assert found.subjects() == schema_registry.read(place).subjects()


def test_both_places_say_the_same(registry_broker: Connection, closed: str) -> None:
    own, other = schema_registry.read(registry_broker), External(closed, "hub:hub").read()
    assert own.subjects() == other.subjects()
    assert [own.versions(s, deleted=True) for s in own.subjects()] == [
        other.versions(s, deleted=True) for s in other.subjects()
    ]


@contextlib.contextmanager
def in_front_of(url: str, change: Callable[[dict[str, str]], dict[str, str]]) -> Iterator[str]:
    """A registry whose queries are changed on their way in."""

    class Passing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            request = urllib.request.Request(
                f"{url}{asked.path}?{urlencode(change(dict(parse_qsl(asked.query))))}",
                headers={"authorization": self.headers["authorization"]},
            )
            with urllib.request.urlopen(request) as answer:
                body = answer.read()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Passing)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@pytest.mark.parametrize(
    "change",
    [
        lambda query: {**query, "limit": "3"},
        lambda query: {name: value for name, value in query.items() if name not in ("offset", "limit")},
    ],
    ids=["gives pages, as Confluent's does of a thousand", "knows no pages"],
)
def test_a_registry_is_read_to_its_last_page(
    registry_broker: Connection, closed: str, name: Name, change: Callable[[dict[str, str]], dict[str, str]]
) -> None:
    subjects = [name("x.page") for _ in range(7)]
    own = schema_registry.register(registry_broker, [(each, fixed(each, 1)) for each in subjects])
    assert Registry(closed, "hub").ask("DELETE", f"/subjects/{subjects[0]}").status == 200
    with in_front_of(closed, change) as url:
        found = External(url, "hub:hub").read()
    assert found.subjects() == [each for each in own.subjects() if each != subjects[0]]
    assert found.subjects(deleted=True) == own.subjects(deleted=True)


def test_what_was_registered_a_moment_ago_is_looked_up(place: Connection, closed: str, name: Name) -> None:
    for number in range(5):
        subject = name(f"x.moment{number}")
        id = Registry(closed, "hub").register(subject, json.loads(fixed(subject, 1)))
        assert schema_registry.look_up(place, [id]).by_id(id).subject == subject


def test_a_node_that_is_behind_the_one_that_gave_the_id_out_is_asked_again(
    registry_broker: Connection, closed: str, name: Name
) -> None:
    place = replace(registry_broker, schema_registry=closed, schema_registry_auth="hub:hub")
    behind = schema_registry.read(place)
    subject = name("x.ahead")
    id = Registry(closed, "hub").register(subject, json.loads(fixed(subject, 1)))
    ahead = schema_registry.read(place)
    with mock.patch.object(External, "read", side_effect=[behind, ahead]) as read:
        assert schema_registry.look_up(place, [id]).by_id(id).subject == subject
    with mock.patch.object(External, "read", side_effect=[ahead]) as read:
        assert schema_registry.look_up(place, [id - 1, id]) is ahead
    assert read.call_count == 1


def test_a_registry_that_refuses_or_is_away_says_so_without_the_secret(closed: str, name: Name) -> None:
    with pytest.raises(ConfigError, match="HUB_SCHEMA_REGISTRY_AUTH") as refused:
        External(closed, "hub:wrong-secret").read()
    assert "wrong-secret" not in str(refused.value)
    with pytest.raises(ConfigError, match="42201"):
        External(closed, "hub:hub").register([("az.zefer.veteran.Nothing", '"int"')])
    with pytest.raises(ConfigError, match="http"):
        External("localhost:8081")
    with pytest.raises(Retry, match="does not answer"):
        External("http://127.0.0.1:9", attempts=1).read()
