"""The start-up check of what the hooks stand on and no version of AutoGen promises to keep."""

from __future__ import annotations

import importlib
import inspect
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from agl_core.errors import MissingDependencyError, UnsupportedVersionError

__all__ = ["MAGENTIC_PROMPTS", "SUPPORTED", "check"]

SUPPORTED = "0.7.5"
"""The version of autogen-agentchat and autogen-core that the hooks were made for. They stand on
private attributes, which any release may change without a word."""

MAGENTIC_PROMPTS = (
    "task_ledger_facts_prompt",
    "task_ledger_plan_prompt",
    "task_ledger_full_prompt",
    "progress_ledger_prompt",
    "task_ledger_facts_update_prompt",
    "task_ledger_plan_update_prompt",
    "final_answer_prompt",
)
"""MagenticOne's prompts. The orchestrator renders each in the method ``_get_{prompt}``, from the
constant ``ORCHESTRATOR_{PROMPT}``, and sends them as user messages."""

_AGENTS = "autogen_agentchat.agents"
_TEAMS = "autogen_agentchat.teams._group_chat"
_TEAM = f"{_TEAMS}._base_group_chat:BaseGroupChat"
_ORCHESTRATOR = f"{_TEAMS}._magentic_one._magentic_one_orchestrator:MagenticOneOrchestrator"
_RUNTIME = "autogen_core._single_threaded_agent_runtime"

# After the colon attributes, each of the one before; after the slash a name that a function uses.
_NEEDED = (
    f"{_AGENTS}:AssistantAgent.__init__/_system_messages",
    f"{_AGENTS}:CodeExecutorAgent.__init__/_system_messages",
    f"{_AGENTS}:SocietyOfMindAgent.__init__/_instruction",
    f"{_AGENTS}:SocietyOfMindAgent.__init__/_response_prompt",
    f"{_TEAMS}._selector_group_chat:SelectorGroupChatManager._select_speaker/_selector_prompt",
    *(f"{_ORCHESTRATOR}._get_{p}/ORCHESTRATOR_{p.upper()}" for p in MAGENTIC_PROMPTS),
    *(
        f"{_TEAM}.__init__/{attribute}"
        for attribute in (
            *("_name", "_description", "_participants", "_group_chat_manager_name"),
            *("_base_group_chat_manager_class", "_termination_condition", "_max_turns"),
            *("_runtime", "_embedded_runtime", "_emit_team_events", "_message_factory"),
        )
    ),
    f"{_TEAM}.run_stream",
    f"{_TEAM}.reset/_is_running",
    f"{_TEAMS}._events:SerializableException.from_exception",
    "autogen_agentchat.tools._task_runner_tool:TaskRunnerTool.__init__/_task_runner",
    f"{_RUNTIME}:SingleThreadedAgentRuntime.__init__/_background_tasks",
    f"{_RUNTIME}:SendMessageEnvelope.__init__",
    f"{_RUNTIME}:PublishMessageEnvelope.__init__",
    f"{_RUNTIME}:SingleThreadedAgentRuntime._process_send",
    f"{_RUNTIME}:SingleThreadedAgentRuntime._process_publish",
    f"{_AGENTS}:BaseChatAgent.__init__/trace_create_agent_span",
    "autogen_core._telemetry:TraceHelper.trace_block",
    "autogen_core._telemetry._genai:trace_tool_span/trace",
    "autogen_core._telemetry._genai:trace_invoke_agent_span/trace",
    "autogen_core.tools._base:BaseTool.run_json/trace_tool_span",
    "autogen_core.tools._base:BaseStreamTool.run_json_stream/trace_tool_span",
    "autogen_core.tools:FunctionTool.run/_func",
    "autogen_core.model_context:ChatCompletionContext.__init__/_initial_messages",
    "autogen_core.models:ChatCompletionClient.create_stream",
)


def check() -> None:
    """Check that this is the version that the hooks were made for, and every name that they use.

    Raises:
        MissingDependencyError: If AutoGen is not installed.
        UnsupportedVersionError: If it is another version, or a name is gone. The message has the
            version found and the one supported.
    """
    for distribution in ("autogen-agentchat", "autogen-core"):
        if _installed(distribution) != SUPPORTED:
            raise _unsupported(distribution, "the hooks stand on private attributes")
    for path in _NEEDED:
        if not _exists(path):
            package = path.partition(".")[0].replace("_", "-")
            raise _unsupported(package, f"it has no {path}")


def _unsupported(distribution: str, reason: str) -> UnsupportedVersionError:
    return UnsupportedVersionError(
        f"{distribution} {_installed(distribution)} is not supported ({reason}); supported is "
        f"{distribution}=={SUPPORTED}: pip install 'agl-adapters[autogen]'"
    )


def _installed(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        raise MissingDependencyError(
            f"{distribution} is not installed; run: pip install 'agl-adapters[autogen]'"
        ) from None


def _exists(path: str) -> bool:
    place, _, used = path.partition("/")
    module, _, names = place.partition(":")
    try:
        value: Any = importlib.import_module(module)
        for name in names.split("."):
            value = getattr(value, name)
    except (ImportError, AttributeError):
        return False
    function = inspect.unwrap(value)
    # One that somebody has replaced tells nothing about AutoGen's own.
    replaced = not str(function.__module__).startswith("autogen_")
    return not used or replaced or used in function.__code__.co_names
