"""Trials: a program run as a trainer runs it, and outside of rollouts, and what was seen of it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import cached_property
from typing import Any

from agl_adapters.agents import wrap
from agl_adapters.instrumentation import instrumented
from agl_adapters.integration import Integration, Target
from agl_adapters.targets import find_target
from agl_adapters.testing.conformance.programs import Program
from agl_adapters.testing.launch import SeenRequest, SimulatedModel
from agl_core.prompts.templates import PromptTemplate
from agl_core.rollouts import Rollout
from agl_core.session import Session
from agl_core.tracing.tracing import Tracing
from agl_core.trainer import Trainer

__all__ = ["CONCURRENT", "Trial", "marks", "text_of"]

CONCURRENT = 8
"""How many rollouts run at once, each with prompts of its own; one that fails runs beside them."""

_DISCOVERY = 99
_FAILURE = "a_failure_is_recorded_and_harms_no_other"
_LATENCY = 0.005
"""Seconds that the model takes, so that rollouts do overlap."""

# The model repeats the prompts that it is sent: what it said is no prompt.
_MARK = re.compile(r"(?<!ECHO\[)(?<!---\n)NEW (\S+) (\d+)\. ")
_RUN = re.compile(r"\bRUN:(\d+)")

Await = Callable[[Coroutine[Any, Any, Any]], Any]
Wire = list[tuple[str, list[tuple[str, str]]]]


class Trial:
    """One program on trial. What a property needs is run when it is first asked for.

    Args:
        program: The program.
        model: The simulated model, scenario `echo`.
        run: Runs a coroutine on the event loop that all trials share: clients of a framework may
            belong to the loop that they were first used on.
    """

    def __init__(self, program: Program, model: SimulatedModel, run: Await) -> None:
        self.program = program
        self._model = model
        self._run = run

    @cached_property
    def built(self) -> Any:
        """The program, as it would be given to `wrap`: one object for all that is run."""
        return self.program.build()

    @cached_property
    def target(self) -> tuple[Target, Integration | None]:
        """The program, ready to be run, and the integration that recognizes it."""
        return find_target(self.built)

    @cached_property
    def wire_before(self) -> Wire:
        """What the program sends when nobody hooked into anything."""
        return self._wire()

    @cached_property
    def wire_inside(self) -> Wire:
        """What it sends when hooks are installed and it is run outside of a rollout."""
        tracing = Tracing()
        with instrumented(tracing):
            sent = self._wire()
        tracing.shutdown()
        return sent

    @property
    def own(self) -> Mapping[str, PromptTemplate]:
        """The program's own prompts by slot, as the trainer found them."""
        return self._evaluated[0].own

    @property
    def rollouts(self) -> Sequence[Rollout]:
        """The rollouts that ran at once, by number."""
        rollouts = self._evaluated[0].rollouts
        return [rollouts[number] for number in range(CONCURRENT)]

    @property
    def failed(self) -> Rollout:
        """The rollout that was told to fail."""
        return self._evaluated[0].rollouts[CONCURRENT]

    @cached_property
    def requests(self) -> Mapping[int, list[SeenRequest]]:
        """What the model received from the rollouts that ran at once, by number.

        A request belongs to the rollout whose user's text or prompts it holds.
        """
        sent: dict[int, list[SeenRequest]] = {}
        for request in self._evaluated[1]:
            text = text_of(request)
            numbers = {number for _, number in marks(text)}
            numbers |= {int(number) for number in _RUN.findall(text)}
            assert len(numbers) == 1, (
                f"a request holds text of the rollouts {sorted(numbers)}; it must be of one: {text}"
            )
            sent.setdefault(numbers.pop(), []).append(request)
        return {number: sent.get(number, []) for number in range(CONCURRENT)}

    @cached_property
    def _evaluated(self) -> tuple[_EightAtOnce, Sequence[SeenRequest]]:
        """The finished search, and all that the model received from it."""
        search = _EightAtOnce(self._numbers, self._task, self._model)
        agent = wrap(
            self.built,
            input=self._input,
            reward=_full_reward,
            name=self.program.name,
        )
        # User messages are optimized only if they are asked for, and found only in several tasks.
        asks = ["*"] if self.program.user_messages else None
        tasks = [self._task(_DISCOVERY + n) for n in range(1 + self.program.user_messages)]
        trainer = Trainer(search, n_runners=CONCURRENT + 1, timeout=60.0, optimize=asks)
        self._model.configure(latency=_LATENCY)
        try:
            self._run(trainer.afit(agent, tasks))
        finally:
            self._model.configure(latency=0.0)
        return search, self._model.log()

    def candidate(self, number: int) -> dict[str, PromptTemplate]:
        """Return the prompts that a rollout was given."""
        return _marked(self.own, number)

    @property
    def _numbers(self) -> Sequence[int]:
        """The rollouts that run at once; the last one fails, if the program can be made to."""
        return range(CONCURRENT if _FAILURE in self.program.not_applicable else CONCURRENT + 1)

    def _task(self, number: int) -> dict[str, Any]:
        failing = self.program.failure if number == CONCURRENT else ""
        text = f"Go on. RUN:{number} {self.program.words} {failing}"
        return {"number": number, "text": text.strip()}

    def _input(self, task: Mapping[str, Any]) -> Any:
        return self.program.input(task["text"])

    def attempt(self, given: Any) -> list[SeenRequest]:
        """Run the program once, outside of a rollout; return what the model received."""
        self._model.reset()
        self._run(self._ran(given))
        return self._model.log()

    async def _ran(self, given: Any) -> None:
        target, _ = self.target
        if target.is_async:
            await target.run(given)
        else:
            await asyncio.to_thread(target.run, given)

    def _wire(self) -> Wire:
        sent = self.attempt(self._input(self._task(0)))
        return sorted((request.raw, sorted(request.headers.items())) for request in sent)


