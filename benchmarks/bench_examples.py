"""The three agents of examples/better_prompts.py, on the simulated model, seed by seed.

.venv/bin/python benchmarks/bench_examples.py --seeds 5
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from statistics import fmean

import agl_adapters as agl
from agl_adapters.cli.demo import examples_folder
from agl_adapters.testing import simulated_model

TEST = 30  # tasks in the test split


def main() -> None:
    """Print a row for each run: its scores, its interval, its verdict and what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rollouts", type=int, default=240)
    parser.add_argument("--agents", nargs="*", help="by default all of them")
    arguments = parser.parse_args()
    sys.path.insert(0, str(examples_folder()))
    examples = import_module("better_prompts")
    print("SIMULATED; rollouts: those of the search, of all with the test split's")
    print(
        f"{'agent':10} {'seed':>4}  {'rollouts':>11}  {'validation':>14}  {'test':>14}"
        f"  {'95% interval':>16}  {'verdict':12}  seconds"
    )
    for name in arguments.agents or examples.AGENTS:
        runs: list[agl.TrainResult] = []
        with simulated_model(name) as model:
            for seed in range(arguments.seeds):
                model.configure(seed=seed)
                model.reset()
                runs.append(examples.optimize(name, seed, arguments.rollouts))
                print(_row(name, seed, runs[-1]), flush=True)
        tests = [run.test for run in runs if run.test is not None]
        if tests:
            seeds, bests = fmean(t.seed_score for t in tests), fmean(t.best_score for t in tests)
            print(f"{name:10} mean of the test split: {seeds:.3f} -> {bests:.3f}")


def _row(name: str, seed: int, run: agl.TrainResult) -> str:
    test = run.test
    total = run.usage.rollouts
    tested_ids = {record.id for record in run.history if record.test is not None}
    searched = total - TEST * len(tested_ids)
    scores = f"{run.seed_score or 0:.3f} -> {run.best_score or 0:.3f}"
    tested = f"{test.seed_score:.3f} -> {test.best_score:.3f}" if test else "-"
    interval = f"{test.interval[0]:+.2f}, {test.interval[1]:+.2f}" if test else "-"
    spent = f"{searched} of {total}"
    return (
        f"{name:10} {seed:4}  {spent:>11}  {scores:>14}  {tested:>14}  {interval:>16}"
        f"  {run.verdict:12}  {run.usage.seconds:7.1f}"
    )


if __name__ == "__main__":
    main()
