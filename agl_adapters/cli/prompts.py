"""`agl prompts`: what a prompt file holds, what it changes, and whether it fits a program."""

from __future__ import annotations

import difflib
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

import agl_adapters as agl
from agl_adapters.cli.options import JsonOption
from agl_adapters.cli.output import print_json
from agl_adapters.discovery import unscored_agent
from agl_adapters.production.drift import InUse
from agl_adapters.production.prompt_checks import misfits
from agl_adapters.production.prompts_in_use import PromptsInUse
from agl_adapters.production.source_patches import make_patch
from agl_adapters.references import load_reference
from agl_adapters.terminal import prompts_view, standard_console
from agl_core.errors import ConfigurationError
from agl_core.prompts.prompt_files import PromptFile, read_prompt_file, text_hash
from agl_core.prompts.templates import PromptTemplate, Resources
from agl_core.text import printable

__all__ = ["prompts"]

prompts = typer.Typer(
    help="Show prompt files, compare, check, and apply them.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="A file that TrainResult.save wrote.")
]
_STYLES = {"+": "green", "-": "red", "@": "cyan"}


@prompts.command()
def show(
    file: FileArgument,
    slot: Annotated[
        str, typer.Option(metavar="PATTERN", help="Only slots of such a name, as in '*planner*'.")
    ] = "*",
    as_json: JsonOption = False,
) -> None:
    """Show the prompts of a file, in full, and where they come from.

    Example: [bold]agl prompts show prompts.json --slot '*planner*'[/bold]
    """
    held = read_prompt_file(file)
    chosen = {name: prompt for name, prompt in held.prompts.items() if fnmatchcase(name, slot)}
    if held.prompts and not chosen:
        raise ConfigurationError(
            f"no prompt of {file} is called {slot}; it has: {', '.join(sorted(held.prompts))}"
        )
    if as_json:
        print_json(_as_json(held, chosen))
        return
    console = standard_console()
    for label, value in _origin(held).items():
        _line(console, f"{label}: {value}")
    console.print(prompts_view(chosen, lines=10**9))


