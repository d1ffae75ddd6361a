"""What a run's outcome is in plain words, wherever it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agl_core.spending.budgets import StopReason
from agl_core.statistics.comparisons import Comparison, Verdict

__all__ = ["EVALUATED", "VERDICTS", "is_evaluation", "stop_sentence", "where_compared"]

VERDICTS: Mapping[Verdict, str] = {
    "improved": "The whole interval is above zero: this is hardly chance.",
    "inconclusive": "The interval takes in zero: this may be chance. More tasks would tell.",
    "no_gain": "The seed's prompts stay: nothing better was found.",
}
"""What each verdict means."""

EVALUATED = "These are the prompts as they are: nothing else was tried."
"""What there is to say of a run that searched for nothing."""

_STOPS: Mapping[StopReason, str] = {
    "completed": "",
    "target": "The search stopped early: the target score was reached.",
    "patience": "The search stopped early: round after round found nothing better.",
    "unavailable": "The model service was not available: this is the best so far.",
    "failed": "An error ended the run: this is the best so far.",
    "interrupted": "The run was interrupted: this is the best so far.",
}


def is_evaluation(settings: Mapping[str, Any]) -> bool:
    """Tell from a run's settings whether it only scored the prompts, as `agl eval` does."""
    return settings.get("algorithm", {}).get("name") == "Baseline"


def stop_sentence(reason: StopReason) -> str:
    """Say why a run ended; nothing, if its algorithm was done."""
    return _STOPS.get(reason, f"The budget's {reason.replace('_', ' ')} were used up.")


def where_compared(comparison: Comparison) -> str:
    """Name the tasks that a comparison was made on."""
    if comparison.split == "test":
        return "test tasks that the search never saw"
    return "validation tasks (none were held out; the choice among candidates is accounted for)"
