"""Wall time of the published search over its ideal, at a fixed latency per model call.

The ideal is all of the agent's model calls at that latency spread evenly over the runners, plus the
optimizer's own chain: in each round a critique and a rewrite that wait for one another. Discovery
and the test split are in both. The simulated model is a process of its own; client, framework and
engine share one interpreter.

    .venv/bin/python benchmarks/bench_search.py --repeats 3
"""

from __future__ import annotations

import argparse
import statistics
import sys
from importlib import import_module
from typing import Any

import agl_adapters as agl
from agl_adapters.cli.demo import examples_folder
from agl_adapters.testing import simulated_model
from agl_core.execution.agents import Agent

ROUNDS = 2


def plain_agent(rooms: Any) -> Agent:
    """Return the example's program on the plain client."""
    chat = import_module("room_booking").Chat()

    @agl.rollout
    def booking(task: Any, decider: agl.PromptTemplate) -> float:
        answer = chat.chat(system=decider.format(), user=task["input"])
        return rooms.grade_booking(answer, task["expected_room"])

    return booking


def langgraph_agent(rooms: Any) -> Agent:
    """Return the example's LangGraph program, wrapped."""

    def grade(task: Any, output: Any) -> float:
        return rooms.grade_booking(output["messages"][-1].content, task["expected_room"])

    return agl.wrap(
        import_module("langgraph_room_booking").build_graph(),
        input=lambda task: {"messages": [("user", task["input"])]},
        reward=grade,
    )


AGENTS = {"plain openai": plain_agent, "langgraph": langgraph_agent}


def measure(name: str, seed: int, latency: float, n_runners: int) -> tuple[float, float, int, int]:
    """Run one search; return seconds, ideal seconds, rollouts and model calls."""
    rooms = import_module("rooms")
    with simulated_model("room_booking", seed=seed, latency=latency):
        trainer = agl.Trainer(
            agl.APO.published(
                "gpt-4o-mini",
                val_batch_size=10,
                gradient_batch_size=4,
                beam_width=2,
                branch_factor=2,
                beam_rounds=ROUNDS,
            ),
            n_runners=n_runners,
            seed=seed,
            initial_resources={"decider": "You are a booking assistant."}
            if name == "plain openai"
            else None,
        )
        result = trainer.fit(
            AGENTS[name](rooms),
            rooms.load_tasks("train"),
            rooms.load_tasks("val"),
            test_dataset=rooms.load_tasks("test"),
        )
        spent = result.usage
        optimizer = sum(1 for _ in trainer.store.calls(result.run))
    agent_calls = spent.model_calls - optimizer
    ideal = agent_calls * latency / n_runners + ROUNDS * 2 * latency
    return spent.seconds, ideal, spent.rollouts, spent.model_calls


def main() -> None:
    """Print a row for each kind of program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--latency", type=float, default=0.05)
    parser.add_argument("--runners", type=int, default=8)
    arguments = parser.parse_args()
    sys.path.insert(0, str(examples_folder()))
    print(
        f"published search on the simulated model, {arguments.latency * 1000:.0f} ms a call, "
        f"{arguments.runners} runners, median of {arguments.repeats} seeds"
    )
    print(f"{'program':14} {'rollouts':>8} {'calls':>6} {'wall s':>7} {'ideal s':>8} {'ratio':>6}")
    for name in AGENTS:
        rows = [
            measure(name, seed, arguments.latency, arguments.runners)
            for seed in range(arguments.repeats)
        ]
        wall, ideal, rollouts, calls = (statistics.median(c) for c in zip(*rows, strict=True))
        ratio = statistics.median(row[0] / row[1] for row in rows)
        print(f"{name:14} {rollouts:8.0f} {calls:6.0f} {wall:7.2f} {ideal:8.2f} {ratio:6.2f}")


if __name__ == "__main__":
    main()
