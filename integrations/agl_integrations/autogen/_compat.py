"""What the hooks stand on and no version of AutoGen promises to keep."""

from __future__ import annotations

from agl_adapters.requirements import Requirement

__all__ = ["MAGENTIC_PROMPTS", "REQUIREMENTS"]

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

_NAMES = (
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
    f"{_AGENTS}:BaseChatAgent.__init__/trace_create_agent_span",
)
_CORE_NAMES = (
    f"{_RUNTIME}:SingleThreadedAgentRuntime.__init__/_background_tasks",
    f"{_RUNTIME}:SendMessageEnvelope.__init__",
    f"{_RUNTIME}:PublishMessageEnvelope.__init__",
    f"{_RUNTIME}:SingleThreadedAgentRuntime._process_send",
    f"{_RUNTIME}:SingleThreadedAgentRuntime._process_publish",
    "autogen_core._telemetry:TraceHelper.trace_block",
    "autogen_core._telemetry._genai:trace_tool_span/trace",
    "autogen_core._telemetry._genai:trace_invoke_agent_span/trace",
    "autogen_core.tools._base:BaseTool.run_json/trace_tool_span",
    "autogen_core.tools._base:BaseStreamTool.run_json_stream/trace_tool_span",
    "autogen_core.tools:FunctionTool.run/_func",
    "autogen_core.model_context:ChatCompletionContext.__init__/_initial_messages",
    "autogen_core.models:ChatCompletionClient.create_stream",
)

REQUIREMENTS = tuple(
    # Exact, since any release may change private attributes without a word.
    Requirement(
        distribution,
        supported="==0.7.5",
        install="agl-adapters[autogen]",
        exact="0.7.5",
        names=names,
    )
    for distribution, names in (("autogen-agentchat", _NAMES), ("autogen-core", _CORE_NAMES))
)
