"""The trainer: runs an algorithm on an agent and says whether its prompts got better."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import os
import random
import time
from collections.abc import AsyncGenerator, Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from agl_core.algorithms import APO, Algorithm, Baseline
from agl_core.arguments import (
    checked_acceptance,
    checked_agent,
    checked_algorithm,
    checked_budget,
    checked_count,
    checked_number,
    checked_timeout,
    opened_store,
)
from agl_core.callbacks import Callback, Callbacks, Logged
from agl_core.code_identity import parts_of
from agl_core.concurrency.event_loops import run_blocking
from agl_core.datasets import Dataset, DatasetSource, load_dataset
from agl_core.discovery.survey import Survey, find_seed, survey
from agl_core.errors import AglError, ConfigurationError
from agl_core.execution.agents import Agent
from agl_core.execution.executors import Executor, LocalExecutor
from agl_core.execution.retries import RetryingClient
from agl_core.execution.runners import RolloutRunner
from agl_core.faults.backoff import Backoff
from agl_core.faults.services import Services
from agl_core.models.chat import ModelClient, OpenAIClient, secrets_of
from agl_core.outlooks import SeedOutlook, plan_warnings
from agl_core.overlap import OverlapGuard
from agl_core.plans import Plan, slots_found
from agl_core.privacy.discretion import Discretion
from agl_core.privacy.redaction import Redaction, RedactSource
from agl_core.prompts.constraints import Constraint
from agl_core.prompts.slot_policy import MAX_UNMATCHED, SlotPolicy
from agl_core.prompts.templates import PromptTemplate, coerce_resources
from agl_core.result import TrainResult
from agl_core.resuming import Start, earlier_spent, kept_result, result_record
from agl_core.rollouts import Evaluation
from agl_core.selection import FINALISTS, Acceptance, conclude
from agl_core.session import Session
from agl_core.simulation import is_simulated_environment
from agl_core.spending.budgets import Budget, BudgetExhaustedError, StopReason
from agl_core.spending.ledger import Ledger
from agl_core.spending.prices import Price, PriceList, checked_prices
from agl_core.storage.runs import begin_or_resume, new_run_name, run_name
from agl_core.storage.store import Journal, MemoryStore, Store
from agl_core.tracing.exporting import provider_to_export_to
from agl_core.tracing.tracing import Tracing
from agl_core.workloads import RunSize, whole_workload

if TYPE_CHECKING:
    import openai
    from opentelemetry.sdk.trace import TracerProvider

__all__ = ["Trainer"]

T = TypeVar("T")


class Trainer:
    """Runs one algorithm on an agent: `fit` from blocking code, `afit` on an event loop.

    Args:
        algorithm: What searches; `APO` by default.
        n_runners: How many rollouts run at once, at least 1.
        initial_resources: The seed's prompts by name, as text or templates. A wrapped program needs
            none: its own prompts are found by running it; prompts given here replace them.
        budget: Hard caps on what is spent.
        prices: What models cost, by name. For those that are not in it the prices of the
            `genai-prices` package hold, which asks no network.
        store: A path of a SQLite file, or a store. In memory by default: lost at the end.
        run: The run's name in the store; made up by default.
        seed: Everything random that the run decides depends on it.
        repeats: How often a validation or test task is run for its score, the mean; for rewards
            that differ from run to run. The tasks still count once in the verdict.
        timeout: Seconds after which a rollout is given up as timed out; None for no limit.
        failure_reward: The score of a rollout in which the agent failed.
        client: The ``openai.AsyncOpenAI`` client, or a `ModelClient`, for the algorithm's own model
            calls; by default one from ``OPENAI_API_KEY`` and ``OPENAI_BASE_URL``.
        executor: Where rollouts run; the event loop and threads of this process by default.
        callbacks: Who watches the run. Without any, warnings are logged (`Logged`).
        tracer_provider: Where spans go besides the store; by default the global provider, if the
            user has set one, else where OpenTelemetry's environment variables say.
        capture_content: Whether anything is kept of tasks, inputs, messages, outputs and feedback:
            in spans, in the store, and by the algorithm. Without it a critique sees scores only.
        redact: What is taken out of all that is written, shown or handed to the algorithm, besides
            credentials: regular expressions, or a function that is given a text and returns what
            may be kept of it. Agents and reward functions are given everything.
        backoff: How rollouts that the world failed are tried again.
        accept: Which verdict gives the best candidate: ``"gain"``, any but ``no_gain``;
            ``"improved"``, that one alone. Otherwise the seed's prompts come back.
        optimize: Patterns of the prompts to optimize, such as ``langgraph:planner*``. By default
            all that the program sends as system messages; what it sends as user messages
            (``langgraph:planner#user``) is only optimized if a pattern matches it.
        freeze: Patterns of prompts that stay as the program has them.
        constraints: What rewrites must keep to, by pattern.
        templates: The program's own template by slot, where its text changes from call to call:
            ``"You are {role}. Today is {date}."``.
        max_unmatched: The share of the texts of an optimized slot that may be another text than the
            known one, and are left alone; past it the run stops.

    Raises:
        ConfigurationError: If an argument is out of range or of the wrong kind.
        StoreError: If the store cannot be opened.
    """

    def __init__(  # noqa: PLR0913 - all optional, all by keyword
        self,
        algorithm: Algorithm | None = None,
        *,
        n_runners: int = 8,
        initial_resources: Mapping[str, str | PromptTemplate] | None = None,
        budget: Budget | None = None,
        prices: Mapping[str, Price] | None = None,
        store: str | os.PathLike[str] | Store | None = None,
        run: str | None = None,
        seed: int = 0,
        repeats: int = 1,
        timeout: float | None = 600.0,
        failure_reward: float = 0.0,
        client: openai.AsyncOpenAI | ModelClient | None = None,
        executor: Executor | None = None,
        callbacks: Sequence[Callback] = (),
        tracer_provider: TracerProvider | None = None,
        capture_content: bool = True,
        redact: RedactSource = (),
        backoff: Backoff | None = None,
        accept: Acceptance = "gain",
        optimize: str | Iterable[str] | None = None,
        freeze: str | Iterable[str] = (),
        constraints: Mapping[str, Constraint] | None = None,
        templates: Mapping[str, str | PromptTemplate] | None = None,
        max_unmatched: float = MAX_UNMATCHED,
    ) -> None:
        self._redaction = Redaction(redact, secrets_of(client))
        self._discretion = Discretion(self._redaction, capture_content)
        self._algorithm = APO() if algorithm is None else checked_algorithm(algorithm)
        self._n_runners = checked_count("n_runners", n_runners)
        self._initial = coerce_resources(initial_resources or {})
        self._slots = SlotPolicy.of(optimize, freeze, constraints, templates, max_unmatched)
        self._redaction.check_prompts({**self._initial, **self._slots.templates})
        self._budget = checked_budget(budget)
        self._prices = checked_prices(prices)
        self._store = opened_store(store)
        self._run = run
        self._seed = seed
        self._repeats = checked_count("repeats", repeats)
        self._timeout = checked_timeout(timeout)
        self._failure_reward = checked_number("failure_reward", failure_reward)
        self._client = client
        self._executor = executor
        self._callback = Callbacks(tuple(callbacks) or (Logged(),), self._redaction)
        self._accept: Acceptance = checked_acceptance(accept)
        self._tracer_provider = tracer_provider
        self._backoff = backoff or Backoff()

    @property
    def store(self) -> Store:
        """Where runs are kept."""
        return self._store

    def fit(
        self,
        agent: Agent,
        train_dataset: DatasetSource,
        val_dataset: DatasetSource | None = None,
        *,
        test_dataset: DatasetSource | None = None,
        resume: bool = False,
    ) -> TrainResult:
        """Search for better prompts, and block until the run has ended.

        Ctrl-C ends the run with the best so far, after what is in flight; a second one raises
        KeyboardInterrupt at once. May be called where an event loop is running.

        Args:
            agent: What `rollout` or `wrap` made.
            train_dataset: Tasks that critiques are drawn from: a list, or a JSONL file's path.
            val_dataset: Tasks that candidates are compared on; the training tasks by default.
            test_dataset: Tasks that the algorithm never sees, for the verdict.
            resume: Go on with a run of this name, if the store has one: what its journal holds is
                not paid for again.

        Raises:
            ConfigurationError: If the input cannot work; before anything is spent.
            RolloutError: If the agent fails on every task, or reads no prompt.
            ModelError: If a model service refuses the credentials or has no such model, or every
                model call of the algorithm failed.
            RunInUseError: If another process, or another trainer, works on the run.
            StoreError: If the store cannot be written.
        """
        ledger = self._ledger()
        run = self._fit(ledger, agent, train_dataset, val_dataset, test_dataset, resume)
        return self._blocking(run, ledger)

    async def afit(
        self,
        agent: Agent,
        train_dataset: DatasetSource,
        val_dataset: DatasetSource | None = None,
        *,
        test_dataset: DatasetSource | None = None,
        resume: bool = False,
    ) -> TrainResult:
        """Do as `fit` does, on the running event loop. Cancelling it ends the run at once."""
        return await self._fit(
            self._ledger(), agent, train_dataset, val_dataset, test_dataset, resume
        )

    def dev(self, agent: Agent, dataset: DatasetSource, tasks: int = 3) -> Evaluation:
        """Make a dry pass: run the agent on the first few tasks with its seed prompts.

        Nothing is optimized and no model of the algorithm is called. The rollouts show rewards,
        spans, and the slots that would be optimized.

        Raises:
            ConfigurationError: If the input cannot work.
            RolloutError: If the agent fails on every one of the tasks, or reads no prompt.
        """
        ledger, dry = self._ledger(), self._dry()

        async def run() -> Evaluation:
            data = load_dataset(dataset, "val")[:tasks]
            name = new_run_name()
            with self._redaction.errors():
                async with dry._opened_run(
                    ledger, name, checked_agent(agent), data, data
                ) as session:
                    return await session.evaluate(session.initial, session.val)

        return self._blocking(run(), ledger)

    def survey(self, agent: Agent, dataset: DatasetSource) -> Survey:
        """Run a program on the first few tasks, and say what prompts it has.

        Nothing is optimized or kept; `agl_adapters.discover` shows it.

        Raises:
            ConfigurationError: If the input cannot work, or the agent has no prompts of its own.
            RolloutError: If the agent fails on every one of the tasks, or sends no prompt.
        """
        ledger = self._ledger()
        return self._blocking(self._survey(ledger, agent, dataset), ledger)

    async def asurvey(self, agent: Agent, dataset: DatasetSource) -> Survey:
        """Do as `survey` does, on the running event loop."""
        return await self._survey(self._ledger(), agent, dataset)

    async def _survey(self, ledger: Ledger, agent: Agent, dataset: DatasetSource) -> Survey:
        agent = checked_agent(agent)
        if not agent.discovers:
            raise ConfigurationError(
                f"{agent.name} is handed its prompts, so there is nothing to discover: they are "
                "those of initial_resources"
            )
        dry, tasks = self._dry(), load_dataset(dataset, "val")
        with self._redaction.errors():
            async with dry._opened_runner(ledger, new_run_name(), agent) as (runner, _):
                found = await survey(
                    agent, runner, tasks, self._slots, given=self._initial, digs=lambda _: True
                )
        return replace(found, usage=ledger.usage)

    def _ledger(self) -> Ledger:
        say = (
            self._callback.on_message if self._budget.dollars is None else self._callback.on_warning
        )
        return Ledger(self._budget, PriceList(self._prices, say))

    def _dry(self) -> Trainer:
        """Return a trainer that runs the baseline, and keeps nothing."""
        dry = copy.copy(self)
        dry._algorithm, dry._store, dry._repeats = Baseline(), MemoryStore(), 1
        return dry

    def _blocking(self, run: Coroutine[Any, Any, T], ledger: Ledger) -> T:
        try:
            return run_blocking(run, lambda: self._interrupt(ledger), 4 * self._n_runners)
        except BudgetExhaustedError as stop:
            if stop.reason != "interrupted":
                raise
            # Before the search began there is no result to give.
            raise KeyboardInterrupt from None

    def _interrupt(self, ledger: Ledger) -> None:
        ledger.stop("interrupted")
        self._callback.on_warning(
            "interrupted: the run ends when what is in flight is done; Ctrl-C again ends it at once"
        )

    async def _fit(self, *arguments: Any) -> TrainResult:
        with self._redaction.errors():
            return await self._fitted(*arguments)

    async def _fitted(
        self,
        ledger: Ledger,
        agent: Agent,
        train_dataset: DatasetSource,
        val_dataset: DatasetSource | None,
        test_dataset: DatasetSource | None,
        resume: bool,
    ) -> TrainResult:
        agent = checked_agent(agent)
        agent.check(self._initial)
        train = load_dataset(train_dataset, "train")
        val = load_dataset(train_dataset if val_dataset is None else val_dataset, "val")
        test = None if test_dataset is None else load_dataset(test_dataset, "test")
        if test is not None:
            ledger.set_aside(self._test_rollouts(test))
        name = run_name(self._run, resume)
        with self._store.hold(name):
            settings = self._settings(agent, train, val, test)
            self._redaction.check_settings(
                {
                    "the name": name,
                    "the agent": agent.name,
                    "the algorithm's setting": settings["algorithm"],
                    "optimize=, freeze= or constraints=": settings["prompts"],
                }
            )
            begin_or_resume(self._store, name, settings, resume)
            done = self._done(name)
            if done is not None:
                return done
            earlier, started = earlier_spent(self._store, name), time.time()
            ledger.carry_over(earlier)
            kept = map(self._discretion.task, [*train, *val, *(test or ())])
            self._store.set_tasks(name, kept)
            start = Start(earlier, started)
            async with self._opened_run(ledger, name, agent, train, val, test, start) as session:
                if val_dataset is None:
                    session.say("no validation set: candidates are compared on the training tasks")
                result = await self._searched(session, name, test)
            self._store.end_run(name, result_record(result, self._budget, self._accept))
        self._callback.on_end(result)
        return result

    def _done(self, name: str) -> TrainResult | None:
        """Return the result of a run that has nothing left to do."""
        record = self._store.run(name)
        result = kept_result(record, self._budget, self._accept, self._store.location)
        if result is not None:
            self._callback.on_message(f"run {name} is done: this is its result")
        return result

    async def _searched(self, session: Session, name: str, test: Dataset | None) -> TrainResult:
        stop_reason: StopReason = "completed"
        try:
            try:
                await self._algorithm.run(session)
                session.raise_if_none_answered()
            except BudgetExhaustedError as stop:
                stop_reason = stop.reason
                self._tell(stop)
            return await self._concluded(session, name, stop_reason, test)
        except AglError as error:
            error.result = await self._concluded(session, name, "failed", None)
            raise

    def _tell(self, stop: BudgetExhaustedError) -> None:
        if stop.reason == "unavailable":
            self._callback.on_warning(f"the run ends with the best so far: {stop}")

    async def _concluded(
        self, session: Session, name: str, stop_reason: StopReason, test: Dataset | None
    ) -> TrainResult:
        return await conclude(
            session,
            test=test,
            stop_reason=stop_reason,
            run=name,
            store=self._store.location,
            rng=random.Random(f"{self._seed}/verdict"),
            accept=self._accept,
        )

    @contextlib.asynccontextmanager
    async def _opened_run(
        self,
        ledger: Ledger,
        name: str,
        agent: Agent,
        train: Dataset,
        val: Dataset,
        test: Dataset | None = None,
        begun: Start | None = None,
    ) -> AsyncGenerator[Session]:
        async with self._opened_runner(ledger, name, agent) as (runner, client):
            record, keep = self._store.run(name), self._discretion.dataset
            start = await find_seed(
                agent,
                runner,
                val,
                self._initial,
                self._slots,
                self._callback,
                slots_found(None if record is None else record.plan),
            )
            split, last = ("validation", val) if test is None else ("test", test)
            # The baseline proposes nothing that could be judged.
            judged = 0 if isinstance(self._algorithm, Baseline) else len(last)
            session = Session(
                train=train,
                val=val,
                initial=start.prompts,
                runner=runner,
                client=client,
                journal=Journal(self._store, name),
                ledger=ledger,
                callback=self._callback,
                seed=self._seed,
                repeats=self._repeats,
                constraints=start.constraints,
                seed_outlook=SeedOutlook(judged, split, self._callback),
                guard=OverlapGuard(
                    keep(train), [*keep(val), *(() if test is None else keep(test))]
                ),
                discretion=self._discretion,
            )
            size = RunSize(len(train), len(val), len(start.prompts), self._repeats)
            spent, test_rollouts = ledger.usage, self._test_rollouts(test)
            plan = Plan(
                run=name,
                started=(begun or Start()).started,
                earlier=(begun or Start()).earlier,
                agent=agent.name,
                algorithm=self._algorithm.name,
                initial=start.prompts,
                own=session.own_prompts,
                train=len(train),
                val=len(val),
                test=0 if test is None else len(test),
                n_runners=self._n_runners,
                budget=self._budget,
                store=self._store.location,
                simulated=is_simulated_environment(),
                slots=start.choices,
                repeats=self._repeats,
                judged=judged,
                test_rollouts=test_rollouts,
                workload=whole_workload(self._algorithm, size, test_rollouts),
                calls_per_rollout=spent.model_calls / spent.rollouts if spent.rollouts else None,
                found=start.found,
            )
            self._store.plan_run(name, plan.to_json())
            self._callback.on_start(plan)
            for warning in plan_warnings(plan):
                self._callback.on_warning(warning)
            if self._algorithm.models and not self._discretion.capture_content:
                self._callback.on_warning(
                    "content is not captured: critiques see the prompt and scores, and no run"
                )
            yield session

    @contextlib.asynccontextmanager
    async def _opened_runner(
        self, ledger: Ledger, name: str, agent: Agent
    ) -> AsyncGenerator[tuple[RolloutRunner, ModelClient | None]]:
        agent.check(self._initial)
        client = self._model_client()
        services = Services(self._backoff, ledger, self._callback)
        exporting = provider_to_export_to(self._tracer_provider)
        tracing = Tracing(
            exporting or self._tracer_provider,
            self._discretion.capture_content,
            redaction=self._redaction,
        )
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(self._callback.on_close)
            self._callback.on_open()
            if exporting is not None:
                stack.push_async_callback(asyncio.to_thread, exporting.shutdown)
            stack.callback(tracing.shutdown)
            if self._budget.dollars is not None:
                ledger.prices.require(self._algorithm.models)
            if client is not None:
                if client is not self._client:
                    stack.push_async_callback(client.close)
                await client.check(self._algorithm.models)
            stack.enter_context(agent.instrumented(tracing))
            executor = self._executor or LocalExecutor()
            executor.open(agent, tracing, self._n_runners)
            stack.push_async_callback(executor.close)
            runner = RolloutRunner(
                executor=executor,
                store=self._store,
                run=name,
                ledger=ledger,
                callback=self._callback,
                n_runners=self._n_runners,
                timeout=self._timeout,
                failure_reward=self._failure_reward,
                services=services,
                max_unmatched=self._slots.max_unmatched,
                discretion=self._discretion,
            )
            yield runner, None if client is None else RetryingClient(client, services)

    def _test_rollouts(self, test: Dataset | None) -> int:
        """Return what the seed and the finalists take on the test split."""
        return 0 if test is None else (1 + FINALISTS) * self._repeats * len(test)

    def _model_client(self) -> ModelClient | None:
        if not self._algorithm.models:
            return None
        if self._client is None or not hasattr(self._client, "complete"):
            return OpenAIClient(self._client)  # pyright: ignore[reportArgumentType]
        return self._client  # pyright: ignore[reportReturnType]

    def _settings(
        self, agent: Agent, train: Dataset, val: Dataset, test: Dataset | None
    ) -> dict[str, Any]:
        """Return what has to be the same when a run is resumed."""
        return {
            "agent": agent.name,
            "program": parts_of(agent),
            "algorithm": {"name": self._algorithm.name, **self._algorithm.settings()},
            "train": train.fingerprint(),
            "val": val.fingerprint(),
            "test": None if test is None else test.fingerprint(),
            "initial_resources": {n: prompt.to_json() for n, prompt in self._initial.items()},
            "prompts": self._slots.to_json(),
            "seed": self._seed,
            "repeats": self._repeats,
            "failure_reward": self._failure_reward,
            **self._discretion.settings(),
        }
