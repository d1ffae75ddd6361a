"""The registry of integrations: found by entry point, loaded when they are needed."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec

from agl_adapters.integration import Integration
from agl_core.errors import IntegrationError, UnknownAgentError

__all__ = [
    "GROUP",
    "find_integration",
    "integrations",
    "is_imported",
    "is_installed",
    "load_integration",
]

GROUP = "agl_adapters.integrations"
"""The entry point group; ours are found in it like anybody else's."""


@cache
def integrations() -> tuple[Integration, ...]:
    """Return all installed integrations, in the order of their names.

    One that cannot be loaded is warned about, once, and left out: it stops nothing else. The same
    goes for a second one of a name: the name says whose a slot is.
    """
    loaded: dict[str, Integration] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            integration = load_integration(entry)
        except IntegrationError as error:
            warnings.warn(str(error), RuntimeWarning, stacklevel=3)
            continue
        known = loaded.setdefault(integration.name, integration)
        if known is not integration:
            warnings.warn(
                f"the integration {entry.name!r} ({entry.value}) is left out: "
                f"{type(known).__module__} provides one of that name already",
                RuntimeWarning,
                stacklevel=3,
            )
    return tuple(loaded.values())


def load_integration(entry: EntryPoint) -> Integration:
    """Load one integration.

    Raises:
        IntegrationError: If it cannot be imported or built, or is no integration.
    """
    try:
        integration = entry.load()()
    except (Exception, SystemExit) as error:
        raise IntegrationError(
            f"the integration {entry.name!r} ({entry.value}) cannot be loaded: "
            f"{type(error).__name__}: {error}; update or uninstall the package that provides it"
        ) from error
    if (fault := _fault(integration, entry.name)) is not None:
        raise IntegrationError(
            f"the integration {entry.name!r} ({entry.value}) is no integration: {fault}; "
            "see agl_adapters.integration.Integration for what it must have"
        )
    return integration


def is_imported(integration: Integration) -> bool:
    """Tell whether the framework has been imported. If not, no object of it exists."""
    return any(package in sys.modules for package in integration.packages)


def is_installed(integration: Integration) -> bool:
    """Tell whether the framework could be imported. It is not imported to find out."""
    return is_imported(integration) or any(map(find_spec, integration.packages))


def find_integration(
    target: object, candidates: Sequence[Integration] | None = None
) -> Integration:
    """Return the integration that recognizes an object.

    An integration that fails to tell is warned about and passed over.

    Raises:
        UnknownAgentError: If there is none. The message says what could be wrapped.
    """
    known = integrations() if candidates is None else candidates
    for integration in filter(is_imported, known):
        try:
            if integration.recognizes(target):
                return integration
        except Exception as error:  # noqa: BLE001 - whatever a plugin raises, the others are asked
            warnings.warn(
                f"the integration {integration.name!r} is passed over: {type(error).__name__} "
                f"when asked whether it recognizes a {type(target).__name__}: {error}",
                RuntimeWarning,
                stacklevel=2,
            )
    names = ", ".join(integration.name for integration in known) or "none"
    raise UnknownAgentError(
        f"cannot wrap {_described(target)}: no integration recognizes it (there are: "
        f"{names}). Give an object of one of these frameworks, or a function that takes an "
        "input and returns an output; for a framework's extra: "
        "pip install 'agl-adapters[langgraph]' (openai-agents, autogen, all)"
    )


def _fault(integration: object, name: str) -> str | None:
    """Say what an object lacks to be the integration of this name, if anything."""
    if not isinstance(integration, Integration):
        return f"a {type(integration).__name__} lacks some of its attributes"
    if integration.name != name:
        return f"its name is {integration.name!r}, not that of its entry point"
    if not isinstance(integration.packages, tuple):  # pyright: ignore[reportUnnecessaryIsInstance]
        return f"its packages are {integration.packages!r}, not a tuple of import names"
    return None


def _described(target: object) -> str:
    if isinstance(target, type):
        return f"the class {target.__module__}.{target.__qualname__} (give an instance)"
    kind = type(target)
    return f"a {kind.__module__}.{kind.__qualname__}"
