from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest

from agl_core.concurrency.bridge import Bridge

WORD: ContextVar[str] = ContextVar("WORD", default="")


def searching() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "agl-search"]


async def after(seconds: float, value: Any) -> Any:
    await asyncio.sleep(seconds)
    if isinstance(value, BaseException):
        raise value
    return value


async def test_the_function_waits_for_coroutines_of_the_loop() -> None:
    bridge = Bridge()

    def function() -> list[Any]:
        return [threading.current_thread().name, bridge.call(lambda: after(0.001, 7)), WORD.get()]

    WORD.set("seen")
    assert await bridge.run(function) == ["agl-search", 7, "seen"]


async def test_coroutines_see_the_context_of_the_one_who_awaits() -> None:
    bridge = Bridge()

    async def word() -> str:
        return WORD.get()

    WORD.set("seen")
    assert await bridge.run(lambda: bridge.call(word)) == "seen"


async def test_an_error_of_a_coroutine_ends_the_function_whatever_it_catches() -> None:
    bridge, reached = Bridge(), []
    error = LookupError("mine")

    def function() -> None:
        for _ in range(3):
            try:
                bridge.call(lambda: after(0, error))
            except Exception:  # noqa: BLE001 - as searches do
                reached.append("caught")
        reached.append("end")

    with pytest.raises(LookupError) as caught:
        await bridge.run(function)
    assert caught.value is error
    assert not reached


async def test_an_error_of_a_coroutine_is_raised_even_if_the_function_swallows_its_own_end() -> (
    None
):
    bridge = Bridge()

    def function() -> str:
        try:
            bridge.call(lambda: after(0, LookupError("mine")))
        finally:
            return "swallowed"  # noqa: B012 - as bad as can be

    with pytest.raises(LookupError):
        await bridge.run(function)


@pytest.mark.parametrize("error", [LookupError("mine"), SystemExit(3)])
async def test_an_error_of_the_function_is_raised(error: BaseException) -> None:
    def function() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        await Bridge().run(function)
    assert caught.value is error


async def test_end_ends_the_function_without_an_error() -> None:
    bridge, reached = Bridge(), []

    def function() -> str:
        try:
            bridge.end()
        except Exception:  # noqa: BLE001 - as searches do
            reached.append("caught")
        return "result"

    assert await bridge.run(function) is None
    assert not reached


async def test_cancelling_ends_coroutine_and_thread_before_it_is_through() -> None:
    bridge, log = Bridge(), []
    entered = asyncio.Event()

    async def work() -> None:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            log.append("coroutine")

    def function() -> None:
        try:
            bridge.call(work)
        finally:
            time.sleep(0.01)
            log.append("thread")

    job = asyncio.create_task(bridge.run(function))
    await entered.wait()
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    assert sorted(log) == ["coroutine", "thread"]


async def test_cancelling_while_the_function_computes_ends_it_at_its_next_call() -> None:
    bridge, log = Bridge(), []
    computing, go_on = threading.Event(), threading.Event()

    def function() -> None:
        computing.set()
        go_on.wait()
        bridge.call(lambda: after(0, log.append("ran")))
        log.append("went on")

    job = asyncio.create_task(bridge.run(function))
    await asyncio.to_thread(computing.wait)
    job.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await job
    assert not log


async def test_a_coroutine_that_is_cancelled_by_others_does_not_end_it_silently() -> None:
    bridge = Bridge()

    async def give_up() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await bridge.run(lambda: bridge.call(give_up))


async def test_many_that_need_the_default_pool_do_not_block_each_other() -> None:
    def function(bridge: Bridge) -> Callable[[], int]:
        def pooled() -> Any:
            return asyncio.to_thread(lambda: 1)

        return lambda: sum(bridge.call(pooled) for _ in range(3))

    runs = [bridge.run(function(bridge)) for bridge in (Bridge() for _ in range(60))]
    assert await asyncio.wait_for(asyncio.gather(*runs), timeout=20) == [3] * 60
    for thread in searching():  # one that has told its result may still be about to end
        await asyncio.to_thread(thread.join, 20)
    assert not searching()
