"""Live progress of a run: a moving line in a terminal or notebook, plain lines elsewhere."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from agl_adapters.slot_views import choices_view
from agl_adapters.terminal import prompts_view, standard_console
from agl_core.callbacks import Callback
from agl_core.candidates import Candidate
from agl_core.plans import Plan
from agl_core.rollouts import Rollout
from agl_core.text import printable

__all__ = ["Progress"]


class Progress(Callback):
    """Shows a run as it goes: pass it to a trainer's callbacks. For one run at a time.

    Args:
        console: Where to write; standard output by default. Without a terminal behind it there is
            no moving line, only a line per event.
        note: What kind of run it is, such as "simulated"; shown in the moving line.
    """

    def __init__(self, console: Console | None = None, note: str = "") -> None:
        self.console = console or standard_console()
        self.note = note
        self._spinner = Spinner("dots")
        self._reset()

    def on_open(self) -> None:
        """Start the clock and, in a terminal, the moving line."""
        self._start = time.monotonic()
        if self.console.is_jupyter:
            self._display = _notebook_display()
        elif self.console.is_terminal:
            self._live = Live(
                get_renderable=self._line,
                console=self.console,
                refresh_per_second=8,
                transient=True,
            )
            self._live.start()

    def on_start(self, plan: Plan) -> None:
        """Show what is about to run."""
        test = f" and {plan.test} test" if plan.test else ""
        prompts = "1 prompt" if len(plan.initial) == 1 else f"{len(plan.initial)} prompts"
        self.console.print(
            Text.assemble(
                (plan.algorithm, "bold"),
                " on ",
                (printable(plan.agent), "bold"),
                f" with {plan.n_runners} runners\n{plan.train} training, "
                f"{plan.val} validation{test} tasks; {prompts} to optimize:",
            )
        )
        self.console.print(prompts_view(plan.initial))
        chosen = choices_view(plan.slots)
        if chosen is not None:
            self.console.print(chosen)
        for line in plan.lines():
            self.console.print(Text(f"Plan: {line}."))
        self._budget = plan.budget.rollouts
        self._expected = None if plan.workload is None else plan.workload.rollouts
        if self._expected is not None and self._budget is not None:
            self._expected = min(self._expected, self._budget)

    def on_rollout(self, rollout: Rollout, cached: bool) -> None:
        """Count a rollout."""
        self._cached += cached
        self._rollouts += not cached
        self._failed += rollout.failed
        if not cached:
            self._tokens += rollout.usage.tokens
            self._dollars += rollout.usage.dollars
        self._refresh()

    def on_call(self, model: str, cached: bool) -> None:
        """Count an optimizer call."""
        self._calls += not cached

    def on_candidate(self, candidate: Candidate, score: float | None) -> None:
        """Say what became of a candidate, once."""
        if candidate.rejected:
            self._say(f"round {candidate.round}: rewrite rejected: {candidate.rejected}", "dim")
        elif score is not None and candidate.id not in self._scored:
            self._scored.add(candidate.id)
            if candidate.parent is None:
                self._seed = score
                who = "the seed"
            else:
                who = f"round {candidate.round}: candidate {candidate.id[:6]}"
            better = self._best is not None and score > self._best
            self._best = score if self._best is None else max(self._best, score)
            self._say(
                f"{who} scores {score:.3f} on all validation tasks"
                + (", the best so far" if better else ""),
                "green" if better else "",
            )

    def on_message(self, message: str) -> None:
        """Pass a message on."""
        self._say(message)

    def on_close(self) -> None:
        """Stop the moving line, however the run ended, and be ready for another run."""
        if self._live is not None:
            self._live.stop()
        self._reset()

    def _reset(self) -> None:
        self._live: Live | None = None
        self._display: Any = None
        self._refreshed = 0.0
        self._tokens, self._dollars = 0, 0.0
        self._expected: int | None = None
        self._start: float | None = None
        self._rollouts = self._cached = self._failed = self._calls = 0
        self._scored: set[str] = set()
        self._seed: float | None = None
        self._best: float | None = None
        self._budget: int | None = None

    def _elapsed(self) -> float:
        return 0.0 if self._start is None else time.monotonic() - self._start

    def _say(self, message: str, style: str = "") -> None:
        when = f"{self._elapsed():6.1f} s"
        if not self.console.is_terminal:
            self.console.print(Text(f"{when}  {printable(message)}"), soft_wrap=True)
            return
        line = Table.grid(padding=(0, 2))
        line.add_row(Text(when, style="dim", no_wrap=True), Text(printable(message), style=style))
        self.console.print(line)

    def _line(self) -> Table:
        """Return the moving line as it is now; called by the thread that redraws it."""
        line = Table.grid(padding=(0, 1))
        text = Text(" · ".join(self._facts()), no_wrap=True, overflow="ellipsis")
        line.add_row(self._spinner, text)
        return line

    def _facts(self) -> list[str]:
        parts = [self.note] if self.note else []
        parts.append(f"{self._elapsed():.0f} s{self._to_go()}")
        known = [("best", self._best), ("seed", self._seed)]
        scores = [f"{name} {score:.3f}" for name, score in known if score is not None]
        if scores:
            parts.append(", ".join(scores))
        of = f" of {self._budget}" if self._budget else ""
        parts += [f"{self._rollouts}{of} rollouts", f"{self._calls} optimizer calls"]
        if self._tokens:
            parts.append(f"{self._tokens:,} tokens")
        if self._dollars:
            parts.append(f"${self._dollars:.2f}")
        if self._failed:
            parts.append(f"{self._failed} failed")
        if self._cached:
            parts.append(f"{self._cached} reused")
        return parts

    def _to_go(self) -> str:
        """Say how long it will take, once that can be told from a tenth of what is expected."""
        done = self._rollouts + self._cached
        if self._expected is None or not self._expected / 10 <= done < self._expected:
            return ""
        seconds = self._elapsed() * (self._expected - done) / done
        shown = f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
        return f", about {shown} to go"

    def _refresh(self) -> None:
        """Show the moving line of a notebook anew, a few times a second."""
        now = time.monotonic()
        if self._display is not None and now - self._refreshed > 0.25:
            self._refreshed = now
            self._display.update({"text/plain": " · ".join(self._facts())}, raw=True)


def _notebook_display() -> Any:
    """Return a place in a notebook's output that can be written anew."""
    from IPython.display import display  # pyright: ignore[reportMissingImports]

    return display({"text/plain": "getting ready"}, raw=True, display_id=True)
