"""What each idea of the default search is worth: one left out at a time, on the simulated model.

The programs of `bench_peers.py`, two rounds or so many rollouts, no test split. Rollouts are what
was paid for; the true score is that of the prompt that the search found best, on fresh tasks;
`again` counts the rollouts that the cache saved; `less default` is the mean difference from the
default on the same seeds, with its standard error.

    .venv/bin/python benchmarks/bench_ablations.py --seeds 8
    .venv/bin/python benchmarks/bench_ablations.py --scenario parcels --rollouts 229
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from peers.programs import PROGRAMS, client
from peers.runs import SPLIT
from peers.true_scores import true_score

import agl_adapters as agl
from agl_adapters.cli.demo import examples_folder
from agl_adapters.testing import simulated_model
from agl_core.algorithms.demonstrations import Demonstrations
from agl_core.algorithms.editor import Editor
from agl_core.algorithms.evidence import SharedBatch
from agl_core.algorithms.memory import CritiqueMemory
from agl_core.algorithms.racing import PERFECT, Race
from agl_core.algorithms.racing_search import RacingSearch
from agl_core.algorithms.steps import AllCritiques, EachCritique, MergedCritiques
from agl_core.callbacks import Callback
from agl_core.candidates import Candidate
from agl_core.edits import Critique, joined
from agl_core.rollouts import Rollout

MODEL = "gpt-4o-mini"
SIZE, CRITIQUES, BLOCK, ROUNDS = 4, 4, 10, 2
MANY_ROUNDS = 50


class Forgetful(CritiqueMemory):
    """A memory that tells nobody."""

    def for_critique(self) -> str:
        """Say nothing of edits that failed."""
        return ""

    def for_rewrite(self, name: str, critiques: Sequence[Critique], parent: str) -> str:
        """Return the critiques without the lessons of earlier ones."""
        return joined(critiques)


@dataclass(frozen=True)
class OwnBatches:
    """Each critique pays for a batch of its own, fresh every time, as in the published search."""

    size: int
    critiques: int

    def rollouts(self, train: int) -> int:
        """Return what a round takes."""
        return self.critiques * min(self.size, train)

    def open(self, session: Any, rng: random.Random) -> Any:
        """Begin a search."""
        return _OwnBatches(self, session, rng)


class _OwnBatches:
    def __init__(self, source: OwnBatches, session: Any, rng: random.Random) -> None:
        self.rollouts: list[Rollout] = []
        self._source, self._session, self._rng = source, session, rng
        self._drawn = 0

    async def prepare(self, seed: Candidate) -> None:
        """Prepare nothing: nothing is shared."""

    async def gather(self, parent: Candidate) -> list[list[Rollout]]:
        """Run the parent on a batch for each critique."""
        groups: list[list[Rollout]] = []
        for _ in range(self._source.critiques):
            self._drawn += 1
            tasks = self._rng.sample(list(self._session.train), self._source.size)
            runs = await self._session.evaluate(
                parent.resources, tasks, repeat=f"own {self._drawn}", repeats=1
            )
            self.rollouts += runs
            groups.append([r for r in runs if r.score is not None and r.score < PERFECT])
        return [group for group in groups if group]


DEFAULT = RacingSearch(
    editor=Editor(MODEL, MODEL, 1.0, 20_000),
    evidence=SharedBatch(SIZE * CRITIQUES, CRITIQUES),
    race=Race(BLOCK),
    rounds=ROUNDS,
)
SEARCHES: dict[str, Any] = {
    "default": DEFAULT,
    "no confirmation": replace(DEFAULT, race=Race(BLOCK, confirmations=0)),
    "no racing": replace(DEFAULT, race=Race(10_000)),
    "no memory": replace(DEFAULT, memory=Forgetful),
    "no large steps": replace(DEFAULT, steps=(EachCritique(), MergedCritiques())),
    "in parts if worse": replace(
        DEFAULT, steps=(AllCritiques(), EachCritique(), MergedCritiques())
    ),
    "in parts, no merge": replace(DEFAULT, steps=(AllCritiques(), EachCritique())),
    "no shared batch": replace(DEFAULT, evidence=OwnBatches(SIZE, CRITIQUES)),
    "best parents": replace(DEFAULT, parents="best"),
    "Pareto parents": replace(DEFAULT, parents="pareto"),
    "2 examples": replace(DEFAULT, demonstrations=Demonstrations(2, 20_000)),
    "published": agl.APO.published(
        MODEL, val_batch_size=10, beam_width=2, branch_factor=2, beam_rounds=ROUNDS
    ),
}


class Counter(Callback):
    """Counts rollouts that were read and not run."""

    def __init__(self) -> None:
        self.again = 0

    def on_rollout(self, rollout: Rollout, cached: bool) -> None:
        """Count one."""
        self.again += cached


def measure(search: Any, scenario: str, seed: int, rollouts: int | None) -> tuple[int, int, float]:
    """Run one search; return rollouts, rollouts that the cache saved, and the true score."""
    program, counter = PROGRAMS[scenario], Counter()

    async def run(session: Any) -> None:
        await search.run(session)

    with simulated_model(scenario, seed=seed):
        openai_client = client()

        @agl.rollout
        def agent(task: Any, prompt: agl.PromptTemplate) -> float:
            return program.run(openai_client.chat.completions.create, prompt.format(), task)

        result = agl.Trainer(
            agl.algorithm(models=[MODEL])(run),
            seed=seed,
            initial_resources={"prompt": program.seed},
            callbacks=[counter],
            budget=agl.Budget(rollouts=rollouts),
        ).fit(agent, program.tasks("train", SPLIT), program.tasks("val", SPLIT))
    validated = [record for record in result.history if record.validation is not None]
    best = max(validated, key=lambda record: record.validation or 0.0)
    score = true_score(scenario, best.candidate.resources["prompt"].raw)
    return result.usage.rollouts, counter.again, score


def main() -> None:
    """Print a row for each search."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--scenario", choices=PROGRAMS, default="room_booking")
    parser.add_argument("--rollouts", type=int, help="go on until they are spent, past two rounds")
    parser.add_argument("--only", nargs="*", default=list(SEARCHES), help="names of searches")
    arguments = parser.parse_args()
    sys.path.insert(0, str(examples_folder()))
    print(f"SIMULATED model, {arguments.scenario}, medians over {arguments.seeds} seeds")
    head = ("search", "rollouts", "again", "true score", "lowest", "mean", "less default")
    print("{:20} {:>8} {:>6} {:>10} {:>7} {:>6} {:>17}".format(*head))
    default: list[float] = []
    for name in dict.fromkeys(("default", *arguments.only)):
        search = SEARCHES[name]
        if arguments.rollouts and isinstance(search, RacingSearch):
            search = replace(search, rounds=MANY_ROUNDS)
        rows = [
            measure(search, arguments.scenario, seed, arguments.rollouts)
            for seed in range(arguments.seeds)
        ]
        rollouts, again, scores = (list(column) for column in zip(*rows, strict=True))
        default = default or scores
        less = [score - other for score, other in zip(scores, default, strict=True)]
        error = statistics.stdev(less) / math.sqrt(len(less)) if len(less) > 1 else math.nan
        shown = (statistics.median(column) for column in (rollouts, again, scores))
        row = "{:20} {:8.0f} {:6.0f} {:10.3f} {:7.3f} {:6.3f} {:+8.3f} +- {:.3f}"
        mean = statistics.fmean(less)
        values = (*shown, min(scores), statistics.fmean(scores), mean, error)
        print(row.format(name, *values), flush=True)


if __name__ == "__main__":
    main()
