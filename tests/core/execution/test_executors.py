from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any

import pytest

from agl_core.datasets import load_dataset
from agl_core.errors import ConfigurationError
from agl_core.execution.agents import FunctionAgent
from agl_core.execution.attempts import RolloutRequest
from agl_core.execution.executors import LocalExecutor
from agl_core.prompts.binding import current_binding
from agl_core.prompts.templates import PromptTemplate
from agl_core.tracing.tracing import Tracing

CALLER: ContextVar[str] = ContextVar("caller", default="unset")


@asynccontextmanager
async def opened(function: Callable[..., Any], n_runners: int = 4) -> AsyncGenerator[LocalExecutor]:
    executor, tracing = LocalExecutor(), Tracing()
    executor.open(FunctionAgent(function), tracing, n_runners)
    try:
        yield executor
    finally:
        await executor.close()
        tracing.shutdown()


def request(
    number: int = 0, timeout: float | None = 10.0, priority: int = 0, prompt: str = "Hi."
) -> RolloutRequest:
    task = load_dataset([{"number": number}], "val")[0]
    resources = {"prompt_template": PromptTemplate(prompt)}
    return RolloutRequest(f"r{number}", task, resources, {}, 1, timeout, priority)


class Crowd:
    """Counts how many are inside at once, in whatever thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self.most = 0

    @contextmanager
    def entered(self) -> Generator[None]:
        with self._lock:
            self._inside += 1
            self.most = max(self.most, self._inside)
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1


def runner_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith("agl-runner")]


async def happened(condition: Callable[[], bool]) -> bool:
    for _ in range(2_000):
        if condition():
            return True
        await asyncio.sleep(0.005)
    return False


async def gone(threads: list[threading.Thread]) -> bool:
    return await happened(lambda: not any(thread.is_alive() for thread in threads))


@pytest.mark.parametrize("n_runners", [1, 4])
async def test_never_more_than_the_runners_at_once(n_runners: int) -> None:
    crowd = Crowd()

    def sync_agent(task: Any) -> float:
        with crowd.entered():
            time.sleep(0.002)
        return 1.0

    async def async_agent(task: Any) -> float:
        with crowd.entered():
            await asyncio.sleep(0.002)
        return 1.0

    for agent in (sync_agent, async_agent):
        crowd.most = 0
        async with opened(agent, n_runners) as executor:
            done = await asyncio.gather(*(executor.run(request(i)) for i in range(25)))
        assert [attempt.reward for attempt in done] == [1.0] * 25
        assert crowd.most == n_runners


async def test_a_runner_is_needed() -> None:
    with pytest.raises(ConfigurationError, match="n_runners is 0"):
        LocalExecutor().open(FunctionAgent(lambda task: 1), Tracing(), 0)


async def test_who_waits_goes_by_priority_then_by_arrival() -> None:
    order: list[int] = []

    async def agent(task: Any) -> float:
        order.append(task["number"])
        await asyncio.sleep(0)
        return 1.0

    async with opened(agent, n_runners=1) as executor:
        priorities = [9, 2, 1, 2, 0, 1]
        jobs = [
            asyncio.create_task(executor.run(request(number, priority=priority)))
            for number, priority in enumerate(priorities)
        ]
        await asyncio.gather(*jobs)
    assert order == [0, 4, 2, 5, 1, 3]  # the first one found the runner free


@pytest.mark.parametrize("seed", range(5))
async def test_who_gives_up_waiting_takes_no_runner_along(seed: int) -> None:
    """Whoever is cancelled, and whenever: the runners are all there afterwards."""
    rng = random.Random(seed)

    async def agent(task: Any) -> float:
        for _ in range(rng.randrange(4)):
            await asyncio.sleep(0)
        return 1.0

    crowd = Crowd()

    async def counted(task: Any) -> float:
        with crowd.entered():
            return await agent(task)

    async with opened(counted, n_runners=3) as executor:
        jobs = [asyncio.create_task(executor.run(request(i))) for i in range(40)]
        while not all(job.done() for job in jobs):
            rng.choice(jobs).cancel()
            await asyncio.sleep(0)
        crowd.most = 0
        await asyncio.wait_for(
            asyncio.gather(*(executor.run(request(i)) for i in range(10))), timeout=5
        )
        assert crowd.most == 3


class TestPrompts:
    """Eight concurrent rollouts with eight prompts never see each other's."""

    PROMPTS = tuple(f"You are number {i}." for i in range(8))

    async def seen(self, agent: Callable[..., Any]) -> None:
        async with opened(agent, n_runners=8) as executor:
            done = await asyncio.gather(
                *(executor.run(request(i, prompt=self.PROMPTS[i % 8])) for i in range(32))
            )
        assert [attempt.reward for attempt in done] == [1.0] * 32
        for i, attempt in enumerate(done):
            assert attempt.slots["a#system"].sent == self.PROMPTS[i % 8]

    @staticmethod
    def look(task: Any) -> bool:
        binding = current_binding()
        assert binding is not None
        prompt = binding.resources["prompt_template"]
        slot = binding.slots.get("a#system")
        binding.resources = {**binding.resources, "a#system": prompt}
        sent = binding.inject("a#system", "own text")
        return sent == TestPrompts.PROMPTS[task["number"] % 8] and (
            slot is None or slot.sent == sent
        )

    async def test_in_threads(self) -> None:
        barrier = threading.Barrier(8)

        def agent(task: Any) -> float:
            before = self.look(task)
            barrier.wait(timeout=10)  # all eight are inside
            return float(before and self.look(task))

        await self.seen(agent)

    async def test_on_the_event_loop(self) -> None:
        barrier = asyncio.Barrier(8)

        async def agent(task: Any) -> float:
            before = self.look(task)
            await barrier.wait()
            nested = await asyncio.create_task(asyncio.to_thread(self.look, task))
            return float(before and nested and self.look(task))

        await self.seen(agent)


