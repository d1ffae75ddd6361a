"""Runs: a name in a store, begun anew or gone on with."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from typing import Any, Literal

from agl_core.damage import undamaged
from agl_core.errors import ConfigurationError
from agl_core.storage.store import RunRecord, Store

__all__ = ["Resume", "begin_or_resume", "known_run", "new_run_name", "newest_run", "run_name"]

Resume = bool | Literal["changed"]
"""Whether a run is gone on with: not, if it is the same, or though its program has changed."""

_PROGRAM = "program"
_CHANGED = "changed"
"""What of the program was changed between starts, where that was allowed."""
_MOST_NAMES = 8


def new_run_name() -> str:
    """Make up a name: the time, and something that no other run of that second has."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


def run_name(name: str | None, resume: Resume) -> str:
    """Return the name of a run: the one given, or one made up.

    Raises:
        ConfigurationError: If one is to be resumed and none is given.
    """
    if resume not in (True, False, "changed"):
        raise ConfigurationError(f'resume is {resume!r}; it takes True, False or "changed"')
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


def begin_or_resume(
    store: Store, name: str, settings: Mapping[str, Any], resume: Resume
) -> list[str]:
    """Create a run, or make sure that it may be gone on with.

    Args:
        store: Where.
        name: Its name. The run has to be held; see `Store.hold`.
        settings: What has to be the same when it is resumed, JSON-able.
        resume: Whether a run that holds anything is to be gone on with; ``"changed"`` to do so
            though its program is another one now, which is noted in its settings.

    Returns:
        What of the program has changed, by name.

    Raises:
        ConfigurationError: If it holds something and is not to be resumed, or was run with other
            settings.
    """
    known = store.run(name)
    held = store.activity(name)
    if known is None or not (held.rollouts or held.calls):
        store.begin_run(name, settings)
        return []
    if not resume:
        raise ConfigurationError(
            f"the store {store.location} has a run named {name!r} already: "
            "resume it with fit(..., resume=True), or choose another name"
        )
    # As they would come back from the store.
    now = json.loads(json.dumps(settings))
    with undamaged("what the store has of the run's settings"):
        before = dict(known.settings)
        earlier = before.pop(_CHANGED, [])
        changed = _differences(before, now)
    if not changed:
        return []
    was, program = before.get(_PROGRAM, {}), now.get(_PROGRAM, {})
    alone = not _differences({**before, _PROGRAM: None}, {**now, _PROGRAM: None})
    if alone and resume == "changed":
        parts = _differences(was, program)
        store.change_run(name, {**now, _CHANGED: [*earlier, *parts]})
        return parts
    message = (
        f"run {name!r} was started with another {', '.join(changed)}: "
        "resume it with the same input, or choose another name; what was run so far "
        "is of the input as it was then, so what is changed on purpose needs a run of its own"
    )
    if alone:
        message += (
            ". Only if you know that it changes no score, a log line for instance: fit(..., resume="
            '"changed"), or agl optimize --resume RUN --changed'
        )
    raise ConfigurationError(message)


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Name the settings that differ; of those that hold several, which of them."""
    names: list[str] = []
    for key in dict.fromkeys((*before, *now)):
        if key == _PROGRAM and key not in before:
            continue  # a run of an earlier version, which did not note it
        old, new = before.get(key), now.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping) and old != new:
            inner = _differences(old, new)
            more = [f"and {len(inner) - _MOST_NAMES} more"] if len(inner) > _MOST_NAMES else []
            names.append(f"{key} ({', '.join(inner[:_MOST_NAMES] + more)})")
        elif old != new:
            names.append(key)
    return names
