"""Places: which line of the user's code makes the current call, for people to look at."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Callable
from functools import lru_cache
from types import FrameType

__all__ = ["place_of", "user_place"]

_OURS = frozenset({"agl_adapters", "agl_core", "agl_integrations"})
_ROOTS = frozenset({"anyio", "asyncio", "concurrent", "threading", "uvloop"})
"""Above a frame of these is whoever started the thread or the event loop, not the caller."""


def user_place() -> str:
    """Return ``file:line`` of the nearest code above that is neither a library nor ours.

    The path is relative to the working directory if it is within. Empty where no such code makes
    the call: a framework does by itself, or it is a task or a thread of its own.
    """
    frame: FrameType | None = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    in_hook = True
    while frame is not None:
        top = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if top in _ROOTS:
            return ""
        if top in _OURS:
            if not in_hook:  # it is ours that called the program
                return ""
        else:
            in_hook = False
            if not _is_library(frame.f_code.co_filename):
                return _shown(frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return ""


def place_of(function: Callable[..., object]) -> str:
    """Return ``file:line`` of where a function is defined, or nothing if it is not of Python."""
    code = getattr(function, "__code__", None)
    return "" if code is None else _shown(code.co_filename, code.co_firstlineno)


@lru_cache(maxsize=1024)
def _is_library(filename: str) -> bool:
    if filename.startswith("<"):  # made at run time
        return True
    folders = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return any(filename.startswith(os.path.join(folder, "")) for folder in folders)


def _shown(filename: str, line: int) -> str:
    here = os.path.join(os.getcwd(), "")
    return f"{filename.removeprefix(here)}:{line}"
