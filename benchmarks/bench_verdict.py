"""How often a verdict is right: `improved` with no true gain, and with a true gain of 0.2.

Each run is a real one, with trainer, races, journal and verdict; only the agent is made up. Its
reward is drawn: each task has a difficulty of its own, and each candidate changes some of them.
Difficulties for 0/1 rewards are from a Beta distribution; by its concentration c, an agent that is
run twice on the same task with the same prompt differs from itself c / (2 (1 + c)) of the time. A
continuous reward varies by 0.25 between tasks and by 0.15 between runs of one.

    .venv/bin/python benchmarks/bench_verdict.py --runs 200
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import agl_adapters as agl
from agl_core.algorithms.evidence import shuffled
from agl_core.algorithms.pool import Pool
from agl_core.algorithms.racing import Race
from agl_core.callbacks import Callback
from agl_core.candidates import Candidate
from agl_core.prompts.templates import PromptTemplate

SEED_SCORE = 0.5
GAIN = 0.2
BLOCK = 16
SETTLED = 0.2
"""The share of tasks whose difficulty a candidate without a gain changes, for better or worse."""


@dataclass(frozen=True)
class Rewards:
    """How rewards are drawn."""

    label: str
    concentration: float | None
    """Of the Beta distribution of 0/1 rewards; None for continuous ones."""
    repeats: int = 1

    def difficulty(self, rng: random.Random) -> float:
        """Draw the mean reward of a task."""
        if self.concentration is None:
            return min(1.0, max(0.0, rng.gauss(SEED_SCORE, 0.25)))
        shape = self.concentration * SEED_SCORE
        return rng.betavariate(shape, self.concentration - shape)

    def changed(self, difficulty: float, gain: float, rng: random.Random) -> float:
        """Draw what a candidate makes of it, by so much better in the mean."""
        if self.concentration is None:
            return difficulty + rng.gauss(gain, 0.1)
        if gain > 0:
            return 1.0 if rng.random() < gain / (1 - SEED_SCORE) else difficulty
        if gain < 0:
            return 0.0 if rng.random() < -gain / SEED_SCORE else difficulty
        return self.difficulty(rng) if rng.random() < SETTLED else difficulty

    def reward(self, mean: float, rng: random.Random) -> float:
        """Draw the reward of a run."""
        if self.concentration is None:
            return min(1.0, max(0.0, rng.gauss(mean, 0.15)))
        return float(rng.random() < mean)


REWARDS = (
    Rewards("0/1, reruns differ 2%", 0.05),
    Rewards("0/1, reruns differ 12%", 0.3),
    Rewards("0/1, reruns differ 12%", 0.3, repeats=3),
    Rewards("0/1, reruns differ 25%", 1.0),
    Rewards("0/1, reruns differ 25%", 1.0, repeats=3),
    Rewards("continuous, spread 0.25 + 0.15", None),
)
NO_GAIN = (0.0,) * 6
GAINS = {
    "none": NO_GAIN,
    "two of five": (0.0, GAIN, 0.0, GAIN, 0.0),
    "one of six, three worse": (0.0, -GAIN, GAIN, -GAIN, 0.0, -GAIN),
}


@dataclass(frozen=True)
class Trial:
    """One run: an agent whose rewards are drawn, and a search that races candidates."""

    rewards: Rewards
    gains: Sequence[float]
    number: int

    def verdict(self, tasks: int, test: bool) -> str:
        """Run it; return the verdict."""
        draws: Counter[Any] = Counter()

        @agl.rollout
        async def agent(task: Any, prompt: PromptTemplate) -> float:
            text = prompt.format()
            draws[task, text] += 1
            mean = self._mean(task, int(text))
            rng = random.Random(f"{self.number}/{task}/{text}/{draws[task, text]}")
            return self.rewards.reward(mean, rng)

        trainer = agl.Trainer(
            agl.algorithm(self._search),
            initial_resources={"prompt": "-1"},
            seed=self.number,
            repeats=self.rewards.repeats,
            callbacks=[Callback()],
            capture_content=False,
        )
        train, val, held_out = (
            [f"{split} {i}" for i in range(tasks)] for split in ("train", "val", "test")
        )
        return trainer.fit(agent, train, val, test_dataset=held_out if test else None).verdict

    def _mean(self, task: str, candidate: int) -> float:
        difficulty = self.rewards.difficulty(random.Random(f"{self.number}/{task}"))
        if candidate < 0:
            return difficulty
        rng = random.Random(f"{self.number}/{task}/{candidate}")
        return self.rewards.changed(difficulty, self.gains[candidate], rng)

    async def _search(self, session: Any) -> None:
        rng = random.Random(0)
        pool, race = Pool(session, shuffled(session.val, rng), rng), Race(BLOCK)
        seed = Candidate(session.initial)
        await session.evaluate(seed.resources, session.val)
        pool.keep(seed)
        for number in range(len(self.gains)):
            child = Candidate({"prompt": PromptTemplate(str(number))}, round=1 + number)
            session.report(child)
            await race.run(session, pool, child)


def rows(runs: int, tasks: int, wanted: str) -> Iterator[tuple[str, str, str, float, float]]:
    """Yield reward, gain, split, and the shares of `improved` and `no_gain`."""
    for rewards in REWARDS:
        name = rewards.label + (f", {rewards.repeats} repeats" if rewards.repeats > 1 else "")
        for gain, gains in GAINS.items():
            for test in (True, False):
                split = "test" if test else "validation"
                if wanted not in f"{name} | {gain} | {split}":
                    continue
                verdicts = Counter(
                    Trial(rewards, gains, number).verdict(tasks, test) for number in range(runs)
                )
                shares = verdicts["improved"] / runs, verdicts["no_gain"] / runs
                yield name, gain, split, *shares


def main() -> None:
    """Print a row for each kind of reward, gain and split."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--tasks", type=int, default=40)
    parser.add_argument("--only", default="", help="a part of `rewards | true gain | split`")
    arguments = parser.parse_args()
    print(
        f"share of verdicts in {arguments.runs} runs; {arguments.tasks} tasks in each split; the "
        f"seed scores {SEED_SCORE}; a true gain of {GAIN} in so many candidates"
    )
    head = ("rewards", "true gain in", "verdict from", "improved", "no_gain")
    print(f"{head[0]:32} {head[1]:24} {head[2]:12} {head[3]:>9} {head[4]:>9} {'s/run':>6}")
    before = time.perf_counter()
    table = rows(arguments.runs, arguments.tasks, arguments.only)
    for name, gain, split, improved, no_gain in table:
        took, before = time.perf_counter() - before, time.perf_counter()
        print(
            f"{name:32} {gain:24} {split:12} {improved:9.1%} {no_gain:9.1%}"
            f" {took / arguments.runs:6.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
