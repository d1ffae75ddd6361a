"""The result of a run: the best prompts, and an honest word on whether they are better."""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from agl_core.candidates import Candidate
from agl_core.prompts.prompt_files import PromptFile, write_prompt_file
from agl_core.prompts.templates import PromptTemplate, Resources, fingerprint
from agl_core.spending.budgets import StopReason, Usage
from agl_core.statistics.comparisons import Comparison, Verdict
from agl_core.text import printable

__all__ = ["CandidateRecord", "TrainResult", "outlook", "prompt_diff"]


@dataclass(frozen=True, slots=True)
class CandidateRecord:
    """A candidate in the history of a run."""

    candidate: Candidate
    validation: float | None
    """Its mean score on all of the validation set, if it was run there."""
    test: float | None = None
    """Its mean score on the test split, if it was run there."""
    metrics: Mapping[str, float] = field(default_factory=dict[str, float])
    """The mean of each metric on the validation set, if it was run on all of it."""
    test_metrics: Mapping[str, float] = field(default_factory=dict[str, float])
    """The mean of each metric on the test split, if it was run there."""

    @property
    def id(self) -> str:
        """The candidate's id."""
        return self.candidate.id

    @property
    def score(self) -> float | None:
        """The validation score, else the score that the algorithm went by."""
        return self.candidate.score if self.validation is None else self.validation


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What a run found out."""

    run: str
    """The run's name in the store."""
    best: Resources
    """The prompts to use. The seed's, if nothing better was found."""
    seed: Resources
    """The prompts that the run started from."""
    best_score: float | None
    """Mean validation score of `best`."""
    seed_score: float | None
    """Mean validation score of the seed."""
    test: Comparison | None
    """The best candidate and the seed run fresh on the test split; None without one. The best two
    were run there, and the better one was chosen: `history` has both scores."""
    comparison: Comparison | None
    """What the verdict is taken from: `test`, or without a test split the validation scores, with
    the choice among the candidates accounted for. None if the seed was not validated."""
    verdict: Verdict
    """Whether the best candidate is better than the seed."""
    stop_reason: StopReason
    """Why the run ended."""
    usage: Usage
    """What the run has spent; what was read from the journal is not in it."""
    history: Sequence[CandidateRecord]
    """Every candidate, in the order of the reports, rejected ones at the end."""
    store: str
    """Where the run is kept."""
    replaces: Resources
    """What the prompts stand in for: a program's own by slot (not those that the trainer was given
    to start from), else the seed's."""

    @property
    def improved(self) -> bool:
        """Whether the prompts in `best` differ from the seed's."""
        return dict(self.best) != dict(self.seed)

    def diff(self) -> str:
        """Return the change from seed to best as a unified diff, prompt by prompt.

        It is safe to print: what a terminal could take for a command is replaced.
        """
        return prompt_diff(self.seed, self.best)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the best prompts to a JSON file, replacing it in one step.

        Raises:
            ConfigurationError: If the file cannot be written.
        """
        return write_prompt_file(
            PromptFile(self.best, self.replaces, self.run, self.verdict, self._scores()), path
        )

    def report(self) -> str:
        """Return the result as a few lines of plain text, safe to print."""
        lines = [
            f"run {self.run}: {self.verdict}, stopped: {self.stop_reason}",
            f"validation: seed {_shown(self.seed_score)}, best {_shown(self.best_score)}",
        ]
        if self.comparison is not None:
            lines.append(describe(self.comparison))
            if self.verdict == "inconclusive":
                lines.append(outlook(self.comparison))
        lines += self._metrics()
        spent = self.usage
        lines.append(
            f"spent: {spent.rollouts} rollouts, {spent.model_calls} model calls, "
            f"{spent.tokens} tokens{f', {spent.cost}' if spent.cost else ''}, {spent.seconds:.1f} s"
        )
        if difference := self.diff():
            lines += ["", difference.rstrip("\n")]
        return printable("\n".join(lines))

    def _metrics(self) -> list[str]:
        """Return a line per split with each metric of the seed and of the best candidate."""
        known = {record.id: record for record in self.history}
        seed, best = known.get(fingerprint(self.seed)), known.get(fingerprint(self.best))
        if seed is None or best is None:
            return []
        lines: list[str] = []
        for split, before, after in (
            ("validation", seed.metrics, best.metrics),
            ("test", seed.test_metrics, best.test_metrics),
        ):
            if names := dict.fromkeys((*before, *after)):
                shown = (f"{n} {_shown(before.get(n))} -> {_shown(after.get(n))}" for n in names)
                lines.append(f"metrics, {split}, seed -> best: {', '.join(shown)}")
        return lines

    def _scores(self) -> dict[str, float | None]:
        scores = {"seed_validation": self.seed_score, "best_validation": self.best_score}
        if self.test is None:
            return scores
        low, high = self.test.interval
        return {
            **scores,
            "seed_test": self.test.seed_score,
            "best_test": self.test.best_score,
            "test_gain": self.test.gain,
            "test_gain_low": low,
            "test_gain_high": high,
            "test_tasks": self.test.tasks,
        }

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able summary, as it is kept in the store."""
        return {
            "run": self.run,
            "best": {name: prompt.to_json() for name, prompt in self.best.items()},
            "seed": {name: prompt.to_json() for name, prompt in self.seed.items()},
            "best_score": self.best_score,
            "seed_score": self.seed_score,
            "test": None if self.test is None else asdict(self.test),
            "comparison": None if self.comparison is None else asdict(self.comparison),
            "verdict": self.verdict,
            "stop_reason": self.stop_reason,
            "usage": asdict(self.usage),
        }


def describe(comparison: Comparison) -> str:
    """Say a comparison in one line."""
    low, high = comparison.interval
    what = (
        f"{comparison.split} split"
        if comparison.split == "test"
        else "validation (nothing was held out; the choice among candidates is accounted for)"
    )
    return (
        f"{what}, {comparison.tasks} tasks: seed {comparison.seed_score:.3f}, "
        f"best {comparison.best_score:.3f}, gain {comparison.gain:+.3f} "
        f"[{low:+.3f}, {high:+.3f}], {comparison.verdict}"
    )


def outlook(comparison: Comparison) -> str:
    """Say in a sentence what a comparison like this one can show, and what it would take."""
    size, needed = comparison.smallest_gain, comparison.tasks_needed
    shows = "no gain" if math.isinf(size) else f"a gain of {size:.2f} or more"
    text = f"So many tasks show {shows} (four times in five)"
    if needed is None or needed <= comparison.tasks:
        return f"{text}."
    about = math.ceil(needed / (step := 10 ** max(0, len(str(needed)) - 2))) * step
    return f"{text}; to show one of {comparison.gain:.3f}, about {about} tasks are needed."


def prompt_diff(before: Mapping[str, PromptTemplate], after: Mapping[str, PromptTemplate]) -> str:
    """Return the change between two sets of prompts as a unified diff, prompt by prompt."""
    parts: list[str] = []
    for name in sorted(before.keys() | after.keys()):
        old = before[name].raw if name in before else ""
        new = after[name].raw if name in after else ""
        lines = difflib.unified_diff(
            old.splitlines(), new.splitlines(), f"{name} (seed)", f"{name} (best)", lineterm=""
        )
        parts.extend(lines)
    return printable("\n".join(parts) + "\n") if parts else ""


def _shown(score: float | None) -> str:
    return "none" if score is None else f"{score:.3f}"
