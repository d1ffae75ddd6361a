"""The store: one SQLite file that holds the journal of every run.

Every rollout and every optimizer call is written here under a deterministic key before its result
is used. The same record is the evaluation cache and what a resumed run reads instead of paying
again.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from agl_core.datasets import Task
from agl_core.errors import RunInUseError, StoreError
from agl_core.storage.presence import create_private, is_present, present
from agl_core.storage.schema import prepare

__all__ = ["Activity", "Journal", "MemoryStore", "RolloutKey", "RunRecord", "SQLiteStore", "Store"]


_MEMORY = ":memory:"


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
    plan: Mapping[str, Any] | None = None
    """What is run, once the prompts are known; see `Plan.to_json`."""


@dataclass(frozen=True, slots=True)
class Activity:
    """How far a run has come. Cheap to ask for: it tells whether there is anything new to read."""

    rollouts: int
    calls: int
    candidates: int
    latest: float
    """When anything was last written, in seconds since the epoch; 0.0 if nothing was."""
    ended: bool
    """Whether the run has a result."""


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

    def hold(self, name: str) -> AbstractContextManager[None]:
        """Work on a run for the block, which need not be there yet; nobody else may meanwhile.

        Raises:
            RunInUseError: If somebody does.
        """
        ...

    def begin_run(self, name: str, settings: Mapping[str, Any]) -> None:
        """Create a run, anew if it holds nothing yet; else it is left as it is."""
        ...

    def plan_run(self, name: str, plan: Mapping[str, Any]) -> None:
        """Write what is run, replacing an earlier plan; see `Plan.to_json`."""
        ...

    def end_run(self, name: str, result: Mapping[str, Any]) -> None:
        """Write a run's result."""
        ...

    def delete_run(self, name: str) -> None:
        """Delete a run with all that belongs to it, at once; nothing, if there is none.

        Raises:
            RunInUseError: If somebody works on it.
        """
        ...

    def set_tasks(self, run: str, tasks: Iterable[Task]) -> None:
        """Write the tasks of a run's datasets, replacing those of an earlier start."""
        ...

    def tasks(self, run: str) -> list[Task]:
        """Return the tasks of a run's datasets, each split in its order."""
        ...

    def activity(self, run: str) -> Activity:
        """Return how far a run has come."""
        ...

    def rollout(self, run: str, key: RolloutKey) -> Mapping[str, Any] | None:
        """Return the record of a rollout; None if there is none, or the world failed it."""
        ...

    def add_rollout(self, run: str, key: RolloutKey, record: Mapping[str, Any]) -> None:
        """Write a rollout, replacing an unavailable one of the same key.

        What those that it replaces took was spent all the same: it is kept as ``replaced``.
        """
        ...

    def rollouts(
        self, run: str, since: float = 0.0
    ) -> Iterator[tuple[RolloutKey, Mapping[str, Any]]]:
        """Iterate over the rollouts of a run, in order of time.

        Args:
            run: The run.
            since: Only those that were written at this time, in seconds since the epoch, or later.
        """
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


@dataclass(frozen=True, slots=True)
class Journal:
    """The part of a store that belongs to one run."""

    store: Store
    run: str


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
        return _run_record(rows[0]) if rows else None

    def runs(self) -> list[RunRecord]:
        """Return all runs, oldest first; see `Store`."""
        rows = self._read(f"SELECT {_RUN} FROM runs ORDER BY created, name")
        return [_run_record(row) for row in rows]

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
        return [Task(key, split, index, json.loads(data)) for key, split, index, data in rows]

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
        return json.loads(rows[0][0]) if rows else None

    def add_rollout(self, run: str, key: RolloutKey, record: Mapping[str, Any]) -> None:
        """Write a rollout; see `Store`."""
        rows = self._read(
            "SELECT record FROM rollouts WHERE run=? AND candidate=? AND split=? AND task=? "
            "AND repeat=? AND status='unavailable'",
            run,
            key.candidate,
            key.split,
            key.task,
            key.repeat,
        )
        if rows:
            replaced = json.loads(rows[0][0])
            record = {**record, "replaced": [*replaced.get("replaced", ()), replaced["usage"]]}
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

    def _read(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._errors("read"), self._opened() as db:
            return db.execute(statement, values).fetchall()

    def _write(self, statement: str, *values: Any) -> None:
        with self._errors("write to"), self._opened() as db:
            db.execute(statement, values)

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


_RUN = "name, created, settings, result, plan"


def _run_record(row: tuple[Any, ...]) -> RunRecord:
    name, created, settings, result, plan = row
    return RunRecord(
        name,
        created,
        json.loads(settings),
        None if result is None else json.loads(result),
        None if plan is None else json.loads(plan),
    )
