"""Overshoot of budgets: many runs with eight runners, caps at random, counted by the server.

The agent makes one to twelve model calls a rollout, few of them large, with a conversation that
grows, so that no rollout tells what the next one takes. The calls and tokens are those that the
simulated model's server has counted, whoever made them; dollars are its tokens at one price for all
models. Rollouts are counted by the agent. Seconds are the wall time of the whole run, the verdict
included; what they are over is told in seconds.

    .venv/bin/python benchmarks/overshoot.py --runs 100
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import openai

import agl_adapters as agl
from agl_adapters.testing import SimulatedModel, simulated_model
from agl_core.algorithms.concurrency import run_all

PRICE = agl.Price(input=2.5, output=10.0)
TASKS = [
    {"id": n, "input": f"Room for {n % 7 + 2} people, please, at {n % 9 + 8}."} for n in range(60)
]
CAPS: dict[str, tuple[float, float]] = {
    "rollouts": (10, 30),
    "model_calls": (40, 100),
    "tokens": (15_000, 40_000),
    "dollars": (0.06, 0.16),
    "seconds": (0.3, 1.0),
}
"""Between what the caps are drawn: none is enough for a whole search."""


@dataclass(frozen=True)
class Run:
    """What one run came to."""

    cap: float
    used: float
    reported: float
    reason: str


@agl.algorithm(models=["large"])
async def search(session: agl.Session) -> None:
    """Try prompts without end, several at once, with calls of the model between."""

    async def tried(number: int) -> None:
        size = session.rng.randint(10, 400)
        await session.ask(
            "large", f"Improve prompt {number}. {'Be brief. ' * size}", key=str(number)
        )
        prompt = {"prompt": f"You book rooms. Rule {number}."}
        await session.evaluate(prompt, session.val)
        session.report(prompt)

    for round in range(1_000):
        await run_all([tried(3 * round + n) for n in range(3)])


async def run(kind: str, seed: int, model: SimulatedModel) -> Run:
    """Make one run with a cap of this kind."""
    rng = random.Random(f"{kind}/{seed}")
    low, high = CAPS[kind]
    cap = rng.uniform(low, high)
    if kind not in ("dollars", "seconds"):
        cap = round(cap)
    caps: dict[str, Any] = {kind: cap}
    started: set[str] = set()
    client = openai.AsyncOpenAI(max_retries=0)

    @agl.rollout
    async def agent(task: Any, prompt: agl.PromptTemplate, rollout: agl.RolloutContext) -> float:
        started.add(rollout.id)
        size = random.Random(f"{seed}/{task}/{prompt.format()}")
        messages: list[Any] = [{"role": "system", "content": prompt.format()}]
        for _ in range(min(12, int(size.paretovariate(1.2)))):
            messages.append({"role": "user", "content": task["input"] * size.randint(1, 12)})
            done = await client.chat.completions.create(model="small", messages=messages)
            messages.append({"role": "assistant", "content": done.choices[0].message.content})
        return size.random()

    model.reset()
    trainer = agl.Trainer(
        search,
        n_runners=8,
        initial_resources={"prompt": "You book rooms."},
        budget=agl.Budget(**caps),
        prices={"small": PRICE, "large": PRICE},
        callbacks=[agl.Callback()],
        seed=seed,
    )
    start = time.perf_counter()
    try:
        result = await trainer.afit(agent, TASKS[:20], TASKS[20:30], test_dataset=TASKS[40:41])
        reason, usage = result.stop_reason, result.usage
    except agl.ConfigurationError:  # the first rollout was so large that the test split takes all
        reason, usage = "refused at once", None
    seconds = time.perf_counter() - start
    served = model.usage()
    tokens = served.input_tokens + served.output_tokens
    dollars = (served.input_tokens * PRICE.input + served.output_tokens * PRICE.output) / 1e6
    used = {
        "rollouts": len(started),
        "model_calls": served.model_calls,
        "tokens": tokens,
        "dollars": dollars,
        "seconds": seconds,
    }
    reported = used[kind] if usage is None else float(getattr(usage, kind))
    await client.close()
    return Run(cap, used[kind], reported, reason)


def main() -> None:
    """Print a row for each kind of cap."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--kinds", nargs="*", default=list(CAPS))
    arguments = parser.parse_args()
    print(f"SIMULATED. {arguments.runs} runs each, 8 runners; used and over in shares of the cap")
    print(f"{'cap':12} {'over':>5} {'worst':>7} {'used, median':>13} {'least':>6}  ended by")
    with simulated_model(latency=0.005) as model:
        asyncio.run(run("rollouts", 0, model))  # what is imported takes time
        for kind in arguments.kinds:
            runs = [asyncio.run(run(kind, seed, model)) for seed in range(arguments.runs)]
            shares = [run.used / run.cap for run in runs]
            most = max(0.0, *(run.used - run.cap for run in runs))
            worst = f"{most:5.2f} s" if kind == "seconds" else f"{max(0.0, max(shares) - 1):7.1%}"
            over = sum(share > 1 + 1e-9 for share in shares)
            reasons = Counter(run.reason for run in runs).most_common()
            wrong = sum(abs(run.reported - run.used) > 1e-6 for run in runs if kind != "seconds")
            print(
                f"{kind:12} {over:5} {worst} "
                f"{statistics.median(shares):13.1%} {min(shares):6.1%}  "
                + ", ".join(f"{reason} {count}" for reason, count in reasons)
                + (f"; reported otherwise {wrong}" if wrong else ""),
                flush=True,
            )


if __name__ == "__main__":
    main()
