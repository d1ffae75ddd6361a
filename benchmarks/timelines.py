"""Timelines: how many model calls were under way at each moment of a search, and what for.

The calls are those that the server saw: one that waits for its rollout's thread, for the
interpreter or for a free runner is not under way.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agl_core.storage.store import RolloutKey

__all__ = ["CpuClock", "Timeline"]

_BARS = " ▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Timeline:
    """The model calls of one search, in seconds since it began."""

    calls: Sequence[float]
    """When each was received."""
    latency: float
    """What the answer to one takes."""
    seconds: float
    """What the search took."""
    rollouts: Sequence[tuple[RolloutKey, Any]]
    """Its rollouts, as the store has them, and..."""
    began: float
    """...when it began, in seconds since the epoch."""

    def under_way(self, since: float, until: float) -> float:
        """Return how many calls were under way at once in a time, in the mean."""
        lengths = (
            max(0.0, min(call + self.latency, until) - max(call, since)) for call in self.calls
        )
        return sum(lengths) / (until - since)

    def lines(self, n_runners: int, width: int = 100) -> Iterable[str]:
        """Yield the picture: a bar for each moment, full where all runners wait for a model."""
        step = self.seconds / width
        moments = [self.under_way(i * step, (i + 1) * step) for i in range(width)]
        full = len(_BARS) - 1
        yield "".join(_BARS[min(full, round(full * m / n_runners))] for m in moments)
        mean = self.under_way(0.0, self.seconds)
        lost = self.seconds * (1 - mean / n_runners)
        yield (
            f"{self.seconds:.2f} s, a column is {step * 1000:.0f} ms; {mean:.2f} of {n_runners} "
            f"under way in the mean: {lost:.2f} s lost"
        )
        yield f"{'rollouts of':22} {'from':>6} {'to':>6} {'number':>7} {'under way':>10}"
        for name, spans in self._phases().items():
            start, end = min(s for s, _ in spans), max(e for _, e in spans)
            under_way = self.under_way(start, end)
            yield f"{name:22} {start:6.2f} {end:6.2f} {len(spans):7} {under_way:10.2f}"
        edges = self._edges()
        yield "before the first call {:.2f} s, after the last answer {:.2f} s".format(*edges)

    def _phases(self) -> dict[str, list[tuple[float, float]]]:
        phases: dict[str, list[tuple[float, float]]] = {}
        for key, record in self.rollouts:
            what = key.repeat.partition(",")[0] + ", branches" * ("branch" in key.repeat)
            name = f"{key.split}, {what}" if key.repeat != "0" else key.split
            start = record["started"] - self.began
            phases.setdefault(name, []).append((start, start + record["seconds"]))
        return dict(sorted(phases.items(), key=lambda phase: min(phase[1])))

    def _edges(self) -> tuple[float, float]:
        return min(self.calls), self.seconds - (max(self.calls) + self.latency)


class CpuClock:
    """CPU time since it was made: of this process, of its ended children, of everybody else."""

    def __init__(self) -> None:
        self._start = self._now()

    def read(self) -> tuple[float, float, float]:
        """Return seconds of this process, of its children, and how many cores others kept busy.

        The last is not known, and 0, where there is no ``/proc``.
        """
        own, children, busy, wall = (b - a for a, b in zip(self._start, self._now(), strict=True))
        return own, children, max(0.0, (busy - own - children) / wall) if busy else 0.0

    @staticmethod
    def _now() -> tuple[float, float, float, float]:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        busy, stat = 0.0, Path("/proc/stat")
        if stat.exists():
            # user, nice, system; idle and iowait are not; interrupts and what hosts took are
            ticks = [int(field) for field in stat.read_text().split("\n", 1)[0].split()[1:9]]
            busy = (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")
        return time.process_time(), used.ru_utime + used.ru_stime, busy, time.perf_counter()