async def test_agents_see_the_context_of_the_caller() -> None:
    CALLER.set("the caller's")

    async def async_agent(task: Any) -> float:
        return float(CALLER.get() == "the caller's")

    for agent in (async_agent, lambda task: float(CALLER.get() == "the caller's")):
        async with opened(agent) as executor:
            assert (await executor.run(request())).reward == 1.0


class TestThreads:
    async def test_are_reused_and_end_with_the_executor(self) -> None:
        before = set(runner_threads())
        async with opened(lambda task: 1.0, n_runners=2) as executor:
            for i in range(20):
                await executor.run(request(i))
            threads = [t for t in runner_threads() if t not in before]
            assert len(threads) == 1  # one at a time needs no other
            assert threads[0].daemon
        assert await gone(threads)

    async def test_end_even_if_the_executor_is_closed_while_they_finish(self) -> None:
        before = set(runner_threads())
        for _ in range(50):
            async with opened(lambda task: 1.0, n_runners=4) as executor:
                await asyncio.gather(*(executor.run(request(i)) for i in range(4)))
        assert await gone([t for t in runner_threads() if t not in before])

    async def test_one_that_hangs_costs_no_runner_and_says_where(self) -> None:
        release, before = threading.Event(), set(runner_threads())

        def hang_here() -> None:
            release.wait(10)

        def agent(task: Any) -> float:
            if task["number"] == 0:
                hang_here()
            return 1.0

        async with opened(agent, n_runners=1) as executor:
            hung = await executor.run(request(0, timeout=0.05))
            assert hung.status == "timed_out"
            assert hung.error is not None
            assert "no result within 0.05 seconds" in hung.error
            assert "in hang_here" in hung.error
            left = [t for t in runner_threads() if t not in before]
            assert (await executor.run(request(1))).reward == 1.0
            release.set()
            assert await gone([t for t in left if t.name == "agl-runner-1"])
            assert (await executor.run(request(2))).reward == 1.0

    async def test_a_rollout_that_is_cancelled_leaves_no_thread_behind(self) -> None:
        started, release = threading.Event(), threading.Event()
        before = set(runner_threads())

        def agent(task: Any) -> float:
            started.set()
            release.wait(10)
            return 1.0

        async with opened(agent) as executor:
            job = asyncio.create_task(executor.run(request()))
            await asyncio.to_thread(started.wait)
            job.cancel()
            with pytest.raises(asyncio.CancelledError):
                await job
            threads = [t for t in runner_threads() if t not in before]
        assert threads
        release.set()
        assert await gone(threads)

    async def test_one_that_calls_models_for_ever_ends_with_its_next_call(self) -> None:
        """Whatever it catches to go on: it would cost money for as long as the program runs."""
        threads: list[threading.Thread] = []

        def agent(task: Any) -> float:
            threads.append(threading.current_thread())
            while True:
                try:
                    current_binding()  # as every hook does
                    time.sleep(0.01)
                except Exception:  # noqa: BLE001 - as programs do
                    continue

        async with opened(agent) as executor:
            assert (await executor.run(request(timeout=0.05))).status == "timed_out"
            job = asyncio.create_task(executor.run(request(1)))
            assert await happened(lambda: len(threads) == 2)
            job.cancel()
            await asyncio.wait({job})
        assert await gone(threads)

    async def test_so_does_one_on_the_event_loop_that_cannot_be_cancelled(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("agl_core.execution.attempts.GRACE", 0.05)
        tasks: list[asyncio.Task[Any]] = []

        async def agent(task: Any) -> float:
            own = asyncio.current_task()
            assert own is not None
            tasks.append(own)
            while True:
                try:
                    current_binding()
                    await asyncio.sleep(0.01)
                except (Exception, asyncio.CancelledError):  # noqa: BLE001
                    continue

        async with opened(agent) as executor:
            assert (await executor.run(request(timeout=0.05))).status == "timed_out"
            job = asyncio.create_task(executor.run(request(1)))
            assert await happened(lambda: len(tasks) == 2)
            job.cancel()
            await asyncio.wait([job, *tasks], timeout=10)
        assert all(task.done() for task in tasks)

    async def test_sys_exit_in_one_harms_no_other(self) -> None:
        def agent(task: Any) -> float:
            if task["number"] % 2:
                raise SystemExit(1)
            return 1.0

        async with opened(agent, n_runners=2) as executor:
            done = await asyncio.gather(*(executor.run(request(i)) for i in range(10)))
        assert [attempt.status for attempt in done] == ["succeeded", "failed"] * 5


async def test_an_async_agent_that_blocks_is_named_and_the_watch_ends_with_the_executor(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("agl_core.concurrency.loop_watch._PAUSE", 0.01)
    monkeypatch.setattr("agl_core.concurrency.loop_watch._PATIENCE", 0.05)

    async def agent(task: Any) -> float:
        for _ in range(500):
            time.sleep(0.01)  # noqa: ASYNC251 - as programs do
            if caplog.records:
                break
        return 1.0

    async with opened(agent) as executor:
        assert (await executor.run(request())).reward == 1.0
    assert "in agent" in caplog.text
    assert not [t for t in threading.enumerate() if t.name == "agl-loop-watch"]
