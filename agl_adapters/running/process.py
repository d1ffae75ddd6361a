"""What `agl run` does in the process of the program: at its start, and at its end."""

from __future__ import annotations

import atexit
import json
import os
import sys
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from agl_adapters.production.drift import InUse
from agl_adapters.production.prompts_in_use import PromptsInUse
from agl_adapters.running.variables import IS_MAIN, VARIABLE, Launch
from agl_core.errors import AglError
from agl_core.prompts.binding import current_binding
from agl_core.prompts.prompt_files import read_prompt_file
from agl_core.text import printable

__all__ = ["begin"]

_LISTED = 8


def begin() -> None:
    """Install the prompts that the environment names; without any, do nothing.

    If they cannot be, the program is not started: its process ends, with one line on standard error
    and exit code 1. Another Python process that it starts goes on without them, with that line.
    """
    value = os.environ.get(VARIABLE)
    if value is None:
        return
    is_main = os.environ.pop(IS_MAIN, None) is not None
    try:
        _Process(Launch.from_variable(value), is_main).begin()
    except Exception as error:  # noqa: BLE001 - Python would show it and go on to the program
        told = str(error) if isinstance(error, AglError) else f"{type(error).__name__}: {error}"
        _say(f"the prompts cannot be put in place: {told}")
        if is_main:
            os._exit(1)


class _Process:
    """A process that has prompts in place: the program's own, or one that it started.

    Args:
        launch: What to put in place.
        is_main: Whether it is the program's own.
    """

    def __init__(self, launch: Launch, is_main: bool) -> None:
        self._launch = launch
        self._main = os.getpid() if is_main else None
        file = read_prompt_file(launch.prompts)
        self._prompts = PromptsInUse(file, InUse(launch.on_drift, _say, self._note))

    def begin(self) -> None:
        """Put the prompts in force; see that the program's own process reports at its end."""
        self._prompts.install()
        if self._main is not None:
            atexit.register(self._end)

    def _note(self, slot: str) -> None:
        """Note the first use of a slot for the program's own process, if this is another one."""
        if os.getpid() == self._main:
            return
        with suppress(OSError), open(self._launch.record, "a", encoding="utf-8") as record:
            record.write(json.dumps(slot) + "\n")

    def _end(self) -> None:
        """Say which prompts the program never asked for."""
        if os.getpid() != self._main:  # a child that was forked
            return
        unused = sorted(set(self._prompts.unused) - self._used_by_children())
        if unused:
            binding = current_binding()
            others = [] if binding is None else [s for s in binding.slots if s not in unused]
            used = f"; it used {_listed(others)}" if others else "; it used no other slot"
            _say(
                f"the program never used {_listed(unused)} of "
                f"{os.path.basename(self._launch.prompts)}{used}"
            )

    def _used_by_children(self) -> set[str]:
        record = Path(self._launch.record)
        used: set[str] = set()
        with suppress(OSError):
            for line in record.read_text(encoding="utf-8").splitlines():
                with suppress(ValueError):  # a child that was killed while it wrote
                    used.add(json.loads(line))
        with suppress(OSError):
            record.unlink()
        return used


def _listed(slots: Collection[str]) -> str:
    shown = ", ".join(list(slots)[:_LISTED])
    return shown + (f" and {len(slots) - _LISTED} more" if len(slots) > _LISTED else "")


def _say(message: str) -> None:
    # Standard error may be closed, or be something that the program has put in its place.
    with suppress(Exception):
        sys.stderr.write(f"agl: {printable(message)}\n")
        sys.stderr.flush()
