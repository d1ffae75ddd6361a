"""The span source: LangChain's callbacks as OpenTelemetry spans."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import BaseMessage, ToolMessage
from langchain_core.outputs import LLMResult
from langchain_core.tracers import context as tracer_context
from langgraph.errors import GraphBubbleUp
from langgraph.pregel import Pregel
from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from agl_core.prompts.binding import current_binding
from agl_core.spans import genai
from agl_core.tracing.exceptions import record_exception
from agl_core.tracing.tracing import Tracing
from agl_integrations.langgraph._attributes import chat_request, chat_response, tool_result
from agl_integrations.langgraph._enclosing import innermost, make_current
from agl_integrations.langgraph._runs import UNNAMED_CHAIN, Run, RunTree, Site, structural_site
from agl_integrations.langgraph._sites import CallSites

__all__ = ["SpanSource"]

_UNNAMED_GRAPH = "LangGraph"
"""What LangGraph calls the run of a graph that was given no name."""


class SpanSource:
    """Hands LangChain a callback handler in bound contexts, for as long as it is installed.

    Args:
        runs: Where the handler keeps the runs in progress.
        sites: Names the places in user code.
        tracing: Makes the spans.
    """

    def __init__(self, runs: RunTree, sites: CallSites, tracing: Tracing) -> None:
        self._handler = _Handler(runs, sites, tracing)

    @contextmanager
    def installed(self) -> Generator[None]:
        """Hand out the handler for the block."""
        hooks: list[Any] = tracer_context._configure_hooks  # pyright: ignore[reportPrivateUsage]
        tracer_context.register_configure_hook(self, inheritable=True)  # pyright: ignore[reportArgumentType]
        hook = hooks[-1]
        try:
            yield
        finally:
            hooks.remove(hook)

    def get(self) -> BaseCallbackHandler | None:
        """Return the handler in a bound context, else None: LangChain asks, as of a ContextVar."""
        return None if current_binding() is None else self._handler


class _Handler(BaseCallbackHandler):
    """Makes the spans of graphs, nodes, chat models and tools; parents by run id.

    The runs of chains within them have no spans of their own: what is inside is part of the span
    around. A root chain has one.
    """

    # Else a sync handler is run in an executor under async managers, without the caller's context.
    run_inline = True

    def __init__(self, runs: RunTree, sites: CallSites, tracing: Tracing) -> None:
        self._runs = runs
        self._sites = sites
        self._tracing = tracing

    def on_chain_start(
        self,
        serialized: dict[str, Any] | None,
        inputs: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Add a graph, a node, or another chain."""
        name = str(kwargs.get("name") or _UNNAMED_GRAPH)
        data = metadata or {}
        run = Run(self._runs.get(parent_run_id))
        around = run.parent.element if run.parent is not None else ""
        # A graph that is a node may have the node's name; the run of the node comes first.
        if name == data.get("langgraph_node") and name != around:
            run.element = name
            self._open(run, name, {"langgraph.node": name, "gen_ai.agent.name": name})
        else:
            is_agent = name == data.get("lc_agent_name")
            run.element = name if is_agent and name != around else ""
            self._locate(run, name, tags)
            if is_agent or name == _UNNAMED_GRAPH:
                self._open(
                    run,
                    f"invoke_agent {name}",
                    {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": name},
                )
            elif run.parent is None and kwargs.get("run_type") is None:
                self._open(run, f"chain {name}", {})
        self._runs.add(run_id, run)

    def on_tool_start(
        self,
        serialized: dict[str, Any] | None,
        input_str: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        inputs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Add the execution of a tool."""
        name = str(kwargs.get("name") or (serialized or {}).get("name") or "tool")
        run = Run(self._runs.get(parent_run_id), element=name)
        if self._tracing.active():
            arguments = (inputs or input_str) if self._tracing.capture_content else None
            attributes = genai.tool_attributes(
                name, arguments=arguments, call_id=kwargs.get("tool_call_id")
            )
            self._open(run, f"execute_tool {name}", attributes)
        self._runs.add(run_id, run)

    def on_chat_model_start(
        self,
        serialized: dict[str, Any] | None,
        messages: list[list[BaseMessage]],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        invocation_params: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Add a model call."""
        if not self._tracing.active():
            return
        content = messages[0] if self._tracing.capture_content else None
        attributes = chat_request(metadata or {}, invocation_params or {}, content)
        run = Run(self._runs.get(parent_run_id))
        name = f"chat {attributes.get('gen_ai.request.model', '')}".strip()
        self._open(run, name, attributes, SpanKind.CLIENT, current=False)
        self._runs.add(run_id, run)

    def on_chain_end(self, outputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """End a graph, node or chain."""
        self._close(run_id)

    def on_tool_end(self, output: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """End the execution of a tool, which may have told the model that it failed."""
        attributes: dict[str, Any] = {}
        if self._tracing.capture_content:
            attributes["gen_ai.tool.call.result"] = tool_result(output)
        span = self._close(run_id, attributes, end=False)
        if span is not None:
            if isinstance(output, ToolMessage) and output.status == "error":
                span.set_status(Status(StatusCode.ERROR, "the tool returned an error"))
            span.end()

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        """End a model call."""
        if self._tracing.active():
            self._close(run_id, chat_response(response, self._tracing.capture_content))

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """End a graph, node or chain that raised."""
        self._fail(run_id, error)

    def on_tool_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """End the execution of a tool that raised."""
        self._fail(run_id, error)

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """End a model call that raised."""
        self._fail(run_id, error)

    def _locate(self, run: Run, name: str, tags: Sequence[str] | None) -> None:
        """Note where a chain or graph was started."""
        if run.parent is not None:
            started, code = self._sites.start_site()
            if code is not None:
                run.site = Site(code)
            elif _is_edge(started):
                run.site = Site(name)
            else:
                run.site = structural_site(tags)
            return
        site = self._sites.root_site()
        if name == _UNNAMED_GRAPH:
            run.site = Site(site)
        elif name.startswith("Runnable"):
            run.origin = site or UNNAMED_CHAIN
        else:
            run.origin = name

    def _open(
        self,
        run: Run,
        name: str,
        attributes: Mapping[str, Any],
        kind: SpanKind = SpanKind.INTERNAL,
        current: bool = True,
    ) -> None:
        """Start the run's span, if this is a recorded rollout."""
        around = run.parent.span if run.parent is not None else None
        context = None if around is None else trace.set_span_in_context(innermost(around))
        span = self._tracing.tracer.start_span(name, context, kind, attributes)
        if span.is_recording():
            run.span, run.records = span, True
            if current:
                make_current(span)

    def _close(
        self, run_id: UUID, attributes: Mapping[str, Any] | None = None, end: bool = True
    ) -> trace.Span | None:
        """Forget a run, and end its span if it has one of its own."""
        run = self._runs.pop(run_id)
        if run is None or run.span is None or not run.records:
            return None
        if attributes:
            run.span.set_attributes(attributes)
        if end:
            run.span.end()
        return run.span

    def _fail(self, run_id: UUID, error: BaseException) -> None:
        span = self._close(run_id, end=False)
        if span is None:
            return
        if isinstance(error, GraphBubbleUp):
            span.add_event(type(error).__name__)  # an interrupt, or a command for the parent graph
        elif not isinstance(error, GeneratorExit):  # which is a stream that nobody read to the end
            span.set_attribute("error.type", type(error).__qualname__)
            record_exception(span, error)
        span.end()


def _is_edge(started: object) -> bool:
    """Tell whether it is the function of a conditional edge, which runs after its node's own."""
    return type(started).__module__.startswith("langgraph") and not isinstance(started, Pregel)
