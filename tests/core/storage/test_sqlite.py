from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agl_core.datasets import load_dataset
from agl_core.errors import RunInUseError, StoreError
from agl_core.storage.schema import SCHEMA_VERSION
from agl_core.storage.sqlite import SQLiteStore
from agl_core.storage.store import RolloutKey, Store

KEY = RolloutKey("c1", "val", "k1")
RECORD = {"status": "succeeded", "score": 1.0}


class TestFile:
    def test_is_there_when_it_is_opened_again(self, tmp_path: Path) -> None:
        path = tmp_path / "new" / "folder" / "runs.db"
        first = SQLiteStore(path)
        first.begin_run("a", {"seed": 1})
        first.add_rollout("a", KEY, RECORD)
        # Not closed: as if the process had been killed.
        again = SQLiteStore(str(path))
        assert again.rollout("a", KEY) == RECORD
        assert again.location == str(path)
        first.close()
        again.close()

    def test_is_private_to_its_user(self, tmp_path: Path) -> None:
        umask = os.umask(0)
        try:
            store = SQLiteStore(tmp_path / "runs.db")
            store.begin_run("a", {})
            modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
        finally:
            os.umask(umask)
        assert modes == {"runs.db": 0o600, "runs.db-wal": 0o600, "runs.db-shm": 0o600}
        store.close()

    def test_is_written_ahead(self, tmp_path: Path) -> None:
        store = SQLiteStore(tmp_path / "runs.db")
        other = sqlite3.connect(tmp_path / "runs.db")
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        # A reader in the middle of its work holds up no writer.
        other.execute("BEGIN")
        other.execute("SELECT * FROM runs").fetchall()
        store.begin_run("a", {})
        other.close()
        store.close()

    def test_is_shared_by_processes(self, tmp_path: Path) -> None:
        """Opened for the first time, and written to, by all at once."""
        path = tmp_path / "runs.db"
        program = (
            "import sys\n"
            "from agl_core.storage.sqlite import SQLiteStore\n"
            "store = SQLiteStore(sys.argv[1])\n"
            "for i in range(100):\n"
            "    store.add_call('a', f'{sys.argv[2]}-{i}', {'i': i})\n"
        )
        processes = [
            subprocess.Popen([sys.executable, "-c", program, str(path), str(i)]) for i in range(3)
        ]
        assert [process.wait(timeout=30) for process in processes] == [0, 0, 0]
        store = SQLiteStore(path)
        assert all(store.call("a", f"{p}-{i}") == {"i": i} for p in range(3) for i in range(100))
        store.close()

    def test_of_the_version_before_is_brought_up_to_date(self, tmp_path: Path) -> None:
        path = tmp_path / "runs.db"
        older = sqlite3.connect(path)
        older.executescript(
            """
            CREATE TABLE runs (
                name TEXT PRIMARY KEY, created REAL NOT NULL, settings TEXT NOT NULL, result TEXT
            ) WITHOUT ROWID;
            CREATE TABLE rollouts (
                run TEXT NOT NULL, candidate TEXT NOT NULL, split TEXT NOT NULL, task TEXT NOT NULL,
                repeat TEXT NOT NULL, at REAL NOT NULL, status TEXT NOT NULL, score REAL,
                record TEXT NOT NULL, PRIMARY KEY (run, candidate, split, task, repeat)
            ) WITHOUT ROWID;
            INSERT INTO runs VALUES ('a', 1.0, '{"seed": 1}', NULL);
            PRAGMA user_version=1;
            """
        )
        older.close()
        for plan in (None, {"val": 1}):
            store = SQLiteStore(path)
            run = store.run("a")
            assert run is not None
            assert (run.settings, run.plan) == ({"seed": 1}, plan)
            store.plan_run("a", {"val": 1})
            store.set_tasks("a", load_dataset([1], "val"))
            store.close()

    def test_of_a_newer_version_is_refused_and_left_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "runs.db"
        SQLiteStore(path).close()
        newer = sqlite3.connect(path)
        newer.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
        newer.close()
        with pytest.raises(StoreError, match=r"newer version .*schema 4.*upgrade"):
            SQLiteStore(path)

    def test_of_another_program_is_refused_and_left_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "places.db"
        other = sqlite3.connect(path)
        other.execute("CREATE TABLE places (name TEXT)")
        other.close()
        before = path.read_bytes()
        with pytest.raises(StoreError, match="a database of another program"):
            SQLiteStore(path)
        assert path.read_bytes() == before
        assert [p.name for p in tmp_path.iterdir()] == ["places.db"]

    def test_that_is_no_database_is_refused_and_left_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "notes.txt"
        path.write_text("These are my notes. " * 100)
        with pytest.raises(StoreError, match=r"cannot open the store .*notes\.txt: file is not a"):
            SQLiteStore(path)
        assert path.read_text() == "These are my notes. " * 100

    @pytest.mark.parametrize(
        ("place", "reason"),
        [
            (lambda folder: folder, "Is a directory"),
            (lambda folder: Path("/dev/null/runs.db"), "cannot open the store /dev/null/runs.db"),
            (lambda folder: Path("/proc/runs.db"), "cannot open the store /proc/runs.db"),
        ],
    )
    def test_that_cannot_be_made_is_refused(
        self, tmp_path: Path, place: Callable[[Path], Path], reason: str
    ) -> None:
        with pytest.raises(StoreError, match=reason):
            SQLiteStore(place(tmp_path))

    @pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
    def test_in_a_read_only_folder_is_refused(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o500)
        with pytest.raises(StoreError, match="Permission denied"):
            SQLiteStore(tmp_path / "runs.db")
        tmp_path.chmod(0o700)

    def test_on_a_full_disk_says_so_and_keeps_what_it_has(self, tmp_path: Path) -> None:
        store = SQLiteStore(tmp_path / "runs.db")
        store.add_call("a", "k", {"text": "small"})
        pages = store._db.execute("PRAGMA page_count").fetchone()[0]
        store._db.execute(f"PRAGMA max_page_count={pages}")
        with pytest.raises(StoreError, match=r"cannot write to the store .*runs\.db: .*full"):
            store.add_call("a", "large", {"text": "x" * 1_000_000})
        assert store.call("a", "k") == {"text": "small"}
        store.close()

    def test_once_closed_is_an_error_that_names_it(self, tmp_path: Path) -> None:
        store = SQLiteStore(tmp_path / "runs.db")
        store.close()
        with pytest.raises(StoreError, match=r"cannot read the store .*runs\.db"):
            store.run("a")


