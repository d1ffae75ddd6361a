"""Starting a program with prompts in place."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from agl_adapters.production.drift import OnDrift
from agl_adapters.production.prompts_in_use import use_prompts
from agl_adapters.running.variables import IS_MAIN, VARIABLE, Launch
from agl_core.errors import ConfigurationError

__all__ = ["run_program"]

_STARTUP = Path(__file__).parent / "startup"
_WITH_VALUE = "WX"
_NO_STARTUP = "EIS"
"""Options of Python by which it ignores its environment variables, or does without start-up."""


def run_program(prompts: Path, on_drift: OnDrift, arguments: Sequence[str]) -> NoReturn:
    """Run a Python program with prompts in place. It takes the place of this process.

    Args:
        prompts: The prompt file.
        on_drift: As for `use_prompts`.
        arguments: What would stand after ``python``: a file with its arguments, ``-m module``,
            ``-c code``, and options of Python before these.

    Raises:
        ConfigurationError: If the file cannot be used, there is no program, or an option of Python
            would keep the prompts out.
        IntegrationError: If the framework of one of the slots is not installed.
    """
    if not arguments:
        raise ConfigurationError(
            "which program? Give what would stand after `python`: "
            "agl run --prompts prompts.json -- app.py"
        )
    for option in _python_options(arguments):
        if option in _NO_STARTUP:
            raise ConfigurationError(
                f"Python's option -{option} keeps the prompts out: run the program without it"
            )
    with use_prompts(prompts, on_drift=on_drift):
        pass  # so that what is wrong with them is told here, in one line
    record = Path(tempfile.gettempdir()) / f"agl-run-{os.getpid()}-{secrets.token_hex(8)}"
    launch = Launch(str(prompts.resolve()), on_drift, str(record))
    command = [sys.executable, *arguments]
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name == "nt":  # where a program cannot take the place of another one
        sys.exit(subprocess.run(command, env=_environment(launch), check=False).returncode)
    os.execve(sys.executable, command, _environment(launch))


def _environment(launch: Launch) -> dict[str, str]:
    path = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    others = [entry for entry in path if entry != str(_STARTUP)]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(_STARTUP), *others]),
        VARIABLE: launch.to_variable(),
        IS_MAIN: "1",
    }


def _python_options(arguments: Sequence[str]) -> Iterator[str]:
    """Yield the letters of the options that Python itself would take."""
    remaining = iter(arguments)
    for argument in remaining:
        if argument == "--check-hash-based-pycs":
            next(remaining, None)
            continue
        if not argument.startswith("-") or argument.startswith("--") or argument == "-":
            return
        for position, letter in enumerate(argument[1:], 1):
            if letter in "cm":
                return
            if letter in _WITH_VALUE:
                if position == len(argument) - 1:
                    next(remaining, None)
                break
            yield letter
