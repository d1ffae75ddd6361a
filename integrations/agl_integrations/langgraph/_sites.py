"""Where in the user's code a call is made: what tells two prompts of one node apart.

A node's name is not enough when its function calls models twice, or through helpers. The site of a
call is read from the frames between the call and the function that the framework runs. It is made
of names and of the order of calls in the source, not of line numbers and not of which call came
first at run time: it is the same in every thread and process, until that function is rewritten.
"""

from __future__ import annotations

import sys
from types import CodeType, FrameType

from langgraph.pregel import Pregel

from agl_adapters.injection import module_name
from agl_integrations.langgraph._call_numbers import call_number
from agl_integrations.langgraph._frames import (
    nearest_user_frame,
    started_by,
    user_frames,
)

__all__ = ["CallSites"]


class CallSites:
    """Names the sites of calls. Remembers what it found in the source; safe in threads."""

    def __init__(self) -> None:
        # By the identity of code: to hash it, Python goes through all of it.
        self._numbers: dict[tuple[int, int, bool, bool], tuple[CodeType, str]] = {}

    # Nobody keeps a frame in a variable of that same frame: the cycle would keep everything on the
    # stack alive, such as streams that the program dropped.

    def inner_site(self) -> str | None:
        """Return the site of a call within the node, tool or step whose code makes it.

        It is empty for the first call in the function that the framework runs. ``2`` is the second
        call in that function; ``plan`` the first one in the function ``plan`` that it calls;
        ``plan.2`` the second one there. None if no user code makes the call, but the framework.
        """
        return self._site(sys._getframe(1))  # pyright: ignore[reportPrivateUsage]

    def start_site(self) -> tuple[object, str | None]:
        """Return the object whose run a callback was told of, and the site where it was started."""
        started, caller = started_by(sys._getframe(1))  # pyright: ignore[reportPrivateUsage]
        return started, self._site(caller, by_receiver=isinstance(started, Pregel))

    def root_site(self) -> str:
        """Return where the object was started of whose run, within no other, a callback was told.

        For a graph, which is known by its nodes, it is empty unless the same function calls
        another graph before it.
        """
        started, caller = started_by(sys._getframe(1))  # pyright: ignore[reportPrivateUsage]
        return self._call_site(caller, is_graph=isinstance(started, Pregel))

    def call_site(self) -> str:
        """Return ``module.function`` of the nearest user code that makes a call, or nothing.

        The second call in that function is ``module.function.2``.
        """
        return self._call_site(sys._getframe(1))  # pyright: ignore[reportPrivateUsage]

    def _call_site(self, frame: FrameType | None, is_graph: bool = False) -> str:
        nearest = nearest_user_frame(frame)
        if nearest is None:
            return ""
        ordinal = self._ordinal(nearest, by_receiver=is_graph)
        if is_graph and not ordinal:
            return ""
        names = [module_name(nearest), *nearest.f_code.co_qualname.split("."), ordinal]
        return ".".join(name for name in names if name and not name.startswith("<"))

    def _site(self, frame: FrameType | None, by_receiver: bool = False) -> str | None:
        frames, runs_alone = user_frames(frame)
        if not frames:
            return None
        names: list[str] = []
        for index, user_frame in enumerate(frames):
            is_outermost = index == len(frames) - 1
            # The function that the framework runs needs no name. One that was started as a task or
            # in a thread of its own does: it is a helper of the function that the framework runs.
            is_helper = runs_alone or not is_outermost
            names.append(self._ordinal(user_frame, is_helper, by_receiver and index == 0))
            names.append(_name(user_frame) if is_helper else "")
        return ".".join(filter(None, reversed(names)))

    def _ordinal(self, frame: FrameType, is_helper: bool = True, by_receiver: bool = False) -> str:
        """Return which call of its kind in its function this is, from 2 on; else nothing."""
        code = frame.f_code
        key = (id(code), frame.f_lasti, is_helper, by_receiver)
        known = self._numbers.get(key)
        if known is None or known[0] is not code:
            number = call_number(frame, is_helper, by_receiver)
            known = self._numbers[key] = (code, str(number) if number > 1 else "")
        return known[1]


def _name(frame: FrameType) -> str:
    """Return the name of the frame's function; lambdas and comprehensions have none."""
    if frame.f_code.co_name.startswith("<"):
        return ""
    return frame.f_code.co_qualname.rpartition("<locals>.")[2]
