"""Better prompts for three agents, none of which knows about it: retrieval, coding, tools.

python examples/better_prompts.py handbook           # on the simulated model: no key, no network
python examples/better_prompts.py functions --seed 3
python examples/better_prompts.py support --live     # on the real service, with OPENAI_API_KEY
"""

import argparse
import os
from contextlib import nullcontext

import agl_adapters as agl
from agl_adapters.testing import simulated_model


def handbook():
    """The retrieval agent, a graph: the right answer, with the document that it is from."""
    import handbook
    from langgraph_handbook import graph, to_input

    return agl.wrap(graph, input=to_input, reward=handbook.score), handbook.load_tasks


def functions():
    """The coding agent: the share of hidden tests that its function passes."""
    import functions
    from openai_agents_functions import write

    return agl.wrap(write, reward=functions.score), functions.load_tasks


def support():
    """The tool-using agent: whether the right thing, and nothing else, was done to the shop."""
    import support
    from autogen_support import handle

    return agl.wrap(handle, reward=support.score), support.load_tasks


AGENTS = {"handbook": handbook, "functions": functions, "support": support}


def optimize(name: str, seed: int, rollouts: int, tasks: int | None = None) -> agl.TrainResult:
    """Search for better prompts of an agent."""
    agent, load_tasks = AGENTS[name]()
    train, val, test = (load_tasks(split)[:tasks] for split in ("train", "val", "test"))
    trainer = agl.Trainer(agl.APO("gpt-4o"), budget=agl.Budget(rollouts=rollouts), seed=seed)
    return trainer.fit(agent, train, val, test_dataset=test)


def main() -> None:
    """Optimize one of the agents and show what came of it."""
    parser = argparse.ArgumentParser(description="Better prompts for an agent.")
    parser.add_argument("agent", choices=AGENTS)
    parser.add_argument("--live", action="store_true", help="use the real service, not simulated")
    parser.add_argument("--rollouts", type=int, default=240, help="spend no more than these")
    parser.add_argument("--tasks", type=int, help="use only so many of each split")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.live and not os.environ.get("OPENAI_API_KEY"):
        parser.error("--live uses the real service: set OPENAI_API_KEY")
    print("the real service" if arguments.live else "SIMULATED model: no key, no network")
    simulated = simulated_model(arguments.agent, seed=arguments.seed)
    with nullcontext() if arguments.live else simulated:
        result = optimize(arguments.agent, arguments.seed, arguments.rollouts, arguments.tasks)
        print(result.report())


if __name__ == "__main__":
    main()
