"""The span source: AutoGen's own spans, from the tracer of the rollout.

AutoGen makes spans of agents and tools, and of each message of its runtime, with the global tracer
provider. In a rollout the first go to the rollout's tracer, and those of tools get arguments and
result, which AutoGen does not record. Left out are those of messages, some thirty a turn, as
``AUTOGEN_DISABLE_RUNTIME_TRACING`` does, and those of agents being built, which did nothing yet.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import AbstractContextManager, aclosing, contextmanager, nullcontext
from importlib import import_module
from types import ModuleType
from typing import Any

from autogen_core._telemetry import TraceHelper
from autogen_core.tools import BaseStreamTool, BaseTool
from opentelemetry import trace

from agl_core.spans.genai import tool_attributes
from agl_core.tracing.tracing import Tracing
from agl_integrations.autogen._patches import Patches

__all__ = ["SpanSource"]


class SpanSource:
    """Sends AutoGen's spans of a rollout to its tracer.

    Args:
        tracing: Makes the spans.
    """

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing

    def install(self, patches: Patches) -> None:
        """Install the source."""
        genai = import_module("autogen_core._telemetry._genai")
        patches.set(genai, "trace", _trace_module(self._tracing))
        patches.wrap(TraceHelper, "trace_block", self._left_out)
        agents = import_module("autogen_agentchat.agents._base_chat_agent")
        patches.wrap(agents, "trace_create_agent_span", self._left_out)
        tools = import_module("autogen_core.tools._base")
        patches.wrap(tools, "trace_tool_span", self._left_out)  # `_tool_span` makes these
        patches.wrap(BaseTool, "run_json", self._run_tool)
        patches.wrap(BaseStreamTool, "run_json_stream", self._stream_tool)

    def _left_out(
        self,
        wrapped: Callable[..., AbstractContextManager[trace.Span]],
        _: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> AbstractContextManager[trace.Span]:
        if self._tracing.active():
            return nullcontext(trace.get_current_span())
        return wrapped(*args, **kwargs)

    def _run_tool(
        self,
        wrapped: Callable[..., Awaitable[Any]],
        tool: BaseTool[Any, Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Awaitable[Any]:
        if not self._tracing.active():
            return wrapped(*args, **kwargs)
        return self._run_traced(wrapped, tool, args, kwargs)

    async def _run_traced(
        self,
        wrapped: Callable[..., Awaitable[Any]],
        tool: BaseTool[Any, Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        with self._tool_span(tool, *args, **kwargs) as span:
            result = await wrapped(*args, **kwargs)
            self._note_result(span, tool, result)
        return result

    def _stream_tool(
        self,
        wrapped: Callable[..., AsyncGenerator[Any]],
        tool: BaseTool[Any, Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> AsyncGenerator[Any]:
        if not self._tracing.active():
            return wrapped(*args, **kwargs)
        return self._stream_traced(wrapped, tool, args, kwargs)

    async def _stream_traced(
        self,
        wrapped: Callable[..., AsyncGenerator[Any]],
        tool: BaseTool[Any, Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> AsyncGenerator[Any]:
        piece: Any = None
        with self._tool_span(tool, *args, **kwargs) as span:
            async with aclosing(wrapped(*args, **kwargs)) as stream:
                async for piece in stream:
                    yield piece
            self._note_result(span, tool, piece)

    @contextmanager
    def _tool_span(
        self,
        tool: BaseTool[Any, Any],
        args: Mapping[str, Any],
        cancellation_token: object = None,
        call_id: str | None = None,
    ) -> Generator[trace.Span]:
        arguments = dict(args) if self._tracing.capture_content else None
        attributes = tool_attributes(tool.name, arguments=arguments, call_id=call_id)
        name = f"execute_tool {tool.name}"
        with self._tracing.tracer.start_as_current_span(name, attributes=attributes) as span:
            try:
                yield span
            except Exception as error:
                span.set_attribute("error.type", type(error).__qualname__)
                raise

    def _note_result(self, span: trace.Span, tool: BaseTool[Any, Any], result: Any) -> None:
        if not self._tracing.capture_content:
            return
        try:
            text = tool.return_value_as_string(result)
        except Exception:  # noqa: BLE001 - AutoGen asks the same next, and says so to the model
            return
        span.set_attribute("gen_ai.tool.call.result", text)


def _trace_module(tracing: Tracing) -> ModuleType:
    """Return what stands for the module `opentelemetry.trace` in AutoGen's."""
    ours = tracing.provider.get_tracer("autogen-core")

    def get_tracer(*args: Any, **kwargs: Any) -> trace.Tracer:
        return ours if tracing.active() else trace.get_tracer(*args, **kwargs)

    module = ModuleType(trace.__name__)
    vars(module).update({**vars(trace), "get_tracer": get_tracer})
    return module
