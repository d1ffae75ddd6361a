"""Running a compiled graph, or another runnable, on inputs."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from langchain_core.language_models import BaseLanguageModel
from langchain_core.messages import BaseMessage
from langchain_core.prompts import BasePromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable
from langchain_core.runnables.base import RunnableBindingBase
from langchain_core.tools import BaseTool
from langgraph.pregel import Pregel

from agl_core.code_identity import code_parts
from agl_integrations.langgraph._inputs import input_shape

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

__all__ = ["RunnableTarget"]

_TELLING = (BaseLanguageModel, BasePromptTemplate, BaseRetriever, BaseTool, RunnableBindingBase)


class RunnableTarget:
    """A compiled graph, or another runnable, that is run once an input.

    It is run in a thread, unless a part of it is async only. A graph with a checkpointer gets a
    thread of conversation of its own for each run, so that runs share no state.
    """

    def __init__(self, runnable: Runnable[Any, Any]) -> None:
        self.name: str = runnable.get_name()
        self.is_async = any(map(_is_async_only, _parts(runnable)))
        self._runnable = runnable
        self._shape = input_shape(runnable)
        self._has_memory = any(
            isinstance(part, Pregel) and part.checkpointer for part in _parts(runnable)
        )

    def run(self, input: Any) -> Any:
        """Run it once; see `agl_adapters.integration.Target.run`."""
        self._shape.check(input)
        config = self._config()
        if self.is_async:
            return self._runnable.ainvoke(input, config)
        return self._runnable.invoke(input, config)

    def parts(self) -> dict[str, str]:
        """Return the code of each node and tool; see `code_parts`."""
        found: dict[str, object] = {}
        if isinstance(self._runnable, Pregel):
            drawn = self._runnable.get_graph()
            found["edges"] = sorted((edge.source, edge.target) for edge in drawn.edges)
            for name, node in self._runnable.nodes.items():
                found[f"node {name}"] = _telling(node.bound)
        else:
            found["runnable"] = _telling(self._runnable)
        return code_parts(found)

    def answer(self, output: Any) -> Any:
        """Return the text of the last message, if the output is messages or holds some.

        See `agl_adapters.integration.Target.answer`.
        """
        messages = output.get("messages") if isinstance(output, Mapping) else output
        last = messages[-1] if isinstance(messages, list) and messages else messages
        return last.text if isinstance(last, BaseMessage) else output

    def _config(self) -> RunnableConfig | None:
        return {"configurable": {"thread_id": uuid.uuid4().hex}} if self._has_memory else None


def _telling(runnable: Any) -> list[object]:
    """Return what tells a node or a chain from another one: functions, models, tools, prompts."""
    found: list[object] = []
    for part in _parts(runnable):
        found += [type(part).__name__, *filter(None, _functions(part))]
        if isinstance(part, _TELLING):
            found.append(part)
    return found


def _functions(part: Any) -> list[Any]:
    return [getattr(part, name, None) for name in ("func", "afunc", "coroutine")]


def _parts(runnable: Any) -> Iterator[Any]:
    """Yield a runnable and all that it is made of, as far as that can be seen."""
    seen: set[int] = set()
    waiting = [runnable]
    while waiting:
        part = waiting.pop()
        if part is None or id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        waiting += _children(part)


def _children(part: Any) -> list[Any]:
    if isinstance(part, Pregel):
        branches = getattr(getattr(part, "builder", None), "branches", {})
        return [
            *(node.bound for node in part.nodes.values()),
            *(branch.path for ends in branches.values() for branch in ends.values()),
        ]
    steps = getattr(part, "steps", None) or getattr(part, "steps__", None) or ()
    return [
        *(steps.values() if isinstance(steps, Mapping) else steps),
        *getattr(part, "tools_by_name", {}).values(),
        *(child for pair in getattr(part, "branches", ()) or () for child in pair),
        *(getattr(part, "fallbacks", ()) or ()),
        *(getattr(part, name, None) for name in ("bound", "runnable", "default")),
    ]


def _is_async_only(part: Any) -> bool:
    """Tell whether a part has an async function and no sync one: a node, a step, a tool."""
    functions = getattr(part, "afunc", None), getattr(part, "coroutine", None)
    return any(functions) and getattr(part, "func", None) is None
