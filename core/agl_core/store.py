"""The store: one SQLite file that holds the journal of every run.

Every rollout and every optimizer call is written here under a deterministic key before its result
is used. The same record is the evaluation cache and what a resumed run reads instead of paying
again.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from agl_core.errors import StoreError

__all__ = ["MemoryStore", "RolloutKey", "RunRecord", "SQLiteStore", "Store"]

SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    name TEXT PRIMARY KEY, created REAL NOT NULL, settings TEXT NOT NULL, result TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rollouts (
    run TEXT NOT NULL, candidate TEXT NOT NULL, split TEXT NOT NULL, task TEXT NOT NULL,
    repeat TEXT NOT NULL, at REAL NOT NULL, status TEXT NOT NULL, score REAL, record TEXT NOT NULL,
    PRIMARY KEY (run, candidate, split, task, repeat)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS calls (
    run TEXT NOT NULL, key TEXT NOT NULL, at REAL NOT NULL, record TEXT NOT NULL,
    PRIMARY KEY (run, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS candidates (
    run TEXT NOT NULL, id TEXT NOT NULL, at REAL NOT NULL, record TEXT NOT NULL,
    PRIMARY KEY (run, id)
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class RolloutKey:
    """What makes a rollout the same rollout: never run twice within a run."""

    candidate: str
    """Fingerprint of the resources under test."""
    split: str
    """The dataset, so that splits are never mixed."""
    task: str
    """The task's key."""
    repeat: str = "0"
    """Tells apart repeated rollouts of the same candidate on the same task."""

    def __str__(self) -> str:
        return f"{self.candidate}/{self.split}/{self.task}/{self.repeat}"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run in the store."""

    name: str
    created: float
    """Seconds since the epoch."""
    settings: Mapping[str, Any]
    """What must be the same when the run is resumed."""
    result: Mapping[str, Any] | None
    """The result, once the run has ended."""


class Store(Protocol):
    """Where runs are kept. Records are JSON-able mappings. Methods may be called from any thread.

    Every method raises `StoreError` if the store cannot be read or written.
    """

    location: str
    """Where it is, for messages."""

    def run(self, name: str) -> RunRecord | None:
        """Return a run, or None if there is none of that name."""
        ...

    def runs(self) -> list[RunRecord]:
        """Return all runs, oldest first."""
        ...

    def begin_run(self, name: str, settings: Mapping[str, Any]) -> None:
        """Create a run, anew if it holds no rollout yet; else it is left as it is."""
        ...

    def end_run(self, name: str, result: Mapping[str, Any]) -> None:
        """Write a run's result."""
        ...

    def delete_run(self, name: str) -> None:
        """Delete a run with all that belongs to it, at once; nothing, if there is none."""
        ...

    def rollout(self, run: str, key: RolloutKey) -> Mapping[str, Any] | None:
        """Return the record of a rollout; None if there is none, or the world failed it."""
        ...

    def add_rollout(self, run: str, key: RolloutKey, record: Mapping[str, Any]) -> None:
        """Write a rollout, replacing one of the same key."""
        ...

    def rollouts(self, run: str) -> Iterator[tuple[RolloutKey, Mapping[str, Any]]]:
        """Iterate over all rollouts of a run, in order of time."""
        ...

    def call(self, run: str, key: str) -> Mapping[str, Any] | None:
        """Return the record of an optimizer call, or None."""
        ...

    def add_call(self, run: str, key: str, record: Mapping[str, Any]) -> None:
        """Write an optimizer call."""
        ...

    def calls(self, run: str) -> list[Mapping[str, Any]]:
        """Return the optimizer calls of a run, in order of time."""
        ...

    def add_candidate(self, run: str, id: str, record: Mapping[str, Any]) -> None:
        """Write a candidate, replacing one of the same id."""
        ...

    def candidates(self, run: str) -> list[Mapping[str, Any]]:
        """Return the candidates of a run, in order of time."""
        ...

    def close(self) -> None:
        """Close the store; it cannot be used afterwards."""
        ...


