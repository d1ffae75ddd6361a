"""How a command ends if it does not go well: one line on standard error, and an exit code."""

from __future__ import annotations

import copy
import re
import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperGroup

from agl_core.credentials import without_credentials
from agl_core.errors import AglError
from agl_core.spending.budgets import BudgetExhaustedError
from agl_core.text import printable

__all__ = ["INTERRUPTED", "ReportingGroup"]

ERROR = 1
INTERRUPTED = 130
"""128 and the number of SIGINT, as shells have it."""
_VERBOSE = "agl.verbose"


class ReportingGroup(TyperGroup):
    """A group of commands that tells failures in one line; with ``--verbose`` in full.

    The option may stand before a command or behind it.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for option in self.params:
            if option.name == "verbose":
                for command in _commands(self):
                    command.params.append(_noting(option))

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _say("interrupted")
            raise typer.Exit(INTERRUPTED) from None
        except Exception as error:
            # What typer itself raises: wrong usage, or the end of a command.
            if hasattr(error, "exit_code") or isinstance(error, typer.Abort | BrokenPipeError):
                raise
            if ctx.params.get("verbose") or ctx.meta.get(_VERBOSE):
                _say("".join(traceback.format_exception(error)).rstrip())
            elif isinstance(error, AglError):
                _say(_brief(str(error)))
            else:
                _say(f"{type(error).__name__}: {error} (-v shows where)")
            found = error.result if isinstance(error, AglError) else None
            if found is not None and found.best_score is not None:
                _say(f"the best so far:\n{found.report()}")
            stopped = isinstance(error, BudgetExhaustedError) and error.reason == "interrupted"
            raise typer.Exit(INTERRUPTED if stopped else ERROR) from None


def _commands(group: Any) -> Iterator[Any]:
    for command in group.commands.values():
        if hasattr(command, "commands"):
            yield from _commands(command)
        else:
            yield command


def _noting(option: Any) -> Any:
    """Return an option as the commands have it: what it says is noted for the group."""

    def note(context: Any, parameter: Any, value: bool) -> None:
        if value:
            context.meta[_VERBOSE] = True

    noting = copy.copy(option)
    noting.expose_value, noting.callback = False, note
    return noting


def _brief(message: str) -> str:
    """Shorten a message that ends in the traceback of the user's program to what was raised."""
    head, separator, traceback_text = message.partition("\nTraceback (most recent call last):\n")
    if not separator:
        return message
    lines = traceback_text.rstrip().split("\n")
    frames = [number for number, line in enumerate(lines) if line[:1].isspace()]
    raised = lines[frames[-1] + 1 :] if frames else lines
    where = _place(lines)
    return f"{head} {next(iter(raised), '')} ({where}-v shows the traceback)"


def _place(lines: list[str]) -> str:
    """Return where the user's own code raised it, if a frame of the traceback is of that code."""
    libraries = {sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")}
    for line in reversed(lines):
        frame = re.match(r'  File "([^"<>]+)", line (\d+)', line)
        if frame and not any(Path(frame[1]).is_relative_to(path) for path in libraries):
            return f"{Path(frame[1]).name}, line {frame[2]}; "
    return ""


def _say(what: str) -> None:
    line = Text.assemble(("agl: ", "bold red"), printable(without_credentials(what)))
    Console(stderr=True, highlight=False).print(line, soft_wrap=True)
