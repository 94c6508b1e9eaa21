"""Tokens and certificates at a running hub: issued, exchanged, revoked; every denial in an audit that is whole."""

from __future__ import annotations

import base64
import json
import os
import re
import resource
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from brokers import make_topic
from certificates import Authority, trusting
from gateway_process import environment, files, secret_of
from outside import Outside, unique

from hub import registry as schema_registry
from hub.access.entries import unpacker
from hub.admin import operators
from hub.kafka.address import free_ports
from hub.kafka.brokers import open_broker
from hub.kafka.clients import producer
from hub.kafka.connection import Connection
from hub.kafka.reading import Record, read_all

SOON = 3.0
"""Seconds within which a revocation works: servers look at the file once a second."""
OWNER, TYPE = "mod", "az.zefer.veteran.VeteranStatusGranted"


def command(*words: str, expect: int = 0, **settings: str) -> str:
    """What `hub …` prints, as a process of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")} | settings
    done = subprocess.run(
        [sys.executable, "-m", "hub", *words], check=False, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == expect, (words, done.returncode, done.stdout, done.stderr)
    return done.stdout


class Shop:
    """The hub of the run, as its operators and agencies' programs have it."""

    def __init__(self, hub: Outside) -> None:
        self.folder = str(hub.folder)
        assert hub.hub.registry is not None
        self.url = f"http://127.0.0.1:{hub.hub.registry.port}"
        self.gateway = f"http://127.0.0.1:{hub.hub.gateway.port}"

    def hub(self, *words: str, expect: int = 0) -> str:
        return command(*words, expect=expect, HUB_DATA_DIR=self.folder)

    def issue(self, agency: str) -> dict[str, Any]:
        issued: dict[str, Any] = json.loads(self.hub("token", "issue", agency, "--json"))
        return issued

    def asks(self, header: str) -> int:
        """HTTP status of a question to the schema registry."""
        request = urllib.request.Request(f"{self.url}/subjects", headers={"authorization": header})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refused:
            return refused.code

    def whoami(self, token: str) -> tuple[int, dict[str, Any]]:
        """What the gateway answers."""
        request = urllib.request.Request(f"{self.gateway}/v1/whoami", headers={"authorization": f"Bearer {token}"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return int(answer.status), json.load(answer)
        except urllib.error.HTTPError as refused:
            return refused.code, json.load(refused)

    def entries(self, **wanted: str) -> list[dict[str, Any]]:
        given = [word for name, value in wanted.items() for word in (f"--{name}", value)]
        return [json.loads(line) for line in self.hub("audit", "list", "--json", *given).splitlines()]


@pytest.fixture
def shop(hub: Outside) -> Shop:
    return Shop(hub)


@pytest.fixture
def embedded_shop(hub_on_embedded: Outside) -> Shop:
    """What asks nothing of the broker is tried on one."""
    return Shop(hub_on_embedded)


def basic(agency: str, token: str) -> str:
    return f"Basic {base64.b64encode(f'{agency}:{token}'.encode()).decode()}"


def within(seconds: float, held: Callable[[], bool]) -> float:
    """Seconds that it took."""
    began = time.monotonic()
    while not held():
        assert time.monotonic() - began < seconds
        time.sleep(0.05)
    return time.monotonic() - began


def test_tokens_are_exchanged_without_a_gap_and_revoked_without_a_restart(embedded_shop: Shop) -> None:
    old = embedded_shop.issue(OWNER)
    within(SOON, lambda: embedded_shop.asks(f"Bearer {old['token']}") == 200)
    assert (
        embedded_shop.asks(basic(OWNER, old["token"])) == 200 and embedded_shop.asks(basic("mia", old["token"])) == 401
    )
    new = embedded_shop.issue(OWNER)
    embedded_shop.hub("token", "revoke", old["id"], "--after", "1")
    within(SOON, lambda: embedded_shop.asks(f"Bearer {new['token']}") == 200)
    assert embedded_shop.asks(f"Bearer {old['token']}") == 200
    embedded_shop.hub("token", "revoke", old["id"])
    within(SOON, lambda: embedded_shop.asks(f"Bearer {old['token']}") == 401)
    assert embedded_shop.asks(f"Bearer {new['token']}") == 200
    listed = {
        row["id"]: row["state"] for row in json.loads(embedded_shop.hub("token", "list", "--agency", OWNER, "--json"))
    }
    assert listed[old["id"]] == "revoked" and listed[new["id"]] == "valid"
    told = [e["action"].partition(",")[0] for e in embedded_shop.entries(kind="operator", agency=OWNER)]
    assert told[-4:] == [f"issue token {old['id']}", f"issue token {new['id']}", *[f"revoke token {old['id']}"] * 2]


@pytest.mark.long
def test_tokens_issued_at_the_same_moment_are_all_in_the_audit(embedded_shop: Shop) -> None:
    with ThreadPoolExecutor(3) as pool:
        issued = list(pool.map(embedded_shop.issue, [OWNER] * 3))
    actions = {entry["action"].partition(",")[0] for entry in embedded_shop.entries(kind="operator")}
    assert {f"issue token {each['id']}" for each in issued} <= actions


def test_the_gateway_knows_the_same_tokens_and_tells_of_denials(embedded_shop: Shop) -> None:
    issued = embedded_shop.issue("mia")
    within(SOON, lambda: embedded_shop.whoami(issued["token"])[0] == 200)
    told = embedded_shop.whoami(issued["token"])[1]
    assert (told["agency"], told["proof"], told["token_id"]) == ("mia", "token", issued["id"])
    embedded_shop.hub("token", "revoke", issued["id"])
    within(SOON, lambda: embedded_shop.whoami(issued["token"])[0] == 401)
    problem = embedded_shop.whoami(issued["token"])[1]
    assert problem["code"] == "token_revoked" and issued["token"] not in json.dumps(problem)

    def denied() -> list[dict[str, Any]]:
        return [
            e for e in embedded_shop.entries(code="token_revoked", agency="mia") if e["writer"].startswith("gateway.")
        ]

    within(30, lambda: bool(denied()))
    assert denied()[0]["action"] == "come in at gateway"


def test_a_token_is_of_an_agency_and_shown_once(embedded_shop: Shop) -> None:
    token = embedded_shop.hub("token", "issue", "mia", "--expires", "1").strip()
    assert re.fullmatch(r"zefer_[a-z2-7]{8}_[a-z2-7]{52}[0-9a-f]{8}", token)
    kept = [p.read_bytes() for p in Path(embedded_shop.folder).rglob("*") if p.is_file() and "kafka" not in p.parts]
    assert not any(token[15:67].encode() in each for each in kept)
    embedded_shop.hub("token", "issue", "nobody", expect=2)


def test_what_operators_do_is_in_an_audit_that_is_whole(
    embedded_shop: Shop, hub_on_embedded: Outside, tmp_path: Path
) -> None:
    refused = hub_on_embedded.send("mod", TYPE, b"no Avro")
    assert hub_on_embedded.receipt(refused)["code"] == "not_avro"
    embedded_shop.hub("dlq", "show", refused.coordinates, "--raw", str(tmp_path / "letter.bin"))
    event = json.loads(Path("deploy/agency/event.json").read_text(encoding="utf-8"))
    (tmp_path / "event.json").write_text(json.dumps({**event, "id": unique("operator")}), encoding="utf-8")
    embedded_shop.hub("publish", str(tmp_path / "event.json"), "--as", "mod")
    embedded_shop.hub("topics", "apply")  # all is there: nothing is changed
    lines = embedded_shop.entries(kind="operator")
    found = [(line["agency"], line["action"].partition(", by ")[0], line["origin"]) for line in lines]
    assert ("mod", "take the bytes of a dead letter", refused.coordinates) in found
    assert ("mod", "publish 1 events", None) in found and not any("apply" in action for _, action, _ in found)
    said = json.loads(embedded_shop.hub("audit", "verify", "--json"))
    assert said["whole"] and "operators" in said["writers"]


def test_operators_of_several_machines_write_one_chain(embedded_shop: Shop, hub_on_embedded: Outside) -> None:
    """Whoever opens it anew ends the transaction of who has it open."""
    connection, actions = hub_on_embedded.hub.connection, {f"look at rack {number}, by ops" for number in range(4)}
    with ThreadPoolExecutor() as machines:
        list(machines.map(lambda action: operators.record(connection, "zefer", None, action), actions))
    lines = [line for line in embedded_shop.entries(kind="operator") if line["action"] in actions]
    assert {line["action"] for line in lines} == actions and {line["writer"] for line in lines} == {"operators"}
    assert json.loads(embedded_shop.hub("audit", "verify", "--json"))["whole"]


def test_every_denial_is_in_the_audit_and_a_flood_is_few_lines(shop: Shop, hub: Outside) -> None:
    unpack = unpacker(schema_registry.read(hub.hub.connection))

    def times() -> int:
        entries = (unpack(r.value or b"") for r in read_all(hub.hub.connection, "audit"))
        return sum(e["counts"]["times"] for e in entries if e["code"] == "token_malformed")

    before = times()
    assert {shop.asks("Bearer wrong") for _ in range(300)} == {401}
    within(20, lambda: times() == before + 300)
    lines = shop.entries(code="token_malformed")
    assert len(lines) < 60 and {e["action"] for e in lines} == {"come in at registry"}
    said = json.loads(shop.hub("audit", "verify", "--json"))
    assert said["whole"] and said["entries"] >= len(lines)
    assert any(name.startswith("registry.") for name in said["writers"])


@pytest.mark.long
def test_a_tampered_copy_of_the_audit_is_not_whole(
    embedded_shop: Shop, hub_on_embedded: Outside, tmp_path: Path
) -> None:
    embedded_shop.asks("Bearer wrong")
    within(20, lambda: bool(embedded_shop.entries(code="token_malformed")))
    (tmp_path / "kept.json").write_text(embedded_shop.hub("audit", "verify", "--json"))
    schemas = list(read_all(hub_on_embedded.hub.connection, "_schemas"))
    audit = list(read_all(hub_on_embedded.hub.connection, "audit", settle=5))
    victim = next(i for i, r in enumerate(audit) if b"token_malformed" in (r.value or b""))
    changed = (audit[victim].value or b"").replace(b"token_malformed", b"token_malformeD")
    copies = {
        "changed": [*audit[:victim], _with(audit[victim], changed), *audit[victim + 1 :]],
        "cut": [r for r in audit if not (r.key or b"").startswith(b"registry.")],
    }
    found: dict[str, tuple[str, str]] = {}
    for name, records in copies.items():
        with open_broker("embedded", tmp_path / name) as broker:
            _copied(broker, [*schemas, *records])
            expected = {"changed": (1, 1), "cut": (0, 1)}[name]
            where, kept = {"HUB_BOOTSTRAP_SERVERS": broker.bootstrap}, str(tmp_path / "kept.json")
            found[name] = (
                command("audit", "verify", expect=expected[0], **where),
                command("audit", "verify", "--against", kept, expect=expected[1], **where),
            )
    assert "NOT whole" in found["changed"][0] and "it was changed" in found["changed"][0]
    assert re.search(r"audit/\d+/\d+", found["changed"][0])
    assert "cut off" in found["cut"][1]


def _with(record: Record, value: bytes) -> Record:
    return Record(record.topic, record.partition, 0, record.timestamp, record.key, value, ())


def _copied(broker: Connection, records: list[Record]) -> None:
    make_topic(broker, "_schemas")
    make_topic(broker, "audit", 4)
    with producer(broker) as client:
        for r in records:
            client.send(r.topic, key=r.key, value=r.value, partition=r.partition).get(timeout=30)


def secured(folder: Path, clients: Authority, servers: Authority) -> dict[str, str]:
    """Settings of a door with TLS, whose name in the audit is its own."""
    server = servers.server()
    return {
        "HUB_DATA_DIR": str(folder),
        "HUB_TLS_CERT": str(server.cert),
        "HUB_TLS_KEY": str(server.key),
        "HUB_TLS_CLIENT_CA": str(clients.file),
        "HUB_INSTANCE": f"tls-{os.getpid()}-{folder.name}",
    }


@contextmanager
def registry(broker: Connection, **settings: str) -> Iterator[tuple[int, str]]:
    """A registry of its own; its process and address."""
    environment = {**os.environ, "HUB_BOOTSTRAP_SERVERS": broker.bootstrap, "HUB_REGISTRY_PORT": "0", **settings}
    words = [sys.executable, "-m", "hub", "registry", "--access", "closed"]
    process = subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        assert process.stderr is not None
        said = process.stderr.readline()
        found = re.fullmatch(r"schema registry \(closed\): (https://127\.0\.0\.1:\d+)\n", said)
        assert found, said
        yield process.pid, found[1]
    finally:
        process.terminate()
        process.wait(30)


def test_a_closed_registry_knows_agencies_by_certificate(hub: Outside, tmp_path: Path) -> None:
    servers, clients = Authority(tmp_path, "servers"), Authority(tmp_path, "clients")
    settings = secured(tmp_path, clients, servers) | {"HUB_REGISTRY_OPERATORS": '["dsmf"]'}
    mod, operator, nobody = (clients.client(f"urn:az:agency:{code}") for code in ("mod", "dsmf", "nobody"))
    with registry(hub.hub.connection, **settings) as (_, url):

        def asks(
            pair: Any, method: str = "GET", path: str = f"/subjects/{TYPE}/versions", body: bytes | None = None
        ) -> int:
            handler = urllib.request.HTTPSHandler(context=trusting(servers, pair))
            try:
                request = urllib.request.Request(url + path, body, {"content-type": "application/json"}, method=method)
                with urllib.request.build_opener(handler).open(request, timeout=10) as answer:
                    return int(answer.status)
            except urllib.error.HTTPError as refused:
                return refused.code

        assert (asks(mod), asks(nobody), asks(None)) == (200, 403, 401)
        assert asks(mod, "DELETE", f"/subjects/{TYPE}") == 403
        assert asks(operator, "PUT", f"/config/{TYPE}", b'{"compatibility": "full_transitive"}') == 200
        assert asks(operator, "DELETE", f"/config/{TYPE}") == 200
        assert asks(operator, "DELETE", "/config") == 200  # there was none: nothing is changed
    entries = Shop(hub).entries(writer=f"registry.{settings['HUB_INSTANCE']}")  # written before it ended
    assert {(e["agency"], e["code"], e["action"]) for e in entries} == {
        (None, "certificate_unknown", "come in at registry"),
        (None, "credentials_missing", "registry: read"),
        ("mod", "registry_right_missing", f"registry: administer {TYPE}"),
        ("dsmf", None, f"registry: set the level FULL_TRANSITIVE {TYPE}"),
        ("dsmf", None, f"registry: take back the level {TYPE}"),
    }


@contextmanager
def gateway(hub: Outside, mod: ssl.SSLContext, **settings: str) -> Iterator[tuple[int, str]]:
    """A gateway of its own, ready; its process and address. `mod`: of a client that it knows."""
    (port,) = free_ports(1)
    url, words = f"https://127.0.0.1:{port}", [sys.executable, "-m", "hub", "gateway", "--port", str(port)]
    given = environment(hub.bootstrap, Path(settings["HUB_DATA_DIR"]), **settings)
    with subprocess.Popen(words, env=given) as process:
        try:
            deadline = time.monotonic() + 90
            while answered(f"{url}/readyz", mod)[0] != 200:
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.1)
            yield process.pid, url
        finally:
            process.terminate()


@pytest.mark.parametrize("door", ["registry", "gateway"])
def test_handshakes_that_do_not_go_on_keep_no_agency_out(hub_on_embedded: Outside, tmp_path: Path, door: str) -> None:
    """However few files a process may open."""
    hub, few = hub_on_embedded, 1_024
    servers, clients = Authority(tmp_path, "servers"), Authority(tmp_path, "clients")
    settings = secured(tmp_path, clients, servers) | {"HUB_PERSON_SECRET": secret_of(hub.folder)}
    mod, path = trusting(servers, clients.client("urn:az:agency:mod")), {"registry": "subjects", "gateway": "v1/whoami"}
    opened = registry(hub.hub.connection, **settings) if door == "registry" else gateway(hub, mod, **settings)
    with ExitStack() as stack:
        pid, url = stack.enter_context(opened)
        assert answered(f"{url}/{path[door]}", mod)[0] == 200
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (few, few))
        stack.enter_context(files(2 * few))
        for _ in range(few + 200):
            stack.enter_context(socket.create_connection(("127.0.0.1", urlsplit(url).port or 0), timeout=10))
        assert [answered(f"{url}/{path[door]}", mod)[0] for _ in range(3)] == [200] * 3