class SQLiteStore:
    """A store in one SQLite file, in WAL mode, private to its user.

    Several processes can use the file at once. A process that is killed loses nothing that was
    written; only a power failure can lose the last moments.

    Args:
        path: The file, created with its folders if it is not there.

    Raises:
        StoreError: If the file cannot be opened, is no store, or is of a newer version.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.location = os.fspath(path)
        self._lock = threading.Lock()
        with self._errors("open"):
            if self.location != ":memory:":
                Path(self.location).parent.mkdir(parents=True, exist_ok=True)
                # Created before SQLite does, so that nobody else can ever read it.
                os.close(os.open(self.location, os.O_RDWR | os.O_CREAT, 0o600))
            self._db = sqlite3.connect(
                self.location, timeout=30.0, isolation_level=None, check_same_thread=False
            )
            try:
                self._prepare()
            except BaseException:
                self._db.close()
                raise

    def _prepare(self) -> None:
        """Create the tables in a new file; refuse one that is not ours."""
        # In one transaction: another process may be opening the same new file.
        self._db.execute("BEGIN IMMEDIATE")
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"the store {self.location} was written by a newer version of agl-adapters "
                f"(schema {version}, this one knows {SCHEMA_VERSION}); upgrade the package"
            )
        if not version:
            if self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                raise StoreError(
                    f"{self.location} is a database of another program; choose another file"
                )
            for statement in _SCHEMA.split(";"):
                self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        self._db.execute("COMMIT")
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")

    def run(self, name: str) -> RunRecord | None:
        """Return a run, or None; see `Store`."""
        rows = self._read("SELECT name, created, settings, result FROM runs WHERE name=?", name)
        return _run_record(rows[0]) if rows else None

    def runs(self) -> list[RunRecord]:
        """Return all runs, oldest first; see `Store`."""
        rows = self._read("SELECT name, created, settings, result FROM runs ORDER BY created, name")
        return [_run_record(row) for row in rows]

    def begin_run(self, name: str, settings: Mapping[str, Any]) -> None:
        """Create a run; see `Store`."""
        self._write(
            "INSERT INTO runs (name, created, settings) VALUES (?, ?, ?) ON CONFLICT (name) DO "
            "UPDATE SET created=excluded.created, settings=excluded.settings "
            "WHERE NOT EXISTS (SELECT 1 FROM rollouts WHERE run=excluded.name)",
            name,
            time.time(),
            json.dumps(settings),
        )

    def end_run(self, name: str, result: Mapping[str, Any]) -> None:
        """Write a run's result; see `Store`."""
        self._write("UPDATE runs SET result=? WHERE name=?", json.dumps(result), name)

    def delete_run(self, name: str) -> None:
        """Delete a run; see `Store`."""
        with self._errors("write to"), self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                for table, column in (
                    ("rollouts", "run"),
                    ("calls", "run"),
                    ("candidates", "run"),
                    ("runs", "name"),
                ):
                    self._db.execute(f"DELETE FROM {table} WHERE {column}=?", (name,))
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def rollout(self, run: str, key: RolloutKey) -> Mapping[str, Any] | None:
        """Return the record of a finished rollout, or None; see `Store`."""
        rows = self._read(
            "SELECT record FROM rollouts WHERE run=? AND candidate=? AND split=? AND task=? "
            "AND repeat=? AND status<>'unavailable'",
            run,
            key.candidate,
            key.split,
            key.task,
            key.repeat,
        )
        return json.loads(rows[0][0]) if rows else None

    def add_rollout(self, run: str, key: RolloutKey, record: Mapping[str, Any]) -> None:
        """Write a rollout; see `Store`."""
        self._write(
            "INSERT OR REPLACE INTO rollouts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            run,
            key.candidate,
            key.split,
            key.task,
            key.repeat,
            time.time(),
            record["status"],
            record["score"],
            json.dumps(record, separators=(",", ":")),
        )

    def rollouts(self, run: str) -> Iterator[tuple[RolloutKey, Mapping[str, Any]]]:
        """Iterate over a run's rollouts; see `Store`."""
        keys = self._read(
            "SELECT candidate, split, task, repeat FROM rollouts WHERE run=? ORDER BY at", run
        )
        for row in keys:
            key = RolloutKey(*row)
            record = self._read(
                "SELECT record FROM rollouts WHERE run=? AND candidate=? AND split=? AND task=? "
                "AND repeat=?",
                run,
                *row,
            )
            if record:
                yield key, json.loads(record[0][0])

    def call(self, run: str, key: str) -> Mapping[str, Any] | None:
        """Return the record of an optimizer call, or None; see `Store`."""
        rows = self._read("SELECT record FROM calls WHERE run=? AND key=?", run, key)
        return json.loads(rows[0][0]) if rows else None

    def add_call(self, run: str, key: str, record: Mapping[str, Any]) -> None:
        """Write an optimizer call; see `Store`."""
        self._write(
            "INSERT OR REPLACE INTO calls VALUES (?, ?, ?, ?)",
            run,
            key,
            time.time(),
            json.dumps(record),
        )

    def calls(self, run: str) -> list[Mapping[str, Any]]:
        """Return a run's optimizer calls; see `Store`."""
        rows = self._read("SELECT record FROM calls WHERE run=? ORDER BY at, key", run)
        return [json.loads(row[0]) for row in rows]

    def add_candidate(self, run: str, id: str, record: Mapping[str, Any]) -> None:
        """Write a candidate; see `Store`."""
        self._write(
            "INSERT INTO candidates VALUES (?, ?, ?, ?) "
            "ON CONFLICT (run, id) DO UPDATE SET record=excluded.record",
            run,
            id,
            time.time(),
            json.dumps(record),
        )

    def candidates(self, run: str) -> list[Mapping[str, Any]]:
        """Return a run's candidates; see `Store`."""
        rows = self._read("SELECT record FROM candidates WHERE run=? ORDER BY at, id", run)
        return [json.loads(row[0]) for row in rows]

    def close(self) -> None:
        """Close the file; see `Store`."""
        with self._errors("close"), self._lock:
            self._db.close()

    def _read(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._errors("read"), self._lock:
            return self._db.execute(statement, values).fetchall()

    def _write(self, statement: str, *values: Any) -> None:
        with self._errors("write to"), self._lock:
            self._db.execute(statement, values)

    @contextmanager
    def _errors(self, action: str) -> Generator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            reason = getattr(error, "strerror", None) or error
            raise StoreError(f"cannot {action} the store {self.location}: {reason}") from error


class MemoryStore(SQLiteStore):
    """A store in memory, gone when it is closed. The default of a trainer."""

    def __init__(self) -> None:
        super().__init__(":memory:")


def _run_record(row: tuple[Any, ...]) -> RunRecord:
    name, created, settings, result = row
    return RunRecord(
        name, created, json.loads(settings), None if result is None else json.loads(result)
    )
