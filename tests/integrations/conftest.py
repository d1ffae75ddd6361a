"""What the tests of the integrations share: running programs as rollouts do."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from agl_core.prompts.binding import Binding, bound
from agl_core.prompts.templates import PromptTemplate
from agl_core.tracing.recording import Recording
from agl_core.tracing.tracing import Tracing

ROLLOUTS = range(8)

Program = Callable[[int], Any]
AsyncProgram = Callable[[int], Awaitable[Any]]


class Rollouts:
    """Runs programs as rollouts do. A program takes the number of its rollout."""

    def __init__(self) -> None:
        self.tracing = Tracing()
        self.recordings: list[Recording] = []

    def run(self, program: Program, binding: Binding, number: int = 0) -> Any:
        """Run a program once with prompts bound; return what it gives."""
        with self.tracing.rollout(f"rollout {number}") as recording, bound(binding):
            self.recordings.append(recording)
            return program(number)

    async def run_async(self, program: AsyncProgram, binding: Binding, number: int = 0) -> Any:
        """Run an async program once with prompts bound; return what it gives."""
        with self.tracing.rollout(f"rollout {number}") as recording, bound(binding):
            self.recordings.append(recording)
            return await program(number)

    def discover(self, program: Program) -> dict[str, str]:
        """Run a program once with nothing bound; return its own text by slot."""
        binding = Binding({})
        self.run(program, binding)
        return own_texts(binding)

    async def discover_async(self, program: AsyncProgram) -> dict[str, str]:
        """Run an async program once with nothing bound; return its own text by slot."""
        binding = Binding({})
        await self.run_async(program, binding)
        return own_texts(binding)

    def eight(self, program: Program, own: Mapping[str, str]) -> None:
        """Run a program eight times at once in threads, with eight sets of prompts."""
        with ThreadPoolExecutor(len(ROLLOUTS)) as pool:
            list(pool.map(lambda n: self.run(program, candidate(own, n), n), ROLLOUTS))

    async def eight_async(self, program: AsyncProgram, own: Mapping[str, str]) -> None:
        """Run a program eight times at once on this loop, with eight sets of prompts."""
        runs = [
            asyncio.create_task(self.run_async(program, candidate(own, n), n)) for n in ROLLOUTS
        ]
        await asyncio.gather(*runs)


def own_texts(binding: Binding) -> dict[str, str]:
    """Return the program's own text by slot."""
    return {slot: use.original for slot, use in binding.slots.items()}


def candidate(own: Mapping[str, str], number: int) -> Binding:
    """Bind to each slot a prompt that no other rollout has."""
    return Binding(
        {slot: PromptTemplate(f"NEW {slot} {number}.", "literal") for slot in own},
        {slot: PromptTemplate(text, "literal") for slot, text in own.items()},
    )


@pytest.fixture
def rollouts() -> Iterator[Rollouts]:
    """Rollouts with a tracing of their own."""
    rollouts = Rollouts()
    yield rollouts
    rollouts.tracing.shutdown()
