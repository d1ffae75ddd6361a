"""The tables of a store in SQLite, and how those of an older version become ours."""

from __future__ import annotations

import sqlite3

from agl_core.errors import StoreError

__all__ = ["SCHEMA_VERSION", "prepare"]

SCHEMA_VERSION = 3

# What makes a store of the version before into one of this version; the first, a new file.
_STEPS = {
    1: """
        CREATE TABLE IF NOT EXISTS runs (
            name TEXT PRIMARY KEY, created REAL NOT NULL, settings TEXT NOT NULL, result TEXT
        ) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS rollouts (
            run TEXT NOT NULL, candidate TEXT NOT NULL, split TEXT NOT NULL, task TEXT NOT NULL,
            repeat TEXT NOT NULL, at REAL NOT NULL, status TEXT NOT NULL, score REAL,
            record TEXT NOT NULL,
            PRIMARY KEY (run, candidate, split, task, repeat)
        ) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS calls (
            run TEXT NOT NULL, key TEXT NOT NULL, at REAL NOT NULL, record TEXT NOT NULL,
            PRIMARY KEY (run, key)
        ) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS candidates (
            run TEXT NOT NULL, id TEXT NOT NULL, at REAL NOT NULL, record TEXT NOT NULL,
            PRIMARY KEY (run, id)
        ) WITHOUT ROWID
    """,
    2: """
        ALTER TABLE runs ADD COLUMN plan TEXT;
        CREATE TABLE tasks (
            run TEXT NOT NULL, split TEXT NOT NULL, position INTEGER NOT NULL, key TEXT NOT NULL,
            data TEXT NOT NULL,
            PRIMARY KEY (run, split, position)
        ) WITHOUT ROWID;
        CREATE INDEX rollouts_by_time ON rollouts (run, at)
    """,
    3: """
        CREATE TABLE holders (
            run TEXT PRIMARY KEY, token TEXT NOT NULL, pid INTEGER NOT NULL, host TEXT NOT NULL,
            since REAL NOT NULL
        ) WITHOUT ROWID
    """,
}


def prepare(database: sqlite3.Connection, location: str) -> None:
    """Create the tables in a new file, bring older ones up to date.

    Raises:
        StoreError: If the file is another program's, or was written by a newer version of this one.
    """
    # In one transaction: another process may be opening the same new file.
    database.execute("BEGIN IMMEDIATE")
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"the store {location} was written by a newer version of agl-adapters "
            f"(schema {version}, this one knows {SCHEMA_VERSION}); upgrade the package"
        )
    if not version and database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise StoreError(f"{location} is a database of another program; choose another file")
    if version < SCHEMA_VERSION:
        for step in range(version + 1, SCHEMA_VERSION + 1):
            for statement in _STEPS[step].split(";"):
                database.execute(statement)
        database.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    database.execute("COMMIT")
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=NORMAL")
