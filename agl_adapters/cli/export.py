"""`agl export`: rollouts as data that models are trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agl_adapters.cli.stores import STORE, StoreOption, chosen_run, opened
from agl_adapters.exports import Format, export
from agl_core.text import printable

__all__ = ["export_runs"]


def export_runs(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Where to.")],
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="RUN", help="The runs' names; by default the newest."),
    ] = None,
    format: Annotated[Format, typer.Option(help="What the rows are for.")] = Format.CHAT_SFT,
    min_reward: Annotated[
        float | None,
        typer.Option(help="The lowest score that counts; 1.0 for what is to be imitated."),
    ] = None,
    split: Annotated[
        list[str] | None,
        typer.Option(help="The tasks whose rollouts count; by default train and val, not test."),
    ] = None,
    store: StoreOption = STORE,
) -> None:
    """Write the rollouts of runs to a file, for fine-tuning or for tables of one's own.

    Example: [bold]agl export first --format preference --out pairs.jsonl[/bold]
    """
    splits = split or ("train", "val")
    kept = opened(store)
    names = runs or [chosen_run(kept, None)]
    count = export(kept, names, out, format=format, min_reward=min_reward, splits=splits)
    told = printable(", ".join(names))
    typer.echo(f"wrote {count} rows to {printable(str(out))}, of run {told}")
