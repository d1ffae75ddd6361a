"""What all trackers have in common: which facts of a run they keep, and that they never end one."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from agl_core.callbacks import Callback
from agl_core.candidates import Candidate
from agl_core.credentials import without_credentials
from agl_core.errors import ConfigurationError
from agl_core.plans import Plan
from agl_core.prompts.templates import PromptTemplate, Resources
from agl_core.result import TrainResult
from agl_core.text import printable

__all__ = [
    "Tracker",
    "outcome",
    "prompt_texts",
    "registered_names",
    "result_files",
    "settings",
    "text_with_fields",
]

_log = logging.getLogger("agl_adapters")


class Tracker(Callback, ABC):
    """A callback that keeps a run's scores, prompts and result somewhere else.

    A subclass keeps what it can. What its service does wrong is logged once, and the run goes on
    without it. For one run at a time.
    """

    def __init__(self) -> None:
        self._open = False
        self._candidates = 0
        self._scored: dict[str, float] = {}

    def on_start(self, plan: Plan) -> None:
        """Begin: what is run, and the seed's prompts."""
        self._open, self._candidates, self._scored = True, 0, {}
        self._try(self.begin, plan)

    def on_candidate(self, candidate: Candidate, score: float | None) -> None:
        """Keep a candidate that was validated, each time that its score changes."""
        if candidate.rejected or score is None or self._scored.get(candidate.id) == score:
            return
        self._scored[candidate.id] = score
        self._candidates += 1
        best = max(self._scored.values())
        self._try(self.candidate, candidate, score, best, self._candidates)

    def on_end(self, result: TrainResult) -> None:
        """Keep the result, and end well."""
        self._try(self.result, result)
        self._try(self.end, True)
        self._open = False

    def begin(self, plan: Plan) -> None:
        """Begin a run."""

    def candidate(self, candidate: Candidate, score: float, best: float, number: int) -> None:
        """Keep a validated candidate.

        Args:
            candidate: The candidate.
            score: Its mean validation score.
            best: The best of all so far.
            number: How many there were with it, from 1.
        """

    @abstractmethod
    def result(self, result: TrainResult) -> None:
        """Keep the result."""

    def end(self, succeeded: bool) -> None:
        """End the run."""

    def _try(self, action: Callable[..., None], *arguments: Any) -> None:
        if not self._open:
            return
        try:
            action(*arguments)
        except Exception as error:  # noqa: BLE001 - whatever the service raises, the run goes on
            self._open = False
            _log.warning(
                "%s keeps nothing more of this run: %s: %s",
                type(self).__name__,
                type(error).__name__,
                printable(without_credentials(str(error))),
            )


def result_files(result: TrainResult, folder: Path) -> list[Path]:
    """Write a result into a folder: the prompts, and the report as text and as a page.

    The page is made of the run's store; one in memory cannot be read here, and there is none.
    """
    text = folder / "report.txt"
    text.write_text(result.report(), encoding="utf-8")
    files = [result.save(folder / "prompts.json"), text]
    if Path(result.store).is_file():
        from agl_adapters.report import write_report

        files.append(write_report(result.store, result.run, folder / "report.html"))
    return files


def registered_names(
    prompts: Mapping[str, str | PromptTemplate], name: Callable[[str], str]
) -> Mapping[str, str]:
    """Return the name of each slot in a registry. Ask before the first is pushed.

    Raises:
        ConfigurationError: If a prompt is a Jinja template, or if the registry's letters do not
            tell two slots apart.
    """
    slot_of: dict[str, str] = {}
    for slot, prompt in prompts.items():
        if isinstance(prompt, PromptTemplate) and prompt.engine == "jinja":
            raise ConfigurationError(
                f"{slot} is a Jinja template, which cannot be kept in the registry: nothing was "
                "pushed; push the others without it"
            )
        other = slot_of.setdefault(name(slot), slot)
        if other != slot:
            raise ConfigurationError(
                f"{other} and {slot} would both be called {name(slot)} in the registry: "
                "push them one by one under names of your own"
            )
    return {slot: registered for registered, slot in slot_of.items()}


def text_with_fields(
    prompt: str | PromptTemplate, text: Callable[[str], str], field: Callable[[str], str]
) -> str:
    """Return a prompt in a notation of someone else's.

    Args:
        prompt: The prompt, no Jinja template; text is taken as it is.
        text: How a piece of text is written there.
        field: How a variable is.
    """
    template = PromptTemplate(prompt, "literal") if isinstance(prompt, str) else prompt
    return "".join(
        text(piece) + ("" if variable is None else field(variable))
        for piece, variable in template.segments
    )


def prompt_texts(resources: Resources) -> Mapping[str, str]:
    """Return the prompts as texts by name."""
    return {name: prompt.raw for name, prompt in resources.items()}


def settings(plan: Plan) -> Mapping[str, Any]:
    """Return what was run as flat settings."""
    return {
        "agent": plan.agent,
        "algorithm": plan.algorithm,
        "train_tasks": plan.train,
        "val_tasks": plan.val,
        "test_tasks": plan.test,
        "n_runners": plan.n_runners,
        "simulated": plan.simulated,
        "store": plan.store,
    }


def outcome(result: TrainResult) -> Mapping[str, float]:
    """Return the numbers of a result, those that there are."""
    usage = result.usage
    numbers: dict[str, float | None] = {
        "seed_validation": result.seed_score,
        "best_validation": result.best_score,
        "seed_test": None if result.test is None else result.test.seed_score,
        "best_test": None if result.test is None else result.test.best_score,
        "gain": None if result.comparison is None else result.comparison.gain,
        "gain_low": None if result.comparison is None else result.comparison.interval[0],
        "gain_high": None if result.comparison is None else result.comparison.interval[1],
        "rollouts": usage.rollouts,
        "model_calls": usage.model_calls,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "dollars": usage.dollars,
        "seconds": usage.seconds,
    }
    return {name: float(value) for name, value in numbers.items() if value is not None}
