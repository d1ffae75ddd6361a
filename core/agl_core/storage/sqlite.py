"""The store in one SQLite file, and the one in memory."""

from __future__ import annotations

import errno
import json
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from agl_core.damage import undamaged
from agl_core.datasets import Task
from agl_core.errors import RunInUseError, StoreError
from agl_core.storage.presence import create_private, is_present, present
from agl_core.storage.schema import prepare
from agl_core.storage.store import Activity, RolloutKey, RunRecord

__all__ = ["MemoryStore", "SQLiteStore"]

_MEMORY = ":memory:"
_RUN = "name, created, settings, result, plan"


class SQLiteStore:
    """A store in one SQLite file, in WAL mode, private to its user.

    Several processes can use the file at once, each opening it for itself: in a forked child this
    object is an error to use. A process that is killed loses nothing that was written; only a power
    failure can lose the last moments.

    Args:
        path: The file, created with its folders if it is not there.

    Raises:
        StoreError: If the file cannot be opened, is no store, or is of a newer version.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.location = os.fspath(path)
        self._lock = threading.Lock()
        self._process = os.getpid()
        with self._errors("open"):
            if self.location != _MEMORY:
                Path(self.location).parent.mkdir(parents=True, exist_ok=True)
                if os.path.isdir(self.location):
                    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
                # Created before SQLite does, so that nobody else can ever read it.
                create_private(self.location)
            self._db = sqlite3.connect(
                self.location, timeout=30.0, isolation_level=None, check_same_thread=False
            )
            try:
                prepare(self._db, self.location)
            except BaseException:
                self._db.close()
                raise

    def run(self, name: str) -> RunRecord | None:
        """Return a run, or None; see `Store`."""
        rows = self._read(f"SELECT {_RUN} FROM runs WHERE name=?", name)
        return self._record(rows[0]) if rows else None

    def runs(self) -> list[RunRecord]:
        """Return all runs, oldest first; see `Store`."""
        rows = self._read(f"SELECT {_RUN} FROM runs ORDER BY created, name")
        return [self._record(row) for row in rows]

    @contextmanager
    def hold(self, name: str) -> Generator[None]:
        """Hold a run; see `Store`."""
        with ExitStack() as stack:
            token = ""
            if self.location != _MEMORY:  # what is in memory is this process's alone
                with self._errors("write beside"):
                    token = stack.enter_context(present(self.location))
            self._take(name, token)
            try:
                yield
            finally:
                with suppress(StoreError):  # such as a full disk: without its token it says nothing
                    self._write("DELETE FROM holders WHERE run=? AND token=?", name, token)

    def begin_run(self, name: str, settings: Mapping[str, Any]) -> None:
        """Create a run; see `Store`."""
        values = (name, time.time(), json.dumps(settings))
        with self._transaction():
            for table in ("rollouts", "calls"):
                if self._db.execute(f"SELECT 1 FROM {table} WHERE run=?", (name,)).fetchone():
                    return
            self._delete(name)
            self._db.execute("INSERT INTO runs (name, created, settings) VALUES (?, ?, ?)", values)

    def change_run(self, name: str, settings: Mapping[str, Any]) -> None:
        """Replace the settings of a run; see `Store`."""
        self._write("UPDATE runs SET settings=? WHERE name=?", json.dumps(settings), name)

    def plan_run(self, name: str, plan: Mapping[str, Any]) -> None:
        """Write what is run; see `Store`."""
        self._write("UPDATE runs SET plan=? WHERE name=?", json.dumps(plan), name)

    def end_run(self, name: str, result: Mapping[str, Any]) -> None:
        """Write a run's result; see `Store`."""
        self._write("UPDATE runs SET result=? WHERE name=?", json.dumps(result), name)

    def delete_run(self, name: str) -> None:
        """Delete a run; see `Store`."""
        with self.hold(name), self._transaction():
            self._delete(name)

    def set_tasks(self, run: str, tasks: Iterable[Task]) -> None:
        """Write the tasks of a run; see `Store`."""
        rows = [(run, t.split, t.index, t.key, json.dumps(t.data)) for t in tasks]
        with self._transaction():
            self._db.execute("DELETE FROM tasks WHERE run=?", (run,))
            self._db.executemany("INSERT INTO tasks VALUES (?, ?, ?, ?, ?)", rows)

    def tasks(self, run: str) -> list[Task]:
        """Return the tasks of a run; see `Store`."""
        rows = self._read(
            "SELECT key, split, position, data FROM tasks WHERE run=? ORDER BY split, position", run
        )
        return [Task(key, split, index, self._data(data)) for key, split, index, data in rows]

    def activity(self, run: str) -> Activity:
        """Return how far a run has come; see `Store`."""
        counts: list[int] = []
        latest = 0.0
        for table in ("rollouts", "calls", "candidates"):
            statement = f"SELECT count(*), coalesce(max(at), 0.0) FROM {table} WHERE run=?"
            ((count, last),) = self._read(statement, run)
            counts.append(count)
            latest = max(latest, last)
        ended = self._read("SELECT 1 FROM runs WHERE name=? AND result IS NOT NULL", run)
        return Activity(*counts, latest=latest, ended=bool(ended))

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
        return self._data(rows[0][0]) if rows else None

    def add_rollout(self, run: str, key: RolloutKey, record: Mapping[str, Any]) -> None:
        """Write a rollout; see `Store`."""
        # One statement for nearly all: around each, the event loop waits for other threads.
        if self._put_rollout("IGNORE", run, key, record):
            return
        rows = self._read(
            "SELECT record FROM rollouts WHERE run=? AND candidate=? AND split=? AND task=? "
            "AND repeat=?",
            run,
            key.candidate,
            key.split,
            key.task,
            key.repeat,
        )
        if rows:
            replaced = self._data(rows[0][0])
            record = {**record, "replaced": [*replaced.get("replaced", ()), replaced["usage"]]}
        self._put_rollout("REPLACE", run, key, record)

    def _put_rollout(
        self, conflict: str, run: str, key: RolloutKey, record: Mapping[str, Any]
    ) -> bool:
        """Write a rollout; tell whether it was: with ``IGNORE`` only if there was none."""
        written = self._write(
            f"INSERT OR {conflict} INTO rollouts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
        return written > 0

    def rollouts(
        self, run: str, since: float = 0.0
    ) -> Iterator[tuple[RolloutKey, Mapping[str, Any]]]:
        """Iterate over a run's rollouts; see `Store`."""
        keys = self._read(
            "SELECT candidate, split, task, repeat FROM rollouts WHERE run=? AND at>=? ORDER BY at",
            run,
            since,
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
                yield key, self._data(record[0][0])

    def call(self, run: str, key: str) -> Mapping[str, Any] | None:
        """Return the record of an optimizer call, or None; see `Store`."""
        rows = self._read("SELECT record FROM calls WHERE run=? AND key=?", run, key)
        return self._data(rows[0][0]) if rows else None

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
        return [self._data(row[0]) for row in rows]

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
        return [self._data(row[0]) for row in rows]

    def close(self) -> None:
        """Close the file; see `Store`. In a forked child nothing is done: it is the parent's."""
        if os.getpid() == self._process:
            with self._errors("close"), self._lock:
                self._db.close()

    def _take(self, name: str, token: str) -> None:
        with self._transaction():
            query = "SELECT token, pid, host, since FROM holders WHERE run=?"
            holder = self._db.execute(query, (name,)).fetchone()
            if holder and (not token or is_present(self.location, holder[0])):
                raise RunInUseError(
                    f"run {name!r} of the store {self.location} is being worked on by "
                    f"{_process(*holder[1:])}: wait until that has ended, or choose another name"
                )
            values = (name, token, os.getpid(), socket.gethostname(), time.time())
            self._db.execute("INSERT OR REPLACE INTO holders VALUES (?, ?, ?, ?, ?)", values)

    def _delete(self, name: str) -> None:
        for table in ("rollouts", "calls", "candidates", "tasks"):
            self._db.execute(f"DELETE FROM {table} WHERE run=?", (name,))
        self._db.execute("DELETE FROM runs WHERE name=?", (name,))

    def _data(self, text: str) -> Any:
        with undamaged(f"a record of the store {self.location}"):
            return json.loads(text)

    def _record(self, row: tuple[Any, ...]) -> RunRecord:
        with undamaged(f"the run {row[0]!r} of the store {self.location}"):
            return _run_record(row)

    def _read(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._errors("read"), self._opened() as db:
            return db.execute(statement, values).fetchall()

    def _write(self, statement: str, *values: Any) -> int:
        """Execute a statement; return how many rows it wrote."""
        with self._errors("write to"), self._opened() as db:
            return db.execute(statement, values).rowcount

    @contextmanager
    def _opened(self) -> Generator[sqlite3.Connection]:
        # Before the lock, which another thread may have held when the process was forked.
        if os.getpid() != self._process:
            raise StoreError(
                f"the store {self.location} was opened before this process was forked: "
                "open it again here"
            )
        with self._lock:
            yield self._db

    @contextmanager
    def _transaction(self) -> Generator[None]:
        """Write all of the block or nothing of it."""
        with self._errors("write to"), self._opened() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")

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
        super().__init__(_MEMORY)


def _process(pid: int, host: str, since: float) -> str:
    if (pid, host) == (os.getpid(), socket.gethostname()):
        return "this process"
    return f"process {pid} on {host} since {time.strftime('%F %T', time.localtime(since))}"


def _run_record(row: tuple[Any, ...]) -> RunRecord:
    name, created, settings, result, plan = row
    return RunRecord(
        name,
        created,
        json.loads(settings),
        None if result is None else json.loads(result),
        None if plan is None else json.loads(plan),
    )
