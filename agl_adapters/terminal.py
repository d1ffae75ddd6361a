"""Showing things in a terminal. Text from prompts, tasks and models is data: it moves no cursor."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping

from rich.box import ROUNDED, SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from agl_adapters.wording import VERDICTS, stop_sentence, where_compared
from agl_core.prompts.templates import PromptTemplate, Resources
from agl_core.result import TrainResult, outlook
from agl_core.spending.budgets import Usage
from agl_core.statistics.comparisons import Comparison, Verdict
from agl_core.text import printable

__all__ = [
    "changes_view",
    "prompts_view",
    "rounds_view",
    "spent_text",
    "standard_console",
    "text_panel",
    "verdict_view",
]

_STYLES: Mapping[Verdict, str] = {
    "improved": "bold green",
    "inconclusive": "bold yellow",
    "no_gain": "bold red",
}


def standard_console() -> Console:
    """Return the console for ordinary output."""
    return Console(highlight=False)


def prompts_view(prompts: Mapping[str, PromptTemplate], lines: int = 12) -> RenderableType:
    """Show prompts in panels, one for each, of long ones the first lines."""
    return Group(*(text_panel(name, _head(prompt.raw, lines)) for name, prompt in prompts.items()))


def changes_view(before: Resources, after: Resources) -> RenderableType:
    """Show what has changed in which prompt, in panels; unchanged prompts are named below them."""
    panels: list[RenderableType] = []
    unchanged: list[str] = []
    for name, new in after.items():
        old = before[name].raw if name in before else ""
        rows = list(_changed_lines(old, new.raw))
        if not rows:
            unchanged.append(name)
            continue
        # A grid, so that a line that is too long goes on below itself and not below its mark.
        grid = Table.grid(padding=(0, 1))
        for mark, line in rows:
            style = {"+": "green", "-": "red"}.get(mark, "dim")
            grid.add_row(Text(mark, style=style), Text(printable(line), style=style))
        panels.append(text_panel(name, grid))
    if unchanged:
        panels.append(Text(printable(f"unchanged: {', '.join(unchanged)}"), style="dim"))
    return Group(*panels)


def rounds_view(result: TrainResult, note: str = "") -> RenderableType:
    """Show, round by round, how many candidates were made, and the best validation score so far.

    Args:
        result: The run's result.
        note: What kind of run it was, such as "simulated".
    """
    title = "Score per round" + (f" ({note})" if note else "")
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    for column in ("round", "candidates", "rejected", "best validation score so far"):
        table.add_column(column, justify="right")
    best: float | None = None
    for number in sorted({record.candidate.round for record in result.history}):
        records = [r for r in result.history if r.candidate.round == number]
        rejected = sum(bool(r.candidate.rejected) for r in records)
        before = best
        for record in records:
            if record.validation is not None and (best is None or record.validation > best):
                best = record.validation
        table.add_row(
            "seed" if number == 0 else str(number),
            "" if number == 0 else str(len(records) - rejected),
            "" if number == 0 else str(rejected),
            Text("-" if best is None else f"{best:.3f}", style="dim" if best == before else "bold"),
        )
    return table


def verdict_view(result: TrainResult, note: str = "") -> RenderableType:
    """Show the verdict in plain words with its interval, and what the run has spent.

    Args:
        result: The run's result.
        note: What kind of run it was, such as "simulated".
    """
    verdict = Text.assemble(
        ("Verdict: ", "bold"),
        (result.verdict.replace("_", " "), _STYLES[result.verdict]),
        f" ({note})" * bool(note),
    )
    lines: list[RenderableType] = [verdict]
    if result.comparison is not None:
        lines.append(_comparison_text(result.comparison))
    lines.append(Text(VERDICTS[result.verdict]))
    if result.comparison is not None and result.verdict == "inconclusive":
        lines.append(Text(outlook(result.comparison)))
    if stop := stop_sentence(result.stop_reason):
        lines.append(Text(stop, style="yellow"))
    return Group(*lines, spent_text(result.usage))


def spent_text(spent: Usage) -> Text:
    """Say in one line what was spent."""
    cost = f", {printable(spent.cost)}" if spent.cost else ""
    return Text(
        f"Spent: {spent.rollouts} rollouts, {spent.model_calls} model calls, "
        f"{spent.tokens:,} tokens{cost}, {spent.seconds:.1f} s",
        style="dim",
    )


def _comparison_text(comparison: Comparison) -> Text:
    low, high = comparison.interval
    return Text.assemble(
        f"On {comparison.tasks} {where_compared(comparison)}, the best prompts score ",
        (f"{comparison.best_score:.3f}", "bold"),
        " and the seed's ",
        (f"{comparison.seed_score:.3f}", "bold"),
        ": a gain of ",
        (f"{comparison.gain:+.3f}", "bold"),
        f", 95% interval {low:+.3f} to {high:+.3f}.",
    )


def text_panel(name: str, content: RenderableType) -> Panel:
    """Show something in a panel with a name."""
    title = Text(printable(name), style="bold")
    return Panel(content, title=title, title_align="left", box=ROUNDED, border_style="dim")


def _head(text: str, lines: int) -> Text:
    rows = printable(text).split("\n")
    view = Text("\n".join(rows[:lines]))
    if len(rows) > lines:
        view.append(f"\n… {len(rows) - lines} more lines", style="dim")
    return view


def _changed_lines(old: str, new: str) -> Iterator[tuple[str, str]]:
    """Yield the lines of a diff as mark and text: added, removed, around them, or left out."""
    diff = difflib.unified_diff(old.split("\n"), new.split("\n"), lineterm="")
    for number, line in enumerate(diff):
        if number < 2:
            continue  # the names of the files
        if not line.startswith("@@"):
            yield line[:1], line[1:]
        elif number > 2:
            yield "…", ""
