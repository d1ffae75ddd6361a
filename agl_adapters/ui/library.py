"""The runs of a store as the pages want them: read when asked for, and kept for a while."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock
from typing import Any

from agl_adapters.report.facts import RunFacts
from agl_adapters.report.reading import RunReader, is_simulated
from agl_adapters.report.traces import Texts, trace_json
from agl_core.rollouts import Rollout
from agl_core.storage.store import RolloutKey, RunRecord, Store

__all__ = ["Library"]

_KEPT = 8
"""So many runs stay read: pages that are open ask again and again for the same ones."""
_TEXT_CHARS = 200_000


class _Shelf:
    """One run's reader, for one thread at a time."""

    def __init__(self, store: Store, name: str) -> None:
        self.lock = Lock()
        self.reader = RunReader(store, name)


class Library:
    """Reads runs of a store. For any number of threads.

    Args:
        store: The store.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._shelves: OrderedDict[str, _Shelf] = OrderedDict()
        self._simulated: dict[tuple[str, float], bool] = {}
        self._lock = Lock()

    def run(self, name: str) -> RunFacts:
        """Return a run as it is now.

        Raises:
            ConfigurationError: If there is none of that name.
        """
        with self._lock:
            shelf = self._shelves.pop(name, None) or _Shelf(self.store, name)
            self._shelves[name] = shelf
            while len(self._shelves) > _KEPT:
                self._shelves.popitem(last=False)
        with shelf.lock:
            return shelf.reader.read()

    def trace(self, name: str, key: RolloutKey) -> dict[str, Any] | None:
        """Return the trace of a rollout, with its texts; None if there is no such rollout."""
        record = self.store.rollout(name, key) or self._without_score(name, key)
        if record is None:
            return None
        wanted = (key.split, key.task)
        task = next((t.data for t in self.store.tasks(name) if (t.split, t.key) == wanted), None)
        texts = Texts(_TEXT_CHARS)
        trace = trace_json(Rollout.from_json(record, task), texts)
        return {"texts": texts.table, "trace": trace}

    def is_simulated(self, record: RunRecord) -> bool:
        """Tell whether a run was made on the simulated model, without reading all of it."""
        key = (record.name, record.created)
        if not self._simulated.get(key):  # a later rollout may show it
            self._simulated[key] = is_simulated(self.store, record)
        return self._simulated[key]

    def _without_score(self, name: str, key: RolloutKey) -> Mapping[str, Any] | None:
        """Return a rollout that the world failed, which the store gives in lists only."""
        return next((r for k, r in self.store.rollouts(name) if k == key), None)
