"""Our searches beside their peers, on the same simulated model with the same tasks and faults.

Each search is run in a process of its own and kept in `--results`, so that a benchmark that was
stopped goes on where it was. From what is kept there, `docs/benchmarks/` gets a table, a JSON file
and plots. See docs/benchmarks.md for the method.

    .venv/bin/python benchmarks/bench_peers.py                      # all: hours, most of it theirs
    .venv/bin/python benchmarks/bench_peers.py --systems ours published --seeds 3
    .venv/bin/python benchmarks/bench_peers.py --report-only
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from peers.programs import PROGRAMS
from peers.reports import write_report
from peers.runs import SPLIT, Conditions, Outcome, SearchRun, kept_runs

from agl_adapters.testing import Fault, simulated_model

ROOT = Path(__file__).parents[1]
OURS = ("ours", "ours_all_rollouts", "published", "gepa_through_us")
SYSTEMS = (*OURS, "gepa_alone", "agent_lightning")
FAULTS = (Fault("429", rate=0.01), Fault("503", rate=0.005))


def conditions(scenario: str, seed: int) -> Conditions:
    """What every system is given for a scenario and a seed."""
    tasks = PROGRAMS[scenario].tasks
    return Conditions(scenario, seed, list(tasks("train", SPLIT)), list(tasks("val", SPLIT)))


def search(system: str, given: Conditions, environments: Path) -> Outcome:
    """Run one search of a system; the simulated model is served where `OPENAI_BASE_URL` says."""
    if system in OURS:
        from peers.ours import search_by

        return search_by(system, given)
    if system == "gepa_alone":
        from peers import gepa_alone

        return gepa_alone.search(given)
    from peers import agent_lightning

    python = agent_lightning.environment(environments / "agentlightning-0.3.0")
    return agent_lightning.search(given, python)


def versions(system: str) -> dict[str, str]:
    """Which versions were run."""
    commit = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    if system == "agent_lightning":
        from peers.agent_lightning import AS_OF, RELEASE

        return {"agent_lightning": f"{RELEASE}, dependencies as of {AS_OF}"}
    gepa = {"gepa": version("gepa")} if "gepa" in system else {}
    if system == "gepa_alone":
        return gepa
    done = subprocess.run(commit, capture_output=True, text=True, check=False)
    return {"agl-adapters": f"{version('agl-adapters')} {done.stdout.strip()}".strip(), **gepa}


def measure(system: str, scenario: str, seed: int, environments: Path) -> SearchRun:
    """Run one search and measure it from outside."""
    from peers.true_scores import true_score

    given = conditions(scenario, seed)
    with simulated_model(scenario, seed=seed, latency=given.latency, faults=FAULTS) as model:
        outcome = search(system, given, environments)
        usage = model.usage()
    curve = [replace(point, true=true_score(scenario, point.prompt)) for point in outcome.curve]
    return SearchRun(
        system=system,
        scenario=scenario,
        seed=seed,
        outcome=replace(outcome, curve=curve),
        model_calls=usage.model_calls,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        ideal_seconds=usage.model_calls * given.latency / given.n_runners,
        true=true_score(scenario, outcome.best),
        versions=versions(system),
    )


def main() -> None:
    """Run what is missing, one search after another; write the report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0] if __doc__ else None)
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=SYSTEMS)
    parser.add_argument("--scenarios", nargs="+", choices=list(PROGRAMS), default=list(PROGRAMS))
    parser.add_argument("--seeds", type=int, default=10, help="how many (default: 10)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (default: 0)")
    parser.add_argument("--results", type=Path, default=ROOT / "runs" / "peers")
    parser.add_argument("--environments", type=Path, default=ROOT / "runs" / "environments")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "benchmarks")
    parser.add_argument("--report-only", action="store_true")
    parser.add_argument("--one", nargs=3, metavar=("SYSTEM", "SCENARIO", "SEED"), help="run this")
    arguments = parser.parse_args()
    sys.path.insert(0, str(ROOT / "examples"))
    if arguments.one:
        system, scenario, seed = arguments.one
        run = measure(system, scenario, int(seed), arguments.environments)
        run.write(arguments.results)
        print(
            f"{scenario} {system} {seed}: true {run.true:.3f}, found {run.outcome.found:.3f}, "
            f"{run.outcome.rollouts} rollouts, {run.outcome.seconds:.1f} s",
            flush=True,
        )
        return
    if not arguments.report_only:
        _run_missing(arguments)
    print(write_report(kept_runs(arguments.results), arguments.output))


def _run_missing(arguments: argparse.Namespace) -> None:
    known = {(run.system, run.scenario, run.seed) for run in kept_runs(arguments.results)}
    failed: list[str] = []
    for scenario in arguments.scenarios:
        for seed in range(arguments.first, arguments.first + arguments.seeds):
            for system in arguments.systems:
                if (system, scenario, seed) in known:
                    continue
                # In a process of its own: no system profits from what another one has warmed up.
                places = ["--results", arguments.results, "--environments", arguments.environments]
                command = [sys.executable, __file__, "--one", system, scenario, str(seed), *places]
                if subprocess.run(command, check=False).returncode:
                    failed.append(f"{scenario} {system} {seed}")
    if failed:
        print(f"failed, and tried again by the next call: {', '.join(failed)}")


if __name__ == "__main__":
    main()
