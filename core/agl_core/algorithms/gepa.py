"""GEPA: reflective prompt evolution, by the `gepa` package, on our rollouts.

After Agrawal et al., GEPA: Reflective Prompt Evolution Can Outperform Reinforcement Learning, 2025.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, Literal, get_args

from agl_core.algorithms.gepa_adapter import GEPAAdapter, PairedAcceptance
from agl_core.algorithms.gepa_candidates import GEPACandidates, texts_of
from agl_core.algorithms.gepa_reflection import GEPAReflection
from agl_core.candidates import Candidate
from agl_core.concurrency.bridge import Bridge
from agl_core.errors import ConfigurationError, MissingDependencyError
from agl_core.prompts.rewrites import MAX_PROMPT_CHARS
from agl_core.session import Session

__all__ = ["GEPA"]

Selection = Literal["pareto", "current_best", "epsilon_greedy", "top_k_pareto"]
Acceptance = Literal["strict_improvement", "improvement_or_equal"]
Modules = Literal["round_robin", "all"]


class GEPA:
    """Reflect on a few rollouts of a candidate, rewrite one of its prompts, keep what is better.

    The search is that of the `gepa` package (extra ``gepa``); rollouts, cache, journal, budget and
    model calls are those of the run. So unlike the package alone it keeps a budget to the rollout,
    resumes without running anything twice, never takes a rollout of one split for one of the
    other, runs async agents, and lets no rewrite pass that loses a placeholder. A rollout that the
    world failed stays out of comparisons.

    Parameters have the package's names and, but for `cache_evaluation` and
    `max_iterations_without_improvement`, its defaults.

    Args:
        model: The same as `reflection_lm`.
        reflection_lm: The model that reads rollouts and writes new prompts.
        candidate_selection_strategy: How a parent is chosen.
        reflection_minibatch_size: Training tasks on which a child is compared with its parent.
        skip_perfect_score: Whether a parent without fault on its minibatch is left alone.
        perfect_score: The reward of a run without fault.
        module_selector: Which prompts a reflection rewrites: one after the other, or all.
        use_merge: Whether candidates that changed different prompts are merged.
        max_merge_invocations: How many merges are tried at most.
        merge_val_overlap_floor: Validation tasks that two candidates to be merged must share.
        acceptance_criterion: Whether a child that is only as good as its parent is validated.
        cache_evaluation: Whether a candidate that is run on a training task again is given the
            rollout that it has. Without it, rollouts of minibatches are fresh.
        max_metric_calls: A cap on the evaluations that this search asks for, those of one candidate
            on one task counted once. Kept, where the package would overshoot it. The run's budget
            holds besides.
        max_iterations_without_improvement: Iterations after which a search that finds nothing
            better ends.
        reflection_prompt_template: The request to `reflection_lm`, with ``<curr_param>`` and
            ``<side_info>``; the package's own by default.
        proposals: Children per iteration, each of a parent and on a minibatch of its own.
        temperature: Sampling temperature of reflections.
        max_prompt_chars: The longest prompt that is accepted, in characters.

    Raises:
        ConfigurationError: If a parameter is out of range.
        MissingDependencyError: If the package is not installed.
    """

    name = "GEPA"

    def __init__(  # noqa: PLR0913 - the package's parameters
        self,
        model: str | None = None,
        *,
        reflection_lm: str | None = None,
        candidate_selection_strategy: Selection = "pareto",
        reflection_minibatch_size: int = 3,
        skip_perfect_score: bool = True,
        perfect_score: float = 1.0,
        module_selector: Modules = "round_robin",
        use_merge: bool = False,
        max_merge_invocations: int = 5,
        merge_val_overlap_floor: int = 5,
        acceptance_criterion: Acceptance = "strict_improvement",
        cache_evaluation: bool = True,
        max_metric_calls: int | None = None,
        max_iterations_without_improvement: int = 20,
        reflection_prompt_template: str | None = None,
        proposals: int = 1,
        temperature: float = 1.0,
        max_prompt_chars: int = MAX_PROMPT_CHARS,
    ) -> None:
        self._settings: dict[str, Any] = {
            "reflection_lm": reflection_lm or model or "gpt-5-mini",
            "candidate_selection_strategy": candidate_selection_strategy,
            "reflection_minibatch_size": reflection_minibatch_size,
            "skip_perfect_score": skip_perfect_score,
            "perfect_score": perfect_score,
            "module_selector": module_selector,
            "use_merge": use_merge,
            "max_merge_invocations": max_merge_invocations,
            "merge_val_overlap_floor": merge_val_overlap_floor,
            "acceptance_criterion": acceptance_criterion,
            "cache_evaluation": cache_evaluation,
            "max_metric_calls": max_metric_calls,
            "max_iterations_without_improvement": max_iterations_without_improvement,
            "reflection_prompt_template": reflection_prompt_template,
            "proposals": proposals,
            "temperature": temperature,
            "max_prompt_chars": max_prompt_chars,
        }
        _check(self._settings)
        if find_spec("gepa") is None:
            raise MissingDependencyError(
                "agl.GEPA needs the gepa package: pip install 'agl-adapters[gepa]'"
            )

    @property
    def models(self) -> tuple[str]:
        """The model for reflections."""
        return (self._settings["reflection_lm"],)

    def settings(self) -> Mapping[str, Any]:
        """Return the parameters."""
        return dict(self._settings)

    async def run(self, session: Session) -> None:
        """Search; see `Algorithm`."""
        bridge, seed = Bridge(), session.rng.getrandbits(32)
        session.report(Candidate(session.initial))
        # The package is blocking code; whatever it asks for is a coroutine of the session.
        await bridge.run(lambda: self._optimize(session, bridge, seed))

    def _optimize(self, session: Session, bridge: Bridge, seed: int) -> None:
        from gepa.api import optimize
        from gepa.strategies.proposal_sampling import IndependentSampling
        from gepa.utils import NoImprovementStopper

        settings = self._settings
        candidates = GEPACandidates(session, bridge)
        stall = NoImprovementStopper(settings["max_iterations_without_improvement"])
        optimize(
            seed_candidate=texts_of(session.initial),
            trainset=list(session.train),
            valset=list(session.val),
            adapter=GEPAAdapter(session, bridge, candidates, settings),
            reflection_strategy=GEPAReflection(session, bridge, candidates, settings),
            acceptance_criterion=PairedAcceptance(
                settings["acceptance_criterion"] == "improvement_or_equal"
            ),
            sampling_strategy=IndependentSampling(settings["proposals"]),
            stop_callbacks=stall,
            callbacks=[candidates],  # pyright: ignore[reportArgumentType]
            logger=_Silence(),
            track_best_outputs=False,
            seed=seed,
            **{name: settings[name] for name in _PASSED},
        )
        candidates.say(
            f"stopped: nothing better in {stall.iterations_without_improvement} iterations"
        )


class _Silence:
    """The package's logger. It would print whole prompts; what is worth knowing, we say."""

    def log(self, message: str) -> None:
        """Drop it."""


