"""Runs: a name in a store, begun anew or gone on with."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from typing import Any

from agl_core.errors import ConfigurationError
from agl_core.store import Store

__all__ = ["begin_or_resume", "new_run_name"]


def new_run_name() -> str:
    """Make up a name: the time, and something that no other run of that second has."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


def begin_or_resume(
    store: Store, name: str | None, settings: Mapping[str, Any], resume: bool
) -> str:
    """Find or create a run; return its name.

    Args:
        store: Where.
        name: Its name; None for a new one.
        settings: What has to be the same when it is resumed, JSON-able.
        resume: Whether a run that holds rollouts is to be gone on with.

    Raises:
        ConfigurationError: If it holds rollouts and is not to be resumed, or was run with other
            settings.
    """
    if name is None:
        if resume:
            raise ConfigurationError("which run is to be resumed? Name it: Trainer(run=...)")
        name = new_run_name()
    known = store.run(name)
    if known is None or not any(store.rollouts(name)):
        store.begin_run(name, settings)
        return name
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
            "resume it with the same input, or choose another name"
        )
    return name


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Name the settings that differ; of those that hold several, which of them."""
    names: list[str] = []
    for key in dict.fromkeys((*before, *now)):
        old, new = before.get(key), now.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping) and old != new:
            names.append(f"{key} ({', '.join(_differences(old, new))})")
        elif old != new:
            names.append(key)
    return names
