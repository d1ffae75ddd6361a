"""The session: what an algorithm is given. Rollouts, model calls, and a place to report."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from agl_core.callbacks import Callback
from agl_core.candidates import Candidate
from agl_core.datasets import Dataset, Task, load_dataset
from agl_core.discovery.seed_checks import SeedCheck
from agl_core.errors import ConfigurationError, RolloutError
from agl_core.execution.runners import RolloutRunner
from agl_core.metrics import CandidateMetrics
from agl_core.models.calls import ModelCalls
from agl_core.models.chat import ChatMessage, ModelClient
from agl_core.outlooks import SeedOutlook
from agl_core.overlap import OverlapGuard
from agl_core.privacy.discretion import Discretion
from agl_core.privacy.redaction import WITHHELD_PROMPT
from agl_core.prompts.constraints import Constraint
from agl_core.prompts.rewrites import InvalidRewriteError, check_constraint, check_placeholders
from agl_core.prompts.templates import PromptTemplate, Resources, fingerprint
from agl_core.rollouts import Evaluation, mean_score
from agl_core.spending.budgets import Budget, BudgetExhaustedError, Usage
from agl_core.spending.ledger import Ledger
from agl_core.spending.patience import Patience
from agl_core.storage.store import Journal
from agl_core.validations import Scores, Validations

__all__ = ["Session"]


class Session:
    """One run, as its algorithm sees it. Everything is on one event loop.

    What is asked for twice is paid for once: a rollout by (resources, task, repeat), a model call
    by (model, messages, temperature, key).

    Attributes:
        train: The training tasks.
        val: The validation tasks.
        initial: The seed's resources.
        constraints: What the rewrites of a prompt must keep to, by name. Give it to
            `agl_core.prompts.rewrites.check_rewrite`; what breaks it is refused here too.
        rng: A random source that depends on the trainer's seed alone.
        repeats: How often a task is run for its score, the mean.
    """

    def __init__(  # noqa: PLR0913 - the parts are composed here
        self,
        *,
        train: Dataset,
        val: Dataset,
        initial: Resources,
        runner: RolloutRunner,
        client: ModelClient | None,
        journal: Journal,
        ledger: Ledger,
        callback: Callback,
        seed: int,
        repeats: int = 1,
        constraints: Mapping[str, Constraint] | None = None,
        seed_outlook: SeedOutlook | None = None,
        guard: OverlapGuard | None = None,
        discretion: Discretion | None = None,
    ) -> None:
        discretion = discretion or Discretion()
        self._redaction = discretion.redaction
        self._given = {(task.split, task.key): task for task in (*train, *val)}
        # What the algorithm sees, it may write: into messages, candidates, its own files.
        self.train = train = discretion.dataset(train)
        self.val = val = discretion.dataset(val)
        self.initial = initial
        self.constraints: Mapping[str, Constraint] = constraints or {}
        self.rng = random.Random(f"{seed}/algorithm")
        self.repeats = repeats
        self._runner = runner
        self._calls = ModelCalls(client, journal, ledger, callback, discretion.redaction)
        self._journal = journal
        self._ledger = ledger
        self._callback = callback
        self._candidates: dict[str, Candidate] = {}
        self._rejected: list[Candidate] = []
        self._validations = Validations(val)
        self._patience = Patience(ledger.budget.patience)
        self._metrics = CandidateMetrics(val.split)
        self._seed_id = fingerprint(initial)
        self._seed_check = SeedCheck(initial, len(val))
        self._seed_outlook = seed_outlook
        self._guard = OverlapGuard(train, val) if guard is None else guard

    @property
    def budget(self) -> Budget:
        """The run's caps."""
        return self._ledger.budget

    @property
    def own_prompts(self) -> Resources:
        """What the program sends by itself, by slot. The seed, where `initial` was not given."""
        return self._runner.own_prompts

    @property
    def usage(self) -> Usage:
        """What the run has spent so far."""
        return self._ledger.usage

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The candidates reported so far, without the rejected ones, in order."""
        return tuple(self._candidates.values())

    @property
    def rejected(self) -> tuple[Candidate, ...]:
        """The candidates that were reported as rejected."""
        return tuple(self._rejected)

    async def evaluate(
        self,
        resources: Mapping[str, str | PromptTemplate],
        tasks: Iterable[Any],
        *,
        repeat: str | int = 0,
        repeats: int | None = None,
        priority: int = 0,
    ) -> Evaluation:
        """Run the agent on tasks with these resources, concurrently.

        Args:
            resources: Prompts by name; what is missing is taken from the seed. Text becomes a
                template with the engine and placeholders of the seed's.
            tasks: Tasks of `train` and `val`, or JSON-able ones of your own.
            repeat: Tells apart fresh rollouts of the same resources on the same task. Those of
                repeat 0 are the candidate's validation, to which only `confirm` adds.
            repeats: How often each task is run, if not as often as the trainer was told: 1 where
                the rollouts count and not the score.
            priority: Waiting rollouts of a lower number run first.

        Returns:
            The rollouts of each task, in the order of the tasks.

        Raises:
            ConfigurationError: If a name is none of the seed's, placeholders differ from the
                seed's, or a prompt breaks its constraint.
            BudgetExhaustedError: If the budget leaves no room. Rollouts that ended are kept.
            RolloutError: If the seed failed on all of its first tasks, or read no prompt.
        """
        resolved = self._resolve(resources)
        chosen = self._tasks(tasks)
        times = self.repeats if repeats is None else repeats
        identity = fingerprint(resolved)
        validates = str(repeat) == "0" and times >= self.repeats
        if validates:
            self._validations.ask(identity, chosen)
        rollouts = await self._runner.run_all(
            resolved, chosen, repeat=str(repeat), repeats=times, priority=priority
        )
        evaluation = Evaluation(rollouts, times)
        if identity == self._seed_id:
            self._check_seed(evaluation)
        if validates:
            self._validations.add(identity, chosen, evaluation.scores)
            self._metrics.see(identity, evaluation)
            if identity == self._seed_id and self._seed_outlook is not None:
                self._seed_outlook.see(self._validations.scores(identity) or ())
        target = self.budget.target
        score = self.validation_score(resolved)
        if target is not None and score is not None and score >= target:
            if identity not in self._candidates:
                self.report(resolved, score=score)
            self._ledger.stop("target")
            raise BudgetExhaustedError("target")
        return evaluation

    async def confirm(self, resources: Mapping[str, str | PromptTemplate]) -> int:
        """Run a validated candidate on all of `val` once more.

        The best of many looks better than it is: it was chosen for its luck too. Fresh rollouts
        tell. From then on its validation scores are the means over its runs, task by task. Was it
        reported, it is reported again with the new score.

        Returns:
            How often the candidate has been run on all of `val`.

        Raises:
            ConfigurationError: As `evaluate` does.
            BudgetExhaustedError: As `evaluate` does.
        """
        resolved = self._resolve(resources)
        identity, validations = fingerprint(resolved), self._validations
        number = validations.runs(identity)
        evaluation = await self.evaluate(resolved, self.val, repeat=f"confirm-{number}")
        validations.confirm(identity, evaluation.scores)
        self._metrics.see(identity, evaluation)
        if (known := self._candidates.get(identity)) is not None:
            self.report(replace(known, score=self.validation_score(resolved)))
        return validations.runs(identity)

    async def evaluate_held_out(
        self, candidates: Sequence[Resources], tasks: Dataset
    ) -> list[Evaluation]:
        """Run candidates on tasks that the algorithm never saw, with what was set aside for it."""
        self._ledger.release_set_aside()
        repeats = self.repeats
        runs = [self._runner.run_all(c, tasks, repeats=repeats) for c in candidates]
        finished = await asyncio.gather(*runs, return_exceptions=True)
        for result in finished:
            if isinstance(result, BaseException):
                raise result
        return [Evaluation(result, repeats) for result in finished if isinstance(result, list)]

    async def ask(
        self,
        model: str,
        messages: Sequence[ChatMessage] | str,
        *,
        temperature: float = 1.0,
        key: str = "",
    ) -> str:
        """Make a model call of the optimizer, journaled and counted.

        Args:
            model: The model's name.
            messages: Chat messages with ``role`` and ``content``, or the text of a user's message.
            temperature: The sampling temperature.
            key: Tells apart calls with equal arguments. Without it they are numbered in the order
                in which they are made, which is only reproducible if that order is.

        Raises:
            RefusedError: If the service rejects the credentials.
            ModelError: If the call fails for good.
            BudgetExhaustedError: If the budget leaves no room.
        """
        if isinstance(messages, str):
            messages = [{"role": "user", "content": messages}]
        return await self._calls.ask(model, messages, temperature, key)

    def raise_if_none_answered(self) -> None:
        """Stop a run whose algorithm asked in vain: that it found nothing would say nothing.

        Raises:
            ModelError: If model calls were made and every one failed; with the first reason.
        """
        self._calls.raise_if_none_answered()

    def report(
        self,
        candidate: Candidate | Mapping[str, str | PromptTemplate],
        *,
        score: float | None = None,
    ) -> Candidate:
        """Enter a candidate into the run's history; the best one reported becomes the result.

        A candidate that was evaluated on all of `val` is ranked by that; others by `score`.

        Args:
            candidate: A candidate, or just its resources. What is missing is taken from the seed.
            score: What the algorithm goes by; for resources only.

        Raises:
            ConfigurationError: As for `evaluate`.
        """
        if isinstance(candidate, Candidate):
            candidate = replace(candidate, resources=self._resolve(candidate.resources))
        else:
            candidate = Candidate(self._resolve(candidate), score=score)
        identity = candidate.id
        key = f"rejected-{len(self._rejected)}-{identity}" if candidate.rejected else identity
        if candidate.rejected:
            self._rejected.append(candidate)
        else:
            self._candidates[identity] = candidate
        validation = self.validation_score(candidate.resources)
        self._journal.store.add_candidate(
            self._journal.run, key, {**candidate.to_json(), "validation": validation}
        )
        self._callback.on_candidate(candidate, validation)
        return candidate

    def end_round(self) -> None:
        """Say that a round of the search is over: the budget's patience counts them.

        What the round found has to be validated and reported by then.

        Raises:
            BudgetExhaustedError: If as many rounds in a row as it allows found nothing better.
        """
        scores = (self.validation_score(c.resources) for c in self._candidates.values())
        best = max((score for score in scores if score is not None), default=None)
        self._patience.end_round(self.validation_score(self.initial), best)

    def repeats_judged_task(self, text: str) -> bool:
        """Tell whether a text repeats a task that candidates are judged by; see `OverlapGuard`."""
        return self._guard.repeats(text)

    def gives_away(self, text: str, answer: str) -> bool:
        """Tell whether a text repeats such a task, or the answer in it gives one of theirs away."""
        return self._guard.repeats(text) or self._guard.gives_away(answer)

    def say(self, message: str) -> None:
        """Tell those who watch the run something worth knowing."""
        self._callback.on_message(message)

    def validation(self, resources: Resources) -> Scores | None:
        """Return the scores on all of `val`, in its order, if these resources were run there.

        Of a candidate that was confirmed they are means.
        """
        return self._validations.scores(fingerprint(resources))

    def validation_rank(self, resources: Resources) -> int:
        """Return how many candidates were sent to all of `val` before these resources."""
        return self._validations.rank(fingerprint(resources))

    def validation_runs(self, resources: Resources) -> int:
        """Return how often these resources were run on all of `val`."""
        return self._validations.runs(fingerprint(resources))

    def validation_metrics(self, resources: Resources) -> Mapping[str, float]:
        """Return the mean of each metric on `val`, if these resources were run on all of it."""
        if self.validation(resources) is None:
            return {}
        return self._metrics.means(fingerprint(resources))

    def validation_so_far(self, resources: Resources) -> Scores:
        """Return the scores on `val`, in its order; None for what has not been run."""
        return self._validations.so_far(fingerprint(resources))

    def validation_score(self, resources: Resources) -> float | None:
        """Return the mean score on all of `val`, if these resources have been run there."""
        return mean_score(self.validation(resources) or ())

    def _resolve(self, resources: Mapping[str, str | PromptTemplate]) -> Resources:
        unknown = resources.keys() - self.initial.keys()
        if unknown:
            raise ConfigurationError(
                f"no prompt is called {', '.join(sorted(unknown))}; "
                f"there are: {', '.join(self.initial) or 'none'}"
            )
        resolved = dict(self.initial)
        for name, prompt in resources.items():
            seed = self.initial[name]
            resolved[name] = (
                prompt if isinstance(prompt, PromptTemplate) else seed.with_text(prompt)
            )
            try:
                check_placeholders(seed, resolved[name])
                if self._redaction.text(resolved[name].raw) != resolved[name].raw:
                    raise InvalidRewriteError(f"it {WITHHELD_PROMPT}")
                if resolved[name] != seed:
                    check_constraint(resolved[name], self.constraints.get(name))
            except InvalidRewriteError as error:
                raise ConfigurationError(f"prompt {name}: {error}") from error
        return resolved

    def _tasks(self, tasks: Iterable[Any]) -> list[Task]:
        """Return tasks as the user gave them: an algorithm knows what is kept of them."""
        chosen = list(tasks)
        if not all(isinstance(task, Task) for task in chosen):
            shown = [*self.train, *self.val]
            keys = [task.key for task in load_dataset([task.data for task in shown], "shown")]
            known = dict(zip(keys, shown, strict=True)) | {task.key: task for task in shown}
            loaded = load_dataset([t.data if isinstance(t, Task) else t for t in chosen], "adhoc")
            chosen = [
                task if isinstance(task, Task) else known.get(own.key, own)
                for task, own in zip(chosen, loaded, strict=True)
            ]
        return [self._given.get((task.split, task.key), task) for task in chosen]

    def _check_seed(self, evaluation: Evaluation) -> None:
        """End a run whose agent does not work, or ignores its prompts, once that is plain."""
        try:
            self._seed_check.see(evaluation)
        except RolloutError as error:
            self._ledger.refuse(error)
            raise
