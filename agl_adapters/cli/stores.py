"""The store that a command reads: it has to be there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import agl_adapters as agl
from agl_core.errors import ConfigurationError
from agl_core.storage.runs import newest_run

__all__ = ["STORE", "RunName", "StoreOption", "chosen_run", "opened"]

RunName = Annotated[
    str | None, typer.Argument(metavar="RUN", help="The run's name; by default the newest.")
]

StoreOption = Annotated[Path, typer.Option(metavar="FILE", help="The file that runs are kept in.")]
STORE = Path("runs.db")


def opened(store: Path) -> agl.SQLiteStore:
    """Open a store that exists.

    Raises:
        ConfigurationError: If there is no such file.
        StoreError: If it is no store.
    """
    if not store.is_file():
        raise ConfigurationError(f"there is no store {store}; name it with --store")
    return agl.SQLiteStore(store)


def chosen_run(store: agl.Store, name: str | None) -> str:
    """Return the name that was given, or that of the newest run.

    Raises:
        ConfigurationError: If none was given and the store holds no run.
    """
    return newest_run(store).name if name is None else name