_PASSED = (
    "candidate_selection_strategy",
    "skip_perfect_score",
    "perfect_score",
    "reflection_minibatch_size",
    "module_selector",
    "use_merge",
    "max_merge_invocations",
    "merge_val_overlap_floor",
)
_COUNTS = (
    "reflection_minibatch_size",
    "max_merge_invocations",
    "merge_val_overlap_floor",
    "max_iterations_without_improvement",
    "proposals",
    "max_prompt_chars",
)
_CHOICES = {
    "candidate_selection_strategy": get_args(Selection),
    "module_selector": get_args(Modules),
    "acceptance_criterion": get_args(Acceptance),
}


def _check(settings: Mapping[str, Any]) -> None:
    limit = settings["max_metric_calls"]
    for name in (*_COUNTS, *(() if limit is None else ("max_metric_calls",))):
        value = settings[name]
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ConfigurationError(f"{name} is {value!r}; it is a whole number, at least 1")
    for name, choices in _CHOICES.items():
        if settings[name] not in choices:
            raise ConfigurationError(
                f"{name} is {settings[name]!r}; it is one of {', '.join(choices)}"
            )
    if not 0.0 <= settings["temperature"] <= 2.0:
        raise ConfigurationError(f"temperature is {settings['temperature']}; it is from 0.0 to 2.0")
    template = settings["reflection_prompt_template"]
    for place in ("<curr_param>", "<side_info>"):
        if template is not None and place not in template:
            raise ConfigurationError(f"reflection_prompt_template lacks {place}")
