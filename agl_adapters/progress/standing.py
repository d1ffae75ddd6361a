"""Where a run stands, for those who watch it: what the search has found, what is spent and left."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from agl_core.spending.budgets import Budget, Usage
from agl_core.text import printable

__all__ = ["Standing"]

BAR = 24
"""Width of a cap's bar, in characters."""


@dataclass
class Standing:
    """The facts of a run so far, and how they are shown."""

    note: str = ""
    """What kind of run it is, such as "simulated"."""
    start: float | None = None
    """When it began, on the monotonic clock."""
    budget: Budget = field(default_factory=Budget)
    expected: int | None = None
    """How many rollouts it is expected to take; None if that is not known."""
    usage: Usage = field(default_factory=Usage)
    """What is spent, as the run's ledger has it."""
    rollouts: int = 0
    """Rollouts that ended."""
    reused: int = 0
    """Rollouts that were read from the journal."""
    failed: int = 0
    optimizer_calls: int = 0
    round: int = 0
    rejected: int = 0
    scores: dict[str, float] = field(default_factory=dict[str, float])
    """Validation scores by candidate."""
    seed: float | None = None
    """The seed's validation score."""

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return 0.0 if self.start is None else time.monotonic() - self.start

    @property
    def best(self) -> float | None:
        """The best validation score so far."""
        return max(self.scores.values(), default=None)

    def when(self) -> str:
        """Say how long it takes, and what went otherwise than a rollout should."""
        parts = [self.note] if self.note else []
        parts.append(f"{self.elapsed:.0f} s{self._to_go()}")
        if self.failed:
            parts.append(f"{self.failed} failed")
        if self.reused:
            parts.append(f"{self.reused} reused")
        return " · ".join(parts)

    def found(self) -> str:
        """Say what the search has found; nothing, if that is nothing."""
        parts = [f"round {self.round}"] if self.round else []
        if self.scores:
            rejected = f", {self.rejected} rejected" if self.rejected else ""
            parts.append(f"{len(self.scores)} scored{rejected}")
        known = [("best", self.best), ("seed", self.seed)]
        scores = [f"{name} {score:.3f}" for name, score in known if score is not None]
        if scores:
            parts.append(", ".join(scores))
        return " · ".join(parts)

    def spent(self) -> str:
        """Say what is spent."""
        parts = [f"{self.usage.rollouts} rollouts", f"{self.optimizer_calls} optimizer calls"]
        if self.usage.tokens:
            parts.append(f"{self.usage.tokens:,} tokens")
        if self.usage.cost:
            parts.append(printable(self.usage.cost))
        return " · ".join(parts)

    def lines(self) -> list[str]:
        """Say it all in plain text."""
        caps = [f"{name}: {words}" for name, _, _, words in self._caps()]
        return [*filter(None, (self.when(), self.found(), self.spent())), *caps]

    def view(self, spinner: Spinner) -> Group:
        """Show it all, with a bar for each cap of the budget."""
        head = Table.grid(padding=(0, 1))
        head.add_row(spinner, _one_line(self.when()))
        for line in filter(None, (self.found(), self.spent())):
            head.add_row("", _one_line(line, "dim"))
        caps = Table.grid(padding=(0, 2))
        for name, spent, cap, words in self._caps():
            bar = ProgressBar(cap, min(spent, cap), width=BAR)
            caps.add_row(_one_line(f"  {name}", "dim"), bar, _one_line(words, "dim"))
        return Group(head, caps) if caps.row_count else Group(head)

    def _caps(self) -> Iterator[tuple[str, float, float, str]]:
        """Yield each cap of the budget: its name, what is spent, the cap, both in words."""
        budget, usage = self.budget, self.usage
        for name, spent, cap in (
            ("rollouts", usage.rollouts, budget.rollouts),
            ("model calls", usage.model_calls, budget.model_calls),
            ("tokens", usage.tokens, budget.tokens),
        ):
            if cap is not None:
                yield name, spent, cap, f"{spent:,} of {cap:,}, {max(0, cap - spent):,} left"
        if budget.dollars is not None:
            left = max(0.0, budget.dollars - usage.dollars)
            words = f"${usage.dollars:.2f} of ${budget.dollars:.2f}, ${left:.2f} left"
            yield "dollars", usage.dollars, budget.dollars, words
        if budget.seconds is not None:
            left = max(0.0, budget.seconds - self.elapsed)
            words = f"{self.elapsed:.0f} of {budget.seconds:.0f}, {left:.0f} left"
            yield "seconds", self.elapsed, budget.seconds, words

    def _to_go(self) -> str:
        """Say how long it will take, once that can be told from a tenth of what is expected."""
        done = self.rollouts + self.reused
        if self.expected is None or not self.expected / 10 <= done < self.expected:
            return ""
        seconds = self.elapsed * (self.expected - done) / done
        shown = f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
        return f", about {shown} to go"


def _one_line(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")
