"""The report of what was measured: tables, the numbers as JSON, plots."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

from peers.curves import rollouts_to_reach, standing
from peers.differences import difference
from peers.plots import plot_curves, plot_times
from peers.runs import SearchRun

__all__ = ["NAMES", "write_report"]

NAMES = {
    "ours": "ours",
    "ours_all_rollouts": "ours, all 229 rollouts",
    "published": "published, through us",
    "gepa_through_us": "GEPA, through us",
    "gepa_alone": "gepa alone",
    "agent_lightning": "Agent Lightning 0.3.0",
}
"""The systems, in the order in which they are shown."""

OTHERS = ("gepa_alone", "agent_lightning")
"""The systems that are not ours."""

HEAD = """\
# Searches beside their peers

Written by `benchmarks/bench_peers.py`; [the page on benchmarks](../benchmarks.md) tells how.
"""

CAP = 229

Cell = Callable[[Sequence[SearchRun]], str]


def _middle(value: Callable[[SearchRun], float], form: str) -> Cell:
    return lambda runs: format(median(map(value, runs)), form)


def _range(value: Callable[[SearchRun], float]) -> Cell:
    def cell(runs: Sequence[SearchRun]) -> str:
        values = sorted(map(value, runs))
        return f"{median(values):.3f} ({values[0]:.2f} to {values[-1]:.2f})"

    return cell


COLUMNS: dict[str, Cell] = {
    "seeds": lambda runs: str(len(runs)),
    "rollouts": _middle(lambda run: run.outcome.rollouts, ".0f"),
    "most": lambda runs: str(max(run.outcome.rollouts for run in runs)),
    "model calls": _middle(lambda run: run.model_calls, ".0f"),
    "tokens": _middle(lambda run: run.input_tokens + run.output_tokens, ",.0f"),
    "wall s": _middle(lambda run: run.outcome.seconds, ".1f"),
    "over ideal": _middle(lambda run: run.outcome.seconds / run.ideal_seconds, ".1f"),
    "score found": _range(lambda run: run.outcome.found),
    "true score": _range(lambda run: run.true),
    f"true at {CAP}": _range(lambda run: standing(run, CAP)),
}


def write_report(runs: Sequence[SearchRun], folder: Path) -> str:
    """Write `peers.json`, `peers.md` and the plots into a folder; return the tables."""
    folder.mkdir(parents=True, exist_ok=True)
    scenarios = sorted({run.scenario for run in runs}, key="room_booking parcels tickets".find)
    text = "\n".join(_section(name, [r for r in runs if r.scenario == name]) for name in scenarios)
    text = f"{text}\n{_versions(runs)}"
    (folder / "peers.md").write_text(f"{HEAD}\n{text}", encoding="utf-8")
    numbers = json.dumps([asdict(run) for run in runs], indent=1)
    (folder / "peers.json").write_text(f"{numbers}\n", encoding="utf-8")
    for name in scenarios:
        groups = _by_system([run for run in runs if run.scenario == name])
        plot_curves(name, groups, folder / f"peers_{name}_rollouts.svg")
        plot_times(name, groups, folder / f"peers_{name}_seconds.svg")
    return text


def _section(scenario: str, runs: Sequence[SearchRun]) -> str:
    groups = _by_system(runs)
    rows = [[name, *(cell(group) for cell in COLUMNS.values())] for name, group in groups.items()]
    lines = [
        f"## {scenario} (SIMULATED)\n",
        *_table(["system", *COLUMNS], rows),
        "",
        *_facts(groups),
        "",
        *_differences(groups),
        "",
    ]
    return "\n".join(lines)


def _facts(groups: dict[str, list[SearchRun]]) -> Iterable[str]:
    """Say after how many rollouts each system is as good as the published search in the end."""
    published = groups.get(NAMES["published"])
    if not published:
        return
    target = median(standing(run, CAP) for run in published)
    yield (
        f"The published search's true score with {CAP} rollouts is {target:.3f} in the median "
        "seed. Rollouts after which that is reached, in the median seed:"
    )
    yield ""
    for name, group in groups.items():
        if group is published:
            continue
        reached = [rollouts_to_reach(run, target) for run in group]
        # A seed that does not reach it counts as worse than all that do.
        middle = median(float("inf") if n is None else n for n in reached)
        shown = "not reached" if middle == float("inf") else f"{middle:.0f}"
        yield f"- {name}: {shown} ({sum(n is not None for n in reached)} of {len(group)} seeds)"


def _differences(groups: dict[str, list[SearchRun]]) -> Iterable[str]:
    """Tabulate by how much ours are above the others, or below them."""
    others = {name: groups[name] for key, name in NAMES.items() if key in OTHERS and name in groups}
    ours = {name: group for name, group in groups.items() if name not in others}
    if not ours or not others:
        return
    yield (
        f"Mean true score at {CAP} rollouts, less that of the other system, with the 95% interval "
        "that the number of seeds gives (bootstrap over seeds; one that holds 0 decides nothing):"
    )
    yield ""
    rows = [
        [name, *(_shown_difference(group, other) for other in others.values())]
        for name, group in ours.items()
    ]
    yield from _table(["system", *(f"less {name}" for name in others)], rows)


def _shown_difference(ours: Sequence[SearchRun], theirs: Sequence[SearchRun]) -> str:
    scores = [[standing(run, CAP) for run in runs] for runs in (ours, theirs)]
    return "{:+.3f} ({:+.2f} to {:+.2f})".format(*difference(*scores))


def _versions(runs: Sequence[SearchRun]) -> str:
    """Say which versions were run."""
    known = {
        name: sorted({", ".join(f"{k} {v}" for k, v in run.versions.items()) for run in group})
        for name, group in _by_system(runs).items()
    }
    lines = [f"- {name}: {'; '.join(versions)}" for name, versions in known.items()]
    return "\n".join(["## Versions", "", *lines, ""])


def _by_system(runs: Sequence[SearchRun]) -> dict[str, list[SearchRun]]:
    groups = {title: [run for run in runs if run.system == name] for name, title in NAMES.items()}
    return {title: group for title, group in groups.items() if group}


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]
