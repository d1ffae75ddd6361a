from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agl_core.storage.sqlite import MemoryStore, SQLiteStore
from agl_core.storage.store import Store


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    store = MemoryStore() if request.param == "memory" else SQLiteStore(tmp_path / "runs.db")
    yield store
    store.close()
