"""The commands of `agl`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import agl_adapters
from agl_adapters.cli.demo import run_demo
from agl_adapters.cli.discover import discover_prompts
from agl_adapters.cli.evaluate import evaluate
from agl_adapters.cli.export import export_runs
from agl_adapters.cli.failures import ReportingGroup
from agl_adapters.cli.init import init
from agl_adapters.cli.optimize import optimize
from agl_adapters.cli.options import with_groups
from agl_adapters.cli.programs import Framework
from agl_adapters.cli.prompts import prompts
from agl_adapters.cli.reports import report, ui
from agl_adapters.cli.run import CONTEXT, run
from agl_adapters.cli.runs import runs
from agl_adapters.cli.settings import defaults, read_settings

__all__ = ["app"]

app = typer.Typer(
    cls=ReportingGroup,
    help="Optimize the prompts of an agent that already exists.",
    epilog="Exit codes: 0 done, 1 an error, 2 wrong usage, 130 interrupted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"agl-adapters {agl_adapters.__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show the traceback of an error.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Optimize the prompts of an agent that already exists."""
    context.default_map = defaults(*read_settings(Path.cwd()), context.command)


app.command()(init)
app.command("discover")(discover_prompts)
app.command()(with_groups(optimize))
app.command("eval")(with_groups(evaluate))
app.command(context_settings=CONTEXT)(run)
app.add_typer(prompts, name="prompts")
app.add_typer(runs, name="runs")
app.command()(report)
app.command()(ui)
app.command("export")(export_runs)


@app.command()
def demo(
    framework: Annotated[
        Framework,
        typer.Option(
            metavar="NAME",
            help=f"What the program is written with: {', '.join(Framework)}.",
        ),
    ] = Framework.LANGGRAPH,
    out: Annotated[
        Path, typer.Option(help="Folder for prompts.json and the journal, runs.db.")
    ] = Path("agl-demo"),
    seed: Annotated[int, typer.Option(help="Seed of the search and of the simulated model.")] = 0,
    latency: Annotated[
        float, typer.Option(help="Seconds that a call to the simulated model takes.", min=0.0)
    ] = 0.02,
    live: Annotated[
        bool, typer.Option("--live", help="Use the real service (OPENAI_API_KEY), not simulated.")
    ] = False,
    model: Annotated[
        str, typer.Option(help="Model for critiques and rewrites, and with --live the agent's.")
    ] = "gpt-4o-mini",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON and nothing else.")
    ] = False,
) -> None:
    """Optimize a room-booking program, end to end, with no key and no network.

    Ctrl-C ends it with the best so far. Example: [bold]agl demo --framework autogen[/bold]
    """
    run_demo(
        framework=framework,
        out=out,
        seed=seed,
        latency=latency,
        live=live,
        model=model,
        as_json=as_json,
    )


@app.command()
def simulate(
    scenario: Annotated[
        str,
        typer.Option(
            help="What it simulates: room_booking, dispatch, functions, handbook, parcels, "
            "support, tickets, echo, or a scenario of your own as module:attribute."
        ),
    ] = "room_booking",
    port: Annotated[
        int, typer.Option(help="Port on 127.0.0.1; 0 for any that is free.", min=0, max=65535)
    ] = 8765,
    seed: Annotated[int, typer.Option(help="Seed of everything that it draws.")] = 0,
    latency: Annotated[float, typer.Option(help="Seconds that a call takes.", min=0.0)] = 0.0,
) -> None:
    """Serve the simulated OpenAI-compatible model on this machine until Ctrl-C.

    Example: [bold]agl simulate --port 8765[/bold], then in another terminal
    [bold]OPENAI_BASE_URL=http://127.0.0.1:8765/v1 OPENAI_API_KEY=simulated python my_app.py[/bold]
    """
    from agl_adapters.testing.launch import serve

    def ready(url: str) -> None:
        typer.echo(f"simulated model ({scenario}), until Ctrl-C. In another terminal:")
        typer.echo(f"export OPENAI_BASE_URL={url} OPENAI_API_KEY=simulated")

    try:
        serve(port=port, scenario=scenario, seed=seed, latency=latency, ready=ready)
    except KeyboardInterrupt:
        typer.echo("stopped")
