"""Runs: a name in a store, begun anew or gone on with."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from typing import Any

from agl_core.errors import ConfigurationError
from agl_core.storage.store import RunRecord, Store

__all__ = ["begin_or_resume", "known_run", "new_run_name", "newest_run", "run_name"]


def new_run_name() -> str:
    """Make up a name: the time, and something that no other run of that second has."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


def run_name(name: str | None, resume: bool) -> str:
    """Return the name of a run: the one given, or one made up.

    Raises:
        ConfigurationError: If one is to be resumed and none is given.
    """
    if name is None and resume:
        raise ConfigurationError("which run is to be resumed? Name it: Trainer(run=...)")
    return new_run_name() if name is None else name


def known_run(store: Store, name: str) -> RunRecord:
    """Return a run.

    Raises:
        ConfigurationError: If the store has none of that name.
    """
    record = store.run(name)
    if record is None:
        names = ", ".join(known.name for known in store.runs()[-10:])
        raise ConfigurationError(
            f"{store.location} has no run {name!r}; "
            + (f"it has: {names}" if names else "it is empty")
        )
    return record


def newest_run(store: Store) -> RunRecord:
    """Return the run that was begun last.

    Raises:
        ConfigurationError: If the store has none.
    """
    runs = store.runs()
    if not runs:
        raise ConfigurationError(f"{store.location} holds no run")
    return runs[-1]


def begin_or_resume(store: Store, name: str, settings: Mapping[str, Any], resume: bool) -> None:
    """Create a run, or make sure that it may be gone on with.

    Args:
        store: Where.
        name: Its name. The run has to be held; see `Store.hold`.
        settings: What has to be the same when it is resumed, JSON-able.
        resume: Whether a run that holds anything is to be gone on with.

    Raises:
        ConfigurationError: If it holds something and is not to be resumed, or was run with other
            settings.
    """
    known = store.run(name)
    held = store.activity(name)
    if known is None or not (held.rollouts or held.calls):
        store.begin_run(name, settings)
        return
    if not resume:
        raise ConfigurationError(
            f"the store {store.location} has a run named {name!r} already: "
            "resume it with fit(..., resume=True), or choose another name"
        )
    # As they would come back from the store.
    changed = _differences(known.settings, json.loads(json.dumps(settings)))
    if changed:
        raise ConfigurationError(
            f"run {name!r} was started with another {', '.join(changed)}: "
            "resume it with the same input, or choose another name; what was run so far "
            "is of the input as it was then, so what is changed on purpose needs a run of its own"
        )


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Name the settings that differ; of those that hold several, which of them."""
    names: list[str] = []
    for key in dict.fromkeys((*before, *now)):
        if key == "program" and key not in before:
            continue  # a run of an earlier version, which did not note it
        old, new = before.get(key), now.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping) and old != new:
            names.append(f"{key} ({', '.join(_differences(old, new))})")
        elif old != new:
            names.append(key)
    return names
