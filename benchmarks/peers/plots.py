"""The plots: true score against rollouts, and against wall time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from peers.curves import median_curve
from peers.runs import SearchRun

__all__ = ["plot_curves", "plot_times"]

COLORS = ("#1b6ca8", "#6fb1dc", "#8a8a8a", "#2a9d5c", "#e08a1e", "#c0392b")
Groups = Mapping[str, Sequence[SearchRun]]


def plot_curves(scenario: str, groups: Groups, path: Path) -> None:
    """Plot the median true score against rollouts; a dot for the end of each search."""
    figure, axes = _figure(scenario, "rollouts")
    for color, (name, runs) in zip(COLORS, groups.items(), strict=False):
        places, scores = median_curve(runs, max(run.outcome.rollouts for run in runs))
        axes.step(places, scores, where="post", color=color, label=name, linewidth=1.8)
        ends = [run.outcome.rollouts for run in runs]
        axes.scatter(ends, [run.true for run in runs], color=color, s=10, alpha=0.45, linewidth=0)
    _save(figure, axes, path)


def plot_times(scenario: str, groups: Groups, path: Path) -> None:
    """Plot the true score of each search against its wall time, with the medians."""
    figure, axes = _figure(scenario, "wall time of the search, seconds (logarithmic)")
    axes.set_xscale("log")
    for color, (name, runs) in zip(COLORS, groups.items(), strict=False):
        seconds, scores = [run.outcome.seconds for run in runs], [run.true for run in runs]
        axes.scatter(seconds, scores, color=color, s=14, alpha=0.45, linewidth=0)
        axes.scatter([median(seconds)], [median(scores)], color=color, s=70, marker="D", label=name)
    _save(figure, axes, path)


def _figure(scenario: str, xlabel: str) -> tuple[Any, Any]:
    import matplotlib

    matplotlib.use("svg")
    # Ids and times would make every drawing of the same numbers another file.
    matplotlib.rcParams["svg.hashsalt"] = "peers"
    matplotlib.rcParams["svg.fonttype"] = "none"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9.0, 4.5))
    axes.set_title(f"SIMULATED model, scenario {scenario}", fontsize=10)
    axes.set_xlabel(xlabel)
    axes.set_ylabel("true score, on fresh tasks")
    axes.grid(alpha=0.25)
    return figure, axes


def _save(figure: Any, axes: Any, path: Path) -> None:
    from matplotlib import pyplot

    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
