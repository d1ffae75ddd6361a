"""APO: automatic prompt optimization by textual gradients.

After Pryzant et al., Automatic Prompt Optimization with "Gradient Descent" and Beam Search (EMNLP
2023), with the parameter names and defaults that Agent Lightning published.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from agl_core.algorithms.beam_search import BeamSearch
from agl_core.algorithms.demonstrations import Demonstrations
from agl_core.algorithms.editor import Editor
from agl_core.algorithms.evidence import SharedBatch
from agl_core.algorithms.fault_finding import SlotsToRewrite
from agl_core.algorithms.pool import ParentChoice
from agl_core.algorithms.racing import Race
from agl_core.algorithms.racing_search import RacingSearch
from agl_core.errors import ConfigurationError
from agl_core.prompts.rewrites import MAX_PROMPT_CHARS
from agl_core.session import Session
from agl_core.workloads import RunSize, Workload

__all__ = ["APO"]


class APO:
    """Evaluate, critique, rewrite.

    By default each round improves a good candidate by as few rollouts as it takes; see
    `RacingSearch`. `APO.published` is the beam search as it was published; see `BeamSearch`.

    A rewrite that is empty, unchanged, too long, or loses or invents a placeholder is rejected
    before it costs a rollout.

    Args:
        model: The model for critique and rewrite, if not given one by one.
        gradient_model: The model that writes critiques.
        apply_edit_model: The model that writes rewrites.
        gradient_batch_size: Training tasks per branch. Each round runs its parent on as many as
            all branches have together, once for all of its children.
        val_batch_size: Validation tasks per block: after each, a child that is worse is dropped.
        beam_width: With `branch_factor`, how many critiques a round asks for at most.
        branch_factor: See `beam_width`.
        beam_rounds: Rounds.
        diversity_temperature: Sampling temperature of critiques and rewrites.
        max_prompt_chars: The longest prompt that is accepted, in characters.
        parents: How a round chooses its parent.
        slots: Which prompts a rewrite changes, where there are several: those that the critiques
            find at fault, one of them, one of them in turn, or all; see `SlotsToRewrite`.
        demonstrations: How many examples of training runs that went well are added to each prompt
            of the best candidate in the end, to be raced like any other edit; see `Demonstrations`.

    Raises:
        ConfigurationError: If a number is out of range.
    """

    name = "APO"

    def __init__(  # noqa: PLR0913 - the published parameters
        self,
        model: str | None = None,
        *,
        gradient_model: str | None = None,
        apply_edit_model: str | None = None,
        gradient_batch_size: int = 4,
        val_batch_size: int = 16,
        beam_width: int = 4,
        branch_factor: int = 4,
        beam_rounds: int = 3,
        diversity_temperature: float = 1.0,
        max_prompt_chars: int = MAX_PROMPT_CHARS,
        parents: ParentChoice = "newest",
        slots: SlotsToRewrite = "at_fault",
        demonstrations: int = 0,
    ) -> None:
        self._settings: dict[str, Any] = {
            "gradient_model": gradient_model or model or "gpt-5-mini",
            "apply_edit_model": apply_edit_model or model or "gpt-4.1-mini",
            "gradient_batch_size": _at_least_one("gradient_batch_size", gradient_batch_size),
            "val_batch_size": _at_least_one("val_batch_size", val_batch_size),
            "beam_width": _at_least_one("beam_width", beam_width),
            "branch_factor": _at_least_one("branch_factor", branch_factor),
            "beam_rounds": _at_least_one("beam_rounds", beam_rounds),
            "diversity_temperature": _temperature(diversity_temperature),
            "max_prompt_chars": _at_least_one("max_prompt_chars", max_prompt_chars),
            "parents": parents,
            "slots": slots,
            "demonstrations": _whole("demonstrations", demonstrations, 0),
        }
        for name, choice, choices in (
            ("parents", parents, get_args(ParentChoice)),
            ("slots", slots, get_args(SlotsToRewrite)),
        ):
            if choice not in choices:
                raise ConfigurationError(f"{name} is {choice!r}; it is one of {', '.join(choices)}")
        branches = beam_width * branch_factor
        self._search: RacingSearch | BeamSearch = RacingSearch(
            editor=self._editor(),
            evidence=SharedBatch(gradient_batch_size * branches, branches),
            race=Race(val_batch_size),
            rounds=beam_rounds,
            parents=parents,
            demonstrations=Demonstrations(demonstrations, max_prompt_chars)
            if demonstrations
            else None,
        )

    @classmethod
    def published(
        cls, model: str | None = None, *, run_initial_validation: bool = True, **parameters: Any
    ) -> APO:
        """Return the plain beam search, as published, for comparison.

        Args:
            model: As for the class.
            run_initial_validation: Whether the seed is evaluated on all of the validation set.
            **parameters: The parameters of the class, without `parents` and `demonstrations`.

        Raises:
            ConfigurationError: If a number is out of range, or a parameter is one of those two.
        """
        for name in ("parents", "demonstrations"):
            if name in parameters:
                raise ConfigurationError(
                    f"the published search has no {name}: leave it out, or use APO(...)"
                )
        apo = cls(model, **parameters)
        settings = apo._settings
        del settings["parents"], settings["demonstrations"]
        settings["search"] = "published"
        settings["run_initial_validation"] = run_initial_validation
        apo._search = BeamSearch(
            editor=apo._editor(),
            gradient_batch_size=settings["gradient_batch_size"],
            val_batch_size=settings["val_batch_size"],
            beam_width=settings["beam_width"],
            branch_factor=settings["branch_factor"],
            beam_rounds=settings["beam_rounds"],
            run_initial_validation=run_initial_validation,
        )
        return apo

    @property
    def models(self) -> tuple[str, str]:
        """The models for critiques and for rewrites."""
        return self._settings["gradient_model"], self._settings["apply_edit_model"]

    def settings(self) -> Mapping[str, Any]:
        """Return the parameters."""
        return dict(self._settings)

    def workload(self, size: RunSize) -> Workload:
        """Return what a run takes; see `Planned`."""
        return self._search.workload(size)

    async def run(self, session: Session) -> None:
        """Search; see `Algorithm`."""
        await self._search.run(session)

    def _editor(self) -> Editor:
        settings = self._settings
        return Editor(
            settings["gradient_model"],
            settings["apply_edit_model"],
            settings["diversity_temperature"],
            settings["max_prompt_chars"],
            settings["slots"],
        )


def _at_least_one(name: str, value: int) -> int:
    return _whole(name, value, 1)


def _whole(name: str, value: int, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(f"{name} is {value!r}; it is a whole number, at least {least}")
    return value


def _temperature(value: float) -> float:
    if not 0.0 <= value <= 2.0:
        raise ConfigurationError(f"diversity_temperature is {value}; it is from 0.0 to 2.0")
    return value
