"""Two prompts together against either alone: the same rollouts, true scores on fresh tasks.

Two agents dispatch a worker; each of their prompts lacks other rules (the simulated scenario
`dispatch`). The program is optimized with both prompts, with only the first and with only the
second; and with both, for each way to choose which prompts a step rewrites. The true score is that
of the prompts which the run gives back, on fresh tasks, by the scenario itself: no noise of a
validation set is in it.

    .venv/bin/python benchmarks/bench_joint.py --seeds 5 --framework langgraph
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, get_args

import agl_adapters as agl
from agl_adapters.agents import WrappedAgent
from agl_adapters.cli.demo import examples_folder
from agl_adapters.testing import simulated_model
from agl_adapters.testing.calls import Call, Message
from agl_adapters.testing.dispatch import dispatch, dispatch_tasks, grade
from agl_core.algorithms.fault_finding import SlotsToRewrite

FRESH = 1000


def _state(task: Any) -> Any:
    return {"report": task["report"], "crews": task["crews"]}


def _grade(task: Any, output: Any) -> float:
    return grade(output if isinstance(output, str) else output["answer"], task)


def langgraph_agent() -> WrappedAgent:
    """Return the example's graph."""
    return agl.wrap(
        import_module("langgraph_dispatch").graph,
        input=_state,
        reward=_grade,
    )


def openai_agent() -> WrappedAgent:
    """Return the example's program on the plain client."""
    return agl.wrap(import_module("openai_dispatch").send, reward=_grade)


AGENTS: dict[str, tuple[Callable[[], WrappedAgent], str, str]] = {
    "langgraph": (langgraph_agent, "langgraph:router#system", "langgraph:scheduler#system"),
    "openai": (
        openai_agent,
        "openai:openai_dispatch.route#system",
        "openai:openai_dispatch.schedule#system",
    ),
}


@cache
def _fresh_tasks() -> list[Any]:
    return dispatch_tasks("benchmarks: fresh", FRESH)


def true_score(router: str, scheduler: str) -> float:
    """Return the mean reward of two prompts on fresh tasks; its standard error is below 0.016."""
    scenario, rng = dispatch(), random.Random(0)

    def ask(prompt: str, text: str) -> str:
        messages = (Message("system", prompt), Message("user", text))
        return scenario.reply(Call("chat", "m", messages), rng).text

    scores: list[float] = []
    for task in _fresh_tasks():
        team = re.findall(r"Team: (\w+)", ask(router, task["report"]))[-1]
        scores.append(grade(ask(scheduler, task["crews"].get(team, "")), task))
    return statistics.fmean(scores)


def measure(
    framework: str, seed: int, rollouts: int, optimize: list[str] | None, slots: SlotsToRewrite
) -> tuple[float, int, int]:
    """Run one search; return the true score of its best prompts, its rollouts, its own calls."""
    make, router, scheduler = AGENTS[framework]
    trainer = agl.Trainer(
        agl.APO("gpt-4o", slots=slots, beam_rounds=50),
        budget=agl.Budget(rollouts=rollouts),
        seed=seed,
        optimize=optimize,
    )
    tasks = [dispatch_tasks(f"{split} {seed}", 40) for split in ("train", "val")]
    result = trainer.fit(make(), *tasks)
    own = import_module("langgraph_dispatch")  # the other program's prompts are the same
    seeds = {router: own.ROUTER_PROMPT, scheduler: own.SCHEDULER_PROMPT}
    prompts = {**seeds, **{name: prompt.raw for name, prompt in result.best.items()}}
    spent = result.usage
    score = true_score(prompts[router], prompts[scheduler])
    return score, spent.rollouts, spent.model_calls - 2 * spent.rollouts


def main() -> None:
    """Print a row for each way to optimize, a column for each seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rollouts", type=int, default=200)
    parser.add_argument("--framework", choices=AGENTS, default="langgraph")
    parser.add_argument("--ways", nargs="*", choices=get_args(SlotsToRewrite))
    arguments = parser.parse_args()
    sys.path.insert(0, str(examples_folder()))
    _, router, scheduler = AGENTS[arguments.framework]
    ways: list[SlotsToRewrite] = arguments.ways or list(get_args(SlotsToRewrite))
    rows: list[tuple[str, list[str] | None, SlotsToRewrite]] = [
        ("the first prompt alone", [router], "at_fault"),
        ("the second prompt alone", [scheduler], "at_fault"),
        *((f"both, slots={way!r}", None, way) for way in ways),
    ]
    print(
        f"dispatch on the simulated model, {arguments.framework}, {arguments.rollouts} rollouts, "
        f"true score on {FRESH} fresh tasks"
    )
    seeds = range(arguments.seeds)
    print(f"{'optimized':26}" + "".join(f"  seed {seed}" for seed in seeds) + "   mean  calls")
    with simulated_model("dispatch") as model:
        for name, optimize, way in rows:
            runs: list[tuple[float, int, int]] = []
            for seed in seeds:
                model.configure(seed=seed)
                model.reset()
                runs.append(measure(arguments.framework, seed, arguments.rollouts, optimize, way))
            scores, spent, calls = zip(*runs, strict=True)
            cells = "".join(f"{score:8.3f}" for score in scores)
            print(
                f"{name:26}{cells}{statistics.fmean(scores):7.3f}{statistics.fmean(calls):7.0f}",
                flush=True,
            )
            if max(spent) > arguments.rollouts:
                raise SystemExit(f"a run took {max(spent)} rollouts")


if __name__ == "__main__":
    main()