def answered(url: str, context: ssl.SSLContext) -> tuple[int, str]:
    """Status and text; 0 where there is no answer."""
    try:
        with urllib.request.build_opener(urllib.request.HTTPSHandler(context=context)).open(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()
    except OSError:
        return 0, ""


@pytest.mark.long
def test_who_comes_without_a_certificate_where_one_is_required_is_told_so_and_in_the_audit(
    hub_on_embedded: Outside, tmp_path: Path
) -> None:
    """At both doors and on every path; also who shows one that is not valid is in the audit."""
    hub = hub_on_embedded
    servers, clients = Authority(tmp_path, "servers"), Authority(tmp_path, "clients")
    settings = secured(tmp_path, clients, servers) | {"HUB_TLS_CLIENTS": "required"}
    mod, nobody = trusting(servers, clients.client("urn:az:agency:mod")), trusting(servers)
    bad = trusting(servers, clients.client("urn:az:agency:mod", lasts=-timedelta(days=1)))
    settings["HUB_PERSON_SECRET"] = secret_of(hub.folder)
    with registry(hub.hub.connection, **settings) as (_, url):
        assert [answered(f"{url}/subjects", each)[0] for each in (mod, nobody, bad)] == [200, 403, 0]
        assert '"error_code":40301' in answered(f"{url}/healthz", nobody)[1]
    with gateway(hub, mod, **settings) as (_, url):
        for path in ("/v1/whoami", "/healthz", "/metrics", "/anything"):
            status, said = answered(url + path, nobody)
            assert status == 403 and json.loads(said)["code"] == "certificate_missing"
            assert answered(url + path, bad) == (0, "")
        assert json.loads(answered(f"{url}/v1/whoami", mod)[1])["agency"] == "mod"
        rejected = [line for line in answered(f"{url}/metrics", mod)[1].splitlines() if "http_rejected_total{" in line]
        assert {line.partition('code="')[2].partition('"')[0] for line in rejected} == {
            "certificate_missing",
            "certificate_invalid",
        }
    for door in ("registry", "gateway"):
        entries = Shop(hub).entries(writer=f"{door}.{settings['HUB_INSTANCE']}")
        assert {(e["agency"], e["code"], e["action"]) for e in entries} == {
            (None, "certificate_missing", f"come in at {door}"),
            (None, "certificate_invalid", f"come in at {door}"),
        }
