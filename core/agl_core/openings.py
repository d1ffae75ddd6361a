"""Openings: what a run needs to be there before it begins, made from what a trainer was given."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agl_core.algorithms import Algorithm, Baseline
from agl_core.callbacks import Callbacks
from agl_core.code_identity import parts_of
from agl_core.datasets import Dataset
from agl_core.discovery.survey import find_seed
from agl_core.execution.agents import Agent
from agl_core.execution.executors import Executor, LocalExecutor
from agl_core.execution.retries import RetryingClient
from agl_core.execution.runners import RolloutRunner
from agl_core.faults.backoff import Backoff
from agl_core.faults.services import Services
from agl_core.models.chat import ModelClient, OpenAIClient
from agl_core.outlooks import SeedOutlook, plan_warnings
from agl_core.overlap import OverlapGuard
from agl_core.plans import Plan, slots_found
from agl_core.privacy.discretion import Discretion
from agl_core.privacy.redaction import Redaction
from agl_core.prompts.slot_policy import SlotPolicy
from agl_core.prompts.templates import Resources
from agl_core.resuming import Start
from agl_core.selection import FINALISTS, Acceptance
from agl_core.session import Session
from agl_core.simulation import is_simulated_environment
from agl_core.spending.budgets import Budget
from agl_core.spending.ledger import Ledger
from agl_core.spending.prices import Price, PriceList
from agl_core.storage.sqlite import MemoryStore
from agl_core.storage.store import Journal, Store
from agl_core.tracing.exporting import provider_to_export_to
from agl_core.tracing.tracing import Tracing
from agl_core.workloads import RunSize, whole_workload

if TYPE_CHECKING:
    import openai
    from opentelemetry.sdk.trace import TracerProvider

__all__ = ["Setup", "Splits", "opened_runner", "opened_session"]


@dataclass(frozen=True, slots=True)
class Splits:
    """The tasks of a run."""

    train: Dataset
    val: Dataset
    test: Dataset | None = None


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What a trainer was given, checked. `agl_core.trainer.Trainer` says what each of it means."""

    algorithm: Algorithm
    n_runners: int
    initial: Resources
    slots: SlotPolicy
    redaction: Redaction
    discretion: Discretion
    budget: Budget
    prices: Mapping[str, Price]
    store: Store
    seed: int
    repeats: int
    timeout: float | None
    failure_reward: float
    client: openai.AsyncOpenAI | ModelClient | None
    executor: Executor | None
    callback: Callbacks
    accept: Acceptance
    tracer_provider: TracerProvider | None
    backoff: Backoff

    def dry(self) -> Setup:
        """Return one that runs the baseline, and keeps nothing."""
        return replace(self, algorithm=Baseline(), store=MemoryStore(), repeats=1)

    def ledger(self) -> Ledger:
        """Return a new ledger under the budget."""
        capped = self.budget.dollars is not None
        say = self.callback.on_warning if capped else self.callback.on_message
        return Ledger(self.budget, PriceList(self.prices, say))

    def test_rollouts(self, test: Dataset | None) -> int:
        """Return what the seed and the finalists take on the test split."""
        return 0 if test is None else (1 + FINALISTS) * self.repeats * len(test)

    def model_client(self) -> ModelClient | None:
        """Return what makes the algorithm's model calls, if it makes any."""
        if not self.algorithm.models:
            return None
        if self.client is None or not hasattr(self.client, "complete"):
            return OpenAIClient(self.client)  # pyright: ignore[reportArgumentType]
        return self.client  # pyright: ignore[reportReturnType]


