"""What the templates show of a run: facts in words and figures. All texts are safe to show."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, NamedTuple

from agl_adapters.report.cards import candidate_card, title
from agl_adapters.report.changes import task_changes
from agl_adapters.report.diffs import PromptDiff, prompt_diffs
from agl_adapters.report.facts import RunFacts
from agl_adapters.wording import (
    EVALUATED,
    VERDICTS,
    is_evaluation,
    stop_sentence,
    where_compared,
)
from agl_core.result import outlook
from agl_core.statistics.comparisons import Comparison
from agl_core.text import cut, printable

__all__ = ["NONE", "moment", "run_view", "shown_number", "stats"]

NONE = "\N{EN DASH}"
"""What stands where there is no value."""

_SECTIONS = (
    ("verdict", "Verdict"),
    ("prompts", "Prompts"),
    ("scores", "Scores"),
    ("tasks", "Tasks"),
    ("candidates", "Candidates"),
    ("rollouts", "Rollouts"),
    ("about", "About"),
)
_HEADLINES = {"improved": "Improved", "inconclusive": "Inconclusive", "no_gain": "No gain"}
_MARKS = {"improved": "▲", "inconclusive": "◆", "no_gain": "■"}
_FRESH = 60.0
"""Seconds after which a run that writes nothing is no longer said to be running."""


class _Scores(NamedTuple):
    """The two scores that are set against each other."""

    seed: float | None
    best: float | None
    gain: float | None
    name: str


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What there is to say about the outcome."""

    kind: str
    headline: str
    mark: str
    sentences: Sequence[str]
    scores: _Scores | None = None
    comparison: Comparison | None = None


def run_view(facts: RunFacts, now: float) -> dict[str, Any]:
    """Return the context of a run's page.

    Args:
        facts: The run.
        now: The time at which it was read, in seconds since the epoch.
    """
    finalist = facts.finalist
    name = "candidate" if finalist is None else title(finalist)
    return {
        "facts": facts,
        "record": facts.record,
        "run": _run(facts, now),
        "sections": _SECTIONS,
        "verdict": _verdict(facts, now),
        "stats": stats(facts),
        "diffs": _diffs(facts),
        "diffs_name": _diffs_name(facts),
        "diffs_note": _diffs_note(facts),
        "slots": _slots(facts),
        "left_alone": _left_alone(facts),
        "rounds": _rounds(facts),
        "changes": task_changes(facts),
        "finalist_name": name,
        "most": 12,
        "candidates": [
            candidate_card(facts, c) for c in facts.candidates if not c.candidate.rejected
        ],
        "rejected": [candidate_card(facts, c) for c in facts.candidates if c.candidate.rejected],
        "settings": _settings(facts),
        "notes": _notes(facts),
    }


