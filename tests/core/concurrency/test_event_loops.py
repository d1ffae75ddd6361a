from __future__ import annotations

import asyncio
import contextvars
import signal
import sys
import threading
import time
from collections.abc import AsyncGenerator
from typing import Any

import openai
import pytest

from agl_adapters.testing import SimulatedModel
from agl_core.concurrency.event_loops import run_blocking

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("test", default="unset")


def nothing() -> None:
    """What happens on an interruption where none is expected."""


async def current_loop() -> Any:
    return asyncio.get_running_loop()


class TestResult:
    def test_comes_back(self) -> None:
        async def work() -> str:
            await asyncio.sleep(0)
            return VARIABLE.get()

        VARIABLE.set("the caller's")
        assert run_blocking(work(), nothing, threads=1) == "the caller's"

    def test_an_error_comes_back_too(self) -> None:
        async def work() -> None:
            raise ValueError("no")

        with pytest.raises(ValueError, match="no"):
            run_blocking(work(), nothing, threads=1)

    async def test_an_event_loop_may_be_running(self) -> None:
        assert run_blocking(current_loop(), nothing, 1) is not asyncio.get_running_loop()


class TestLoop:
    def test_is_the_same_each_time(self) -> None:
        """What a program keeps open on it still works the next time."""
        loops = {run_blocking(current_loop(), nothing, 1) for _ in range(3)}
        assert len(loops) == 1
        assert not loops.pop().is_closed()

    def test_takes_async_generators_each_time(self) -> None:
        async def numbers() -> AsyncGenerator[int]:
            yield 1

        async def work() -> list[int]:
            return [number async for number in numbers()]

        assert [run_blocking(work(), nothing, 1) for _ in range(2)] == [[1], [1]]

    def test_leaves_no_pooled_connection_to_other_loops(self, served_model: SimulatedModel) -> None:
        """A program's client, made once, goes on working after a run: under `asyncio.run`."""
        client = openai.AsyncOpenAI(base_url=served_model.base_url, api_key="none", max_retries=0)

        async def ask_four() -> int:
            answers = [
                client.chat.completions.create(
                    model="echo", messages=[{"role": "user", "content": "hello"}]
                )
                for _ in range(4)
            ]
            return len(await asyncio.gather(*answers))

        assert run_blocking(ask_four(), nothing, 1) == 4
        assert asyncio.run(ask_four()) == 4

    def test_keeps_what_is_being_read(self) -> None:
        """Such as a database's pool, which the next run finds as it was."""
        kept: list[asyncio.StreamWriter] = []

        async def connect() -> None:
            server = await asyncio.start_server(
                lambda reader, writer: kept.append(writer), "127.0.0.1"
            )
            _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            kept.append(writer)

        async def closing() -> list[bool]:
            return [writer.is_closing() for writer in kept]

        run_blocking(connect(), nothing, 1)
        assert not any(run_blocking(closing(), nothing, 1))
        for writer in kept:
            writer.transport.abort()

    def test_of_two_at_once_are_two(self) -> None:
        both = threading.Barrier(2)
        loops: list[Any] = []

        async def work() -> None:
            loops.append(asyncio.get_running_loop())
            await asyncio.to_thread(both.wait, 10)

        threads = [
            threading.Thread(target=run_blocking, args=(work(), nothing, 2)) for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert loops[0] is not loops[1]

    def test_has_as_many_threads_as_are_asked_for(self) -> None:
        together = threading.Barrier(40)

        async def work() -> None:
            await asyncio.gather(*(asyncio.to_thread(together.wait, 10) for _ in range(40)))

        run_blocking(work(), nothing, threads=40)

    def test_leaves_no_thread_behind(self) -> None:
        before = set(threading.enumerate())

        async def work() -> None:
            await asyncio.gather(*(asyncio.to_thread(time.sleep, 0.001) for _ in range(8)))

        for _ in range(5):
            run_blocking(work(), nothing, threads=8)
        deadline = time.monotonic() + 2
        while set(threading.enumerate()) - before and time.monotonic() < deadline:
            time.sleep(0.005)
        assert set(threading.enumerate()) <= before


def test_sys_exit_in_a_task_is_for_whoever_awaits_it() -> None:
    async def leave() -> None:
        sys.exit(3)

    async def work() -> str:
        with pytest.raises(SystemExit):
            await asyncio.create_task(leave())
        await asyncio.sleep(0)
        return "went on"

    assert run_blocking(work(), nothing, threads=1) == "went on"
    with pytest.raises(SystemExit):
        run_blocking(leave(), nothing, threads=1)


def press_ctrl_c() -> None:
    main = threading.main_thread().ident
    assert main is not None
    signal.pthread_kill(main, signal.SIGINT)


class TestInterrupt:
    def test_once_asks_for_the_end_and_waits_for_it(self) -> None:
        ended: list[str] = []
        stop = asyncio.Event()

        async def work() -> str:
            asyncio.get_running_loop().call_soon(press_ctrl_c)
            await stop.wait()
            await asyncio.sleep(0.01)
            ended.append("in its own time")
            return "the best so far"

        assert run_blocking(work(), stop.set, threads=1) == "the best so far"
        assert ended == ["in its own time"]

    def test_twice_cancels_and_raises(self) -> None:
        ended: list[str] = []
        interruptions: list[int] = []

        async def work() -> None:
            loop = asyncio.get_running_loop()
            loop.call_soon(press_ctrl_c)
            loop.call_later(0.1, press_ctrl_c)
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("cancelled")

        with pytest.raises(KeyboardInterrupt):
            run_blocking(work(), lambda: interruptions.append(1), threads=1)
        assert ended == ["cancelled"]
        assert interruptions == [1]


def test_what_an_agent_left_behind_on_the_loop_cannot_hold_up_the_end() -> None:
    """A task that raises SystemExit when its run has just ended."""
    results: list[int] = []

    async def leave() -> int:
        async def late() -> None:
            await asyncio.sleep(0)
            raise SystemExit(4)

        asyncio.create_task(late()).add_done_callback(lambda task: task.exception())
        return 1

    def run() -> None:
        results.append(run_blocking(leave(), lambda: None, 1))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(30)
    assert results == [1]
