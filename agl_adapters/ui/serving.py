"""Serving the pages of a store's runs."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

from agl_core.errors import MissingDependencyError
from agl_core.storage.store import Store

__all__ = ["HOST", "serve_ui"]

HOST = "127.0.0.1"


def serve_ui(store: Store, port: int = 0, ready: Callable[[str], object] | None = None) -> None:
    """Serve the pages of a store's runs until interrupted.

    They can be reached from this machine only, by whoever can log in to it; they change nothing.

    Args:
        store: The store; runs may go on in it meanwhile, in this process or others.
        port: The port, 0 for any that is free.
        ready: Called with the address as soon as it can be opened.

    Raises:
        MissingDependencyError: The extra `ui` is not installed.
        ConfigurationError: The port is taken.
    """
    missing = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        raise MissingDependencyError(
            f"the pages' server needs {' and '.join(missing)}: pip install 'agl-adapters[ui]'"
        )
    from agl_adapters.loopback import serve_on_loopback
    from agl_adapters.ui.application import ui_application

    serve_on_loopback(
        ui_application(store),
        HOST,
        port,
        lambda bound: ready and ready(f"http://{HOST}:{bound}/"),
    )
