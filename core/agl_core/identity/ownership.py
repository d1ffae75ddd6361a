"""Ownership: which modules are the user's own, neither a library nor ours."""

from __future__ import annotations

import functools
import os
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

__all__ = ["is_foreign", "is_own", "is_own_module", "is_own_value", "module_name", "name_of"]

_MACHINERY = frozenset({"agl_core", "agl_adapters", "agl_integrations"})


def is_own_value(value: object) -> bool:
    """Tell whether a value is no function or class of a package."""
    if isinstance(value, FunctionType):
        return is_own(value.__globals__)
    return not callable(value) or is_own_module(type(value).__module__)


def is_foreign(value: object) -> bool:
    """Tell whether a value is of a package that is neither the user's nor the standard library."""
    module: Any = value.__name__ if isinstance(value, ModuleType) else None
    if module is None:
        module = getattr(value, "__module__", None) or type(value).__module__
    top = str(module).partition(".")[0]
    return top not in sys.stdlib_module_names and not is_own_module(str(module))


def is_own(namespace: Mapping[str, Any]) -> bool:
    """Tell whether a module is the user's own: neither a library nor ours."""
    name = str(namespace.get("__name__") or "")
    if name.partition(".")[0] in _MACHINERY:
        return False
    file = namespace.get("__file__")
    if not isinstance(file, str):
        return name not in sys.stdlib_module_names and name not in sys.builtin_module_names
    return not _is_library(file)


def is_own_module(name: str | None) -> bool:
    """Tell the same of a module by its name."""
    module = sys.modules.get(name or "")
    return module is not None and is_own(vars(module))


@functools.lru_cache(maxsize=4096)
def _is_library(file: str) -> bool:
    if file.startswith("<"):
        return True
    folders = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return any(file.startswith(os.path.join(folder, "")) for folder in folders)


def module_name(namespace: Mapping[str, Any]) -> str:
    """Return what a module is called."""
    return name_of(str(namespace.get("__name__") or ""), namespace.get("__file__"))


def name_of(module: str, file: object = None) -> str:
    """Return a module's name; that of its file, if it is run as a script."""
    if module != "__main__":
        return module
    file = file or getattr(sys.modules.get(module), "__file__", None)
    return Path(file).stem if isinstance(file, str) else module
