"""The store that a command reads: it has to be there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import agl_adapters as agl
from agl_core.errors import ConfigurationError

__all__ = ["STORE", "StoreOption", "opened"]

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
