"""The stack above a hook: which of it is the user's code, and who called that."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import lru_cache
from types import FrameType

__all__ = ["nearest_user_frame", "started_by", "user_frames"]

_OUR_PACKAGES = frozenset({"agl_adapters", "agl_core", "agl_integrations"})
_ROOT_PACKAGES = frozenset({"asyncio", "concurrent", "threading", "uvloop", "anyio"})
_PLUMBING_PACKAGES = sys.stdlib_module_names.union(
    ["langsmith", "openai", "opentelemetry", "tenacity", "wrapt"],
    ["autogen_agentchat", "autogen_core", "autogen_ext"],
)

_PASSING_ON = ("RunnableBinding", "DynamicRunnable", "RunnableConfigurable")
"""Runnables that have no run of their own."""

# Whose code a frame runs, by its module.
_USER = "user"
_OURS = "ours"
_PLUMBING = "plumbing"  # it only passes on what others call
_FRAMEWORK = "framework"  # it passes on what user code calls, but may stand between pieces of that
_RUNNABLES = "runnables"  # some of it makes calls of its own, as a step of a chain
_CALLER = "caller"  # it makes calls of its own
_ROOT = "root"  # above it is whoever started the thread or the event loop, not the caller


@lru_cache(maxsize=1024)
def _origin(module: str) -> str:
    top = module.partition(".")[0]
    if top in _ROOT_PACKAGES:
        return _ROOT
    if top in _OUR_PACKAGES:
        return _OURS
    if top in ("langgraph", "langchain") or top.startswith(("langchain_", "langgraph_")):
        if module.startswith("langchain_core.runnables"):
            return _RUNNABLES
        calls = module.startswith(("langgraph", "langchain.agents", "langchain_core.tools"))
        return _CALLER if calls else _FRAMEWORK
    return _PLUMBING if top in _PLUMBING_PACKAGES or _is_agents_sdk(top) else _USER


def _is_agents_sdk(top: str) -> bool:
    """Tell the OpenAI Agents SDK from packages of users, which many call ``agents`` too."""
    return top == "agents" and "agents.run_internal" in sys.modules


def user_frames(frame: FrameType | None) -> tuple[list[FrameType], bool]:
    """Return the user's frames above one, innermost first, up to the framework's that called them.

    There are none if the framework made the call by itself. The second value tells whether a
    thread or task began above them instead.
    """
    frames: list[FrameType] = []
    for above, origin in _callers(frame):
        if origin is _USER:
            frames.append(above)
        elif origin is not _PLUMBING and (frames or _makes_calls(origin, above)):
            return frames, False
    return frames, True


def _makes_calls(origin: str, frame: FrameType) -> bool:
    """Tell whether a frame of the framework makes calls of its own: a step of a chain, a node."""
    if origin is _RUNNABLES:
        return not frame.f_code.co_qualname.startswith(_PASSING_ON)
    return origin is _CALLER


def nearest_user_frame(frame: FrameType | None) -> FrameType | None:
    """Return the innermost frame of the user's above one, whatever lies between."""
    for above, origin in _callers(frame):
        if origin is _USER:
            return above
    return None


def _callers(frame: FrameType | None) -> Iterator[tuple[FrameType, str]]:
    """Yield the frames that led to a hook, with their origin.

    They end where a thread or event loop began, or where our own code called the program.
    """
    in_hook = True
    while frame is not None:
        origin = _origin(_module_of(frame))
        if origin is _ROOT or (origin is _OURS and not in_hook):
            return
        if origin is not _OURS:
            in_hook = False
            yield frame, origin
        frame = frame.f_back


def started_by(frame: FrameType | None) -> tuple[object, FrameType | None]:
    """Return the object whose run a callback was told of, and the frame that called it."""
    started: object = None
    for above, origin in _callers(frame):
        if _module_of(above).startswith("langchain_core.callbacks"):
            continue
        owner = above.f_locals.get("self")
        if origin is _USER or (started or owner) is not owner:
            return started, above
        started = owner
    return started, None


def _module_of(frame: FrameType) -> str:
    """Return the name of the module whose code a frame runs."""
    return str(frame.f_globals.get("__name__", ""))
