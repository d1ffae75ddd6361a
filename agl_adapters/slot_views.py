"""Showing slots in a terminal: what was found, and what becomes of each in a run."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from agl_adapters.terminal import text_panel
from agl_core.discovery.survey import Survey
from agl_core.prompts.slot_policy import SlotChoice
from agl_core.prompts.slots import SlotRecord
from agl_core.text import cut, printable

__all__ = ["choices_view", "discovery_text", "slots_table"]

_WIDTH = 120
_VALUE_CHARS = 40
_LINES = 12


def slots_table(records: Iterable[SlotRecord]) -> Table:
    """Show what is known of slots as a table, one row each."""
    table = Table(box=SIMPLE_HEAD)
    for column in ("slot", "sent as", "prompt"):
        table.add_column(column, overflow="fold")
    for column in ("calls", "tokens"):
        table.add_column(column, justify="right")
    table.add_column("sent from", overflow="fold")
    table.add_column("optimized")
    for record in records:
        table.add_row(
            Text(printable(record.name), style="bold"),
            record.role,
            _source(record),
            f"{record.calls:.1f}",
            _tokens(record),
            Text(printable(record.place or record.path)),
            Text("yes", style="green") if record.default else Text("no", style="yellow"),
        )
    return table


def discovery_text(survey: Survey) -> str:
    """Return what was found as plain text: a table, and the prompts below it."""
    records = survey.records.values()
    parts: list[RenderableType] = [_heading(survey), slots_table(records)]
    parts += [_slot_panel(record) for record in records]
    parts += [Text(printable(warning)) for warning in survey.warnings]
    if any(not record.tokens_counted for record in records):
        parts.append(Text("~ estimated from the length of the text: nobody counted"))
    console = Console(file=io.StringIO(), width=_WIDTH, color_system=None, highlight=False)
    console.print(Group(*parts))
    written = console.file
    assert isinstance(written, io.StringIO)
    return "\n".join(line.rstrip() for line in written.getvalue().splitlines())


def choices_view(choices: Sequence[SlotChoice]) -> RenderableType | None:
    """Show what becomes of slots besides those that are optimized freely; None if there are none.

    Args:
        choices: What was chosen.
    """
    lines = list(_choice_lines(choices))
    return Group(*lines) if lines else None


def _choice_lines(choices: Sequence[SlotChoice]) -> Iterator[Text]:
    for choice in choices:
        name = printable(choice.record.name)
        if choice.state != "optimized":
            style = "cyan" if choice.state == "frozen" else "yellow"
            yield Text.assemble(("not optimized: ", style), f"{name} {printable(choice.reason)}")
        elif choice.constraint:
            yield Text.assemble(
                ("constraint: ", "cyan"), f"{name}: {printable(choice.constraint.summary())}"
            )


def _heading(survey: Survey) -> Text:
    count = "1 prompt" if len(survey.records) == 1 else f"{len(survey.records)} prompts"
    failed = sum(rollout.failed for rollout in survey.rollouts)
    spent = survey.usage
    details = "" if spent is None else f" ({spent.model_calls} model calls, {spent.seconds:.1f} s)"
    name = printable(survey.agent) + " (simulated)" * survey.simulated
    return Text(
        f"{count} in {name}, found in {len(survey.rollouts)} rollouts{details}"
        + (f"; {failed} of them failed" if failed else "")
    )


def _slot_panel(record: SlotRecord) -> RenderableType:
    rows: list[Text] = []
    if record.prompt is None:
        rows += [Text(f"{record.reason}. Texts seen:")]
        rows += [Text(printable(cut(sample, 300))) for sample in record.samples]
        return text_panel(record.name, Group(*rows))
    lines = printable(record.prompt.raw).split("\n")
    rows.append(Text("\n".join(lines[:_LINES])))
    if len(lines) > _LINES:
        rows.append(Text(f"… {len(lines) - _LINES} more lines"))
    for name, values in record.variables.items():
        shown = ", ".join(repr(cut(value, _VALUE_CHARS)) for value in values)
        rows.append(Text(printable(f"  {{{name}}}: {shown}")))
    if record.reason:
        rows.append(Text(f"  {record.reason}"))
    return text_panel(record.name, Group(*rows))


def _source(record: SlotRecord) -> str:
    if record.source is None:
        return "unknown"
    number = len(record.variables)
    return record.source + (f", {number} variable{'s' * (number > 1)}" if number else "")


def _tokens(record: SlotRecord) -> str:
    return ("" if record.tokens_counted else "~") + f"{record.tokens:.0f}"
