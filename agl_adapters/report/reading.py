"""Reading a run from the store, over and over while it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

from agl_adapters.report.facts import CandidateFacts, RolloutFacts, RunFacts, TaskFacts
from agl_core.candidates import Candidate
from agl_core.prompts.templates import PromptTemplate, Resources, fingerprint
from agl_core.rollouts import ModelUsage, Rollout
from agl_core.simulation import is_simulated_id
from agl_core.spans import genai
from agl_core.storage.runs import known_run
from agl_core.storage.store import RolloutKey, RunRecord, Store

__all__ = ["RunReader", "is_simulated"]

_NOTE_CHARS = 300


def is_simulated(store: Store, record: RunRecord) -> bool:
    """Tell whether a run was made on the simulated model, by its plan and its first rollout."""
    if (record.plan or {}).get("simulated"):
        return True
    return any(
        _facts(key, Rollout.from_json(data, None)).simulated
        for key, data in islice(store.rollouts(record.name), 1)
    )


class RunReader:
    """Reads one run. What was read once is kept, so that reading again costs what is new.

    Not for several threads at once.

    Args:
        store: Where the run is kept.
        run: Its name.
    """

    def __init__(self, store: Store, run: str) -> None:
        self._store = store
        self._run = run
        self._created: float | None = None
        self._since = 0.0
        self._rollouts: dict[RolloutKey, RolloutFacts] = {}
        self._forget_calls()

    def read(self) -> RunFacts:
        """Return the run as it is now.

        Raises:
            ConfigurationError: If the store has no such run.
            StoreError: If it cannot be read.
        """
        record = known_run(self._store, self._run)
        if record.created != self._created:
            self._created, self._since = record.created, 0.0
            self._forget_calls()
            self._rollouts.clear()
        # Before the rollouts: what is written meanwhile is read again the next time.
        activity = self._store.activity(self._run)
        for key, data in self._store.rollouts(self._run, self._since):
            self._rollouts[key] = _facts(key, Rollout.from_json(data, None))
        self._since = activity.latest
        rollouts = tuple(self._rollouts.values())
        tasks = self._tasks(rollouts)
        candidates = self._candidates(record, rollouts)
        self._read_calls(activity.calls)
        return RunFacts(
            record=record,
            activity=activity,
            tasks=tasks,
            candidates=candidates,
            rollouts=rollouts,
            simulated=bool((record.plan or {}).get("simulated"))
            or self._simulated_call
            or any(rollout.simulated for rollout in rollouts),
            optimizer=self._optimizer,
        )

    def _tasks(self, rollouts: tuple[RolloutFacts, ...]) -> list[TaskFacts]:
        """Return the run's tasks, and those that its algorithm brought itself."""
        found = {
            (task.split, task.key): (task.name, task.data) for task in self._store.tasks(self._run)
        }
        for rollout in rollouts:
            found.setdefault((rollout.key.split, rollout.key.task), (rollout.task_name, None))
        return [
            TaskFacts(number, split, key, name, data)
            for number, ((split, key), (name, data)) in enumerate(found.items())
        ]

    def _candidates(
        self, record: RunRecord, rollouts: tuple[RolloutFacts, ...]
    ) -> list[CandidateFacts]:
        """Return the candidates: the seed, those that were reported, those that were only run."""
        plan = record.plan or {}
        own = _resources(plan.get("own", {}))
        reported = self._store.candidates(self._run)
        seed = _seed(record, reported)
        if seed is not None and not any(_is(data, seed) for data in reported):
            reported = [{**Candidate(seed).to_json(), "validation": None}, *reported]
        reported.sort(key=lambda data: seed is None or not _is(data, seed))
        numbers: dict[str, int] = {}
        candidates: list[CandidateFacts] = []
        for number, data in enumerate(reported):
            # Stores of older versions lack the record of the edits.
            candidate = Candidate.from_json({"critiques": (), "edits": {}, **data})
            candidates.append(
                CandidateFacts(
                    number=number,
                    candidate=candidate,
                    validation=None if candidate.rejected else data.get("validation"),
                    bound=bound_fingerprint(candidate.resources, own),
                    parent=numbers.get(candidate.parent or ""),
                    is_seed=seed is not None and _is(data, seed),
                )
            )
            if not candidate.rejected:
                numbers[candidate.id] = number
        known = {c.bound for c in candidates if not c.candidate.rejected}
        for bound in dict.fromkeys(r.key.candidate for r in rollouts):
            if bound not in known:
                number = len(candidates)
                unknown = Candidate({})
                candidates.append(CandidateFacts(number, unknown, None, bound, None, False, False))
        return candidates

    def _forget_calls(self) -> None:
        self._calls, self._simulated_call, self._optimizer = 0, False, ModelUsage()

    def _read_calls(self, calls: int) -> None:
        """Read the optimizer's calls, if there are new ones: they hold long texts."""
        if calls == self._calls:
            return
        self._forget_calls()
        self._calls = calls
        for call in self._store.calls(self._run):
            self._simulated_call |= is_simulated_id(call.get("response_id"))
            self._optimizer += ModelUsage(*call.get("usage", ()))


def bound_fingerprint(resources: Resources, own: Resources) -> str:
    """Return `RolloutKey.candidate` of a candidate's rollouts.

    Args:
        resources: The candidate's prompts.
        own: The program's own ones, which are not bound.
    """
    return fingerprint({name: p for name, p in resources.items() if own.get(name) != p})


def _seed(record: RunRecord, reported: list[Mapping[str, Any]]) -> Resources | None:
    """Return the seed's prompts: as planned, as in the result, or as first reported."""
    for source, name in ((record.plan, "initial"), (record.result, "seed")):
        if source and name in source:
            return _resources(source[name])
    for data in reported:
        if data["parent"] is None and not data["round"]:
            return _resources(data["resources"])
    return None


def _is(data: Mapping[str, Any], seed: Resources) -> bool:
    return not data["rejected"] and data["id"] == fingerprint(seed)


def _resources(data: Mapping[str, Mapping[str, Any]]) -> dict[str, PromptTemplate]:
    return {name: PromptTemplate.from_json(prompt) for name, prompt in data.items()}


def _facts(key: RolloutKey, rollout: Rollout) -> RolloutFacts:
    note = rollout.feedback
    if rollout.error:
        note = rollout.error.strip().rpartition("\n")[2]
    return RolloutFacts(
        key=key,
        task_name=rollout.task_name,
        status=rollout.status,
        score=rollout.score,
        seconds=rollout.seconds,
        started=rollout.started,
        usage=rollout.usage,
        metrics={} if rollout.reward is None else rollout.reward.metrics,
        note=note[:_NOTE_CHARS],
        simulated=any(
            is_simulated_id(genai.response_id(span)) or is_simulated_id(genai.tool_call_id(span))
            for span in rollout.spans
        ),
    )
