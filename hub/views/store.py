"""One SQLite file per view: written by the one loader of a data folder, read by any number of processes."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from hub.errors import HubError
from hub.kafka.following import Place, Topic

FORMAT = 1
"""Of the files; another one is rebuilt."""

LOOK_SECONDS = 1.0
"""How often a reader looks whether its file has been replaced by another one."""

MMAP_BYTES = 1 << 30
CACHE_KIB = 64 << 10
CHECKPOINT_PAGES = 16 << 10
"""64 MB: a page that changes often is written back once for many times."""

COMPLETE = "SELECT 1 FROM meta WHERE name = 'complete'"
BASE = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lives (topic TEXT PRIMARY KEY, id TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS places (topic TEXT, partition INTEGER, next INTEGER, first INTEGER,
                                   PRIMARY KEY (topic, partition)) WITHOUT ROWID;
"""


class NotReady(HubError):
    """The view is not there yet, or is still being read: ask again in a moment."""


class Beat(NamedTuple):
    """What the loader last said: when (seconds since 1970), how old what it had not read was, whether it has ever
    read to the end, and how much of what was there at its start it has read (0 to 1)."""

    at: float
    lag: float
    caught_up: bool
    progress: float


class Writer:
    """The loader's side. Opens the file, or begins a new one where it is of another format or broken."""

    def __init__(self, path: Path, schema: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._schema = path, BASE + schema
        try:
            self.db = self._open()
        except sqlite3.DatabaseError:
            self.discard()

    def discard(self) -> None:
        """Begin anew: what was read is read again. Readers find the new file within `LOOK_SECONDS`."""
        with suppress(AttributeError, sqlite3.Error):
            self.db.close()
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        self.db = self._open()

    def positions(self, topics: Sequence[Topic]) -> dict[Place, int]:
        """Where reading goes on; nothing of it where one of the topics has begun another life."""
        known = dict(self.db.execute("SELECT topic, id FROM lives"))
        if any(known.get(topic.name, topic.id) != topic.id for topic in topics):
            self.discard()
        with self.transaction():
            self.db.executemany("INSERT OR REPLACE INTO lives VALUES (?, ?)", [(t.name, t.id) for t in topics])
        return {(topic, part): at for topic, part, at in self.db.execute("SELECT topic, partition, next FROM places")}

    def moved(self, positions: Mapping[Place, int]) -> None:
        """Within a transaction: everything before these positions is in the table."""
        self.db.executemany(
            "INSERT INTO places VALUES (?, ?, ?, 0) ON CONFLICT DO UPDATE SET next = excluded.next",
            [(topic, partition, at) for (topic, partition), at in positions.items()],
        )

    def begins(self, first: Mapping[Place, int]) -> None:
        """Within a transaction: what is older than these has left Kafka."""
        self.db.executemany(
            "INSERT INTO places VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET first = excluded.first, next = max(next, excluded.first)",
            [(topic, partition, at, at) for (topic, partition), at in first.items()],
        )

    def beat(self, beat: Beat) -> None:
        with self.transaction():
            self.db.execute("INSERT OR REPLACE INTO meta VALUES ('beat', ?)", [json.dumps(beat)])
            if beat.caught_up:
                self.db.execute("INSERT OR IGNORE INTO meta VALUES ('complete', '')")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    def close(self) -> None:
        self.db.close()

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(
            "PRAGMA synchronous = NORMAL"
        )  # a power cut may cost the last rows, with their positions: read again
        db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        db.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        db.executescript(self._schema)
        found = db.execute("SELECT value FROM meta WHERE name = 'format'").fetchone()
        if found is None:
            db.execute("INSERT INTO meta VALUES ('format', ?)", [str(FORMAT)])
        elif found[0] != str(FORMAT):
            db.close()
            raise sqlite3.DatabaseError("another format")
        return db


class Reader:
    """A gateway's side: read-only, of the file that is there now. Each thread has a connection of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mine = threading.local()

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows of a query. Raises `NotReady` where there is no such file, or it is being replaced."""
        try:
            return self._current().execute(query, values).fetchall()
        except sqlite3.Error:
            self.look_again()
            raise NotReady(f"{self._path.name} is not there yet") from None

    def complete(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        """The same of a file that was once read to the end. Raises `NotReady` as well where it was not yet: who is not
        in it must not be told that nothing is known of him."""
        found = self.rows(query, values)
        asked: _Open = self._mine.open
        if not asked.complete:
            if not self.rows(COMPLETE):  # after the rows: what is asked between two files is asked of the new one
                raise NotReady(f"{self._path.name} is still being read")
            self._mine.open = self._mine.open._replace(complete=True)
        return found

    def beat(self) -> Beat | None:
        """What the loader last said; None before it has said anything."""
        try:
            found = self.rows("SELECT value FROM meta WHERE name = 'beat'")
        except NotReady:
            return None
        return Beat(*json.loads(found[0][0])) if found else None

    def look_again(self) -> None:
        """Forget the file; the next question opens the one that is there then."""
        self._mine.open = None

    def _current(self) -> sqlite3.Connection:
        found: _Open | None = getattr(self._mine, "open", None)
        now = time.monotonic()
        if found is None or now - found.looked > LOOK_SECONDS:
            found = self._mine.open = self._look(found, now)
        return found.db

    def _look(self, found: _Open | None, now: float) -> _Open:
        try:
            file = self._path.stat().st_ino
        except OSError:
            raise sqlite3.OperationalError("no file") from None
        if found is not None and file == found.file:
            return found._replace(looked=now)
        db = sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)
        db.execute(f"PRAGMA mmap_size = {MMAP_BYTES}")
        return _Open(db, file, now)


class _Open(NamedTuple):
    """A connection, the file (inode) that it is to, when that was last looked at, and whether it is known to have been
    read to the end once."""

    db: sqlite3.Connection
    file: int
    looked: float
    complete: bool = False