@prompts.command()
def diff(
    before: Annotated[Path, typer.Argument(metavar="A", help="A prompt file.", show_default=False)],
    after: Annotated[
        Path | None,
        typer.Argument(
            metavar="[B]", help="Another one. Without it, A is set against what it replaces."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what changes from one prompt file to another, or from the program's own prompts.

    Example: [bold]agl prompts diff prompts.json[/bold]
    """
    first = read_prompt_file(before)
    if after is None:
        old, new, names = first.replaces, first.prompts, ("the program's own", before.name)
        unknown = sorted(first.prompts.keys() - first.replaces.keys())
    else:
        old, new = first.prompts, read_prompt_file(after).prompts
        names, unknown = (before.name, after.name), []
    parts = {
        name: _changes(
            old.get(name), new.get(name), (f"{name} ({names[0]})", f"{name} ({names[1]})")
        )
        for name in sorted(old.keys() | new.keys())
        if name not in unknown
    }
    if as_json:
        changed = {name: "\n".join(lines) for name, lines in parts.items() if lines}
        print_json({"changed": changed, "not_known_what_is_replaced": unknown})
        return
    console = standard_console()
    for line in (line for lines in parts.values() for line in lines):
        console.print(Text(printable(line), style=_STYLES.get(line[:1], "")), soft_wrap=True)
    if not any(parts.values()):
        _line(console, "no changes")
    for name in unknown:
        _line(console, f"{name}: the file does not say what it replaces")


@prompts.command()
def check(
    file: FileArgument,
    agent: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODULE:NAME]", help="The program that it is for; it is run on a few tasks."
        ),
    ] = None,
    tasks: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Tasks for the program, JSONL.")
    ] = None,
    make_input: Annotated[
        str | None,
        typer.Option("--input", metavar="MODULE:NAME", help="Makes the program's input of a task."),
    ] = None,
    count: Annotated[int, typer.Option(help="On how many tasks it is run.", min=1)] = 3,
    as_json: JsonOption = False,
) -> None:
    """Check that a file can be used, and with a program that its prompts fit. Exit code 1: not.

    With a program: the slots are there, their text is still the one replaced, and what the prompts
    ask for is filled in. Example: [bold]agl prompts check prompts.json my_app:graph --tasks
    val.jsonl[/bold]
    """
    held = read_prompt_file(file)
    problems: dict[str, str] = {}
    if agent is None:
        if any(":" in name for name in held.prompts) or not held.prompts:
            PromptsInUse(held, InUse())
    elif tasks is None:
        raise ConfigurationError(f"on which tasks is {agent} run? Name them: --tasks val.jsonl")
    else:
        problems = _check_program(held, agent, make_input, tasks, count)
    if as_json:
        print_json({"prompts": len(held.prompts), "problems": problems})
    else:
        console = standard_console()
        for slot, problem in problems.items():
            _line(console, f"{slot}: {problem}")
        if not problems:
            held_prompts = "1 prompt" if len(held.prompts) == 1 else f"{len(held.prompts)} prompts"
            usable = "can be used; name the program to see whether they fit it"
            _line(console, f"{file}: {held_prompts}: {f'fit {agent}' if agent else usable}")
    if problems:
        raise typer.Exit(1)


@prompts.command()
def apply(
    file: FileArgument,
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", help="Python files of the program, and folders of them."),
    ],
    to_source: Annotated[
        bool, typer.Option("--to-source", help="Needed: there is no other place to apply them to.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Print a patch that puts the prompts into the program's source, where they are literals.

    Nothing is written. Literals are found by their exact text. On standard error you are told which
    prompts could not be placed; then the exit code is 1. Example:
    [bold]agl prompts apply --to-source prompts.json src | git apply[/bold]
    """
    if not to_source:
        raise ConfigurationError("say where to: agl prompts apply --to-source FILE PATH...")
    patch = make_patch(read_prompt_file(file), paths, Path.cwd())
    if as_json:
        diff = patch.diff.decode(errors="replace")
        print_json({"patch": diff, "placed": patch.placed, "unplaced": patch.unplaced})
    elif sys.stdout.isatty():
        _line(standard_console(), patch.diff.decode(errors="replace").rstrip("\n"))
    else:
        typer.echo(patch.diff, nl=False)
    told = Console(stderr=True, highlight=False)
    for slot, place in patch.placed.items():
        _line(told, f"{slot}: {place}")
    for slot, reason in patch.unplaced.items():
        _line(told, f"{slot}: not placed: {reason}")
    if patch.unplaced:
        raise typer.Exit(1)


def _check_program(
    held: PromptFile, reference: str, make_input: str | None, tasks: Path, count: int
) -> dict[str, str]:
    """Run a program on tasks, and return what is wrong with the prompts for it."""
    function = None if make_input is None else load_reference(make_input, "--input")
    agent = unscored_agent(load_reference(reference, "the program"), function)
    if not agent.discovers:
        agent.check(held.prompts)
        return {}
    # Declared, for few tasks do not tell which part of a text changes.
    templates = {name: own for name, own in held.replaces.items() if own.variables}
    trainer = agl.Trainer(agl.Baseline(), n_runners=count, templates=templates)
    return misfits(held, list(trainer.dev(agent, tasks, tasks=count)))


def _as_json(held: PromptFile, chosen: Resources) -> dict[str, Any]:
    records: dict[str, Any] = {}
    for name, prompt in sorted(chosen.items()):
        own = held.replaces.get(name)
        replaced = None if own is None else {**own.to_json(), "sha256": text_hash(own)}
        records[name] = {**prompt.to_json(), "replaces": replaced}
    return {
        "run": held.run,
        "verdict": held.verdict,
        "scores": dict(held.scores),
        "versions": dict(held.versions),
        "prompts": records,
    }


def _origin(held: PromptFile) -> dict[str, str]:
    """Return where the prompts come from, line by line; what is not known is left out."""
    scores = {name: score for name, score in held.scores.items() if score is not None}
    lines = {
        "run": held.run or "",
        "verdict": held.verdict or "",
        "scores": ", ".join(f"{name} {score:.3g}" for name, score in scores.items()),
        "versions": ", ".join(f"{name} {version}" for name, version in held.versions.items()),
    }
    return {label: value for label, value in lines.items() if value}


def _changes(
    old: PromptTemplate | None, new: PromptTemplate | None, names: tuple[str, str]
) -> list[str]:
    before, after = ([] if p is None else p.raw.split("\n") for p in (old, new))
    return list(difflib.unified_diff(before, after, *names, lineterm=""))


def _line(console: Console, text: str) -> None:
    console.print(Text(printable(text)), soft_wrap=True)
