"""`agl run`: an untouched program, with prompts in place."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["CONTEXT", "run"]

CONTEXT = {"ignore_unknown_options": True, "allow_interspersed_args": False}
"""Settings of the command: what stands behind its own options is the program's."""


class Drift(StrEnum):
    """What to do where the program has changed a prompt that was replaced."""

    WARN = "warn"
    ERROR = "error"
    IGNORE = "ignore"


def run(
    program: Annotated[
        list[str],
        typer.Argument(
            metavar="[--] PROGRAM [ARGS]...",
            help="What would stand after `python`: app.py, -m module or -c code, and arguments.",
            show_default=False,
        ),
    ],
    prompts: Annotated[
        Path, typer.Option(metavar="FILE", help="The prompts, as TrainResult.save wrote them.")
    ],
    on_drift: Annotated[
        Drift,
        typer.Option(
            help="Where the program's text is not the one that a prompt replaces, it is sent: "
            "with a warning or without a word; or it is an error in the program."
        ),
    ] = Drift.WARN,
) -> None:
    """Run a Python program with optimized prompts in place, without a change to it.

    It runs as with `python`, with the same Python as this command. At its end you are told of
    prompts that it never used. Example: [bold]agl run --prompts prompts.json -- app.py[/bold]
    """
    from agl_adapters.running.launch import run_program

    run_program(prompts, on_drift.value, program)