class _EightAtOnce:
    """An algorithm that proposes eight candidates at once and runs each on a task of its own.

    A ninth one is run on a task that fails. The model's log has what these rollouts send.
    """

    name = "EightAtOnce"
    models: Sequence[str] = ()

    def __init__(
        self, numbers: Sequence[int], task: Callable[[int], Any], model: SimulatedModel
    ) -> None:
        self.own: Mapping[str, PromptTemplate] = {}
        self.rollouts: dict[int, Rollout] = {}
        self._numbers = numbers
        self._model = model
        self._task = task

    def settings(self) -> Mapping[str, Any]:
        """Return nothing: there are no parameters."""
        return {}

    async def run(self, session: Session) -> None:
        """Evaluate; what was seen is in `own` and `rollouts`."""
        self.own = session.own_prompts
        self._model.reset()

        async def evaluate(number: int) -> None:
            candidate = _marked(self.own, number)
            (self.rollouts[number],) = await session.evaluate(candidate, [self._task(number)])

        await asyncio.gather(*map(evaluate, self._numbers))
        evaluation = await session.evaluate(session.initial, session.val)
        session.report(session.initial, score=evaluation.score)


def _full_reward(task: Any, output: Any) -> float:
    return 1.0


def marks(text: str) -> set[tuple[str, int]]:
    """Return the slots and numbers of the rollouts whose prompts stand in a text."""
    return {(slot, int(number)) for slot, number in _MARK.findall(text)}


def _marked(own: Mapping[str, PromptTemplate], number: int) -> dict[str, PromptTemplate]:
    """Return each prompt with a mark in front that no other rollout has."""
    return {slot: p.with_text(f"NEW {slot} {number}. {p.raw}") for slot, p in own.items()}


def text_of(request: SeenRequest) -> str:
    """Return the texts in a request that may hold a prompt."""
    return "\n".join([*request.systems, *request.users])
