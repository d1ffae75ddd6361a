"""The command line, `agl`.

Exit codes: 0 done, 1 an error (one line on standard error), 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import sys
from io import TextIOWrapper

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a prompt may hold what the terminal cannot show
    try:
        from agl_adapters.cli.commands import app

        app(prog_name="agl")
    except KeyboardInterrupt:  # before a command has started
        sys.exit(130)
