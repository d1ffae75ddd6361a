"""Candidates of a GEPA search: as the `gepa` package knows them, and as the run's history does."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from agl_core.candidates import Candidate
from agl_core.concurrency.bridge import Bridge
from agl_core.edits import PromptEdit
from agl_core.prompts.templates import Resources, fingerprint
from agl_core.session import Session

__all__ = ["GEPACandidates", "Texts", "resources_of", "texts_of"]

Texts = dict[str, str]
"""A candidate as the package knows it: the text of each prompt by name."""


class _Component(str):
    """A prompt's name whose hash is the same in every process.

    The package goes through sets of names and draws on the way: only so does a resumed run draw as
    the first one did.
    """

    __slots__ = ()

    def __hash__(self) -> int:
        return zlib.crc32(self.encode())


def texts_of(resources: Resources) -> Texts:
    """Return prompts as the package takes them."""
    return {_Component(name): prompt.raw for name, prompt in resources.items()}


def resources_of(texts: Texts, initial: Resources) -> Resources:
    """Return the package's texts as prompts, with the engines and placeholders of the seed's."""
    return {str(name): initial[str(name)].with_text(text) for name, text in texts.items()}


class GEPACandidates:
    """Observes the package and enters its candidates, with their parents, into the history.

    Methods that begin with `on_` are called by the package, in its thread.

    Attributes:
        iteration: The package's iteration, from 1; 0 before the first.
    """

    def __init__(self, session: Session, bridge: Bridge) -> None:
        self._session = session
        self._bridge = bridge
        self._children: dict[str, Candidate] = {}
        self._pool: list[str] = []
        self._best = -math.inf
        self.iteration = 0

    def add(self, child: Candidate) -> None:
        """Report a child that is about to be run. On the event loop."""
        self._children[child.id] = self._session.report(child)

    def is_validated(self, candidate: Candidate) -> bool:
        """Tell whether the candidate is in the package's pool."""
        return candidate.id in self._pool

    def say(self, message: str) -> None:
        """Tell those who watch the run. From the package's thread."""

        async def say() -> None:
            self._session.say(message)

        self._bridge.call(say)

    def on_iteration_start(self, event: Mapping[str, Any]) -> None:
        """Note the iteration; the one before it is over, which is a round."""
        if self.iteration:
            self._bridge.call(self._end_round)
        self.iteration = event["iteration"]

    def on_merge_attempted(self, event: Mapping[str, Any]) -> None:
        """Enter a merged candidate; the first of its parents counts as its parent."""
        first, *others = (self._pool[index] for index in event["parent_ids"])
        resources = resources_of(event["merged_candidate"], self._session.initial)
        own = self._children[first].resources
        merged = Candidate(
            resources,
            parent=first,
            edit="merge",
            round=self.iteration,
            metadata={"merged_with": others},
            # Texts of other candidates, taken over: no critique led to them here.
            edits={name: PromptEdit() for name in resources if resources[name] != own[name]},
        )
        self._enter(merged)

    def on_valset_evaluated(self, event: Mapping[str, Any]) -> None:
        """Enter a validated candidate with its score."""
        resources = resources_of(event["candidate"], self._session.initial)
        identity = fingerprint(resources)
        self._pool.append(identity)
        known = self._children.get(identity) or Candidate(resources)
        candidate = replace(known, score=self._session.validation_score(resources))
        self._enter(candidate)
        if candidate.score is not None and candidate.score > self._best:
            self._best = candidate.score
            self.say(f"iteration {self.iteration}: {identity[:6]} scores {self._best:.3f}")

    async def _end_round(self) -> None:
        self._session.end_round()

    def _enter(self, candidate: Candidate) -> None:
        async def add() -> None:
            self.add(candidate)

        self._bridge.call(add)
