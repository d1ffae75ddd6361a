"""`agl discover`: what prompts a program has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import agl_adapters as agl
from agl_adapters.cli.assembly import make_templates
from agl_adapters.cli.options import JsonOption
from agl_adapters.cli.output import print_json
from agl_adapters.references import load_reference
from agl_core.text import printable

__all__ = ["discover_prompts"]


def discover_prompts(
    agent: Annotated[
        str, typer.Argument(metavar="MODULE:NAME", help="The program, or an agent made of it.")
    ],
    tasks: Annotated[
        Path, typer.Option(metavar="FILE", help="Tasks, JSONL; the first few are run.")
    ],
    input: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE:NAME",
            help="The function that makes the program's input of a task; by default the task is.",
        ),
    ] = None,
    template: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SLOT=TEXT", help="The program's own template, where its text changes."
        ),
    ] = None,
    redact: Annotated[
        list[str] | None,
        typer.Option(metavar="REGEX", help="What is taken out of all that is shown or saved."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Save it as JSON too.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run the program on a few tasks, and show what prompts it has.

    Example: [bold]agl discover my_app:graph --tasks val.jsonl --input my_app:to_input[/bold]
    """
    found = agl.discover(
        load_reference(agent, "the program"),
        tasks,
        input=None if input is None else load_reference(input, "--input"),
        templates=make_templates(template or ()),
        redact=redact or (),
    )
    if out is not None:
        found.save(out)
    if as_json:
        print_json(found.to_json())
        return
    typer.echo(str(found))
    if out is not None:
        typer.echo(f"saved to {printable(str(out))}")
