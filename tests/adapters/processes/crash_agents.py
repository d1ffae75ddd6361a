"""Agents that break things, quick to import: worker processes import this module."""

from __future__ import annotations

import asyncio
import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

import agl_adapters as agl
from agl_core.execution.agents import FunctionAgent

if "TEST_EXPORTS" in os.environ and multiprocessing.parent_process() is not None:
    trace.set_tracer_provider(TracerProvider())  # as a program does that sends its traces somewhere

HELD = ctypes.PyDLL(None)
"""C functions that are called without letting go of the interpreter lock."""


def leave_a_child_behind() -> None:
    """Die, and leave a process that holds open whatever this one had open."""
    child = os.fork()
    if child == 0:
        time.sleep(600)
        os._exit(0)
    with open(os.environ["TEST_CHILD"], "w") as file:
        file.write(str(child))
    os._exit(8)


CRASHES: dict[str, Callable[[], Any]] = {
    "os._exit": lambda: os._exit(7),
    "segfault": lambda: ctypes.string_at(0),
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "leaves a child": leave_a_child_behind,
    "holds the lock": lambda: HELD.sleep(600),
    "sleeps": lambda: time.sleep(600),
}


def note(task: Any) -> None:
    """Write down which process this is."""
    if "note" in task:
        with open(task["note"], "w") as file:
            file.write(str(os.getpid()))


@agl.rollout
def crashing(task: Any, prompt: agl.PromptTemplate) -> float:
    """Do as the task says; the reward is the process."""
    assert prompt.format()
    note(task)
    CRASHES.get(task["case"], lambda: None)()
    return float(os.getpid())


@agl.rollout
async def blocking(task: Any, prompt: agl.PromptTemplate) -> float:
    assert prompt.format()
    note(task)
    if task["case"] == "blocks":
        time.sleep(600)  # noqa: ASYNC251 - as programs do
    if task["case"] == "ignores signals":
        signal.signal(signal.SIGIO, signal.SIG_IGN)
        await asyncio.sleep(600)
    return float(os.getpid())


@agl.rollout
def spawning(task: Any, prompt: agl.PromptTemplate) -> float:
    """Use a process of its own, as tools do."""
    done = subprocess.run([sys.executable, "-c", "print(3)"], capture_output=True, check=True)
    return float(done.stdout)


def make_agent() -> FunctionAgent:
    return agl.rollout(lambda task, prompt: float(bool(prompt.format())))


def make_another() -> Any:
    return "an agent"


def fail_to_make() -> Any:
    raise RuntimeError("no license")


named = make_agent()
