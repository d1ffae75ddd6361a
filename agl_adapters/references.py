"""References: objects of a user's program by name, as ``my_app:graph`` or ``my_app.py:graph``."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from agl_core.errors import ConfigurationError

__all__ = ["load_reference"]


def load_reference(reference: str, what: str = "the object") -> Any:
    """Import a module and return an attribute of it.

    The current folder is put on the module path, as ``python -m`` does; of a file its folder, as
    ``python my_app.py`` does. It stays there: what the program imports later has to be found too.

    Args:
        reference: ``package.module:attribute`` or ``path/to/file.py:attribute``; the attribute may
            be dotted.
        what: What it is for, for messages.

    Raises:
        ConfigurationError: If it is no reference, there is no such module or attribute, or the
            module raises when it is imported (its error is the cause).
    """
    name, separator, attribute = reference.rpartition(":")
    if not separator or not name or not attribute:
        raise ConfigurationError(
            f"{what} is {reference!r}; name it as module:attribute, such as my_app:graph"
        )
    folder, module_name = Path.cwd(), name
    if name.endswith(".py"):
        file = Path(name).resolve()
        if not file.is_file():
            raise ConfigurationError(f"{what}: there is no file {name}")
        folder, module_name = file.parent, file.stem
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    value: Any = _imported(module_name, reference, what)
    for part in attribute.split("."):
        try:
            value = getattr(value, part)
        except AttributeError as error:
            raise ConfigurationError(
                f"{what}: {name} has no {attribute!r}{_suggestion(value)}"
            ) from error
    return value


def _imported(module_name: str, reference: str, what: str) -> Any:
    try:
        return import_module(module_name)
    except ModuleNotFoundError as error:
        # A module that is there but imports one that is not has another fault to tell.
        if error.name is not None and not f"{module_name}.".startswith(f"{error.name}."):
            raise ConfigurationError(
                f"{what}: importing {module_name} needs {error.name}, which is not installed here"
            ) from error
        raise ConfigurationError(
            f"{what}: there is no module {error.name} for {reference!r}, seen from {Path.cwd()}"
        ) from error
    except (Exception, SystemExit) as error:
        raise ConfigurationError(
            f"{what}: importing {module_name} failed: {type(error).__name__}: {error}"
        ) from error


def _suggestion(owner: Any) -> str:
    """Name what a module defines by itself, if it is not too much."""
    if not isinstance(owner, ModuleType):
        return ""
    names = [name for name, value in vars(owner).items() if _is_own(owner, name, value)]
    return f"; it has: {', '.join(names)}" if 0 < len(names) <= 20 else ""


def _is_own(module: ModuleType, name: str, value: Any) -> bool:
    if name.startswith("_") or isinstance(value, ModuleType):
        return False
    imported = isinstance(value, type | FunctionType) and value.__module__ != module.__name__
    return not imported
