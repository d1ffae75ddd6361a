"""What the hooks stand on and no version of LangChain promises to keep."""

from __future__ import annotations

from agl_adapters.requirements import Requirement

__all__ = ["REQUIREMENTS"]

_MODEL = "langchain_core.language_models.chat_models:BaseChatModel"

REQUIREMENTS = (
    Requirement(
        "langchain-core",
        supported=">=1.7.2,<2",
        install="agl-adapters[langgraph]",
        names=(
            f"{_MODEL}.invoke",
            f"{_MODEL}.ainvoke",
            f"{_MODEL}.stream",
            f"{_MODEL}.astream",
            f"{_MODEL}.stream_events",
            f"{_MODEL}.astream_events",
            f"{_MODEL}.generate",
            f"{_MODEL}.agenerate",
            f"{_MODEL}._convert_input",
            f"{_MODEL}._iter_v2_events",
            f"{_MODEL}._aiter_v2_events",
            "langchain_core.runnables.config:var_child_runnable_config.get",
            "langchain_core.tracers.context:_configure_hooks.remove",
            "langchain_core.callbacks:BaseCallbackHandler.run_inline",
            "langchain_core.prompt_values:ChatPromptValue.to_messages",
            "langchain_core.prompts:PromptTemplate.format",
        ),
    ),
    Requirement(
        "langgraph",
        supported=">=1.2.22,<1.3",
        install="agl-adapters[langgraph]",
        names=("langgraph.errors:GraphBubbleUp", "langgraph.pregel:Pregel"),
    ),
)
