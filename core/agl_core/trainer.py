"""The trainer: runs an algorithm on an agent and says whether its prompts got better."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from agl_core.algorithms import APO, Algorithm
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
from agl_core.discovery.survey import Survey, survey
from agl_core.errors import AglError, ConfigurationError
from agl_core.execution.agents import Agent
from agl_core.execution.executors import Executor
from agl_core.faults.backoff import Backoff
from agl_core.models.chat import ModelClient, secrets_of
from agl_core.openings import Setup, Splits, opened_runner, opened_session
from agl_core.privacy.discretion import Discretion
from agl_core.privacy.redaction import Redaction, RedactSource
from agl_core.prompts.constraints import Constraint
from agl_core.prompts.slot_policy import MAX_UNMATCHED, SlotPolicy
from agl_core.prompts.templates import PromptTemplate, coerce_resources
from agl_core.result import TrainResult
from agl_core.resuming import Start, earlier_spent, kept_result, note_start, result_record
from agl_core.rollouts import Evaluation
from agl_core.selection import Acceptance, conclude
from agl_core.session import Session
from agl_core.spending.budgets import Budget, BudgetExhaustedError, StopReason
from agl_core.spending.ledger import Ledger
from agl_core.spending.prices import Price, checked_prices
from agl_core.storage.runs import Resume, begin_or_resume, new_run_name, run_name
from agl_core.storage.store import Store

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
        redaction = Redaction(redact, secrets_of(client))
        initial = coerce_resources(initial_resources or {})
        slots = SlotPolicy.of(optimize, freeze, constraints, templates, max_unmatched)
        redaction.check_prompts({**initial, **slots.templates})
        self._run = run
        self._setup = Setup(
            algorithm=APO() if algorithm is None else checked_algorithm(algorithm),
            n_runners=checked_count("n_runners", n_runners),
            initial=initial,
            slots=slots,
            redaction=redaction,
            discretion=Discretion(redaction, capture_content),
            budget=checked_budget(budget),
            prices=checked_prices(prices),
            store=opened_store(store),
            seed=seed,
            repeats=checked_count("repeats", repeats),
            timeout=checked_timeout(timeout),
            failure_reward=checked_number("failure_reward", failure_reward),
            client=client,
            executor=executor,
            callback=Callbacks(tuple(callbacks) or (Logged(),), redaction),
            accept=checked_acceptance(accept),
            tracer_provider=tracer_provider,
            backoff=backoff or Backoff(),
        )

    @property
    def store(self) -> Store:
        """Where runs are kept."""
        return self._setup.store

    def fit(
        self,
        agent: Agent,
        train_dataset: DatasetSource,
        val_dataset: DatasetSource | None = None,
        *,
        test_dataset: DatasetSource | None = None,
        resume: Resume = False,
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
                not paid for again. ``"changed"`` goes on though the program has changed, which is
                refused otherwise: for what changes no score, such as a log line.

        Raises:
            ConfigurationError: If the input cannot work; before anything is spent.
            RolloutError: If the agent fails on every task, or reads no prompt.
            ModelError: If a model service refuses the credentials or has no such model, or every
                model call of the algorithm failed.
            RunInUseError: If another process, or another trainer, works on the run.
            StoreError: If the store cannot be written.
        """
        ledger = self._setup.ledger()
        run = self._fit(ledger, agent, train_dataset, val_dataset, test_dataset, resume)
        return self._blocking(run, ledger)

    async def afit(
        self,
        agent: Agent,
        train_dataset: DatasetSource,
        val_dataset: DatasetSource | None = None,
        *,
        test_dataset: DatasetSource | None = None,
        resume: Resume = False,
    ) -> TrainResult:
        """Do as `fit` does, on the running event loop. Cancelling it ends the run at once."""
        return await self._fit(
            self._setup.ledger(), agent, train_dataset, val_dataset, test_dataset, resume
        )

    def dev(self, agent: Agent, dataset: DatasetSource, tasks: int = 3) -> Evaluation:
        """Make a dry pass: run the agent on the first few tasks with its seed prompts.

        Nothing is optimized and no model of the algorithm is called. The rollouts show rewards,
        spans, and the slots that would be optimized.

        Raises:
            ConfigurationError: If the input cannot work.
            RolloutError: If the agent fails on every one of the tasks, or reads no prompt.
        """
        ledger, dry = self._setup.ledger(), self._setup.dry()

        async def run() -> Evaluation:
            data = load_dataset(dataset, "val")[:tasks]
            name = new_run_name()
            with self._setup.redaction.errors():
                async with opened_session(
                    dry, ledger, name, checked_agent(agent), Splits(data, data)
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
        ledger = self._setup.ledger()
        return self._blocking(self._survey(ledger, agent, dataset), ledger)

    async def asurvey(self, agent: Agent, dataset: DatasetSource) -> Survey:
        """Do as `survey` does, on the running event loop."""
        return await self._survey(self._setup.ledger(), agent, dataset)

    async def _survey(self, ledger: Ledger, agent: Agent, dataset: DatasetSource) -> Survey:
        agent = checked_agent(agent)
        if not agent.discovers:
            raise ConfigurationError(
                f"{agent.name} is handed its prompts, so there is nothing to discover: they are "
                "those of initial_resources"
            )
        dry, tasks = self._setup.dry(), load_dataset(dataset, "val")
        with self._setup.redaction.errors():
            async with opened_runner(dry, ledger, new_run_name(), agent) as (runner, _):
                found = await survey(
                    agent, runner, tasks, dry.slots, given=dry.initial, digs=lambda _: True
                )
        return replace(found, usage=ledger.usage)

    def _blocking(self, run: Coroutine[Any, Any, T], ledger: Ledger) -> T:
        try:
            return run_blocking(run, lambda: self._interrupt(ledger), 4 * self._setup.n_runners)
        except BudgetExhaustedError as stop:
            if stop.reason != "interrupted":
                raise
            # Before the search began there is no result to give.
            raise KeyboardInterrupt from None

    def _interrupt(self, ledger: Ledger) -> None:
        ledger.stop("interrupted")
        self._setup.callback.on_warning(
            "interrupted: the run ends when what is in flight is done; Ctrl-C again ends it at once"
        )

    async def _fit(self, *arguments: Any) -> TrainResult:
        with self._setup.redaction.errors():
            return await self._fitted(*arguments)

    async def _fitted(
        self,
        ledger: Ledger,
        agent: Agent,
        train_dataset: DatasetSource,
        val_dataset: DatasetSource | None,
        test_dataset: DatasetSource | None,
        resume: Resume,
    ) -> TrainResult:
        setup = self._setup
        agent = checked_agent(agent)
        agent.check(setup.initial)
        train = load_dataset(train_dataset, "train")
        val = load_dataset(train_dataset if val_dataset is None else val_dataset, "val")
        test = None if test_dataset is None else load_dataset(test_dataset, "test")
        if test is not None:
            ledger.set_aside(setup.test_rollouts(test))
        name = run_name(self._run, resume)
        with setup.store.hold(name):
            settings = self._settings(agent, train, val, test)
            setup.redaction.check_settings(
                {
                    "the name": name,
                    "the agent": agent.name,
                    "the algorithm's setting": settings["algorithm"],
                    "optimize=, freeze= or constraints=": settings["prompts"],
                }
            )
            changed = begin_or_resume(setup.store, name, settings, resume)
            if changed:
                setup.callback.on_warning(
                    f"the program has changed since the run began ({', '.join(changed)}): scores "
                    "so far are those of the program as it was"
                )
            done = self._done(name)
            if done is not None:
                return done
            earlier, by_rollouts = earlier_spent(setup.store, name)
            started = time.time()
            ledger.carry_over(earlier, by_rollouts)
            kept = map(setup.discretion.task, [*train, *val, *(test or ())])
            setup.store.set_tasks(name, kept)
            splits, begun = Splits(train, val, test), Start(earlier, started)
            note_start(setup.store, name, begun)
            async with opened_session(setup, ledger, name, agent, splits, begun) as session:
                if val_dataset is None:
                    session.say("no validation set: candidates are compared on the training tasks")
                result = await self._searched(session, name, test)
            setup.store.end_run(name, result_record(result, setup.budget, setup.accept))
        setup.callback.on_end(result)
        return result

    def _done(self, name: str) -> TrainResult | None:
        """Return the result of a run that has nothing left to do."""
        setup = self._setup
        record = setup.store.run(name)
        result = kept_result(record, setup.budget, setup.accept, setup.store.location)
        if result is not None:
            setup.callback.on_message(f"run {name} is done: this is its result")
        return result

    async def _searched(self, session: Session, name: str, test: Dataset | None) -> TrainResult:
        stop_reason: StopReason = "completed"
        try:
            try:
                await self._setup.algorithm.run(session)
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
            self._setup.callback.on_warning(f"the run ends with the best so far: {stop}")

    async def _concluded(
        self, session: Session, name: str, stop_reason: StopReason, test: Dataset | None
    ) -> TrainResult:
        setup = self._setup
        return await conclude(
            session,
            test=test,
            stop_reason=stop_reason,
            run=name,
            store=setup.store.location,
            rng=random.Random(f"{setup.seed}/verdict"),
            accept=setup.accept,
        )

    def _settings(
        self, agent: Agent, train: Dataset, val: Dataset, test: Dataset | None
    ) -> dict[str, Any]:
        """Return what has to be the same when a run is resumed."""
        setup = self._setup
        return {
            "agent": agent.name,
            "program": parts_of(agent),
            "algorithm": {"name": setup.algorithm.name, **setup.algorithm.settings()},
            "train": train.fingerprint(),
            "val": val.fingerprint(),
            "test": None if test is None else test.fingerprint(),
            "initial_resources": {n: prompt.to_json() for n, prompt in setup.initial.items()},
            "prompts": setup.slots.to_json(),
            "seed": setup.seed,
            "repeats": setup.repeats,
            "failure_reward": setup.failure_reward,
            **setup.discretion.settings(),
        }