def moment(seconds: float) -> str:
    """Return a time in words."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%d %B %Y, %H:%M UTC").lstrip("0")


def shown_number(value: float | None, digits: int = 3) -> str:
    """Return a number as text; a dash if there is none."""
    return NONE if value is None else f"{value:.{digits}f}"


def _run(facts: RunFacts, now: float) -> dict[str, Any]:
    record = facts.record
    return {
        "name": printable(record.name),
        "agent": printable(str(record.settings.get("agent", "an agent"))),
        "algorithm": printable(str(record.settings.get("algorithm", {}).get("name", "?"))),
        "created": moment(record.created),
        "created_iso": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="seconds"),
        "is_evaluation": is_evaluation(record.settings),
        "ended": record.result is not None,
        "state": _state(facts, now),
    }


def _state(facts: RunFacts, now: float) -> str:
    if facts.record.result is not None:
        return "ended"
    latest = max(facts.activity.latest, facts.record.created)
    if now - latest < _FRESH:
        return "running"
    return f"not ended, last heard of {moment(latest)}"


def _verdict(facts: RunFacts, now: float) -> _Verdict:
    result = facts.record.result
    if result is None:
        return _Verdict(
            "open",
            _state(facts, now).capitalize(),
            "…",
            [f"{len(facts.rollouts)} rollouts so far. There is no verdict before the run ends."],
            _validation_scores(facts),
        )
    seed = facts.seed
    if is_evaluation(facts.record.settings) and seed is not None and seed.validation is not None:
        tasks = sum(task.split == "val" for task in facts.tasks)
        mean = f"The mean score on {tasks} tasks. {EVALUATED}"
        headline = f"Scores {shown_number(seed.validation)}"
        return _Verdict("scored", headline, _MARKS["no_gain"], [mean])
    kind = result["verdict"]
    sentences: list[str] = []
    comparison = _comparison(result)
    scores = _validation_scores(facts)
    if comparison is not None:
        low, high = comparison.interval
        name = "best" if facts.finalist is facts.best or facts.finalist is None else "candidate"
        scores = _Scores(comparison.seed_score, comparison.best_score, comparison.gain, name)
        sentences.append(
            f"Mean scores on {comparison.tasks} {where_compared(comparison)}; "
            f"the 95% interval of the gain is {low:+.3f} to {high:+.3f}."
        )
    sentences.append(VERDICTS.get(kind, ""))
    if comparison is not None and kind == "inconclusive":
        sentences.append(outlook(comparison))
    sentences.append(stop_sentence(result["stop_reason"]))
    return _Verdict(
        kind,
        _HEADLINES.get(kind, kind),
        _MARKS.get(kind, ""),
        [*filter(None, sentences)],
        scores,
        comparison,
    )


def _validation_scores(facts: RunFacts) -> _Scores | None:
    seed, best = facts.seed, facts.finalist
    if seed is None or best is None or seed.validation is None or best.validation is None:
        return None
    return _Scores(seed.validation, best.validation, best.validation - seed.validation, "best")


def _comparison(result: Mapping[str, Any]) -> Comparison | None:
    data = result.get("comparison")
    if data is None:
        return None
    known = {field.name for field in fields(Comparison)}
    return Comparison(**{name: value for name, value in data.items() if name in known})


def stats(facts: RunFacts) -> list[tuple[str, str, str]]:
    """Return what a run came to, in figures: name, value, note."""
    usage = facts.usage
    tokens = usage["input_tokens"] + usage["output_tokens"]
    made = [c for c in facts.candidates if c.known and not c.is_seed]
    rejected = sum(bool(c.candidate.rejected) for c in made)
    failed = sum(rollout.status in ("failed", "timed_out") for rollout in facts.rollouts)
    figures = [
        ("Candidates", str(len(made)), f"{rejected} rejected" if rejected else ""),
        ("Rollouts", f"{usage['rollouts']:,.0f}", f"{failed} failed" if failed else ""),
        ("Model calls", f"{usage['model_calls']:,.0f}", ""),
        ("Tokens", f"{tokens:,.0f}", ""),
        ("Time", _duration(usage["seconds"]), ""),
    ]
    unpriced = ", ".join(usage.get("unpriced", ()))
    if usage.get("dollars") or unpriced:
        note = f"no price for {unpriced}" if unpriced else ""
        figures.insert(4, ("Cost", f"${usage['dollars']:,.2f}", note))
    return figures


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 100:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def _diffs(facts: RunFacts) -> list[PromptDiff]:
    if facts.seed is None:
        return []
    after = facts.finalist or facts.seed
    return prompt_diffs(facts.seed.candidate.resources, after.candidate.resources)


def _diffs_name(facts: RunFacts) -> str:
    if facts.finalist is None:
        return "seed"
    return "best" if facts.finalist is facts.best else title(facts.finalist)


def _diffs_note(facts: RunFacts) -> str:
    if facts.finalist is None:
        return "There is nothing but the seed's prompts."
    if facts.finalist is facts.best:
        when = "came back" if facts.record.result is not None else "are the best so far"
        return f"From the seed's prompts to those that {when}: {title(facts.finalist)}."
    if facts.record.result is None:
        return (
            "No candidate is known to be better than the seed yet. This is how "
            f"{title(facts.finalist)} differs, which scores best of the others."
        )
    return (
        f"The seed's prompts came back. This is how {title(facts.finalist)} "
        "differs, which was compared with them."
    )


def _rounds(facts: RunFacts) -> list[dict[str, Any]]:
    rounds: list[dict[str, Any]] = []
    so_far: float | None = None
    known = [c for c in facts.candidates if c.known]
    if all(candidate.score is None for candidate in known):
        return []
    for number in sorted({c.candidate.round for c in known}):
        made = [c for c in known if c.candidate.round == number]
        scores = [c.validation for c in made if c.validation is not None]
        best = max(scores, default=None)
        if best is not None and (so_far is None or best > so_far):
            so_far = best
        rejected = sum(bool(c.candidate.rejected) for c in made)
        rounds.append(
            {
                "round": number,
                "candidates": len(made) - rejected,
                "rejected": rejected,
                "best": best,
                "so_far": so_far,
            }
        )
    return rounds


def _slots(facts: RunFacts) -> dict[str, str]:
    """Say where each prompt stands in the program, and how often it is sent."""
    told: dict[str, str] = {}
    for name, slot in ((facts.record.plan or {}).get("slots") or {}).items():
        calls = slot.get("calls_per_rollout")
        often = "once" if calls == 1 else f"{calls:.3g} times" if calls else ""
        parts = [slot.get("place"), f"sent {often} a rollout" if often else None]
        told[printable(name)] = printable(", ".join(filter(None, parts)))
    return told


def _left_alone(facts: RunFacts) -> list[tuple[str, str]]:
    """Name the prompts that were found and not optimized, and say why."""
    slots = (facts.record.plan or {}).get("slots") or {}
    return [
        (printable(name), printable(slot.get("reason") or "nobody asked for it"))
        for name, slot in slots.items()
        if slot.get("state") != "optimized"
    ]


def _settings(facts: RunFacts) -> list[tuple[str, str]]:
    record = facts.record
    plan: Mapping[str, Any] = record.plan or {}
    settings: dict[str, Any] = {
        "agent": record.settings.get("agent"),
        **record.settings.get("algorithm", {}),
        "seed of all that is random": record.settings.get("seed"),
        "failure reward": record.settings.get("failure_reward"),
        "runners": plan.get("n_runners"),
        "changed since it began": ", ".join(record.settings.get("changed", ())) or None,
    }
    for split in ("train", "val", "test"):
        if plan.get(split):
            settings[f"{split} tasks"] = plan[split]
    for name, cap in (plan.get("budget") or {}).items():
        if cap is not None:
            settings[f"budget: {name}"] = cap
    if "name" in settings:
        settings["algorithm"] = settings.pop("name")
    return [
        (printable(name.replace("_", " ")), _setting(value))
        for name, value in settings.items()
        if value is not None
    ]


def _setting(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return cut(printable(text), 500)


def _notes(facts: RunFacts) -> list[str]:
    notes: list[str] = []
    if facts.simulated:
        notes.append(
            "SIMULATED: the answers came from the simulated model that is part of agl-adapters. "
            "It understands no language. The figures show that the machinery works; they say "
            "nothing about how much a real model gains."
        )
    if unavailable := sum(r.status == "unavailable" for r in facts.rollouts):
        notes.append(
            f"{unavailable} rollouts have no score because the model service was not available; "
            "they are left out of all means."
        )
    return notes
