"""Callbacks: what a run tells those who watch it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from agl_core.privacy.redaction import Redaction
from agl_core.text import printable

if TYPE_CHECKING:
    from agl_core.candidates import Candidate
    from agl_core.plans import Plan
    from agl_core.result import TrainResult
    from agl_core.rollouts import Rollout
    from agl_core.spending.budgets import Usage

__all__ = ["Callback", "Callbacks", "Logged"]

_log = logging.getLogger("agl_adapters")


class Callback:
    """Watches a run. Override what is of interest; every method does nothing by itself.

    Called on the run's event loop, one at a time; a slow method slows the run. An exception ends
    the run.
    """

    def on_open(self) -> None:
        """Something is about to run: a program that exists is run first, to find its prompts."""

    def on_start(self, plan: Plan) -> None:
        """The prompts are known and the algorithm is about to run."""

    def on_rollout(self, rollout: Rollout, cached: bool) -> None:
        """A rollout ended, or was read from the journal."""

    def on_call(self, model: str, cached: bool) -> None:
        """A model call of the optimizer ended, or was read from the journal."""

    def on_spent(self, usage: Usage) -> None:
        """What is spent has changed: a rollout or an optimizer call was paid for."""

    def on_candidate(self, candidate: Candidate, score: float | None) -> None:
        """The algorithm reported a candidate; `score` is on the whole validation set, if known."""

    def on_message(self, message: str) -> None:
        """Something worth telling happened: a round ended, a slot was left out."""

    def on_warning(self, message: str) -> None:
        """Something happened that the user should know of; a message like others by default."""
        self.on_message(message)

    def on_close(self) -> None:
        """Nothing runs any more: it all went well, or ended with an error, or was a dry pass."""

    def on_end(self, result: TrainResult) -> None:
        """The run is over and has a result."""


class Logged(Callback):
    """Passes plan and messages on to the logger ``agl_adapters``: the default of a trainer.

    Python shows warnings of a logger that nobody has configured on standard error.
    """

    def on_start(self, plan: Plan) -> None:
        """Log what the run takes and can show, as information."""
        for line in plan.lines():
            _log.info("plan: %s", line)

    def on_message(self, message: str) -> None:
        """Log it as information."""
        _log.info(message)

    def on_warning(self, message: str) -> None:
        """Log it as a warning."""
        _log.warning(message)


class Callbacks(Callback):
    """Several callbacks as one. What they are told in words is safe to print and to keep."""

    def __init__(self, callbacks: tuple[Callback, ...], redaction: Redaction | None = None) -> None:
        self._callbacks = callbacks
        self._redaction = redaction or Redaction()

    def on_open(self) -> None:
        """Tell all."""
        for callback in self._callbacks:
            callback.on_open()

    def on_start(self, plan: Plan) -> None:
        """Tell all."""
        for callback in self._callbacks:
            callback.on_start(plan)

    def on_rollout(self, rollout: Rollout, cached: bool) -> None:
        """Tell all."""
        for callback in self._callbacks:
            callback.on_rollout(rollout, cached)

    def on_call(self, model: str, cached: bool) -> None:
        """Tell all."""
        for callback in self._callbacks:
            callback.on_call(model, cached)

    def on_spent(self, usage: Usage) -> None:
        """Tell all."""
        for callback in self._callbacks:
            callback.on_spent(usage)

    def on_candidate(self, candidate: Candidate, score: float | None) -> None:
        """Tell all."""
        for callback in self._callbacks:
            callback.on_candidate(candidate, score)

    def on_message(self, message: str) -> None:
        """Tell all."""
        for callback in self._callbacks:
            callback.on_message(self._sayable(message))

    def on_warning(self, message: str) -> None:
        """Tell all."""
        for callback in self._callbacks:
            callback.on_warning(self._sayable(message))

    def on_close(self) -> None:
        """Tell all."""
        for callback in self._callbacks:
            callback.on_close()

    def on_end(self, result: TrainResult) -> None:
        """Tell all."""
        for callback in self._callbacks:
            callback.on_end(result)

    def _sayable(self, message: str) -> str:
        return printable(self._redaction.shown(message))
