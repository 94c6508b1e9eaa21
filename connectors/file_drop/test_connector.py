"""What a reader of the folder may rely on."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from connectors.file_drop.connector import CONNECTOR
from hub.sdk import Delivery
from hub.sdk.testing import Run, run, samples

SAMPLES = Path(__file__).parent / "samples"
GONE = 2**22 + 1  # above every process id of a default Linux


def drop(folder: Path, *batches: Sequence[Delivery], **settings: Any) -> Run:
    return run(CONNECTOR, batches, folder, directory=str(folder), **settings)


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "mod").iterdir())


def test_the_manifest_is_complete() -> None:
    assert CONNECTOR.problems() == []
    assert [option.name for option in CONNECTOR.options()] == ["directory", "max_events"]


def test_a_batch_is_one_file_of_cloudevents(tmp_path: Path) -> None:
    batch = samples(SAMPLES, partition=3, first=41)
    assert drop(tmp_path, batch).delivered == 2
    assert names(tmp_path) == [f"mod-3-{41:020d}-{42:020d}.jsonl"]
    expected = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(SAMPLES.glob("*.json"))]
    written = lines(tmp_path / "mod" / names(tmp_path)[0])
    assert [event | {"time": None} for event in written] == [event | {"time": None} for event in expected]


def test_nobody_else_may_read(tmp_path: Path) -> None:
    drop(tmp_path, samples(SAMPLES))
    (path,) = (tmp_path / "mod").iterdir()
    assert path.stat().st_mode & 0o007 == 0


def test_a_large_batch_is_cut(tmp_path: Path) -> None:
    drop(tmp_path, samples(SAMPLES), max_events=1)
    assert names(tmp_path) == [f"mod-0-{i:020d}-{i:020d}.jsonl" for i in (0, 1)]


def test_the_same_batch_again_changes_nothing(tmp_path: Path) -> None:
    batch = samples(SAMPLES)
    drop(tmp_path, batch)
    (path,) = (tmp_path / "mod").iterdir()
    before = path.stat().st_ino
    drop(tmp_path, batch)
    assert [path.stat().st_ino for path in (tmp_path / "mod").iterdir()] == [before]


def test_a_batch_cut_otherwise_begins_where_the_first_began(tmp_path: Path) -> None:
    first, second = samples(SAMPLES)
    drop(tmp_path, [first])
    drop(tmp_path, [first, second])
    found = names(tmp_path)
    assert found == sorted([f"mod-0-{0:020d}-{0:020d}.jsonl", f"mod-0-{0:020d}-{1:020d}.jsonl"])
    ids = [event["id"] for name in found for event in lines(tmp_path / "mod" / name)]
    assert list(dict.fromkeys(ids)) == [first.event_id, second.event_id]


def test_a_file_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    """Offsets begin anew when a topic is made anew."""
    first, second = samples(SAMPLES)
    drop(tmp_path, [first])
    name = f"mod-0-{0:020d}-{0:020d}"
    again = samples(SAMPLES)[1:]
    drop(tmp_path, [_at(again[0], 0)])
    found = names(tmp_path)
    assert len(found) == 2 and all(part.startswith(name) for part in found)
    assert {lines(tmp_path / "mod" / part)[0]["id"] for part in found} == {first.event_id, second.event_id}


def _at(delivery: Delivery, offset: int) -> Delivery:
    from dataclasses import replace

    return replace(delivery, offset=offset)


def test_stale_temporary_files_go_and_those_of_the_living_stay(tmp_path: Path) -> None:
    folder = tmp_path / "mod"
    folder.mkdir()
    stale = [folder / f".mod-0-0-1.{pid}.tmp" for pid in (GONE, os.getpid())]
    living = [folder / f".mod-0-0-1.{os.getppid()}.tmp", folder / ".asan-0-0-1.tmp"]
    for path in (*stale, *living):
        path.touch()
    drop(tmp_path)
    assert set(folder.iterdir()) == set(living)


def test_a_folder_that_cannot_be_written_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert drop(tmp_path, samples(SAMPLES)).retries == [2.0]
    assert not list((tmp_path / "mod").glob("*.jsonl"))


def test_a_directory_is_asked_for() -> None:
    from hub.errors import ConfigError

    with pytest.raises(ConfigError, match="directory"):
        CONNECTOR.configure({})
