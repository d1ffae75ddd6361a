"""One trainer for the same agent in four frameworks. None of the four programs knows about it.

python examples/swap_frameworks.py                        # all in turn, on the simulated model
python examples/swap_frameworks.py --framework autogen    # one of them
python examples/swap_frameworks.py --live                 # on the real service: OPENAI_API_KEY
"""

import argparse
import os
from contextlib import nullcontext
from statistics import mean, median

from rooms import grade_booking, load_tasks

import agl_adapters as agl
from agl_adapters.testing import simulated_model


def langgraph():
    """A compiled graph."""
    from langgraph_room_booking import graph

    return agl.wrap(
        graph,
        input=lambda task: {"messages": [("user", task["input"])]},
        reward=lambda task, state: grade(task, state["messages"][-1].content),
    )


def openai_agents():
    """A function that runs two agents."""
    from openai_agents_room_booking import book_room

    return agl.wrap(book_room, input=lambda task: task["input"], reward=grade)


def autogen():
    """A team. It keeps what was said in it, so each rollout is given a fresh copy."""
    from autogen_room_booking import build_team

    return agl.wrap(
        build_team(),
        input=lambda task: task["input"],
        reward=lambda task, result: grade(task, result.messages[-1].content),
    )


def openai():
    """A function that calls the client twice."""
    from openai_room_booking import book_room

    return agl.wrap(book_room, input=lambda task: task["input"], reward=grade)


def grade(task: dict, answer: str) -> float:
    """The reward: 1.0 if the right room is booked, else 0.0."""
    return grade_booking(answer, task["expected_room"])


AGENTS = {
    "langgraph": langgraph,
    "openai-agents": openai_agents,
    "autogen": autogen,
    "openai": openai,
}


def optimize(agent, seed: int, tasks: int | None) -> dict[str, str]:
    """Find the agent's prompts, search for better ones, and return the figures."""
    apo = agl.APO(
        "gpt-4o",
        val_batch_size=10,
        gradient_batch_size=4,
        beam_width=2,
        branch_factor=2,
        beam_rounds=2,
    )
    trainer = agl.Trainer(apo, n_runners=8, seed=seed)
    train, val, test = (load_tasks(split)[:tasks] for split in ("train", "val", "test"))

    dry = trainer.dev(agent, val, tasks=8)
    print("  " + "\n  ".join(dry[0].slots), flush=True)
    result = trainer.fit(agent, train, val, test_dataset=test)
    if result.stop_reason == "interrupted":
        raise SystemExit(130)

    figures = {
        "prompts found": f"{len(result.seed)}",
        "spans per rollout": f"{median(len(rollout.spans) for rollout in dry):g}",
        "model calls per rollout": f"{mean(rollout.usage.model_calls for rollout in dry):g}",
        "rollouts": f"{result.usage.rollouts}",
        "wall time": f"{result.usage.seconds:.1f} s",
        "validation, seed": f"{result.seed_score:.3f}",
        "validation, best": f"{result.best_score:.3f}",
        "verdict": result.verdict.replace("_", " "),
    }
    if result.test is not None:  # if nothing better was found, there is nothing to compare
        low, high = result.test.interval
        figures |= {
            "test, seed": f"{result.test.seed_score:.3f}",
            "test, best": f"{result.test.best_score:.3f}",
            "test, gain": f"{result.test.gain:+.3f}",
            "  95% interval": f"{low:+.2f}, {high:+.2f}",
        }
    return figures


def main() -> None:
    """Optimize the agent in one framework or in all, and show the figures side by side."""
    parser = argparse.ArgumentParser(description="One trainer, the same agent in four frameworks.")
    parser.add_argument("--framework", choices=AGENTS, help="only this one, not all in turn")
    parser.add_argument("--live", action="store_true", help="use the real service, not simulated")
    parser.add_argument("--tasks", type=int, help="use only so many of each split")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.live and not os.environ.get("OPENAI_API_KEY"):
        parser.error("--live uses the real service: set OPENAI_API_KEY")
    print("the real service" if arguments.live else "SIMULATED model: no key, no network")

    columns = {}
    for name in [arguments.framework] if arguments.framework else AGENTS:
        print(f"\n{name}: prompts found in the program", flush=True)
        with nullcontext() if arguments.live else simulated_model(seed=arguments.seed):
            try:
                agent = AGENTS[name]()
            except ModuleNotFoundError as error:
                remedy = "pip install 'agl-adapters[all]' langchain-openai"
                parser.exit(1, f"the program needs {error.name}: {remedy}\n")
            columns[name] = optimize(agent, arguments.seed, arguments.tasks)

    print(f"\n{'live' if arguments.live else 'SIMULATED':23}", *(f"{name:>13}" for name in columns))
    for row in {row: None for figures in columns.values() for row in figures}:
        print(f"{row:23}", *(f"{figures.get(row, '-'):>13}" for figures in columns.values()))


if __name__ == "__main__":
    main()
