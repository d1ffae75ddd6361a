"""What the hooks stand on and no version of the SDK promises to keep."""

from __future__ import annotations

from agl_adapters.requirements import Requirement

__all__ = ["REQUIREMENTS"]

REQUIREMENTS = (
    Requirement(
        "openai-agents",
        supported="==0.24.*",
        install="agl-adapters[openai-agents]",
        names=(
            "agents:Agent.get_system_prompt",
            "agents:Runner.run",
            "agents.models.openai_chatcompletions:OpenAIChatCompletionsModel",
            "agents.models.openai_provider:_http_client",
            "agents.models.openai_responses:OpenAIResponsesModel",
            "agents.run_internal.run_loop:get_model",
            "agents.run_internal.run_loop:get_response_with_retry",
            "agents.run_internal.run_loop:stream_response_with_retry",
            "agents.tool_context:ToolContext.from_agent_context",
            "agents.tracing:get_current_span",
            "agents.tracing:get_trace_provider",
            "agents.tracing:set_trace_provider",
            "agents.tracing.processors:default_processor",
            "agents.tracing.provider:DefaultTraceProvider._refresh_disabled_flag",
            "agents.tracing.provider:SynchronousMultiTracingProcessor",
            "agents.tracing.span_data:ResponseSpanData.usage",
            "agents.tracing.span_data:GenerationSpanData.usage",
        ),
    ),
    Requirement(
        "openai",
        supported=">=3.0,<4",
        install="agl-adapters[openai-agents]",
        names=(
            "openai:DefaultAsyncHttpx2Client",
            "openai._base_client:AsyncHttpxClientWrapper",
            "httpx2:AsyncClient.send",
        ),
    ),
)
