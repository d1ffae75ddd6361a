"""Installing the hooks of the integrations, and removing them again.

Hooks patch classes, which are shared by the whole process. So each integration is installed once,
however many runs and `use_prompts` blocks overlap, and removed when the last of them ends. That of
a framework which the program imports only when it runs is installed at the end of that import.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Collection, Generator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial

from agl_adapters.imports import when_imported
from agl_adapters.integration import Integration
from agl_adapters.registry import integrations, is_imported, is_installed
from agl_adapters.threads import contexts_in_pools
from agl_core.errors import IntegrationError
from agl_core.tracing.tracing import Tracing

__all__ = ["instrumented"]


@contextmanager
def instrumented(
    tracing: Tracing,
    required: Collection[str] = (),
    candidates: Sequence[Integration] | None = None,
) -> Generator[None]:
    """Install the hooks of every integration whose framework is imported, now or in the block.

    Thread pools that a program makes itself carry the bound prompts too.

    Args:
        tracing: Where the hooks' spans go.
        required: Names of integrations that must work once their framework is imported, and be
            installed now. The others are warned about and left out if they cannot be hooked into:
            a framework that is imported need not be used.
        candidates: The integrations to look at; all installed ones by default.

    Raises:
        IntegrationError: If a required integration is not installed or its hooks cannot be put in.
            Of a framework that is imported in the block, the import raises it.
    """
    known = integrations() if candidates is None else candidates
    block = _Block(tracing, required)
    with ExitStack() as stack:
        stack.enter_context(contexts_in_pools())
        stack.callback(block.close)
        for integration in known:
            late = when_imported(integration.packages, partial(block.hook_late, integration))
            if stack.enter_context(late):
                continue  # the thread that is importing it will hook it
            if is_imported(integration) or block.must_fail(integration):
                block.hook(integration)
        yield


class _Block:
    """What one `instrumented` block holds. Other threads of the program may add to it."""

    def __init__(self, tracing: Tracing, required: Collection[str]) -> None:
        self._tracing = tracing
        self._required = required
        self._lock = threading.Lock()
        self._held: dict[str, _Installation] = {}
        self._failed: set[str] = set()
        self._closed = False

    def must_fail(self, integration: Integration) -> bool:
        """Tell whether to hook a framework that is not imported: to be told that it cannot be."""
        return integration.name in self._required and not is_installed(integration)

    def hook_late(self, integration: Integration) -> None:
        """Install the hooks of a framework at the end of its import."""
        if is_imported(integration):
            self.hook(integration, wait=False)

    def hook(self, integration: Integration, wait: bool = True) -> None:
        """Install the hooks of an integration, or share those that are there.

        Args:
            integration: The integration.
            wait: Whether to wait for another thread that is about to install them. It may import
                modules, which must not be waited for in the middle of an import.

        Raises:
            IntegrationError: If it is required and cannot be hooked into.
        """
        name = integration.name
        with self._lock:
            if self._closed or name in self._held or name in self._failed:
                return
            installation, is_new = _reserve(integration)
            self._held[name] = installation
        try:
            if is_new:
                installation.install(self._tracing)
            elif wait:
                installation.wait()
        except IntegrationError as error:
            with self._lock:
                self._held.pop(name, None)
                required = name in self._required
                if not required:
                    self._failed.add(name)
            if required:
                raise
            warnings.warn(f"{name} is left out: {error}", RuntimeWarning, stacklevel=4)

    def close(self) -> None:
        """Give up what the block holds."""
        with self._lock:
            self._closed = True
            held, self._held = list(self._held.values()), {}
        for installation in reversed(held):
            installation.give_up()


class _Installation:
    """The hooks of one integration, for all blocks that hold them.

    No lock is held while they are put in: that imports modules, for which another thread may have
    to be waited for that imports them.
    """

    def __init__(self, integration: Integration) -> None:
        self.holders = 0
        self._integration = integration
        self._hooks: AbstractContextManager[None] | None = None
        self._error: BaseException | None = None
        self._settled = threading.Event()

    def install(self, tracing: Tracing) -> None:
        """Put the hooks in.

        Raises:
            IntegrationError: If that fails.
        """
        try:
            hooks = _entered(self._integration, tracing)
        except BaseException as error:
            with _lock:
                self._error = error
                del _installations[self._integration.name]
            raise
        else:
            with _lock:
                self._hooks = hooks
                self._remove_unless_held()  # all blocks may have ended meanwhile
        finally:
            self._settled.set()

    def wait(self) -> None:
        """Wait until another thread has put the hooks in.

        Raises:
            IntegrationError: If it could not.
        """
        self._settled.wait()
        if isinstance(self._error, IntegrationError):
            raise self._error
        if self._error is not None:
            raise IntegrationError(
                f"the hooks of the integration {self._integration.name!r} are not installed: "
                f"{type(self._error).__name__} in the thread that was about to do it"
            )

    def give_up(self) -> None:
        """Be held by one block less; the last one removes the hooks."""
        with _lock:
            self.holders -= 1
            self._remove_unless_held()

    def _remove_unless_held(self) -> None:
        if self.holders or self._hooks is None:
            return
        hooks, self._hooks = self._hooks, None
        del _installations[self._integration.name]
        try:
            hooks.__exit__(None, None, None)
        except Exception as error:  # noqa: BLE001 - a run that went well is not lost for this
            warnings.warn(
                f"the hooks of the integration {self._integration.name!r} could not be removed: "
                f"{type(error).__name__}: {error}",
                RuntimeWarning,
                stacklevel=2,
            )


_lock = threading.Lock()
_installations: dict[str, _Installation] = {}


def _reserve(integration: Integration) -> tuple[_Installation, bool]:
    """Hold the installation of an integration; tell whether it is new and has to be made."""
    with _lock:
        installation = _installations.get(integration.name)
        is_new = installation is None
        if installation is None:
            installation = _installations[integration.name] = _Installation(integration)
        installation.holders += 1
        return installation, is_new


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
