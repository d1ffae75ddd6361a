"""The start-up check of what the hooks stand on and no version of the SDK promises to keep."""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version

from agl_core.errors import MissingDependencyError, UnsupportedVersionError

__all__ = ["SUPPORTED", "check"]

SUPPORTED = {"openai-agents": "==0.24.*", "openai": ">=3.0,<4"}
"""The versions that the hooks were tested with, by distribution."""

_NEEDED = (
    ("openai-agents", "agents:Agent.get_system_prompt"),
    ("openai-agents", "agents:Runner.run"),
    ("openai-agents", "agents.models.openai_chatcompletions:OpenAIChatCompletionsModel"),
    ("openai-agents", "agents.models.openai_provider:_http_client"),
    ("openai-agents", "agents.models.openai_responses:OpenAIResponsesModel"),
    ("openai-agents", "agents.run_internal.run_loop:get_model"),
    ("openai-agents", "agents.run_internal.run_loop:get_response_with_retry"),
    ("openai-agents", "agents.run_internal.run_loop:stream_response_with_retry"),
    ("openai-agents", "agents.tool_context:ToolContext.from_agent_context"),
    ("openai-agents", "agents.tracing:get_current_span"),
    ("openai-agents", "agents.tracing:get_trace_provider"),
    ("openai-agents", "agents.tracing:set_trace_provider"),
    ("openai-agents", "agents.tracing.processors:default_processor"),
    ("openai-agents", "agents.tracing.provider:DefaultTraceProvider._refresh_disabled_flag"),
    ("openai-agents", "agents.tracing.provider:SynchronousMultiTracingProcessor"),
    ("openai-agents", "agents.tracing.span_data:ResponseSpanData.usage"),
    ("openai-agents", "agents.tracing.span_data:GenerationSpanData.usage"),
    ("openai", "openai:DefaultAsyncHttpx2Client"),
    ("openai", "openai._base_client:AsyncHttpxClientWrapper"),
    ("openai", "httpx2:AsyncClient.send"),
)


def check() -> None:
    """Check that every name that the hooks use exists.

    Raises:
        MissingDependencyError: If a distribution is not installed.
        UnsupportedVersionError: If a name is gone. The message has the version found, the versions
            supported, and the name.
    """
    for distribution, path in _NEEDED:
        if not _exists(path):
            found = _installed(distribution)
            raise UnsupportedVersionError(
                f"{distribution} {found} is not supported: it has no {path.replace(':', '.')}; "
                f"run: pip install '{distribution}{SUPPORTED[distribution]}'"
            )


def _installed(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        raise MissingDependencyError(
            f"{distribution} is not installed; run: pip install 'agl-adapters[openai-agents]'"
        ) from None


def _exists(path: str) -> bool:
    module, _, names = path.partition(":")
    try:
        value: object = importlib.import_module(module)
        for name in names.split("."):
            value = getattr(value, name)
    except (ImportError, AttributeError):
        return False
    return True
