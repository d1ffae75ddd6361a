"""Running a coroutine from blocking code, whether or not an event loop runs in this thread."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

__all__ = ["run_blocking", "run_to_end"]

T = TypeVar("T")

# One loop for all runs of the process, idle in between: clients that a program keeps at module
# level hold connections which belong to the loop they were opened on and break on another one.
_lock = threading.Lock()
_shared: list[asyncio.AbstractEventLoop] = []


def run_blocking(
    coroutine: Coroutine[Any, Any, T], on_interrupt: Callable[[], None], threads: int
) -> T:
    """Run a coroutine to its end in a thread of its own and return its result.

    A first Ctrl-C calls `on_interrupt` on the event loop and waits on; a second one cancels the
    coroutine and raises KeyboardInterrupt.

    Args:
        coroutine: What to run. It sees the context variables of the caller.
        on_interrupt: Asks the coroutine to come to its end. Must not block.
        threads: Size of the loop's default executor (`asyncio.to_thread`, sync nodes of async
            frameworks), which is too small for many runners by default.
    """
    result: Future[T] = Future()
    loop = _take_loop()
    task: list[asyncio.Task[T]] = []
    ended = threading.Event()

    def serve() -> None:
        executor = ThreadPoolExecutor(threads, thread_name_prefix="agl-executor")
        loop.set_default_executor(executor)
        try:
            asyncio.set_event_loop(loop)
            task.append(loop.create_task(coroutine))
            result.set_result(run_to_end(loop, task[0]))
        except BaseException as error:  # noqa: BLE001 - it belongs to the caller's thread
            result.set_exception(error)
        finally:
            try:
                _settle(loop)
            finally:  # an agent may have left tasks on the loop which raise anything now
                executor.shutdown(wait=False, cancel_futures=True)
                asyncio.set_event_loop(None)
                ended.set()

    def interrupt(times: int) -> None:
        if times == 1:
            loop.call_soon_threadsafe(on_interrupt)
            return
        if task:
            loop.call_soon_threadsafe(task[0].cancel)
        ended.wait(timeout=5.0)
        raise KeyboardInterrupt

    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(serve,), name="agl-loop", daemon=True)
    try:
        _run_thread(thread, ended, interrupt)
    finally:
        if ended.is_set():
            thread.join()
            _give_back(loop)
    return result.result()


def _run_thread(
    thread: threading.Thread, ended: threading.Event, interrupt: Callable[[int], None]
) -> None:
    """Start a thread and wait until it has ended; call `interrupt` at each Ctrl-C, counted."""
    started, interruptions = False, 0
    while not ended.is_set():
        try:
            # Not twice: a Ctrl-C may come while the thread is starting.
            if not started:
                started = True
                thread.start()
            ended.wait()
        except KeyboardInterrupt:
            interruptions += 1
            interrupt(interruptions)


def run_to_end(loop: asyncio.AbstractEventLoop, task: asyncio.Task[T]) -> T:
    """Run a loop until a task of it has ended, whatever else on it tries to end the program."""
    # asyncio stops the loop if any task raises SystemExit. Where that is a task that an agent made,
    # whoever awaits it is told, and everybody else goes on.
    while not task.done():
        with contextlib.suppress(SystemExit):
            loop.run_until_complete(task)
    return task.result()


def _settle(loop: asyncio.AbstractEventLoop) -> None:
    """Close what a run has opened on the loop: async generators and idle connections."""
    try:
        run_to_end(loop, loop.create_task(loop.shutdown_asyncgens()))
    finally:
        # Not for good, as asyncio takes it: the next run has async generators on this loop too.
        if isinstance(loop, asyncio.BaseEventLoop):
            loop._asyncgens_shutdown_called = False  # pyright: ignore[reportAttributeAccessIssue]
    _close_idle_connections(loop)


def _close_idle_connections(loop: asyncio.AbstractEventLoop) -> None:
    """Close what HTTP clients keep in their pools, so that it is opened anew where it is needed.

    A program's client, made once, may serve another event loop next (`asyncio.run` after `fit`),
    where a connection of this one would raise RuntimeError. In the pools of httpx they are those
    that nobody reads; whatever else is open, a session or a database's pool, is left as it is.
    """
    transports = getattr(loop, "_transports", {})  # of asyncio's selector loops; others have none
    for transport in list(transports.values()):
        if isinstance(transport, asyncio.ReadTransport) and not transport.is_reading():
            transport.close()
    run_to_end(loop, loop.create_task(asyncio.sleep(0)))


def _take_loop() -> asyncio.AbstractEventLoop:
    with _lock:
        return _shared.pop() if _shared else asyncio.new_event_loop()


def _give_back(loop: asyncio.AbstractEventLoop) -> None:
    with _lock:
        if _shared or loop.is_closed():
            loop.close()
        else:
            _shared.append(loop)
