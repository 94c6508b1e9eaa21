"""The pages for agencies, followed to the letter: every command as it stands, by a shell, against a hub that runs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from confluent_kafka import Producer
from outside import Outside, Sent, fin, unique
from registry_server import Registry

from hub.registry.entry import Entry

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGE = (ROOT / "deploy/agency/README.md").read_text(encoding="utf-8")
(EXPORT,) = re.findall(r"`(export HUB=[^`]*)`", PAGE)
SAMPLE = json.loads((ROOT / "deploy/agency/event.json").read_text(encoding="utf-8"))


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture
def desk(hub_on_embedded: Outside, tmp_path: Path) -> Path:
    """A folder as the page has it: the checkout's, with `data/` of the hub."""
    (tmp_path / "data").symlink_to(hub_on_embedded.folder)
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    return tmp_path


def run(script: str, desk: Path, hub: Outside) -> str:
    """What a shell prints that stops at the first failure; only the ports are others."""
    assert hub.hub.registry is not None
    for shown, port in ((8000, hub.hub.gateway.port), (8081, hub.hub.registry.port)):
        script = script.replace(f"http://127.0.0.1:{shown}", f"http://127.0.0.1:{port}")
    done = execute(["bash", "-euo", "pipefail", "-c", script], desk)
    assert done.returncode == 0, done.stderr
    return done.stdout


