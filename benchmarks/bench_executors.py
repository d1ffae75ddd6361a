"""Executors side by side: what processes cost a rollout, and what they gain where agents compute.

An agent that computes holds the interpreter lock: in threads, two take as long together as one
after the other. Times are wall times of one evaluation, workers started beforehand.

    .venv/bin/python benchmarks/bench_executors.py --runners 2
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from typing import Any

import agl_adapters as agl
from agl_core.datasets import load_dataset
from agl_core.execution.attempts import RolloutRequest
from agl_core.execution.executors import Executor, LocalExecutor
from agl_core.tracing.tracing import Tracing


@agl.rollout
def computing(task: Any, prompt: agl.PromptTemplate) -> float:
    """Compute for so many steps."""
    total = 0
    for number in range(task["steps"]):
        total += number * number % 7
    return float(total)


async def measure(executor: Executor, runners: int, rollouts: int, steps: int) -> list[float]:
    """Return the seconds to start the workers, and to run so many rollouts."""
    tracing, prompt = Tracing(), {"prompt": agl.PromptTemplate("Be kind.")}
    executor.open(computing, tracing, runners)

    async def run(count: int, steps: int) -> float:
        tasks = load_dataset([{"steps": steps, "n": n} for n in range(count)], "val")
        start = time.perf_counter()
        done = await asyncio.gather(
            *(executor.run(RolloutRequest(t.key, t, prompt, {}, 1, 600.0)) for t in tasks)
        )
        assert all(attempt.status == "succeeded" for attempt in done)
        return time.perf_counter() - start

    try:
        started = await run(runners, 0)
        return [started, await run(rollouts, steps), await run(rollouts, 0)]
    finally:
        await executor.close()
        tracing.shutdown()


def main() -> None:
    """Print a row for each executor."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runners", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--rollouts", type=int, default=40)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    print(
        f"{arguments.rollouts} rollouts of {arguments.steps:,} steps, {arguments.runners} runners, "
        f"{os.cpu_count()} cores, median of {arguments.repeats}"
    )
    print(f"{'executor':10} {'start s':>8} {'computing s':>12} {'trivial, ms a rollout':>22}")
    rows: dict[str, list[list[float]]] = {"local": [], "processes": []}
    for _ in range(arguments.repeats):
        for name, executor in (("local", LocalExecutor()), ("processes", agl.ProcessExecutor())):
            options = (arguments.runners, arguments.rollouts, arguments.steps)
            rows[name].append(asyncio.run(measure(executor, *options)))
    for name, times in rows.items():
        start, computing_time, trivial = (
            statistics.median(column) for column in zip(*times, strict=True)
        )
        print(
            f"{name:10} {start:8.2f} {computing_time:12.2f} "
            f"{1000 * trivial / arguments.rollouts:22.2f}"
        )
    ratios = [
        local[1] / processes[1]
        for local, processes in zip(rows["local"], rows["processes"], strict=True)
    ]
    print(f"speed-up of processes where agents compute: {statistics.median(ratios):.2f}x")


if __name__ == "__main__":
    main()
