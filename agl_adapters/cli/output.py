"""Where commands write: what was asked for to standard output, with ``--json`` nothing else."""

from __future__ import annotations

import json
import sys
from typing import Any

import typer
from rich.console import Console
from rich.rule import Rule

import agl_adapters as agl
from agl_adapters.terminal import changes_view, rounds_view, standard_console, verdict_view

__all__ = ["print_json", "progress_console", "show_result"]


def progress_console(as_json: bool) -> Console:
    """Return the console for progress: standard output, or none if that is for JSON alone."""
    return Console(file=sys.stderr, quiet=True) if as_json else standard_console()


def print_json(data: Any) -> None:
    """Write data as JSON on one line."""
    typer.echo(json.dumps(data))


def show_result(result: agl.TrainResult, console: Console, note: str = "") -> None:
    """Show what a run has found: score per round, the changes, the verdict.

    Args:
        result: The run's result.
        console: Where to.
        note: What kind of run it was, such as "simulated".
    """
    console.print(Rule(f"Result ({note})" if note else "Result"))
    console.print(rounds_view(result, note))
    console.print(changes_view(result.seed, result.best))
    console.print()
    console.print(verdict_view(result, note))
