"""Model calls of the SDK: the layers below leave their prompts alone."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any

from agents.run_internal import run_loop

from agl_adapters.injection import model_call
from agl_core.prompts.binding import current_binding
from agl_integrations.openai_agents._patches import replaced

__all__ = ["covered_calls", "current_model"]

_model: ContextVar[Any] = ContextVar("agl_openai_agents_model", default=None)


def current_model() -> Any:
    """Return the SDK's model object whose call this code is part of, or None."""
    return _model.get()


@contextmanager
def covered_calls() -> Generator[None]:
    """Surround each model call of the SDK in the block, whatever kind of model it is.

    In it, if prompts are bound, the hooks of the client that the model uses are not active: the
    prompt has been put in. A streamed call is covered only while the SDK waits for the next event.
    """
    with ExitStack() as stack:
        stack.enter_context(replaced(run_loop, "get_response_with_retry", _covered))
        stack.enter_context(replaced(run_loop, "stream_response_with_retry", _covered_stream))
        yield


def _covered(get_response: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(get_response)
    async def covered(**kwargs: Any) -> Any:
        if current_binding() is None:
            return await get_response(**kwargs)
        with _calling(_model_of(kwargs)):
            return await get_response(**kwargs)

    return covered


def _covered_stream(stream_response: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(stream_response)
    def covered(**kwargs: Any) -> Any:
        events = stream_response(**kwargs)
        return events if current_binding() is None else _covered_events(events, _model_of(kwargs))

    return covered


async def _covered_events(events: AsyncGenerator[Any], model: Any) -> AsyncGenerator[Any]:
    end: Any = object()
    try:
        while True:
            with _calling(model):
                event = await anext(events, end)
            if event is end:
                return
            yield event
    finally:
        await events.aclose()


@contextmanager
def _calling(model: Any) -> Generator[None]:
    token = _model.set(model)
    try:
        with model_call():
            yield
    finally:
        _model.reset(token)


def _model_of(kwargs: dict[str, Any]) -> Any:
    """Return the model that is called: the one whose advice on retries is asked."""
    return getattr(kwargs.get("get_retry_advice"), "__self__", None)
