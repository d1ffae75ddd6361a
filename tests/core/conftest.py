"""What the engine's tests share: a model in this process, rollouts and sessions of their own."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from agl_adapters.testing import SimulatedModel, simulated_model
from agl_core.callbacks import Callback
from agl_core.datasets import load_dataset
from agl_core.discovery.survey import find_seed
from agl_core.execution.agents import Agent, FunctionAgent
from agl_core.execution.executors import LocalExecutor
from agl_core.execution.runners import RolloutRunner
from agl_core.faults.backoff import Backoff
from agl_core.faults.services import Services
from agl_core.models.chat import Completion, ModelClient
from agl_core.outlooks import SeedOutlook
from agl_core.prompts.slot_policy import SlotPolicy
from agl_core.prompts.templates import coerce_resources
from agl_core.rollouts import ModelUsage
from agl_core.session import Session
from agl_core.spending.budgets import Budget
from agl_core.spending.ledger import Ledger
from agl_core.storage.sqlite import MemoryStore
from agl_core.storage.store import Journal, Store
from agl_core.tracing.tracing import Tracing

PROMPT = re.compile(r"<prompt name=\"[^\"]*\">\n(.*?)\n</prompt>", re.DOTALL)


def improve(request: str) -> str:
    """Answer as an optimizer would: another critique for other runs, another prompt for each."""
    if not request.startswith("Rewrite a prompt"):
        return f"Say {hashlib.sha256(request.encode()).hexdigest()[:8]}."
    prompt, critique = PROMPT.findall(request)[0], re.findall(r"Say \w{8}\.", request)[-1]
    return f"```\n{prompt} {critique}\n```"


class ScriptedModel:
    """A `ModelClient` that answers by a function and notes what it was asked, and when."""

    def __init__(
        self,
        answer: Callable[[str], str] = improve,
        delay: Callable[[str], float] = lambda request: 0.0,
    ) -> None:
        self.requests: list[str] = []
        self.temperatures: list[float] = []
        self.checked: list[str] = []
        self.closed = False
        self.most_at_once = 0
        self._at_once = 0
        self._answer = answer
        self._delay = delay

    async def check(self, models: Sequence[str]) -> None:
        self.checked += models

    async def complete(
        self, model: str, messages: Sequence[Mapping[str, str]], temperature: float
    ) -> Completion:
        request = messages[-1]["content"]
        self.requests.append(request)
        self.temperatures.append(temperature)
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            await asyncio.sleep(self._delay(request))
            return Completion(self._answer(request), ModelUsage(1, 100, 10))
        finally:
            self._at_once -= 1

    async def close(self) -> None:
        self.closed = True


@asynccontextmanager
async def running(  # noqa: PLR0913 - all optional
    function: Callable[..., Any] | Agent,
    *,
    n_runners: int = 8,
    budget: Budget | None = None,
    store: Store | None = None,
    limit: float | None = 10.0,
    failure_reward: float = 0.0,
    callback: Callback | None = None,
    backoff: Backoff | None = None,
) -> AsyncGenerator[SimpleNamespace]:
    """Open what a trainer opens for the rollouts of an agent."""
    agent = function if isinstance(function, Agent) else FunctionAgent(function)
    tracing, executor = Tracing(), LocalExecutor()
    ledger, store = Ledger(budget or Budget()), store or MemoryStore()
    executor.open(agent, tracing, n_runners)
    quick = Backoff(attempts=3, initial=0.001, longest=0.01)
    services = Services(backoff or quick, ledger, callback or Callback())
    runner = RolloutRunner(
        executor=executor,
        store=store,
        run="test",
        ledger=ledger,
        callback=callback or Callback(),
        n_runners=n_runners,
        timeout=limit,
        failure_reward=failure_reward,
        services=services,
    )
    try:
        yield SimpleNamespace(
            agent=agent, runner=runner, ledger=ledger, store=store, executor=executor
        )
    finally:
        await executor.close()
        tracing.shutdown()


@asynccontextmanager
async def in_session(  # noqa: PLR0913 - all optional
    function: Callable[..., Any] | Agent,
    *,
    initial: Mapping[str, Any] | None = None,
    train: Any = range(4),
    val: Any = range(100, 104),
    client: ModelClient | None = None,
    seed: int = 0,
    repeats: int = 1,
    callback: Callback | None = None,
    policy: SlotPolicy | None = None,
    seed_outlook: SeedOutlook | None = None,
    **options: Any,
) -> AsyncGenerator[Any]:
    """Open a session; `session.test` holds what is below it."""
    callback = callback or Callback()
    async with running(function, callback=callback, **options) as below:
        validation = load_dataset(val, "val")
        given = coerce_resources({"prompt_template": "Hi."} if initial is None else initial)
        start = await find_seed(
            below.agent, below.runner, validation, given, policy or SlotPolicy(), callback
        )
        session: Any = Session(
            train=load_dataset(train, "train"),
            val=validation,
            initial=start.prompts,
            runner=below.runner,
            client=client,
            journal=Journal(below.store, "test"),
            ledger=below.ledger,
            callback=callback,
            seed=seed,
            repeats=repeats,
            constraints=start.constraints,
            seed_outlook=seed_outlook,
        )
        session.test = below
        yield session


class Watcher(Callback):
    """Keeps what a run tells."""

    def __init__(self) -> None:
        self.rollouts: list[tuple[Any, bool]] = []
        self.calls: list[tuple[str, bool]] = []
        self.candidates: list[Any] = []
        self.messages: list[str] = []
        self.plan: Any = None
        self.result: Any = None

    def on_start(self, plan: Any) -> None:
        self.plan = plan

    def on_rollout(self, rollout: Any, cached: bool) -> None:
        self.rollouts.append((rollout, cached))

    def on_call(self, model: str, cached: bool) -> None:
        self.calls.append((model, cached))

    def on_candidate(self, candidate: Any, score: float | None) -> None:
        self.candidates.append((candidate, score))

    def on_message(self, message: str) -> None:
        self.messages.append(message)

    def on_end(self, result: Any) -> None:
        self.result = result

    @property
    def run(self) -> list[Any]:
        """The rollouts that were run, not read from the journal."""
        return [rollout for rollout, cached in self.rollouts if not cached]


@pytest.fixture
def engine() -> SimpleNamespace:
    """The helpers of this file, which no test module can import."""
    return SimpleNamespace(
        ScriptedModel=ScriptedModel,
        Watcher=Watcher,
        improve=improve,
        in_session=in_session,
        running=running,
    )


@pytest.fixture
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make comparisons fast, where hundreds are made or their precision is of no interest."""
    monkeypatch.setattr("agl_core.statistics.comparisons._SAMPLES", 300)


@pytest.fixture(scope="session")
def model_server() -> Iterator[SimulatedModel]:
    """The simulated model's process; ask for `served_model` instead."""
    with simulated_model("echo", set_environment=False) as model:
        yield model


@pytest.fixture
def served_model(model_server: SimulatedModel, monkeypatch: pytest.MonkeyPatch) -> SimulatedModel:
    """The simulated model over HTTP: scenario `echo`, no latency or faults, an empty log."""
    model_server.configure(scenario="echo", seed=0, latency=0.0, faults=())
    model_server.reset()
    for name, value in model_server.environment().items():
        monkeypatch.setenv(name, value)
    return model_server
