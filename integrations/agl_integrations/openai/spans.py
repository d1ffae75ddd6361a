"""The span source for the client: OpenTelemetry's instrumentor, installed for a while.

Its own uninstrument leaves its wrappers on the client's classes, so that instrumenting again
doubles every span. Here each wrapper goes into a `Gate`, and the classes get back what was found.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Any

from agl_core.tracing.tracing import Tracing
from agl_integrations.openai import instrumentor as instrumentors
from agl_integrations.openai.beta_apis import left_out
from agl_integrations.openai.calls import Gate

__all__ = ["client_spans"]


@contextmanager
def client_spans(tracing: Tracing) -> Generator[None]:
    """Record the calls of the `openai` client that rollouts make in the block.

    An instrumentor of the client that the user has installed is left as it is, and nothing is added
    to it: its spans are collected if it uses the global tracer provider, or the one that `tracing`
    was given. Otherwise each model call is a span with its messages, unless ``capture_content`` is
    off or the environment says ``TRACELOOP_TRACE_CONTENT=false``.

    Outside of rollouts the client does exactly what it does without the block.

    What cannot be seen is missing: the answer and the tokens of a response that the program reads
    raw (``with_raw_response`` with a stream, ``with_streaming_response``), the tokens of a chat
    stream without ``include_usage``, calls in threads that do not carry the context of the rollout.

    Raises:
        MissingDependencyError: If the instrumentor cannot be imported.
        UnsupportedVersionError: If it is not as expected.
    """
    instrumentors.check_instrumentor()
    with ExitStack() as stack:
        stack.enter_context(instrumentors.bounded_history())
        if not instrumentors.instrumented_by_user():
            stack.enter_context(instrumentors.good_manners(tracing))
            stack.enter_context(_gates(tracing))
        yield


@contextmanager
def _gates(tracing: Tracing) -> Generator[None]:
    """Put a gate in the place of every method that the instrumentor wraps."""
    from opentelemetry.metrics import NoOpMeterProvider

    before = _wrapped_methods()
    instrumentor = instrumentors.make_instrumentor()
    with left_out():
        instrumentor.instrument(
            tracer_provider=tracing.provider,
            meter_provider=NoOpMeterProvider(),
            skip_dep_check=True,
        )
    installed: list[tuple[type, str, Any, Gate]] = []
    for (owner, name), wrapped in _wrapped_methods().items():
        if wrapped is not before.get((owner, name)):
            gate = Gate(tracing, wrapped.__wrapped__, wrapped._self_wrapper, owner.__name__)
            method = gate.method()
            setattr(owner, name, method)
            installed.append((owner, name, method, gate))
    # Finding none of its wrappers, it only forgets that it was here, so that a user may instrument.
    instrumentor.uninstrument()
    if not installed:
        raise instrumentors.unsupported("it wraps no method of the client")
    try:
        yield
    finally:
        for owner, name, method, gate in installed:
            gate.open = False
            # What somebody has wrapped since stays where it is, with the gate shut.
            if vars(owner)[name] is method:
                setattr(owner, name, gate.original)


def _wrapped_methods() -> dict[tuple[type, str], Any]:
    from wrapt import FunctionWrapper

    return {
        (owner, name): attribute
        for module_name, module in list(sys.modules.items())
        if module_name.startswith("openai.resources")
        for owner in list(vars(module).values())
        if isinstance(owner, type)
        for name, attribute in list(vars(owner).items())
        if isinstance(attribute, FunctionWrapper)
    }