HOLDER = """
import sys, time
from agl_core.storage.sqlite import SQLiteStore
with SQLiteStore(sys.argv[1]).hold("a"):
    print("holds", flush=True)
    time.sleep(60)
"""

TAKER = """
import os, sys
from agl_core.errors import RunInUseError
from agl_core.storage.sqlite import SQLiteStore
store, marks = SQLiteStore(sys.argv[1]), sys.argv[2]
for _ in range(100):
    try:
        with store.hold("a"):
            os.close(os.open(f"{marks}/inside", os.O_CREAT | os.O_EXCL))
            os.unlink(f"{marks}/inside")
    except RunInUseError:
        pass
"""


class TestHold:
    @pytest.fixture
    def holder(self, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
        """Another process that works on run `a`."""
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(tmp_path / "runs.db")],
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            assert process.stdout is not None
            assert process.stdout.readline() == "holds\n"
            yield process
            process.kill()

    @pytest.fixture
    def file(self, tmp_path: Path) -> Iterator[SQLiteStore]:
        store = SQLiteStore(tmp_path / "runs.db")
        yield store
        store.close()

    def test_a_second_one_is_refused_and_told_who_has_it(
        self, file: SQLiteStore, holder: subprocess.Popen[str]
    ) -> None:
        for _ in range(2):
            with (
                pytest.raises(RunInUseError, match=rf"'a' .*runs\.db .* process {holder.pid} on "),
                file.hold("a"),
            ):
                pass
        with file.hold("b"):
            pass

    def test_one_that_was_killed_holds_nothing(
        self, file: SQLiteStore, holder: subprocess.Popen[str], tmp_path: Path
    ) -> None:
        holder.kill()
        holder.wait()
        with file.hold("a"):
            assert len(list(tmp_path.glob("*.lock"))) == 1
        assert list(tmp_path.glob("*.lock")) == []

    def test_a_run_that_is_held_is_not_deleted(
        self, file: SQLiteStore, holder: subprocess.Popen[str]
    ) -> None:
        file.begin_run("a", {})
        with pytest.raises(RunInUseError):
            file.delete_run("a")
        holder.kill()
        holder.wait()
        file.delete_run("a")
        assert file.run("a") is None

    def test_in_one_process_too(self, store: Store) -> None:
        with store.hold("a"), store.hold("b"):
            for _ in range(2):
                with pytest.raises(RunInUseError, match="by this process"), store.hold("a"):
                    pass
        with store.hold("a"):
            pass

    def test_by_two_stores_in_one_process_too(self, file: SQLiteStore) -> None:
        other = SQLiteStore(file.location)
        with file.hold("a"), pytest.raises(RunInUseError, match="this process"), other.hold("a"):
            pass
        with other.hold("a"):
            pass
        other.close()

    def test_ends_though_nothing_can_be_written_any_more(self, tmp_path: Path) -> None:
        store = SQLiteStore(tmp_path / "runs.db")
        with store.hold("a"):
            store.close()
        again = SQLiteStore(tmp_path / "runs.db")
        with again.hold("a"):
            pass
        again.close()

    def test_is_never_two_processes_at_once(self, tmp_path: Path) -> None:
        command = [sys.executable, "-c", TAKER, str(tmp_path / "runs.db"), str(tmp_path)]
        takers = [subprocess.Popen(command) for _ in range(3)]
        assert [taker.wait(timeout=60) for taker in takers] == [0, 0, 0]


