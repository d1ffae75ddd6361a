"""What a framework must supply so that its programs can be optimized: the integration protocol."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol, runtime_checkable

from agl_core.tracing.tracing import Tracing

__all__ = ["Integration", "SingleUseTarget", "Target"]


@runtime_checkable
class Target(Protocol):
    """A framework's object, ready to be run on one input."""

    name: str
    """What the object is called in spans and messages."""
    is_async: bool
    """Whether `run` returns an awaitable (run on the event loop) or blocks (run in a thread)."""

    def run(self, input: Any) -> Any:
        """Run the object on one input; return its output, or an awaitable of it if `is_async`.

        Called concurrently. An object that holds state must not be shared by two calls.

        Raises:
            ConfigurationError: If the input has a shape that the object can never take. The message
                says what it expects.
        """
        ...

    def answer(self, output: Any) -> Any:
        """Return the part of an output that a person would call the answer.

        It is what records keep of the output and critiques are shown: text, or small JSON.
        """
        ...


@runtime_checkable
class SingleUseTarget(Target, Protocol):
    """A target whose object holds state, so that `run` must keep runs apart: by copies, or in turn.

    Optional: for one that was built for a single run, that is not needed.
    """

    def run_once(self, input: Any) -> Any:
        """Do as `run` does, with the object itself: no other run uses it.

        Raises:
            ConfigurationError: As `run` does; or if another run does use a part of the object.
        """
        ...


@runtime_checkable
class Integration(Protocol):
    """An adapter for one framework.

    The module that holds it must import without the framework: heavy imports go into the methods.
    Found by the entry point group ``agl_adapters.integrations``; built without arguments.
    """

    name: str
    """The entry point's name, and the first part of every slot: ``langgraph`` in
    ``langgraph:planner#system``."""
    packages: tuple[str, ...]
    """The import names of the framework's top-level packages. Hooks are installed once one of them
    has been imported; objects whose class comes from one of them are offered to `recognizes`."""

    def recognizes(self, target: object) -> bool:
        """Tell whether `adapt` can take this object. Must be cheap and must not run it."""
        ...

    def adapt(self, target: Any) -> Target:
        """Make a recognized object runnable.

        Raises:
            ConfigurationError: If the object cannot be run as it is; the message gives the remedy.
        """
        ...

    def hooks(self, tracing: Tracing) -> AbstractContextManager[None]:
        """Return a context manager that installs, and removes, prompt hook and span source.

        Inside the block, each model call that the framework makes in a bound context must pass its
        system prompt through `agl_adapters.injection.inject`, and be recorded as spans of
        ``tracing.tracer``. Outside a bound context the framework must behave exactly as without the
        hooks; after the block its classes must be as they were found.

        Raises:
            MissingDependencyError: If the framework is not installed.
            UnsupportedVersionError: If the framework lacks what the hooks stand on.
        """
        ...
