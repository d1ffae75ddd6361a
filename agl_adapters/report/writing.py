"""Writing a run's report: one HTML file that needs nothing else."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from pathlib import Path

from agl_adapters.report.data import page_data
from agl_adapters.report.packing import pack_traces
from agl_adapters.report.pages import inlined_assets, render
from agl_adapters.report.reading import RunReader
from agl_adapters.report.views import run_view
from agl_core.errors import ConfigurationError
from agl_core.files import write_atomically
from agl_core.storage.sqlite import SQLiteStore
from agl_core.storage.store import Store

__all__ = ["report_html", "write_report"]

_MOST_BYTES = 4_800_000
"""How large a report may be: it should open at once and go through a mail."""


def write_report(
    store: Store | str | os.PathLike[str], run: str, path: str | os.PathLike[str]
) -> Path:
    """Write the report of a run as one HTML file; it needs no network and no other file.

    Everything is taken from the store, so that any run can be reported, also one that has not
    ended. The file is its user's own: it holds tasks and outputs.

    Args:
        store: The store, or the path of its file.
        run: The run's name.
        path: The file to write. One that is there is replaced in one step.

    Returns:
        The path.

    Raises:
        ConfigurationError: If there is no such store or run, or the file cannot be written.
        StoreError: If the store cannot be read.
    """
    with ExitStack() as stack:
        if isinstance(store, str | os.PathLike):
            store = opened_store(store)
            stack.callback(store.close)
        return write_atomically(path, report_html(store, run), private=True)


def opened_store(path: str | os.PathLike[str]) -> SQLiteStore:
    """Open a store that is there; none is made.

    Raises:
        ConfigurationError: If there is no such file.
        StoreError: If it cannot be read.
    """
    if not Path(path).is_file():
        raise ConfigurationError(f"there is no store {os.fspath(path)}")
    return SQLiteStore(path)


def report_html(store: Store, run: str) -> str:
    """Return the report of a run; see `write_report`."""
    facts = RunReader(store, run).read()
    view = run_view(facts, time.time())
    page = {"assets": inlined_assets(), "live": False, "data": page_data(facts)}
    bare = render("run.html.j2", **view, **page, traces="")
    traces = pack_traces(store, facts, _MOST_BYTES - len(bare.encode("utf-8", "replace")))
    view["notes"] = [*view["notes"], *traces.notes]
    return render("run.html.j2", **view, **page, traces=traces.base64)
