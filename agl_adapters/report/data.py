"""The data of a page: what its scripts draw, filter and link, as small JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from agl_adapters.report.facts import RunFacts
from agl_core.text import printable

__all__ = ["page_data", "snippet"]

STATUSES = ("succeeded", "failed", "timed_out", "unavailable")
# Names under which tasks usually hold what is asked.
_QUESTIONS = ("input", "question", "query", "prompt", "instruction", "request", "task", "text")
_SNIPPET_CHARS = 160


def page_data(facts: RunFacts) -> dict[str, Any]:
    """Return what the page's scripts need of a run. All texts are safe to show."""
    result = facts.record.result or {}
    comparison = result.get("comparison")
    return {
        "run": printable(facts.record.name),
        "comparison": comparison
        and {name: comparison[name] for name in ("gain", "interval", "tasks", "split")},
        "statuses": STATUSES,
        "splits": facts.splits,
        "candidates": [
            {
                "number": c.number,
                "label": c.label,
                "id": c.short_id,
                "bound": c.bound,
                "parent": c.parent,
                "round": c.candidate.round,
                "score": _rounded(c.score),
                "validated": c.validation is not None,
                "rejected": bool(c.candidate.rejected),
                "best": c is facts.best,
                "known": c.known,
            }
            for c in facts.candidates
        ],
        "tasks": [
            [task.split, task.key, printable(task.name)[:80], snippet(task.data)]
            for task in facts.tasks
        ],
        "rollouts": _rollouts(facts),
    }


def _rollouts(facts: RunFacts) -> list[list[Any]]:
    """Return the rollouts as rows; `rollouts.js` names their columns."""
    return [
        [
            candidate.number,
            task.number,
            rollout.key.repeat,
            STATUSES.index(rollout.status),
            _rounded(rollout.score),
            round(rollout.seconds, 4),
            rollout.usage.model_calls,
            rollout.usage.tokens,
            snippet(rollout.note),
        ]
        for rollout, (candidate, task) in zip(facts.rollouts, facts.of_rollout, strict=True)
    ]


def snippet(value: Any) -> str:
    """Return the start of a task, or of another value, on one line."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        asked = next((value[n] for n in _QUESTIONS if isinstance(value.get(n), str)), None)
        value = value if asked is None else asked
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(printable(text[: 4 * _SNIPPET_CHARS]).split())
    return text if len(text) <= _SNIPPET_CHARS else f"{text[:_SNIPPET_CHARS]}…"


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 4)
