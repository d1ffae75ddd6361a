"""Packing the traces of a run into a page: every text once, compressed, no larger than allowed."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass

from agl_adapters.report.facts import RunFacts
from agl_adapters.report.traces import Texts, trace_json
from agl_core.rollouts import Rollout
from agl_core.storage.store import RolloutKey, Store

__all__ = ["PackedTraces", "pack_traces"]

_LONGEST = 20_000
"""Longer texts are cut in any case, to so many characters."""
_SHORTEST = 200
"""Texts are cut to fewer characters in no case."""


@dataclass(frozen=True, slots=True)
class PackedTraces:
    """The traces of a run as they stand in a page."""

    base64: str
    """JSON, compressed by gzip. ``texts``: the table; ``rollouts``: the traces by key."""
    notes: Sequence[str]
    """What is missing, in words."""


def pack_traces(store: Store, facts: RunFacts, most: int) -> PackedTraces:
    """Pack the traces of a run.

    Texts are cut as far as is needed; if that is not enough, the traces of the rollouts that say
    least are left out: first those of training tasks, then of candidates other than the seed and
    the one that is compared with it.

    Args:
        store: Where the run is.
        facts: The run.
        most: How long the packed text may be, in bytes.
    """
    keys = [rollout.key for rollout in facts.rollouts]
    limit = _LONGEST
    packed, texts = _packed(store, facts, keys, limit)
    while len(packed) > most and keys:
        # A little less than would do, as not all texts can be compressed alike.
        share = 0.9 * most / len(packed)
        if limit > _SHORTEST:
            limit = max(_SHORTEST, texts.limit_for(share))
        else:
            keys = _most_telling(facts, keys)[: int(len(keys) * share)]
        packed, texts = _packed(store, facts, keys, limit)
    notes: list[str] = []
    if texts.cut:
        notes.append(
            f"{texts.cut:,} long texts of traces are cut to {limit:,} characters "
            "to keep this file small; the store has them in full."
        )
    if missing := len(facts.rollouts) - len(keys):
        notes.append(
            f"The traces of {missing:,} of {len(facts.rollouts):,} rollouts are left out "
            "to keep this file small; agl ui shows them."
        )
    return PackedTraces(packed, notes)


def _packed(
    store: Store, facts: RunFacts, keys: Sequence[RolloutKey], limit: int
) -> tuple[str, Texts]:
    texts = Texts(limit)
    wanted = set(keys)
    tasks = {(task.split, task.key): task.data for task in facts.tasks}
    traces = {
        str(key): trace_json(Rollout.from_json(data, tasks.get((key.split, key.task))), texts)
        for key, data in store.rollouts(facts.record.name)
        if key in wanted
    }
    text = json.dumps(
        {"texts": texts.table, "rollouts": traces}, separators=(",", ":"), ensure_ascii=False
    )
    return base64.b64encode(gzip.compress(text.encode(), 6, mtime=0)).decode(), texts


def _most_telling(facts: RunFacts, keys: Sequence[RolloutKey]) -> list[RolloutKey]:
    telling = {c.bound for c in (facts.seed, facts.finalist) if c is not None}
    return sorted(
        keys, key=lambda key: (key.candidate not in telling, facts.splits.index(key.split))
    )
