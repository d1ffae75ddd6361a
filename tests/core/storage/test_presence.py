from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from agl_core.storage.presence import create_private, is_present, present

PRESENT = """
import os, sys, time
from agl_core.storage.presence import present
with present(sys.argv[1]) as token:
    child = os.fork() if sys.argv[2:] else -1
    if child:
        print(token, child, flush=True)
    time.sleep(60)
"""


def start(beside: Path, *options: str) -> tuple[subprocess.Popen[str], str, int]:
    """Start a process that is present; return it with its token and its child's number."""
    process = subprocess.Popen(
        [sys.executable, "-c", PRESENT, str(beside), *options], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    token, child = process.stdout.readline().split()
    return process, token, int(child)


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


def test_lasts_for_the_block(beside: Path) -> None:
    with present(str(beside)) as token:
        (path,) = beside.parent.iterdir()
        assert path.name == f"runs.db-{token}.lock"
        assert path.stat().st_mode & 0o777 == 0o600
        for _ in range(2):  # to look is not to end it
            assert is_present(str(beside), token)
    assert not is_present(str(beside), token)
    assert list(beside.parent.iterdir()) == []


def test_is_each_ones_own(beside: Path) -> None:
    with present(str(beside)) as one:
        with present(str(beside)) as other:
            assert one != other
        assert is_present(str(beside), one)
        assert not is_present(str(beside), other)


def test_is_seen_from_other_processes_and_ends_with_its_own(beside: Path) -> None:
    process, token, _ = start(beside)
    with process:
        assert is_present(str(beside), token)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert [path.name for path in beside.parent.iterdir()] == [f"runs.db-{token}.lock"]
        assert not is_present(str(beside), token)
        assert list(beside.parent.iterdir()) == []


def test_ends_with_its_process_though_a_forked_child_lives_on(beside: Path) -> None:
    process, token, child = start(beside, "fork")
    with process:
        process.kill()
    try:
        assert not is_present(str(beside), token)
    finally:
        os.kill(child, signal.SIGKILL)


def test_is_not_ended_by_a_forked_child(beside: Path) -> None:
    context = present(str(beside))
    token = context.__enter__()
    child = os.fork()
    if not child:
        try:
            context.__exit__(None, None, None)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert is_present(str(beside), token)
    context.__exit__(None, None, None)
    assert not is_present(str(beside), token)


def test_a_file_that_is_there_keeps_the_locks_that_this_process_has_on_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    create_private(path)
    assert path.stat().st_mode & 0o777 == 0o600
    lock = sqlite3.connect(path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    create_private(path)
    takes = (
        "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')"
    )
    other = subprocess.run(
        [sys.executable, "-c", takes, str(path)], capture_output=True, check=False
    )
    assert b"database is locked" in other.stderr
    lock.close()
