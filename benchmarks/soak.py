"""A soak: very many rollouts while one call in ten fails; nothing may be left over at the end.

The agent calls the simulated model over HTTP with the real client. One rollout in a hundred fails
by itself as well: it raises, or hangs beyond the time limit. Every task has a score of its own.
Memory, open files and threads are looked at as the rollouts go by, and again at the end.

    nice -n 19 .venv/bin/python benchmarks/soak.py --rollouts 20000 --out docs/benchmarks/soak.json
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import os
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import openai
from bench_engine import resident

import agl_adapters as agl
from agl_adapters.testing import Fault, SimulatedModel, simulated_model

RUNNERS = 64
CHUNK = 5_000
TIMEOUT = 30.0
MODEL = "gpt-4o-mini"
RATES = {
    "429": 0.02,
    "429-retry-after": 0.005,
    "500": 0.02,
    "503": 0.01,
    "reset": 0.01,
    "reset-midway": 0.01,
    "truncated": 0.01,
    "invalid-json": 0.005,
    "empty": 0.005,
    "slow": 0.005,
}
"""One call in ten in all."""


def score_of(task: Any) -> float:
    """Return the score that a task has when nothing goes wrong."""
    return 0.1 + (task["n"] % 9) / 10


def mischief(task: Any) -> str:
    """Return what the agent itself does wrong on a task: one raises, one hangs, of 200."""
    return {17: "raises", 117: "hangs"}.get(task["n"] % 200, "")


def async_agent() -> tuple[Any, Callable[[], None]]:
    """Return an agent on the event loop, and what closes its client: the end of the run does."""
    client = openai.AsyncOpenAI(max_retries=0)

    @agl.rollout
    async def agent(task: Any, prompt: agl.PromptTemplate) -> float:
        reply = await client.chat.completions.create(model=MODEL, messages=_messages(task, prompt))
        if mischief(task) == "hangs":
            await asyncio.sleep(3600)
        return _reward(task, reply.choices[0].message.content)

    return agent, lambda: None


def sync_agent() -> tuple[Any, Callable[[], None]]:
    """Return an agent in threads, and what closes its client.

    What hangs there is left behind, and goes on after a while.
    """
    client = openai.OpenAI(max_retries=0)

    @agl.rollout
    def agent(task: Any, prompt: agl.PromptTemplate) -> float:
        reply = client.chat.completions.create(model=MODEL, messages=_messages(task, prompt))
        if mischief(task) == "hangs":
            time.sleep(2 * TIMEOUT)
        return _reward(task, reply.choices[0].message.content)

    return agent, client.close


def _messages(task: Any, prompt: agl.PromptTemplate) -> Any:
    return [
        {"role": "system", "content": prompt.format()},
        {"role": "user", "content": f"Task {task['n']}."},
    ]


def _reward(task: Any, text: str | None) -> float:
    if mischief(task) == "raises":
        raise ValueError("the agent's own mistake")
    return score_of(task) if text == "ECHO[Be terse.]" else 0.0


class Sampled(agl.Callback):
    """Looks at the process every so many rollouts, and keeps what a run warns of."""

    def __init__(self, every: int) -> None:
        self.samples: list[dict[str, Any]] = []
        self.warnings: Counter[str] = Counter()
        self._every = every
        self._count = 0
        self._start = time.perf_counter()

    def on_rollout(self, rollout: Any, cached: bool) -> None:
        """Count it, and look now and then."""
        self._count += 1
        if self._count % self._every == 0:
            self.samples.append({"rollouts": self._count, **look(), "seconds": self._seconds()})
            print(self.samples[-1], file=sys.stderr, flush=True)

    def on_warning(self, message: str) -> None:
        """Count it."""
        self.warnings[message[:60]] += 1

    def _seconds(self) -> float:
        return round(time.perf_counter() - self._start, 1)


def look() -> dict[str, Any]:
    """Return what the process has."""
    return {
        "rss_mb": round(resident(), 1),
        "files": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
    }


def tasks_of(numbers: Iterable[int]) -> list[dict[str, Any]]:
    """Return tasks by their numbers."""
    return [{"id": str(n), "n": n} for n in numbers]


class Soak:
    """One soak.

    Args:
        make: Makes the agent, and what closes its client.
        model: The simulated server.
        folder: Where the store is.
    """

    def __init__(
        self,
        make: Callable[[], tuple[Any, Callable[[], None]]],
        model: SimulatedModel,
        folder: str,
    ) -> None:
        self._make = make
        self._model = model
        self._folder = Path(folder)

    def measured(self, rollouts: int) -> dict[str, Any]:
        """Run it; return what came of it. A short run before has all that is made once."""
        model = self._model
        faults = [Fault(kind, rate=rate, seconds=0.3) for kind, rate in RATES.items()]
        model.configure(faults=faults, latency=0.02)
        self._run("warm.db", 100, Sampled(1_000))
        before = settled(look())
        model.reset()
        watch = Sampled(max(1, rollouts // 20))
        start, cpu = time.perf_counter(), time.process_time()
        result = self._run("runs.db", rollouts, watch)
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        after = settled(before)
        path = self._folder / "runs.db"
        found, requests = rows(path), model.log()[-1].n
        return {
            "rollouts": rollouts,
            "runners": RUNNERS,
            "stop_reason": result.stop_reason,
            "seconds": round(seconds, 1),
            "cpu_ms_per_rollout": round(1000 * cpu / rollouts, 2),
            "requests": requests,
            "hits": model.hits(),
            "statuses": dict(Counter(status for status, *_ in found)),
            "tried_again": sum(attempts - 1 for *_, attempts in found),
            "missing": rollouts - len(found),
            "wrong": sum(score is not None and score != wanted for _, score, wanted, _ in found),
            "warnings": dict(watch.warnings),
            "before": before,
            "samples": watch.samples,
            "after": after,
            "store_mb": round(path.stat().st_size / 1e6),
        }

    def _run(self, name: str, rollouts: int, watch: Sampled) -> agl.TrainResult:
        @agl.algorithm
        async def many(session: agl.Session) -> None:
            session.report(session.initial)
            for number in range(0, rollouts, CHUNK):
                tasks = tasks_of(range(number, min(number + CHUNK, rollouts)))
                await session.evaluate(session.initial, tasks)

        agent, close = self._make()
        trainer = agl.Trainer(
            many,
            initial_resources={"prompt": "Be terse."},
            store=self._folder / name,
            n_runners=RUNNERS,
            timeout=TIMEOUT,
            callbacks=[watch],
        )
        result = trainer.fit(agent, tasks_of([0]), tasks_of([0]))
        trainer.store.close()
        close()
        return result


def settled(wanted: dict[str, Any]) -> dict[str, Any]:
    """Return what the process has when it has no more than is wanted, or after a while.

    A thread that was left behind ends when its agent does, which hangs for twice the time limit.
    """
    deadline = time.monotonic() + 3 * TIMEOUT
    while True:
        gc.collect()
        found = look()
        few = all(found[name] <= wanted[name] for name in ("files", "threads"))
        if (few and found["threads"] == 1) or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def rows(path: Path) -> list[tuple[str, float | None, float, int]]:
    """Return status, score, the score that it had to be, and the attempts of each rollout."""
    found: list[tuple[str, float | None, float, int]] = []
    with sqlite3.connect(path) as file:
        for (text,) in file.execute("SELECT record FROM rollouts"):
            record = json.loads(text)
            task = {"n": int(record["task_name"])}
            wanted = 0.0 if mischief(task) else score_of(task)
            found.append((record["status"], record["score"], wanted, record["attempts"]))
    return found


def main() -> None:
    """Soak an agent of each kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rollouts", type=int, default=2_000)
    parser.add_argument("--agent", choices=("async", "threads"), action="append")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    found: dict[str, Any] = {}
    for kind in arguments.agent or ("async", "threads"):
        make = {"async": async_agent, "threads": sync_agent}[kind]
        with tempfile.TemporaryDirectory() as folder, simulated_model("echo") as model:
            found[kind] = Soak(make, model, folder).measured(arguments.rollouts)
    print(json.dumps(found, indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
