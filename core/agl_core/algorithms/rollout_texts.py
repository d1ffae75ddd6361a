"""What an optimizer's model is told about a rollout, as text: cut where it is too long."""

from __future__ import annotations

import json

from agl_core.rollouts import Rollout

__all__ = ["error_text", "feedback_text", "metrics_text", "output_text", "score_text", "task_text"]

_TASK_CHARS = 2_000
_ERROR_CHARS = 3_000
_FEEDBACK_CHARS = 3_000


def score_text(rollout: Rollout) -> str:
    """Return the score, or ``none``."""
    return "none" if rollout.score is None else f"{rollout.score:.3g}"


def task_text(rollout: Rollout) -> str:
    """Return the task as JSON."""
    return _cut(json.dumps(rollout.task, ensure_ascii=False, default=str), _TASK_CHARS)


def output_text(rollout: Rollout) -> str:
    """Return what the program returned; empty if that is not known."""
    if rollout.output is None:
        return ""
    shown = rollout.output if isinstance(rollout.output, str) else json.dumps(rollout.output)
    return _cut(shown, _TASK_CHARS)


def error_text(rollout: Rollout) -> str:
    """Return the traceback; empty if the agent did not fail."""
    return _cut(rollout.error or "", _ERROR_CHARS)


def metrics_text(rollout: Rollout) -> str:
    """Return the metrics of the reward; empty if it has none."""
    metrics = {} if rollout.reward is None else rollout.reward.metrics
    return ", ".join(f"{name} {value:.3g}" for name, value in metrics.items())


def feedback_text(rollout: Rollout) -> str:
    """Return the reward's feedback; empty if it has none."""
    return _cut(rollout.feedback, _FEEDBACK_CHARS)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}… (cut)"
