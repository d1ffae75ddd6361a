"""Presence: whether whoever wrote something down is still there."""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

__all__ = ["create_private", "is_present", "present"]


@contextmanager
def present(beside: str) -> Generator[str]:
    """Be present for the block; yield the token to be known by.

    A token's file is locked as SQLite locks one, and so by the operating system: the lock ends with
    the process, however that ends, and a forked child does not inherit it. The file is removed with
    the lock. No other one ever has its name, so nobody can take it for another's.

    Args:
        beside: The path of the file that the token's is put beside.

    Raises:
        OSError: If the file cannot be made.
        sqlite3.Error: If it cannot be locked.
    """
    token, process = secrets.token_hex(8), os.getpid()
    path = _path(beside, token)
    create_private(path)
    try:
        with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as lock:
            lock.execute("PRAGMA journal_mode=MEMORY")  # no second file
            lock.execute("BEGIN IMMEDIATE")
            yield token
    finally:
        if os.getpid() == process:  # a forked child leaves it to its parent
            path.unlink(missing_ok=True)


def is_present(beside: str, token: str) -> bool:
    """Tell whether a token is somebody's; the file that a dead process left behind is removed."""
    path = _path(beside, token)
    try:
        uri = f"{path.absolute().as_uri()}?mode=rw"
        with closing(sqlite3.connect(uri, uri=True, timeout=0.0, isolation_level=None)) as file:
            file.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
    with suppress(OSError):
        path.unlink()
    return False


def create_private(path: str | os.PathLike[str]) -> None:
    """Create a file that only its user can read, if it is not there.

    One that is there is not opened: to close it again would end all locks that this process has on
    it, as POSIX has it.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _path(beside: str, token: str) -> Path:
    return Path(f"{beside}-{token}.lock")
