"""The engine at length and in width: memory over many rollouts, and how busy it keeps its runners.

Memory: rollouts of ten spans each into a SQLite file, in evaluations of 1,000; the resident size
after the first tenth is what the rest is compared with. Width: an agent that waits 50 ms, as for a
model, run by 1, 8 and 64 runners; the ratio is the ideal wall time over the measured one. CPU is a
rollout's; `others` are the cores that other processes kept busy meanwhile.

    .venv/bin/python benchmarks/bench_engine.py --rollouts 100000
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from bench_rollout import agents
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from timelines import CpuClock

import agl_adapters as agl

CHUNK = 1000
WAIT = 0.05


def resident() -> float:
    """Return the resident size of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def memory(rollouts: int) -> None:
    """Print the resident size as rollouts of ten spans go by, and what they took."""
    sizes: list[float] = []

    @agl.algorithm
    async def many(session: agl.Session) -> None:
        for number in range(rollouts // CHUNK):
            await session.evaluate(session.initial, session.val, repeat=f"again {number}")
            sizes.append(resident())

    with tempfile.TemporaryDirectory() as folder:
        trainer = agl.Trainer(
            many, initial_resources={"prompt": "Be terse."}, store=f"{folder}/runs.db"
        )
        tasks = [{"n": n} for n in range(CHUNK)]
        cpu, wall = time.process_time(), time.perf_counter()
        trainer.fit(agents()["10 spans"], tasks[:1], tasks)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        trainer.store.close()
        file = sum(path.stat().st_size for path in Path(folder).iterdir()) / 1e6
    early = sizes[max(0, len(sizes) // 10 - 1)]
    print(f"{rollouts:,} rollouts of ten spans: {1000 * cpu / rollouts:.2f} ms CPU each, ", end="")
    print(f"{11 * rollouts / wall:,.0f} spans a second into the store ({file:,.0f} MB)")
    print(f"resident: {early:.0f} MB after a tenth, {sizes[-1]:.0f} MB at the end, ", end="")
    print(f"growth {sizes[-1] - early:+.0f} MB, most {max(sizes):.0f} MB")


def width() -> None:
    """Print how busy 1, 8 and 64 runners are kept by an agent that waits."""

    @agl.rollout
    def waits(task: Any, prompt: agl.PromptTemplate) -> float:
        time.sleep(WAIT)
        return float(bool(prompt.format()))

    @agl.rollout
    async def waits_async(task: Any, prompt: agl.PromptTemplate) -> float:
        await asyncio.sleep(WAIT)
        return float(bool(prompt.format()))

    print(
        f"{'runners':>8} {'agent':>6} {'rollouts':>9} {'wall s':>8} {'ideal s':>8} {'ratio':>6} "
        f"{'CPU ms':>7} {'others':>7}"
    )
    for runners in (1, 8, 64):
        for kind, agent in (("sync", waits), ("async", waits_async)):
            rollouts = 40 * runners
            with tempfile.TemporaryDirectory() as folder:
                trainer = agl.Trainer(
                    agl.Baseline(),
                    n_runners=runners,
                    initial_resources={"prompt": "Be terse."},
                    store=f"{folder}/runs.db",
                )
                tasks = [{"n": n} for n in range(rollouts)]
                clock, start = CpuClock(), time.perf_counter()
                trainer.fit(agent, tasks[:1], tasks)
                wall = time.perf_counter() - start
                cpu, _, others = clock.read()
                trainer.store.close()
            ideal = WAIT * rollouts / runners
            print(
                f"{runners:8} {kind:>6} {rollouts:9} {wall:8.2f} {ideal:8.2f} {ideal / wall:6.2f} "
                f"{1000 * cpu / rollouts:7.2f} {others:7.2f}"
            )


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rollouts", type=int, default=20_000)
    arguments = parser.parse_args()
    # The user's own provider, so that the spans of the agent's own tracer are collected too.
    trace.set_tracer_provider(TracerProvider())
    width()
    memory(arguments.rollouts)


if __name__ == "__main__":
    main()
