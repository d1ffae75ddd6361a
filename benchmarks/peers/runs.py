"""One search of one system, as every system is measured: what went in, what came out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["BEAM", "SPLIT", "Conditions", "Outcome", "Point", "SearchRun", "kept_runs"]

BEAM: Mapping[str, Any] = {
    "val_batch_size": 10,
    "gradient_batch_size": 4,
    "beam_width": 2,
    "branch_factor": 2,
    "beam_rounds": 2,
}
"""Parameters of the beam search: with 29 validation tasks it takes 229 rollouts."""

SPLIT = 29
"""Tasks in the training and in the validation set."""


@dataclass(frozen=True)
class Conditions:
    """What all systems are given.

    Attributes:
        scenario: What the simulated model is like, and which program is optimized.
        seed: The simulated model's, and the search's.
        train: Training tasks.
        val: Validation tasks.
        rollouts: How many rollouts the search may take.
        n_runners: How many rollouts may run at once.
        latency: Seconds that every model call takes.
    """

    scenario: str
    seed: int
    train: Sequence[Any]
    val: Sequence[Any]
    rollouts: int = 229
    n_runners: int = 8
    latency: float = 0.05


@dataclass(frozen=True)
class Point:
    """The prompt that a search would have given back, had it ended there."""

    rollouts: int
    seconds: float
    prompt: str
    true: float | None = None


@dataclass(frozen=True)
class Outcome:
    """What a search came to, by its own account.

    Attributes:
        best: The prompt that it gives back.
        found: The score that it claims for that prompt.
        rollouts: The rollouts that were run.
        seconds: Wall time of the search.
        curve: What it would have given back, whenever that changed.
        notes: Anything else worth keeping.
    """

    best: str
    found: float
    rollouts: int
    seconds: float
    curve: Sequence[Point] = ()
    notes: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class SearchRun:
    """An outcome with what was measured from outside."""

    system: str
    scenario: str
    seed: int
    outcome: Outcome
    model_calls: int
    input_tokens: int
    output_tokens: int
    ideal_seconds: float
    """All model calls at their latency, spread evenly over the runners."""
    true: float
    """The mean reward of the best prompt on fresh tasks, without a rater's errors."""
    versions: Mapping[str, str]

    def write(self, folder: Path) -> None:
        """Keep it, so that it is not run again."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.scenario}-{self.system}-{self.seed}.json"
        whole = path.with_suffix(".part")
        whole.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
        whole.replace(path)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SearchRun:
        """Read what `write` wrote."""
        values: dict[str, Any] = dict(data)
        outcome: dict[str, Any] = dict(values.pop("outcome"))
        points: list[dict[str, Any]] = outcome.pop("curve")
        curve = [Point(**point) for point in points]
        return cls(**values, outcome=Outcome(**outcome, curve=curve))


def kept_runs(folder: Path) -> list[SearchRun]:
    """The runs that were kept in a folder, in order."""
    paths = sorted(folder.glob("*.json"))
    runs = [SearchRun.from_json(json.loads(path.read_text(encoding="utf-8"))) for path in paths]
    return sorted(runs, key=lambda run: (run.scenario, run.system, run.seed))
