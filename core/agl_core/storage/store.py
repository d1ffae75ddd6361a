"""The store: where the journal of every run is kept; `agl_core.storage.sqlite` is one in a file.

Every rollout and every optimizer call is written here under a deterministic key before its result
is used. The same record is the evaluation cache and what a resumed run reads instead of paying
again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from agl_core.datasets import Task

__all__ = ["Activity", "Journal", "RolloutKey", "RunRecord", "Store"]


@dataclass(frozen=True, slots=True)
class RolloutKey:
    """What makes a rollout the same rollout: never run twice within a run."""

    candidate: str
    """Fingerprint of the resources under test."""
    split: str
    """The dataset, so that splits are never mixed."""
    task: str
    """The task's key."""
    repeat: str = "0"
    """Tells apart repeated rollouts of the same candidate on the same task."""

    def __str__(self) -> str:
        return f"{self.candidate}/{self.split}/{self.task}/{self.repeat}"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run in the store."""

    name: str
    created: float
    """Seconds since the epoch."""
    settings: Mapping[str, Any]
    """What must be the same when the run is resumed."""
    result: Mapping[str, Any] | None
    """The result, once the run has ended."""
    plan: Mapping[str, Any] | None = None
    """What is run, once the prompts are known; see `Plan.to_json`."""


@dataclass(frozen=True, slots=True)
class Activity:
    """How far a run has come. Cheap to ask for: it tells whether there is anything new to read."""

    rollouts: int
    calls: int
    candidates: int
    latest: float
    """When anything was last written, in seconds since the epoch; 0.0 if nothing was."""
    ended: bool
    """Whether the run has a result."""


class Store(Protocol):
    """Where runs are kept. Records are JSON-able mappings. Methods may be called from any thread.

    Every method raises `StoreError` if the store cannot be read or written.
    """

    location: str
    """Where it is, for messages."""

    def run(self, name: str) -> RunRecord | None:
        """Return a run, or None if there is none of that name."""
        ...

    def runs(self) -> list[RunRecord]:
        """Return all runs, oldest first."""
        ...

    def hold(self, name: str) -> AbstractContextManager[None]:
        """Work on a run for the block, which need not be there yet; nobody else may meanwhile.

        Raises:
            RunInUseError: If somebody does.
        """
        ...

    def begin_run(self, name: str, settings: Mapping[str, Any]) -> None:
        """Create a run, anew if it holds nothing yet; else it is left as it is."""
        ...

    def change_run(self, name: str, settings: Mapping[str, Any]) -> None:
        """Replace the settings of a run: its program has changed, and it is gone on with."""
        ...

    def plan_run(self, name: str, plan: Mapping[str, Any]) -> None:
        """Write what is run, replacing an earlier plan; see `Plan.to_json`."""
        ...

    def end_run(self, name: str, result: Mapping[str, Any]) -> None:
        """Write a run's result."""
        ...

    def delete_run(self, name: str) -> None:
        """Delete a run with all that belongs to it, at once; nothing, if there is none.

        Raises:
            RunInUseError: If somebody works on it.
        """
        ...

    def set_tasks(self, run: str, tasks: Iterable[Task]) -> None:
        """Write the tasks of a run's datasets, replacing those of an earlier start."""
        ...

    def tasks(self, run: str) -> list[Task]:
        """Return the tasks of a run's datasets, each split in its order."""
        ...

    def activity(self, run: str) -> Activity:
        """Return how far a run has come."""
        ...

    def rollout(self, run: str, key: RolloutKey) -> Mapping[str, Any] | None:
        """Return the record of a rollout; None if there is none, or the world failed it."""
        ...

    def add_rollout(self, run: str, key: RolloutKey, record: Mapping[str, Any]) -> None:
        """Write a rollout, replacing one of the same key: such as an unavailable one.

        What those that it replaces took was spent all the same: it is kept as ``replaced``.
        """
        ...

    def rollouts(
        self, run: str, since: float = 0.0
    ) -> Iterator[tuple[RolloutKey, Mapping[str, Any]]]:
        """Iterate over the rollouts of a run, in order of time.

        Args:
            run: The run.
            since: Only those that were written at this time, in seconds since the epoch, or later.
        """
        ...

    def call(self, run: str, key: str) -> Mapping[str, Any] | None:
        """Return the record of an optimizer call, or None."""
        ...

    def add_call(self, run: str, key: str, record: Mapping[str, Any]) -> None:
        """Write an optimizer call."""
        ...

    def calls(self, run: str) -> list[Mapping[str, Any]]:
        """Return the optimizer calls of a run, in order of time."""
        ...

    def add_candidate(self, run: str, id: str, record: Mapping[str, Any]) -> None:
        """Write a candidate, replacing one of the same id."""
        ...

    def candidates(self, run: str) -> list[Mapping[str, Any]]:
        """Return the candidates of a run, in order of time."""
        ...

    def close(self) -> None:
        """Close the store; it cannot be used afterwards."""
        ...


@dataclass(frozen=True, slots=True)
class Journal:
    """The part of a store that belongs to one run."""

    store: Store
    run: str
