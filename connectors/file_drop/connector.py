"""File drop: every batch becomes one file of JSON lines in a folder that the agency reads.

A line is one CloudEvent (JSON's structured mode). A file appears whole under
`<directory>/<agency>/<agency>-<partition>-<first offset>-<last offset>.jsonl`, or not at all; offsets have 20
digits, so that the files of a partition sort in order. A file is never changed or removed by the hub.

After a crash a batch may come again, cut otherwise: its file then begins at an offset that an earlier file of that
partition already reaches. A reader that remembers `id` takes each event once. Where another file already has the
name with other content, the new one ends in `-<digest>.jsonl`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import islice
from pathlib import Path

from pydantic import Field

from hub.sdk import Connector, Context, Delivery, Retry, Settings, Sink, Text, structured

WAIT = 2.0
FILE_MODE = 0o640  # personal data: the hub writes, the group reads, nobody else
FOLDER_MODE = 0o750
DIGEST_BYTES = 4


class FileDropSettings(Settings):
    directory: Path = Field(description="Folder under which each agency has its own; made when it is missing.")
    max_events: int = Field(default=10_000, ge=1, description="Most events in one file; a larger batch is cut.")


class FileDrop(Sink):
    def __init__(self, settings: FileDropSettings) -> None:
        self._directory = settings.directory
        self._max_events = settings.max_events

    def open(self, context: Context) -> None:
        self._agency = context.agency
        self._folder = self._directory / context.agency
        try:
            self._folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            removed = self._remove_stale()
        except OSError as error:
            raise Retry(f"{self._folder} cannot be used", WAIT) from error
        context.log.info("file drop is open", stale_files_removed=removed)

    def deliver(self, batch: Sequence[Delivery]) -> None:
        try:
            for part in _parts(batch, self._max_events):
                self._drop(part)
            _sync_folder(self._folder)
        except OSError as error:
            raise Retry(f"{self._folder} cannot be written", WAIT) from error

    def _drop(self, part: Sequence[Delivery]) -> None:
        content = b"".join(map(_line, part))
        target = self._folder / f"{self._name(part)}.jsonl"
        if target.exists():
            if target.read_bytes() == content:
                return
            target = target.with_stem(f"{target.stem}-{blake2b(content, digest_size=DIGEST_BYTES).hexdigest()}")
        _write_whole(target, content)

    def _name(self, part: Sequence[Delivery]) -> str:
        first, last = part[0], part[-1]
        return f"{self._agency}-{first.partition}-{first.offset:020d}-{last.offset:020d}"

    def _remove_stale(self) -> int:
        """Half-written files of processes that are gone (or of an earlier life of this process id)."""
        stale = [path for path in self._folder.glob(f".{self._agency}-*.tmp") if _is_orphan(path)]
        for path in stale:
            path.unlink(missing_ok=True)
        return len(stale)


def _parts(batch: Sequence[Delivery], size: int) -> Iterator[Sequence[Delivery]]:
    rest = iter(batch)
    while part := list(islice(rest, size)):
        yield part


def _line(delivery: Delivery) -> bytes:
    return json.dumps(structured(delivery), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _write_whole(target: Path, content: bytes) -> None:
    """Under another name until every byte is on the disk."""
    temporary = target.with_name(f".{target.stem}.{os.getpid()}.tmp")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, target)


def _sync_folder(folder: Path) -> None:
    """A rename is durable only once the folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_orphan(temporary: Path) -> bool:
    owner = temporary.suffixes[-2].removeprefix(".")
    if not owner.isdigit() or int(owner) == os.getpid():
        return True
    try:
        os.kill(int(owner), 0)
    except ProcessLookupError:
        return True
    except OSError:  # it lives and is somebody else's
        return False
    return False


CONNECTOR = Connector(
    name="file_drop",
    summary=Text(
        az="Hər paketi qurumun qovluğuna bir JSON Lines faylı kimi yazır.",
        en="Writes each batch as one JSON Lines file into the agency's folder.",
    ),
    settings=FileDropSettings,
    sink=FileDrop,
)
