"""The start-up check of what the hooks stand on and no version of LangChain promises to keep."""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version

from agl_core.errors import MissingDependencyError, UnsupportedVersionError

__all__ = ["SUPPORTED", "check"]

SUPPORTED = {"langgraph": ">=1.2.22,<1.3", "langchain-core": ">=1.7.2,<2"}
"""The versions that the hooks were tested with, by distribution."""

_MODEL = "langchain_core.language_models.chat_models:BaseChatModel"
_NEEDED = (
    ("langchain-core", f"{_MODEL}.invoke"),
    ("langchain-core", f"{_MODEL}.ainvoke"),
    ("langchain-core", f"{_MODEL}.stream"),
    ("langchain-core", f"{_MODEL}.astream"),
    ("langchain-core", f"{_MODEL}.stream_events"),
    ("langchain-core", f"{_MODEL}.astream_events"),
    ("langchain-core", f"{_MODEL}.generate"),
    ("langchain-core", f"{_MODEL}.agenerate"),
    ("langchain-core", f"{_MODEL}._convert_input"),
    ("langchain-core", f"{_MODEL}._iter_v2_events"),
    ("langchain-core", f"{_MODEL}._aiter_v2_events"),
    ("langchain-core", "langchain_core.runnables.config:var_child_runnable_config.get"),
    ("langchain-core", "langchain_core.tracers.context:_configure_hooks.remove"),
    ("langchain-core", "langchain_core.callbacks:BaseCallbackHandler.run_inline"),
    ("langchain-core", "langchain_core.prompt_values:ChatPromptValue.to_messages"),
    ("langchain-core", "langchain_core.prompts:PromptTemplate.format"),
    ("langgraph", "langgraph.errors:GraphBubbleUp"),
    ("langgraph", "langgraph.pregel:Pregel"),
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
                f"supported is {distribution}{SUPPORTED[distribution]}"
            )


def _installed(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        raise MissingDependencyError(
            f"{distribution} is not installed; run: pip install 'agl-adapters[langgraph]'"
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
