"""The engine's own cost per rollout: journal, spans, binding, scheduling, without any model call.

A trivial agent opens ten spans and returns a number. CPU time is the process's, all threads, per
rollout, over one evaluation of many tasks.

    .venv/bin/python benchmarks/bench_rollout.py --rollouts 3000
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import agl_adapters as agl
from agl_core.execution.agents import Agent


def agents() -> dict[str, Agent]:
    """Return a trivial agent of each kind."""
    from opentelemetry import trace

    def work(spans: int) -> float:
        tracer = trace.get_tracer("bench")
        for number in range(spans):
            with tracer.start_as_current_span(f"step {number}") as span:
                span.set_attribute("gen_ai.operation.name", "execute_tool")
                span.set_attribute("gen_ai.tool.name", "lookup")
                span.set_attribute("gen_ai.tool.call.arguments", '{"day": "2026-03-02"}')
        return 1.0

    @agl.rollout
    def bare(task: Any, prompt: agl.PromptTemplate) -> float:
        return float(bool(prompt.format()))

    @agl.rollout
    def ten_spans(task: Any, prompt: agl.PromptTemplate) -> float:
        return work(10) * bool(prompt.format())

    @agl.rollout
    async def ten_spans_async(task: Any, prompt: agl.PromptTemplate) -> float:
        return work(10) * bool(prompt.format())

    return {"no span": bare, "10 spans": ten_spans, "10 spans, async": ten_spans_async}


def measure(agent: Agent, store: str | None, rollouts: int) -> tuple[float, float]:
    """Return CPU milliseconds and wall milliseconds per rollout."""
    trainer = agl.Trainer(
        agl.Baseline(), initial_resources={"prompt": "You are terse."}, store=store
    )
    tasks = [{"n": n} for n in range(rollouts)]
    cpu, wall = time.process_time(), time.perf_counter()
    trainer.fit(agent, tasks[:1], tasks)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    trainer.store.close()
    return 1000 * cpu / rollouts, 1000 * wall / rollouts


def main() -> None:
    """Print a row for each kind of agent and store."""
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rollouts", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    # The user's own provider, so that the spans of the agent's own tracer are collected too.
    trace.set_tracer_provider(TracerProvider())
    print(f"{arguments.rollouts} rollouts, 8 runners, median of {arguments.repeats}")
    print(f"{'agent':18} {'store':8} {'CPU ms':>8} {'wall ms':>8}")
    for name, agent in agents().items():
        for kind in ("memory", "file"):
            rows: list[tuple[float, float]] = []
            for _ in range(arguments.repeats):
                with tempfile.TemporaryDirectory() as folder:
                    store = None if kind == "memory" else str(Path(folder) / "runs.db")
                    rows.append(measure(agent, store, arguments.rollouts))
            cpu, wall = (statistics.median(column) for column in zip(*rows, strict=True))
            print(f"{name:18} {kind:8} {cpu:8.2f} {wall:8.2f}")


if __name__ == "__main__":
    main()
