"""Threads that a program starts itself: what it submits to a pool runs with the prompts bound.

A thread of a pool does not see the context variables of the code that submits to it. So a model
call that a program makes in a pool of its own would be sent the program's own prompt, and be no
part of the rollout.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from functools import wraps
from typing import Any

from agl_core.prompts.binding import block_binding

__all__ = ["contexts_in_pools"]

_Submit = Callable[..., Future[Any]]

_lock = threading.Lock()
_users = 0
_patches: list[tuple[_Submit, _Submit]] = []  # the method as found and ours, while there are users


@contextmanager
def contexts_in_pools() -> Generator[None]:
    """Run what is submitted to thread pools in a bound context in a copy of that context.

    It holds for the `submit` and `map` of every `concurrent.futures.ThreadPoolExecutor`, and for
    `loop.run_in_executor`, as `asyncio.to_thread` does it by itself. What is submitted elsewhere
    runs as it always does, also where the prompts are those of the whole process. Threads that are
    started otherwise (`threading.Thread`, process pools) are left alone: they may live longer than
    the rollout that starts them.

    Blocks may nest and overlap.
    """
    global _users
    with _lock:
        _users += 1
        if _users == 1:
            found = ThreadPoolExecutor.submit
            _patches.append((found, _with_context(found)))
            ThreadPoolExecutor.submit = _patches[0][1]  # type: ignore[method-assign]
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                found, ours = _patches.pop()
                # Whoever wrapped ours in the meantime stays: without a binding, ours does nothing.
                if ThreadPoolExecutor.submit is ours:
                    ThreadPoolExecutor.submit = found  # type: ignore[method-assign]


def _with_context(submit: _Submit) -> _Submit:
    @wraps(submit)
    def submit_with_context(
        self: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Future[Any]:
        if block_binding() is None:
            return submit(self, fn, *args, **kwargs)
        return submit(self, copy_context().run, fn, *args, **kwargs)

    return submit_with_context
