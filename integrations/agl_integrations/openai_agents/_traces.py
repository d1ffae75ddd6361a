"""The SDK's traces: those of rollouts go to our spans, all others where they always went."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from agents.tracing import (
    Span,
    Trace,
    TraceProvider,
    TracingProcessor,
    get_trace_provider,
    set_trace_provider,
)
from agents.tracing.processors import default_processor
from agents.tracing.provider import DefaultTraceProvider

from agl_core.execution.agents import RolloutContext
from agl_core.faults.failures import traceback_text
from agl_core.prompts.binding import current_binding
from agl_core.tracing.tracing import Tracing

__all__ = ["rollout_traces"]

_log = logging.getLogger(__name__)


@contextmanager
def rollout_traces(tracing: Tracing, processor: TracingProcessor) -> Generator[None]:
    """Give the traces of rollouts to a processor, for the block.

    They also go to the processors that the user has set, but not to the default one, which uploads
    to OpenAI. If the user has disabled tracing altogether, they go to ours alone. Outside of
    rollouts the user's provider is used, as it is.
    """
    user = get_trace_provider()
    ours = _Provider(user, tracing, processor)
    set_trace_provider(ours)
    try:
        yield
    finally:
        ours.close()
        # Whoever has wrapped ours in the meantime stays: closed, it is the user's by another name.
        if get_trace_provider() is ours:
            set_trace_provider(user)


class _Provider(TraceProvider):
    """The user's provider, except in rollouts."""

    def __init__(self, user: TraceProvider, tracing: Tracing, processor: TracingProcessor) -> None:
        self._user = user
        self._tracing = tracing
        self._open = True
        self._own = DefaultTraceProvider()
        self._own.set_disabled(False)
        self._own.set_processors([processor, _UserProcessors(user)])

    def close(self) -> None:
        """Use the user's provider for everything from now on."""
        self._open = False

    @property
    def _chosen(self) -> TraceProvider:
        return self._own if self._open and self._in_rollout() else self._user

    def _in_rollout(self) -> bool:
        # What outlives its rollout still has the rollout's binding, and is not uploaded either.
        return self._tracing.active() or isinstance(current_binding(), RolloutContext)

    def create_trace(self, *args: Any, **kwargs: Any) -> Trace:
        return self._chosen.create_trace(*args, **kwargs)

    def create_span(self, *args: Any, **kwargs: Any) -> Span[Any]:
        return self._chosen.create_span(*args, **kwargs)

    def get_current_trace(self) -> Trace | None:
        return self._chosen.get_current_trace()

    def get_current_span(self) -> Span[Any] | None:
        return self._chosen.get_current_span()

    def time_iso(self) -> str:
        return self._user.time_iso()

    def gen_trace_id(self) -> str:
        return self._user.gen_trace_id()

    def gen_span_id(self) -> str:
        return self._user.gen_span_id()

    def gen_group_id(self) -> str:
        return self._user.gen_group_id()

    def register_processor(self, processor: TracingProcessor) -> None:
        self._user.register_processor(processor)

    def set_processors(self, processors: list[TracingProcessor]) -> None:
        self._user.set_processors(processors)

    def set_disabled(self, disabled: bool) -> None:
        self._user.set_disabled(disabled)

    def force_flush(self) -> None:
        self._user.force_flush()

    def shutdown(self) -> None:
        self._user.shutdown()


class _UserProcessors(TracingProcessor):
    """Passes on to the processors that the user has at the moment, without the uploading one."""

    def __init__(self, user: TraceProvider) -> None:
        self._user = user

    def on_trace_start(self, trace: Trace) -> None:
        self._tell("on_trace_start", trace)

    def on_trace_end(self, trace: Trace) -> None:
        self._tell("on_trace_end", trace)

    def on_span_start(self, span: Span[Any]) -> None:
        self._tell("on_span_start", span)

    def on_span_end(self, span: Span[Any]) -> None:
        self._tell("on_span_end", span)

    def shutdown(self) -> None:
        pass

    def force_flush(self) -> None:
        pass

    def _tell(self, event: str, item: Trace | Span[Any]) -> None:
        for processor in _processors(self._user):
            try:
                getattr(processor, event)(item)
            except Exception as error:  # noqa: BLE001 - as the SDK does: tracing never fails what it traces
                _log.warning("a trace processor failed in %s:\n%s", event, traceback_text(error))


def _processors(user: TraceProvider) -> list[TracingProcessor]:
    if not isinstance(user, DefaultTraceProvider):
        return []  # a provider of the user's own: it says nothing of its processors
    user._refresh_disabled_flag()  # pyright: ignore[reportPrivateUsage]
    if user._disabled:  # pyright: ignore[reportPrivateUsage]
        return []
    uploader = default_processor()
    all_of_them = user._multi_processor._processors  # pyright: ignore[reportPrivateUsage]
    return [processor for processor in all_of_them if processor is not uploader]
