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
from outside import Outside, Sent, fin, unique

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
