"""Installing the hooks of the integrations, and removing them again.

Hooks patch classes, which are shared by the whole process. So each integration is installed once,
however many runs and `use_prompts` blocks overlap, and removed when the last of them ends.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Collection, Generator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass

from agl_adapters.integration import Integration
from agl_adapters.registry import integrations, is_imported
from agl_adapters.threads import contexts_in_pools
from agl_core.errors import IntegrationError
from agl_core.tracing import Tracing

__all__ = ["instrumented"]


@dataclass(slots=True)
class _Installation:
    """The installed hooks of one integration, and how many blocks need them."""

    hooks: AbstractContextManager[None]
    users: int = 0


_lock = threading.Lock()
_installations: dict[str, _Installation] = {}


@contextmanager
def instrumented(
    tracing: Tracing,
    required: Collection[str] = (),
    candidates: Sequence[Integration] | None = None,
) -> Generator[None]:
    """Install the hooks of every integration whose framework has been imported, for the block.

    Thread pools that a program makes itself carry the bound prompts too.

    Args:
        tracing: Where the hooks' spans go.
        required: Names of integrations that must work, imported yet or not. The others are warned
            about and left out if they cannot be installed: a framework that is imported need not be
            used.
        candidates: The integrations to look at; all installed ones by default.

    Raises:
        IntegrationError: If a required integration cannot be installed.
    """
    known = integrations() if candidates is None else candidates
    with ExitStack() as stack:
        stack.enter_context(contexts_in_pools())
        for integration in known:
            if integration.name not in required and not is_imported(integration):
                continue
            try:
                stack.enter_context(_installed(integration, tracing))
            except IntegrationError as error:
                if integration.name in required:
                    raise
                warnings.warn(
                    f"{integration.name} is left out: {error}", RuntimeWarning, stacklevel=3
                )
        yield


@contextmanager
def _installed(integration: Integration, tracing: Tracing) -> Generator[None]:
    with _lock:
        installation = _installations.get(integration.name)
        if installation is None:
            installation = _Installation(_entered(integration, tracing))
            _installations[integration.name] = installation
        installation.users += 1
    try:
        yield
    finally:
        with _lock:
            installation.users -= 1
            if not installation.users:
                del _installations[integration.name]
                _remove(integration, installation.hooks)


def _entered(integration: Integration, tracing: Tracing) -> AbstractContextManager[None]:
    try:
        hooks = integration.hooks(tracing)
        hooks.__enter__()
    except IntegrationError:
        raise
    except Exception as error:
        raise IntegrationError(
            f"the hooks of the integration {integration.name!r} cannot be installed: "
            f"{type(error).__name__}: {error}"
        ) from error
    return hooks


def _remove(integration: Integration, hooks: AbstractContextManager[None]) -> None:
    try:
        hooks.__exit__(None, None, None)
    except Exception as error:  # noqa: BLE001 - a run that went well is not lost for this
        warnings.warn(
            f"the hooks of the integration {integration.name!r} could not be removed: "
            f"{type(error).__name__}: {error}",
            RuntimeWarning,
            stacklevel=2,
        )
