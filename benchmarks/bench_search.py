"""Wall time of the published search over its ideal, at a fixed latency per model call.

The ideal is all of the agent's model calls at that latency spread evenly over the runners, plus the
optimizer's own chain: in each round a critique and a rewrite that wait for one another. Discovery
and the test split are in both. The simulated model is a process of its own; client, framework and
engine share one interpreter.

The first search of a process also imports what hooks and spans need, and has a row of its own; it
is no part of the medians. CPU is this process's, a rollout; `others` are the cores that other
processes kept busy meanwhile, without which wall times mean little.

    .venv/bin/python benchmarks/bench_search.py --repeats 5 --timeline
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from timelines import CpuClock, Timeline

import agl_adapters as agl
from agl_adapters.cli.demo import examples_folder
from agl_adapters.testing import simulated_model
from agl_core.execution.agents import Agent

ROUNDS = 2

HEAD = (
    f"{'program':23} {'rollouts':>8} {'calls':>6} {'wall s':>7} {'ideal s':>8} {'ratio':>6} "
    f"{'CPU ms':>7} {'others':>7}"
)
ROW = "{:23} {:8.0f} {:6.0f} {:7.2f} {:8.2f} {:6.2f} {:7.1f} {:7.2f}"


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


@dataclass(frozen=True)
class Measured:
    """What one search took."""

    seconds: float
    ideal: float
    rollouts: int
    model_calls: int
    cpu: float
    """Milliseconds of CPU time a rollout, in this process."""
    others: float
    """Cores that other processes kept busy meanwhile: with any, wall times say little."""
    timeline: Timeline

    @property
    def ratio(self) -> float:
        """Wall time over the ideal."""
        return self.seconds / self.ideal


def measure(name: str, seed: int, latency: float, n_runners: int) -> Measured:
    """Run one search."""
    rooms = import_module("rooms")
    clock = CpuClock()
    with simulated_model("room_booking", seed=seed, latency=latency) as model:
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
        agent = AGENTS[name](rooms)
        tasks = {split: rooms.load_tasks(split) for split in ("train", "val", "test")}
        began, cpu = time.time(), time.process_time()
        result = trainer.fit(agent, tasks["train"], tasks["val"], test_dataset=tasks["test"])
        cpu = time.process_time() - cpu
        spent = result.usage
        optimizer = sum(1 for _ in trainer.store.calls(result.run))
        calls = [request.at - began for request in model.log()]
        rollouts = list(trainer.store.rollouts(result.run))
    agent_calls = spent.model_calls - optimizer
    return Measured(
        seconds=spent.seconds,
        ideal=agent_calls * latency / n_runners + ROUNDS * 2 * latency,
        rollouts=spent.rollouts,
        model_calls=spent.model_calls,
        cpu=1000 * cpu / spent.rollouts,
        others=clock.read()[2],
        timeline=Timeline(calls, latency, spent.seconds, rollouts, began),
    )


def row(name: str, searches: Sequence[Measured]) -> str:
    """Return the medians of searches as a row."""
    names = ("rollouts", "model_calls", "seconds", "ideal", "ratio", "cpu", "others")
    median = {n: statistics.median(getattr(search, n) for search in searches) for n in names}
    return ROW.format(name, *median.values())


def main() -> None:
    """Print a row for each kind of program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--latency", type=float, default=0.05)
    parser.add_argument("--runners", type=int, default=8)
    parser.add_argument("--program", choices=AGENTS, action="append", help="both by default")
    parser.add_argument("--timeline", action="store_true", help="draw when calls were under way")
    arguments = parser.parse_args()
    sys.path.insert(0, str(examples_folder()))
    print(
        f"published search on the simulated model, {arguments.latency * 1000:.0f} ms a call, "
        f"{arguments.runners} runners, median of {arguments.repeats} seeds"
    )
    print(HEAD)
    for name in arguments.program or AGENTS:
        searches: list[Measured] = []
        for seed in range(arguments.repeats + 1):
            searches.append(measure(name, seed, arguments.latency, arguments.runners))
            if arguments.timeline:
                print(
                    f"{name}, seed {seed}",
                    *searches[-1].timeline.lines(arguments.runners),
                    sep="\n",
                )
        print(row(f"{name}, the first", searches[:1]))
        print(row(name, searches[1:]))


if __name__ == "__main__":
    main()
