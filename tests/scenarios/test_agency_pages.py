"""The pages for agencies, followed to the letter: every command as it stands, by a shell, against a hub that runs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from outside import Outside

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGE = (ROOT / "deploy/agency/README.md").read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture
def desk(hub_on_embedded: Outside, tmp_path: Path) -> Path:
    """A folder as the page has it: `data/` of the hub, and the samples."""
    (tmp_path / "data").symlink_to(hub_on_embedded.folder)
    for sample in ("event.json", "question.json", "publish.py"):
        shutil.copy(ROOT / "deploy/agency" / sample, tmp_path)
    return tmp_path


def run(script: str, desk: Path, hub: Outside) -> str:
    """What a shell prints that stops at the first failure; only the port is another one."""
    address = f"http://127.0.0.1:{hub.hub.gateway.port}"
    script = script.replace("http://127.0.0.1:8000", address)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=desk, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


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
    (first,) = re.findall(r"`(export HUB=[^`]*)`", PAGE)
    said = run(first + "\n" + blocks(PAGE, "sh")[0], desk, hub_on_embedded)
    for part in (
        '"agency":"mod"',
        '"publishes"',
        '"receivers"',
        '"accepted":1',
        '"duplicate":1',
        '"next"',
        '"statuses"',
    ):
        assert part in said, part


def test_the_program_in_python(desk: Path, hub_on_embedded: Outside) -> None:
    event = json.loads((desk / "event.json").read_text(encoding="utf-8"))
    (desk / "events.jsonl").write_text(json.dumps(event | {"id": "program-1"}) + "\n", encoding="utf-8")
    token = (desk / "data" / "mod.token").read_text(encoding="utf-8")
    command = [sys.executable, "publish.py", f"http://127.0.0.1:{hub_on_embedded.hub.gateway.port}", "events.jsonl"]
    done = subprocess.run(command, cwd=desk, input=token, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and done.stdout.strip() == "applied", done.stderr
