"""Agencies publish over HTTP to a whole hub, with clients nobody here wrote: httpx, the CloudEvents SDK, sockets."""

from __future__ import annotations

import concurrent.futures
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from cloudevents.conversion import to_structured
from cloudevents.http import CloudEvent
from gateway_process import BATCH, SINGLE, environment, files, process
from gateway_room import event
from outside import PATIENCE, Outside, fin, unique
from world import VETERAN, catalogue

from hub.access import token as tokens
from hub.access.connections import CONNECTIONS
from hub.access.token_file import Token, writing
from hub.client import Client, HubProblem
from hub.kafka.address import free_ports
from hub.machine.hub import _preferred


class Door:
    """A hub's gateway, and tokens of any agency."""

    def __init__(self, hub: Outside) -> None:
        self.hub, self.url = hub, f"http://127.0.0.1:{hub.hub.gateway.port}"
        self._tokens: dict[str, str] = {}

    def token(self, agency: str) -> str:
        """A token that the gateway knows already."""
        if agency not in self._tokens:
            made = tokens.make()
            with writing(self.hub.folder / "tokens.json") as all_of_them:
                all_of_them.append(Token(made.id, agency, made.digest, int(time.time())))
            deadline = time.monotonic() + PATIENCE
            headers = {"Authorization": f"Bearer {made.text}"}
            while httpx.get(f"{self.url}/v1/whoami", headers=headers).status_code != 200:
                assert time.monotonic() < deadline
                time.sleep(0.1)
            self._tokens[agency] = made.text
        return self._tokens[agency]

    def publish(self, events: Any, agency: str = "mod", **given: Any) -> httpx.Response:
        kind = BATCH if isinstance(events, list) else SINGLE
        headers = {"Authorization": f"Bearer {self.token(agency)}", "Content-Type": kind}
        content = json.dumps(events, ensure_ascii=False).encode()
        return httpx.post(f"{self.url}/v1/events", content=content, headers=headers, timeout=60, **given)

    def get(self, path: str, agency: str = "mod", **params: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.token(agency)}"}
        answer = httpx.get(self.url + path, headers=headers, params=params, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def client(self, agency: str = "mod") -> Client:
        return Client(self.url, self.token(agency))


@pytest.fixture(scope="module")
def door(hub_on_embedded: Outside) -> Door:
    return Door(hub_on_embedded)


def new(**data: Any) -> dict[str, Any]:
    """An event that no other test of this run sends."""
    return event(id=unique("http"), data={"fin": fin(), **data})  # type: ignore[no-any-return]


def test_an_event_goes_from_http_to_those_entitled_with_their_fields_alone(door: Door) -> None:
    made = new(service_branch="ARMY")
    item = door.publish(made).json()["items"][0]
    assert item["status"] == "accepted"
    story = door.get(f"/v1/events/{made['id']}", wait=20)["events"][0]
    assert story["state"] == "applied" and story["timeline"][0]["record"] == item["record"]
    received = door.hub.until(lambda: door.hub.received(story["event_id"]).get("tax", []))
    assert set(received[0][1]) == {"fin", "category", "effective_from", "valid_until"}


def test_a_dry_run_tells_what_then_happens(door: Door) -> None:
    made = new(service_branch="ARMY", district="baki")
    told = door.publish(made, params={"dry_run": "true"}).json()["items"][0]["receivers"]
    assert door.publish(made).status_code == 202
    story = door.get(f"/v1/events/{made['id']}", wait=20)["events"][0]
    expected = {r["agency"]: r["outcome"] == "offered" for r in told}
    happened = {r["agency"]: r["outcome"] in ("offered", "delivered") for r in story["receivers"]}
    assert happened == expected and True in expected.values() and False in expected.values()


def test_what_came_over_kafka_is_a_duplicate_over_http(door: Door) -> None:
    """The receipts and the record in Kafka know it; this gateway has never seen it."""
    person, id = fin(), unique("both")
    item = door.publish(event(id=unique("shape"), data={"fin": fin()})).json()["items"][0]
    record = next(m for m in door.hub.read("in.mod") if f"in.mod/{m.partition()}/{m.offset()}" == item["record"])
    _, raw = door.hub.decode(record.value())
    sent = door.hub.send("mod", VETERAN, door.hub.encode(VETERAN, raw | {"fin": person}), id=id)
    assert door.hub.receipt(sent)["verdict"] == "APPLIED"
    door.get(f"/v1/events/{id}", wait=20)
    same = event(id=id, data={"fin": person}, time="2026-11-20T09:00:00Z")
    found = door.publish(same).json()["items"][0]
    assert (found["status"], found["record"]) == ("duplicate", sent.coordinates)
    other = door.publish(same | {"time": "2026-11-20T10:00:00Z"})
    assert other.status_code == 422 and other.json()["items"][0]["code"] == "identity_conflict"


def test_all_that_is_accepted_is_applied_once(door: Door) -> None:
    batch = [new() for _ in range(200)]
    answer = door.publish(batch).json()
    assert answer["accepted"] == 200
    assert door.publish(batch).json()["duplicate"] == 200
    records = [item["record"] for item in answer["items"]]

    def verdicts() -> list[str]:
        found = {}
        for message in door.hub.read("receipts.mod"):
            name, value = door.hub.decode(message.value())
            if name == "hub.Receipt":
                found[(message.key() or b"").decode()] = value["verdict"]
        return [found[r] for r in records] if set(records) <= set(found) else []

    assert set(door.hub.until(verdicts)) == {"APPLIED"}


def test_keys_on_in_are_pseudonyms(door: Door) -> None:
    person = fin()
    record = door.publish(event(id=unique("key"), data={"fin": person})).json()["items"][0]["record"]
    message = next(m for m in door.hub.read("in.mod") if f"in.mod/{m.partition()}/{m.offset()}" == record)
    assert person.encode() not in (message.key() or b"") and len(message.key() or b"") == 32
    assert all(person.encode() not in value for _, value in message.headers() or ())


def test_the_clients_methods_one_after_the_other(door: Door) -> None:
    with door.client() as client:
        assert client.whoami().agency == "mod"
        person = fin()
        data = event(data={"fin": person, "service_branch": "ARMY"})["data"]
        assert client.explain(VETERAN, data).ok
        sent = client.publish(VETERAN, data)
        assert sent.status == "accepted" and client.event(sent.id, wait=20).state == "applied"
        assert client.status(person, after=sent.id).statuses[0]["kind"] == "veteran"
        many = [client.event_of(VETERAN, event(data={"fin": fin()})["data"]) for _ in range(250)]
        assert [o.status for o in client.publish_many(many)] == ["accepted"] * 250
        wrong = client.publish(VETERAN, data | {"category": "X"})
        assert (wrong.code, wrong.pointer) == ("body_invalid", "/data/category")
        assert client.receipts().receipts
    with Client(door.url, "zefer_nothing") as nobody, pytest.raises(HubProblem) as told:
        nobody.whoami()
    assert told.value.status == 401


def test_the_cloudevents_sdk_publishes_structured_and_batch(door: Door) -> None:
    made = [new() for _ in range(3)]
    sdk = [CloudEvent({k: v for k, v in m.items() if k != "data"}, m["data"]) for m in made]
    headers, body = to_structured(sdk[0])
    headers |= {"Authorization": f"Bearer {door.token('mod')}"}
    answer = httpx.post(f"{door.url}/v1/events", headers=headers, content=body)
    assert answer.status_code == 202, answer.text
    batch = b"[" + b",".join(to_structured(each)[1] for each in sdk) + b"]"
    answer = httpx.post(f"{door.url}/v1/events", headers=headers | {"content-type": BATCH}, content=batch)
    assert [item["status"] for item in answer.json()["items"]] == ["duplicate", "accepted", "accepted"]


def test_what_an_agency_may_not_is_in_the_audit(door: Door) -> None:
    made = event(id=unique("no"), source="urn:az:agency:tax")
    assert door.publish(made, "tax").json()["items"][0]["code"] == "type_not_allowed"

    def told() -> list[Any]:
        entries = [door.hub.decode(message.value())[1] for message in door.hub.read("audit")]
        return [e for e in entries if e["action"] == f"publish {VETERAN}" and e["agency"] == "tax"]

    assert door.hub.until(told)[0]["code"] == "type_not_allowed"


def rss(pid: int) -> float:
    """MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


MANY = '{"data": [' + "{}," * 690_000 + "{}]}"
"""2 MiB of text; 60 MiB once it was parsed."""


def test_abuse_costs_bounded_memory_and_nobody_else_notices(door: Door) -> None:
    pid = door.hub.hub.gateway.pid
    assert pid
    before, port = rss(pid), door.hub.hub.gateway.port
    proof = f"Authorization: Bearer {door.token('mod')}\r\nContent-Type: {SINGLE}\r\n"
    head = f"POST /v1/events HTTP/1.1\r\nHost: h\r\n{proof}"
    abuses = {
        "slow bodies": head + "Content-Length: 4000000\r\n\r\n" + " " * 100_000,
        "deep nesting": head + "Content-Length: 4000000\r\n\r\n" + "[" * 4_000_000,
        "headers": "GET / HTTP/1.1\r\n" + "x: y\r\n" * 100_000,
        "one header": "GET / HTTP/1.1\r\nx: " + "y" * 20_000_000,
        "many values": head + f"Content-Length: {len(MANY)}\r\n\r\n" + MANY,
        "gzip": head + "Content-Encoding: gzip\r\nContent-Length: 4000000\r\n\r\n",
    }
    socks = []
    for text in abuses.values():
        for _ in range(20):
            sock = socket.create_connection(("127.0.0.1", port), timeout=10)
            sock.settimeout(2)
            with suppress(OSError):
                sock.sendall(text.encode())
            socks.append(sock)
    assert door.publish(new()).status_code == 202
    assert rss(pid) - before < 150
    for sock in socks:
        sock.close()


def test_a_stranger_with_more_connections_than_there_may_be_keeps_no_agency_out(door: Door) -> None:
    """However few files a shell lets a process open."""
    headers = {"Authorization": f"Bearer {door.token('mod')}", "Content-Type": SINGLE}
    with ExitStack() as stack:
        with files(1_024):
            gateway, port = stack.enter_context(process(door.hub.bootstrap, door.hub.folder))
        assert resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE)[0] > 1_024, "it has asked for more"
        stack.enter_context(files(CONNECTIONS + 1_000))
        url = f"http://127.0.0.1:{port}/v1/events"
        client = stack.enter_context(httpx.Client(headers=headers, timeout=5))
        for _ in range(CONNECTIONS + 200):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
        assert [client.post(url, json=new()).status_code for _ in range(3)] == [202] * 3


def test_no_fin_is_in_the_gateways_log_or_metrics(door: Door) -> None:
    canary = "KANARYB"
    door.publish(event(id=unique("c"), data={"fin": canary}))
    door.publish(event(id=f"x-{canary}", data={"fin": canary}))
    door.publish(event(id=unique("c"), data={"fin": canary, "category": canary}))
    with door.client() as client:
        client.status(canary)
    said = (door.hub.hub.logs / "gateway.log").read_text() + httpx.get(f"{door.url}/metrics").text
    assert "hub_gateway_events_total" in said and canary not in said


def test_a_graceful_stop_finishes_what_is_under_way(door: Door) -> None:
    folder = door.hub.folder
    with process(door.hub.bootstrap, folder) as (gateway, port), concurrent.futures.ThreadPoolExecutor(8) as pool:
        headers = {"Authorization": f"Bearer {door.token('mod')}", "Content-Type": BATCH}
        batches = [[new() for _ in range(400)] for _ in range(8)]

        def send(batch: Any) -> httpx.Response:
            return httpx.post(
                f"http://127.0.0.1:{port}/v1/events", content=json.dumps(batch).encode(), headers=headers, timeout=60
            )

        asked = [pool.submit(send, batch) for batch in batches]
        concurrent.futures.wait(asked, return_when=concurrent.futures.FIRST_COMPLETED)  # others are under way
        gateway.send_signal(signal.SIGTERM)
        answers = [each.exception() or each.result() for each in asked]
        assert gateway.wait(30) == 0
    finished = [a for a in answers if isinstance(a, httpx.Response)]
    assert finished and all(a.status_code == 202 for a in finished), "begun is finished; the others were never let in"
    ids = {dict(m.headers() or ())["ce_id"].decode() for m in door.hub.read("in.mod")}
    assert {item["id"] for a in finished for item in a.json()["items"]} <= ids


def test_a_stop_answers_who_waits(door: Door) -> None:
    """For receipts that may still come, and for an id that nobody knows."""
    head = f"HTTP/1.1\r\nhost: hub\r\nauthorization: Bearer {door.token('mod')}\r\n\r\n"
    with process(door.hub.bootstrap, door.hub.folder) as (gateway, port):
        waiting = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(2)]
        for sock, path in zip(waiting, ("/v1/receipts?since=now&wait=30", "/v1/events/unsent?wait=30"), strict=True):
            sock.sendall(f"GET {path} {head}".encode())
        assert httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200  # it has read what was sent before
        began = time.monotonic()
        gateway.send_signal(signal.SIGTERM)
        assert [int(sock.recv(65_536)[9:12]) for sock in waiting] == [200, 404]
        assert gateway.wait(30) == 0 and time.monotonic() - began < 12, "nobody waits for what may still come"
        for sock in waiting:
            sock.close()


def test_a_busy_port_is_named(door: Door) -> None:
    port = door.hub.hub.gateway.port
    command = [sys.executable, "-m", "hub", "gateway", "--port", str(port), "--data-dir", str(door.hub.folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and f"port {port}" in done.stderr and "HUB_GATEWAY_PORT" in done.stderr


def test_bounds_that_would_refuse_a_request_for_ever_are_said_at_the_start(door: Door) -> None:
    given = environment(door.hub.bootstrap, door.hub.folder, HUB_GATEWAY_WAITING_MIB="8")
    command = [sys.executable, "-m", "hub", "gateway", "--port", "0"]
    done = subprocess.run(command, check=False, env=given, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "set HUB_GATEWAY_WAITING_MIB to 14 or more" in done.stderr


def test_who_asks_while_the_gateway_is_started_again_waits(door: Door) -> None:
    """The hub keeps the port: no other process, another hub's gateway least of all, can answer in its place."""
    pid = door.hub.hub.gateway.pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    assert httpx.get(f"{door.url}/healthz", timeout=60).status_code == 200
    assert door.hub.hub.gateway.pid not in (pid, None)
    door.hub.until(lambda: door.hub.hub.gateway.answers("/readyz"))


def test_two_hubs_that_start_at_once_have_two_doors() -> None:
    (port,) = free_ports(1)
    with _preferred(port) as one, _preferred(port) as other:
        assert one.getsockname()[1] == port != other.getsockname()[1]


def test_the_gateway_needs_the_hubs_own_key(door: Door, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hub", "gateway", "--port", "0"]
    wrong = environment(door.hub.bootstrap, tmp_path) | {"HUB_PERSON_SECRET": "w" * 32}
    done = subprocess.run(command, check=False, env=wrong, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "HUB_PERSON_SECRET is not the one" in done.stderr


def test_what_every_agency_is_told_is_what_the_catalogue_says(door: Door) -> None:
    found = door.get("/v1/catalogue", "tax")
    assert {r["type"] for r in found["receives"]} == {
        name for name, rows in catalogue().entitlements.items() if any(e.agency == "tax" for e in rows)
    }
