from __future__ import annotations

import asyncio
import threading
import time

import pytest

from agl_core.concurrency.loop_watch import LoopWatch


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agl_core.concurrency.loop_watch._PAUSE", 0.01)
    monkeypatch.setattr("agl_core.concurrency.loop_watch._PATIENCE", 0.1)


def block_the_loop(caplog: pytest.LogCaptureFixture, warnings: int = 1) -> None:
    """Block until there are so many warnings, and some time after."""
    for _ in range(500):
        time.sleep(0.01)
        if len(caplog.records) >= warnings:
            break
    time.sleep(0.3)


async def test_an_agent_that_blocks_the_loop_is_named_while_it_does(
    caplog: pytest.LogCaptureFixture,
) -> None:
    watch = LoopWatch()
    block_the_loop(caplog)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "has blocked the event loop for 0.1 seconds" in record.message
    assert "in block_the_loop" in record.message
    watch.stop()


async def test_it_is_said_once_for_each_time(caplog: pytest.LogCaptureFixture) -> None:
    watch = LoopWatch()
    for times in (1, 2):
        block_the_loop(caplog, times)
        assert len(caplog.records) == times
        await asyncio.sleep(0.05)  # it runs again
    watch.stop()


async def test_a_loop_that_runs_is_left_in_peace(caplog: pytest.LogCaptureFixture) -> None:
    watch = LoopWatch()
    for _ in range(20):
        await asyncio.sleep(0.01)
    watch.stop()
    assert not caplog.records
    assert not [t for t in threading.enumerate() if t.name == "agl-loop-watch"]


def test_a_loop_that_is_closed_ends_the_watch() -> None:
    async def start() -> LoopWatch:
        return LoopWatch()

    watch = asyncio.run(start())
    for _ in range(500):
        if not [t for t in threading.enumerate() if t.name == "agl-loop-watch"]:
            break
        time.sleep(0.01)
    else:
        raise AssertionError("the watch goes on")
    watch.stop()