class TestFork:
    """A connection of SQLite may not be used in a forked child; one that tries is told so."""

    @staticmethod
    def in_child(work: Callable[[], object]) -> int:
        child = os.fork()
        if not child:
            try:
                work()
            except StoreError as error:
                os._exit(1 if "opened before this process was forked" in str(error) else 2)
            finally:
                os._exit(3)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def test_uses_are_refused(self, store: Store) -> None:
        assert self.in_child(lambda: store.run("a")) == 1
        assert self.in_child(lambda: store.begin_run("a", {})) == 1

    def test_closing_does_the_parent_no_harm(self, store: Store) -> None:
        store.begin_run("a", {})

        def close() -> None:
            store.close()
            os._exit(0)

        with store.hold("a"):
            assert self.in_child(close) == 0
            store.add_rollout("a", KEY, RECORD)
            with pytest.raises(RunInUseError), store.hold("a"):
                pass
        assert store.rollout("a", KEY) == RECORD

    def test_nor_does_its_end(self, tmp_path: Path) -> None:
        """Python closes what it holds; in between others write, read and check."""
        program = (
            "import os, sys\n"
            "from agl_core.storage.sqlite import SQLiteStore\n"
            "store = SQLiteStore(sys.argv[1])\n"
            "for i in range(20):\n"
            "    store.add_call('a', str(i), {})\n"
            "    if not os.fork():\n"
            "        del store\n"
            "        sys.exit()\n"
            "    store.add_call('a', f'{i} again', {})\n"
            "    os.wait()\n"
        )
        subprocess.run([sys.executable, "-c", program, str(tmp_path / "runs.db")], check=True)
        file = sqlite3.connect(tmp_path / "runs.db")
        assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert file.execute("SELECT count(*) FROM calls").fetchone() == (40,)
        file.close()

    def test_does_not_wait_for_a_lock_that_another_thread_had(self, tmp_path: Path) -> None:
        store = SQLiteStore(tmp_path / "runs.db")
        with store._lock:
            assert self.in_child(lambda: store.run("a")) == 1
            assert self.in_child(lambda: (store.close(), os._exit(0))) == 0
        store.close()
