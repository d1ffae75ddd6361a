"""Steadiness: texts without what may differ though the program is the same."""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Iterator

from agl_core.credentials import without_credentials

__all__ = ["steady_text"]

_ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}\b")
_LOOPBACK = re.compile(r"\b(127\.0\.0\.1|localhost|\[::1\]):\d+")
_HERE = "[here]"
"""What stands in the place of the program's folder."""


def steady_text(text: str) -> str:
    """Return a text without what differs though the program is the same.

    That is credentials, addresses in memory, ports of this machine, and where the program lies: the
    folder of what was started, and the working directory.
    """
    for folder in _folders():
        if folder in text:
            text = _path(folder).sub(_HERE, text)
    return _LOOPBACK.sub(r"\1", _ADDRESS.sub("", without_credentials(text)))


def _folders() -> Iterator[str]:
    started = getattr(sys.modules.get("__main__"), "__file__", None)
    if isinstance(started, str):
        yield os.path.dirname(os.path.abspath(started))
    try:
        yield os.getcwd()
    except OSError:  # it was deleted
        return


@functools.lru_cache(maxsize=8)
def _path(folder: str) -> re.Pattern[str]:
    """Return what finds a folder, not one whose name only begins or ends with its name."""
    if folder == os.path.dirname(folder):  # the root
        return re.compile(r"(?!)")
    return re.compile(rf"(?<![\w.~-]){re.escape(folder)}(?![\w-]|\.\w)")