def execute(command: list[str], desk: Path) -> subprocess.CompletedProcess[str]:
    """As in the shell of somebody who has activated the environment of this checkout."""
    found = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    environment = {**os.environ, **found}
    return subprocess.run(command, cwd=desk, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_the_first_event_of_the_readme(desk: Path, hub_on_embedded: Outside) -> None:
    (event,) = blocks(README, "json")
    (desk / "veteran.json").write_text(event, encoding="utf-8")
    (script,) = blocks(README, "sh")
    said = run(script, desk, hub_on_embedded)
    decoder, found, rest = json.JSONDecoder(), [], said
    while rest:
        value, at = decoder.raw_decode(rest)
        found.append(value)
        rest = rest[at:].lstrip()
    dry, accepted, story, refused, status = found
    assert dry["items"][0]["receivers"] and accepted["items"][0]["status"] in ("accepted", "duplicate")
    assert story["events"][0]["state"] == "applied"
    item = refused["items"][0]
    assert (item["code"], item["pointer"]) == ("body_invalid", "/data/category")
    shown = re.search(r'"detail": "([^"]*)"', README)
    assert shown and item["detail"] == shown[1]
    assert status["statuses"][0]["kind"] == "veteran"


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_the_page_for_programmers(desk: Path, hub_on_embedded: Outside) -> None:
    said = run(EXPORT + "\n" + blocks(PAGE, "sh")[0], desk, hub_on_embedded)
    for part in (
        '"agency": "mod"',
        '"publishes"',
        '"receivers"',
        '"accepted":1',
        '"duplicate":1',
        '"next"',
        '"statuses"',
    ):
        assert part in said, part


def test_the_client_as_the_page_shows_it(desk: Path, hub_on_embedded: Outside) -> None:
    (program,) = blocks(PAGE, "python")
    (desk / "client.py").write_text(program, encoding="utf-8")
    said = run(f"{EXPORT}\npython client.py", desk, hub_on_embedded)
    assert said.startswith("applied\n") and "'kind': 'veteran'" in said


@pytest.mark.skipif(not shutil.which("kcat"), reason="kcat is not installed")
def test_kcat_as_the_page_shows_it(desk: Path, hub_on_embedded: Outside) -> None:
    before = coordinates(hub_on_embedded)
    run(blocks(PAGE, "sh")[1], desk, hub_on_embedded)
    (sent,) = coordinates(hub_on_embedded) - before
    # the same event may have come over HTTP before
    assert hub_on_embedded.receipt(Sent(sent, SAMPLE["id"], b""))["verdict"] in ("APPLIED", "DUPLICATE")


def coordinates(hub: Outside) -> set[str]:
    return {f"{m.topic()}/{m.partition()}/{m.offset()}" for m in hub.read("in.mod")}


@pytest.mark.parametrize("indent", [None, 2], ids=["lines", "pretty"])
def test_the_program_in_python(indent: int | None, desk: Path, hub_on_embedded: Outside) -> None:
    event, wrong = ({**SAMPLE, "id": unique("program")} for _ in range(2))
    wrong["data"] = wrong["data"] | {"category": "HERO"}
    text = "\n".join(json.dumps(e, indent=indent) for e in (event, wrong))
    (desk / "events.jsonl").write_text(text, encoding="utf-8")
    address = f"http://127.0.0.1:{hub_on_embedded.hub.gateway.port}"
    command = f"python deploy/agency/publish.py {address} events.jsonl < "
    done = execute(["sh", "-c", command + "data/mod.token"], desk)
    refused, applied = done.stdout.splitlines()
    assert done.returncode == 1 and applied == f"{event['id']} applied", done.stderr
    assert refused.startswith(f"{wrong['id']} | body_invalid | /data/category | ")
    nobody = execute(["sh", "-c", command + "events.jsonl"], desk)
    assert nobody.returncode == 2 and nobody.stderr.startswith("401 token_malformed: "), nobody.stderr
    assert len(nobody.stderr.splitlines()) == 1


def test_the_program_of_the_readme_takes_all_that_a_registry_keeps(desk: Path, hub_on_embedded: Outside) -> None:
    """Levels, modes, deleted and removed versions, other languages; and reads what it has sent."""
    fill(hub_on_embedded)
    (desk / "event.json").write_text(json.dumps({**SAMPLE, "id": unique("readme")}), encoding="utf-8")
    program = [sys.executable, "-c", blocks(README, "python")[0], hub_on_embedded.bootstrap]
    done = execute([*program, "publish", "event.json", "mod"], desk)
    assert done.returncode == 0, done.stderr
    hub_on_embedded.receipt(Sent(done.stdout.strip(), "", b""))
    read = execute([*program, "read", "receipts.mod"], desk)
    assert read.returncode == 0 and f"{done.stdout.strip()} None {{" in read.stdout, read.stderr


def fill(hub: Outside) -> None:
    """The log of schemas, with each kind of record: by the hub's registry, and what others write."""
    assert hub.hub.registry is not None
    registry, subject, type = Registry(f"http://127.0.0.1:{hub.hub.registry.port}"), unique("x.readme"), SAMPLE["type"]
    registry.register(subject, {"type": "fixed", "name": "Readme", "size": 1})
    for method, path, body, permanent in (
        ("PUT", f"/config/{subject}", {"compatibility": "FULL"}, False),
        ("PUT", f"/mode/{subject}", {"mode": "READWRITE"}, False),
        ("DELETE", f"/subjects/{subject}", None, False),
        ("DELETE", f"/subjects/{subject}", None, True),
    ):
        assert registry.ask(method, path, body, permanent=permanent).status == 200, path
    highest = registry.get("/schemas/ids/1", fetchMaxId=True)["maxId"]
    newest = registry.get(f"/subjects/{type}/versions/latest")
    schema = json.loads(newest["schema"])
    schema["fields"].append({"name": "note", "type": ["null", "string"], "default": None})
    deleted = Entry(type, newest["version"] + 1, highest + 1, json.dumps(schema), deleted=True)
    other = Entry(unique("x.other"), 1, highest + 2, 'syntax = "proto3";', type="PROTOBUF")
    gone = json.dumps({"keytype": "DELETE_SUBJECT", "subject": subject, "magic": 0}).encode()
    writer = Producer({"bootstrap.servers": hub.bootstrap})
    said = json.dumps({"subject": subject, "version": 1}).encode()
    for key, value in (deleted.change(), other.change(), (gone, said)):
        writer.produce("_schemas", value, key, partition=0)
    assert writer.flush(30) == 0


@pytest.mark.parametrize("place", [0, 1], ids=["avro", "confluent"])
def test_the_programs_of_the_readme_tell_the_field_and_no_value(
    place: int, desk: Path, hub_on_embedded: Outside
) -> None:
    hub = hub_on_embedded.hub
    assert hub.registry is not None
    registry = f"http://127.0.0.1:{hub.registry.port}"
    words = [["publish", "event.json", "mod"], [registry, "event.json", "mod"]][place]
    command = [sys.executable, "-c", blocks(README, "python")[place], hub_on_embedded.bootstrap, *words]

    def publish(**given: str) -> subprocess.CompletedProcess[str]:
        event = {**SAMPLE, "id": unique("readme"), "data": {**SAMPLE["data"], "fin": fin(), **given}}
        (desk / "event.json").write_text(json.dumps(event), encoding="utf-8")
        return execute(command, desk)

    for field, value in (("birth_date", "17.04.1988"), ("category", "HERO"), ("middle", "Nümunə")):
        done = publish(**{field: value})
        (line,) = done.stderr.splitlines()
        assert done.returncode == 1 and line.startswith("/data") and field in line and value not in line
    done = publish(valid_until="2030-01-01")
    assert hub_on_embedded.receipt(Sent(done.stdout.strip(), "", b""))["verdict"] == "APPLIED", done.stderr
