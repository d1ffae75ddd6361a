"""Live progress of a run: moving lines in a terminal or notebook, a line per event elsewhere."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from agl_adapters.progress.standing import Standing
from agl_adapters.slot_views import choices_view
from agl_adapters.terminal import prompts_view, standard_console
from agl_core.callbacks import Callback
from agl_core.candidates import Candidate
from agl_core.plans import Plan
from agl_core.prompts.templates import fingerprint
from agl_core.rollouts import Rollout
from agl_core.spending.budgets import Usage
from agl_core.text import printable

__all__ = ["Progress"]


class Progress(Callback):
    """Shows a run as it goes: pass it to a trainer's callbacks. For one run at a time.

    Args:
        console: Where to write; standard output by default. Without a terminal behind it there are
            no moving lines, only a line per event.
        note: What kind of run it is, such as "simulated"; shown in the moving lines.
    """

    def __init__(self, console: Console | None = None, note: str = "") -> None:
        self.console = console or standard_console()
        self.note = note
        self._spinner = Spinner("dots")
        self._reset()

    def on_open(self) -> None:
        """Start the clock and, in a terminal, the moving lines."""
        self._standing.start = time.monotonic()
        if self.console.is_jupyter:
            self._display = _notebook_display()
        elif self.console.is_terminal:
            self._live = Live(
                get_renderable=self._view,
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
        self._seed = fingerprint(plan.initial)
        self.console.print(prompts_view(plan.initial))
        chosen = choices_view(plan.slots)
        if chosen is not None:
            self.console.print(chosen)
        for line in plan.lines():
            self.console.print(Text(f"Plan: {line}."))
        expected = None if plan.workload is None else plan.workload.rollouts
        if expected is not None and plan.budget.rollouts is not None:
            expected = min(expected, plan.budget.rollouts)
        self._standing.budget, self._standing.expected = plan.budget, expected

    def on_rollout(self, rollout: Rollout, cached: bool) -> None:
        """Count a rollout."""
        self._standing.reused += cached
        self._standing.rollouts += not cached
        self._standing.failed += rollout.failed
        self._refresh()

    def on_call(self, model: str, cached: bool) -> None:
        """Count an optimizer call."""
        self._standing.optimizer_calls += not cached

    def on_spent(self, usage: Usage) -> None:
        """Note what is spent."""
        self._standing.usage = usage

    def on_candidate(self, candidate: Candidate, score: float | None) -> None:
        """Say what became of a candidate: once, and again if its score changed."""
        standing = self._standing
        standing.round = max(standing.round, candidate.round)
        if candidate.rejected:
            standing.rejected += 1
            self._say(f"round {candidate.round}: rewrite rejected: {candidate.rejected}", "dim")
        elif score is not None and standing.scores.get(candidate.id) != score:
            if candidate.id == self._seed:
                standing.seed = score
                who = "the seed"
            else:
                who = f"round {candidate.round}: candidate {candidate.id[:6]}"
            others = [known for id, known in standing.scores.items() if id != candidate.id]
            better = bool(others) and score > max(others)
            standing.scores[candidate.id] = score
            self._say(
                f"{who} scores {score:.3f} on all validation tasks"
                + (", the best so far" if better else ""),
                "green" if better else "",
            )

    def on_message(self, message: str) -> None:
        """Pass a message on."""
        self._say(message)

    def on_close(self) -> None:
        """Stop the moving lines, however the run ended, and be ready for another run."""
        if self._live is not None:
            self._live.stop()
        self._reset()

    def _reset(self) -> None:
        self._live: Live | None = None
        self._display: Any = None
        self._refreshed = 0.0
        self._seed = ""
        self._standing = Standing(self.note)

    def _say(self, message: str, style: str = "") -> None:
        when = f"{self._standing.elapsed:6.1f} s"
        if not self.console.is_terminal:
            self.console.print(Text(f"{when}  {printable(message)}"), soft_wrap=True)
            return
        line = Table.grid(padding=(0, 2))
        line.add_row(Text(when, style="dim", no_wrap=True), Text(printable(message), style=style))
        self.console.print(line)

    def _view(self) -> Group:
        """Return the moving lines as they are now; called by the thread that redraws them."""
        return self._standing.view(self._spinner)

    def _refresh(self) -> None:
        """Show the moving lines of a notebook anew, a few times a second."""
        now = time.monotonic()
        if self._display is not None and now - self._refreshed > 0.25:
            self._refreshed = now
            self._display.update({"text/plain": "\n".join(self._standing.lines())}, raw=True)


def _notebook_display() -> Any:
    """Return a place in a notebook's output that can be written anew."""
    from IPython.display import display  # pyright: ignore[reportMissingImports]

    return display({"text/plain": "getting ready"}, raw=True, display_id=True)