@contextlib.asynccontextmanager
async def opened_runner(
    setup: Setup, ledger: Ledger, name: str, agent: Agent
) -> AsyncGenerator[tuple[RolloutRunner, ModelClient | None]]:
    """Open what rollouts and model calls need, hooks and executor among it, for the block.

    Args:
        setup: What the trainer was given.
        ledger: Where all that is spent is written down.
        name: The run.
        agent: What is run.

    Raises:
        ConfigurationError: If the agent cannot work with the prompts, or a price is missing.
        ModelError: If the algorithm's model service refuses the credentials, or lacks a model.
    """
    agent.check(setup.initial)
    parts_of(agent)  # what it is made of is looked at before it has run, and outside of rollouts
    client = setup.model_client()
    services = Services(setup.backoff, ledger, setup.callback)
    exporting = provider_to_export_to(setup.tracer_provider)
    tracing = Tracing(
        exporting or setup.tracer_provider,
        setup.discretion.capture_content,
        redaction=setup.redaction,
    )
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(setup.callback.on_close)
        setup.callback.on_open()
        if exporting is not None:
            stack.push_async_callback(asyncio.to_thread, exporting.shutdown)
        stack.callback(tracing.shutdown)
        if setup.budget.dollars is not None:
            ledger.prices.require(setup.algorithm.models)
        if client is not None:
            if client is not setup.client:
                stack.push_async_callback(client.close)
            await client.check(setup.algorithm.models)
        stack.enter_context(agent.instrumented(tracing))
        executor = setup.executor or LocalExecutor()
        executor.open(agent, tracing, setup.n_runners)
        stack.push_async_callback(executor.close)
        runner = RolloutRunner(
            executor=executor,
            store=setup.store,
            run=name,
            ledger=ledger,
            callback=setup.callback,
            n_runners=setup.n_runners,
            timeout=setup.timeout,
            failure_reward=setup.failure_reward,
            services=services,
            max_unmatched=setup.slots.max_unmatched,
            discretion=setup.discretion,
        )
        yield runner, None if client is None else RetryingClient(client, services)


@contextlib.asynccontextmanager
async def opened_session(
    setup: Setup,
    ledger: Ledger,
    name: str,
    agent: Agent,
    splits: Splits,
    begun: Start | None = None,
) -> AsyncGenerator[Session]:
    """Open a session: find the seed, tell the plan, and hand over what the algorithm is given.

    Args:
        setup: What the trainer was given.
        ledger: Where all that is spent is written down.
        name: The run.
        agent: What is optimized.
        splits: The tasks.
        begun: When the run began, and what it had spent before, if it is resumed.

    Raises:
        RolloutError: If the agent fails on every task, or sends no prompt.
    """
    train, val, test = splits.train, splits.val, splits.test
    begun = begun or Start()
    async with opened_runner(setup, ledger, name, agent) as (runner, client):
        record, keep = setup.store.run(name), setup.discretion.dataset
        start = await find_seed(
            agent,
            runner,
            val,
            setup.initial,
            setup.slots,
            setup.callback,
            slots_found(None if record is None else record.plan),
        )
        split, last = ("validation", val) if test is None else ("test", test)
        # The baseline proposes nothing that could be judged.
        judged = 0 if isinstance(setup.algorithm, Baseline) else len(last)
        session = Session(
            train=train,
            val=val,
            initial=start.prompts,
            runner=runner,
            client=client,
            journal=Journal(setup.store, name),
            ledger=ledger,
            callback=setup.callback,
            seed=setup.seed,
            repeats=setup.repeats,
            constraints=start.constraints,
            seed_outlook=SeedOutlook(judged, split, setup.callback),
            guard=OverlapGuard(keep(train), [*keep(val), *(() if test is None else keep(test))]),
            discretion=setup.discretion,
        )
        size = RunSize(len(train), len(val), len(start.prompts), setup.repeats)
        spent, test_rollouts = ledger.usage, setup.test_rollouts(test)
        plan = Plan(
            run=name,
            started=begun.started,
            earlier=begun.earlier,
            agent=agent.name,
            algorithm=setup.algorithm.name,
            initial=start.prompts,
            own=session.own_prompts,
            train=len(train),
            val=len(val),
            test=0 if test is None else len(test),
            n_runners=setup.n_runners,
            budget=setup.budget,
            store=setup.store.location,
            simulated=is_simulated_environment(),
            slots=start.choices,
            repeats=setup.repeats,
            judged=judged,
            test_rollouts=test_rollouts,
            workload=whole_workload(setup.algorithm, size, test_rollouts),
            calls_per_rollout=spent.model_calls / spent.rollouts if spent.rollouts else None,
            found=start.found,
        )
        setup.store.plan_run(name, plan.to_json())
        setup.callback.on_start(plan)
        for warning in plan_warnings(plan):
            setup.callback.on_warning(warning)
        if setup.algorithm.models and not setup.discretion.capture_content:
            setup.callback.on_warning(
                "content is not captured: critiques see the prompt and scores, and no run"
            )
        yield session
