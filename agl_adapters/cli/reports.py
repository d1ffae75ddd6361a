"""`agl report` and `agl ui`: what a store holds, as pages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agl_adapters.cli.stores import STORE, RunName, StoreOption, chosen_run, opened
from agl_core.text import printable

__all__ = ["report", "ui"]


def report(
    run: RunName = None,
    store: StoreOption = STORE,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="The file to write.")
    ] = Path("report.html"),
) -> None:
    """Write the report of a run: one HTML file that needs no network.

    Example: [bold]agl report first --store runs.db -o report.html[/bold]
    """
    from agl_adapters.report import write_report

    kept = opened(store)
    name = chosen_run(kept, run)
    path = write_report(kept, name, out)
    size = path.stat().st_size / 1e6
    typer.echo(f"{printable(str(path))}, {size:.1f} MB, of run {printable(name)}")


def ui(
    store: StoreOption = STORE,
    port: Annotated[
        int, typer.Option(help="Port on 127.0.0.1; 0 for any that is free.", min=0, max=65535)
    ] = 8377,
    open_browser: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Show the runs of a store in the browser, live, until Ctrl-C. Only this machine can see it.

    Example: [bold]agl ui --store runs.db[/bold]
    """
    from agl_adapters.ui import serve_ui

    def ready(url: str) -> None:
        typer.echo(f"{url} (until Ctrl-C)")
        if open_browser:
            typer.launch(url)

    kept = opened(store)
    try:
        serve_ui(kept, port, ready)
    except KeyboardInterrupt:
        typer.echo("stopped")
    finally:
        kept.close()
