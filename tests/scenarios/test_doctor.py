"""`hub doctor` on a hub that is well, and on one with another key of the pseudonyms; `hub explain` of an event."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from outside import Outside, fin, unique
from world import VETERAN, sample

OTHER = "another-secret-than-the-hub-began-with"


def hub_command(folder: Any, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    command = [sys.executable, "-m", "hub", *words, "--data-dir", str(folder)]
    return subprocess.run(command, env=clean | environment, capture_output=True, text=True, check=False, timeout=120)


def examined(hub: Outside, **environment: str) -> tuple[int, dict[str, Any], dict[str, Any], str]:
    run = hub_command(hub.folder, "doctor", "--json", **environment)
    found = json.loads(run.stdout)
    checks = {check["name"]: check for check in found["checks"]}
    return run.returncode, checks, {s["name"]: s for s in found["settings"]}, run.stdout


def test_a_hub_that_is_well(hub_on_embedded: Outside) -> None:
    code, checks, settings, _ = examined(hub_on_embedded, HUB_LOG_LEVEL="WARNING")
    assert [name for name, check in checks.items() if check["ok"] is not True] == []
    assert {"broker", "topics", "schemas", "key of the pseudonyms", "clock", "agencies"} <= set(checks)
    assert {"worker", "delivery", "gateway", "registry"} <= set(checks)
    assert code == 0
    assert settings["HUB_LOG_LEVEL"] == {"name": "HUB_LOG_LEVEL", "value": "WARNING", "source": "environment"}
    assert settings["HUB_DATA_DIR"]["source"] == "option" and settings["HUB_NAME"]["source"] == "default"


def test_another_key_of_the_pseudonyms_is_seen_and_not_shown(hub_on_embedded: Outside) -> None:
    code, checks, settings, text = examined(hub_on_embedded, HUB_PERSON_SECRET=OTHER)
    assert code == 1 and not checks["key of the pseudonyms"]["ok"]
    assert settings["HUB_PERSON_SECRET"]["source"] == "environment" and OTHER not in text


def test_a_worker_with_another_key_does_not_start(hub_on_embedded: Outside) -> None:
    bootstrap = hub_on_embedded.bootstrap
    environment = os.environ | {"HUB_PERSON_SECRET": OTHER, "HUB_BOOTSTRAP_SERVERS": bootstrap, "HUB_NAME": unique("h")}
    run = subprocess.run(
        [sys.executable, "-m", "hub", "worker"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert run.returncode == 2 and "HUB_PERSON_SECRET is not the one" in run.stderr and OTHER not in run.stderr


def test_an_event_is_explained_to_operations_with_what_mends_it(hub_on_embedded: Outside) -> None:
    sent = hub_on_embedded.send("mod", VETERAN, hub_on_embedded.encode(VETERAN, sample(VETERAN, fin="short")))
    hub_on_embedded.receipt(sent)
    run = hub_command(hub_on_embedded.folder, "explain", sent.id, "--lang", "az")
    assert run.returncode == 0, run.stderr
    assert "fin_invalid" in run.stdout and "nə etməli" in run.stdout
    assert "fin_invalid at /fin: expected 7 upper-case Latin letters and digits" in run.stdout


def test_a_sound_event_is_explained(hub_on_embedded: Outside) -> None:
    sent = hub_on_embedded.send("mod", VETERAN, hub_on_embedded.encode(VETERAN, sample(VETERAN, fin=fin())))
    hub_on_embedded.receipt(sent)
    run = hub_command(hub_on_embedded.folder, "explain", sent.id)
    assert run.returncode == 0 and "accepted from mod" in run.stdout and "offered to tax" in run.stdout
