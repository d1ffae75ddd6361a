"""Two runs set against each other."""

from __future__ import annotations

from typing import Any

from agl_adapters.report.data import snippet
from agl_adapters.report.diffs import prompt_diffs
from agl_adapters.report.facts import CandidateFacts, RolloutFacts, RunFacts, mean_score
from agl_adapters.report.views import NONE, moment, shown_number, stats
from agl_adapters.wording import is_evaluation
from agl_core.text import printable

__all__ = ["comparison_view", "outcome"]

_MOST = 50


def outcome(facts: RunFacts) -> dict[str, Any]:
    """Return how a run came out, in figures: both scores, the gain, and on what."""
    result = facts.record.result or {}
    comparison = result.get("comparison")
    if comparison is not None:
        return {
            "kind": result["verdict"],
            "outcome": result["verdict"].replace("_", " "),
            "split": comparison["split"],
            "seed": comparison["seed_score"],
            "best": comparison["best_score"],
            "gain": comparison["gain"],
        }
    seed, best = facts.seed, facts.finalist
    verdict = result.get("verdict", "not ended")
    if facts.record.result is not None and is_evaluation(facts.record.settings):
        verdict = "evaluated"
    return {
        "kind": result.get("verdict", "open"),
        "outcome": verdict.replace("_", " "),
        "split": "val" if seed is not None and seed.validation is not None else "",
        "seed": None if seed is None else seed.validation,
        "best": None if best is None else best.validation,
        "gain": None,
    }


def comparison_view(a: RunFacts, b: RunFacts) -> dict[str, Any]:
    """Return the context of the page that compares two runs. All texts are safe to show."""
    tasks = _tasks(a, b)
    both = (a, b)
    return {
        "names": [printable(facts.record.name) for facts in both],
        "raw_names": [facts.record.name for facts in both],
        "simulated": a.simulated or b.simulated,
        "notes": _notes(a, b),
        "intervals": [
            {
                "name": letter,
                **{name: facts.record.result["comparison"][name] for name in ("gain", "interval")},
            }
            for letter, facts in zip("AB", both, strict=True)
            if facts.record.result is not None and facts.record.result["comparison"] is not None
        ],
        "rows": _rows(a, b),
        "diffs": prompt_diffs(*(_resources(facts) for facts in both)),
        "common": bool(tasks),
        "tasks": [task for task in tasks if task["a"] != task["b"]],
        "better": sum(task["b"] > task["a"] for task in tasks),
        "worse": sum(task["b"] < task["a"] for task in tasks),
        "same": sum(task["b"] == task["a"] for task in tasks),
        "most": _MOST,
    }


def _rows(a: RunFacts, b: RunFacts) -> list[tuple[str, str, str]]:
    columns = [_column(facts) for facts in (a, b)]
    names = dict.fromkeys(name for column in columns for name in column)
    return [(name, columns[0].get(name, NONE), columns[1].get(name, NONE)) for name in names]


def _column(facts: RunFacts) -> dict[str, str]:
    settings = facts.record.settings
    came = outcome(facts)
    seed, best = facts.seed, facts.finalist
    return {
        "agent": printable(str(settings.get("agent", NONE))),
        "algorithm": printable(str(settings.get("algorithm", {}).get("name", NONE))),
        "started": moment(facts.record.created),
        "outcome": came["outcome"],
        "validation, seed": shown_number(None if seed is None else seed.validation),
        "validation, best": shown_number(None if best is None else best.validation),
        **{
            f"{came['split']}, {name}": shown_number(came[name])
            for name in ("seed", "best")
            if came["split"] == "test"
        },
        **{
            name.lower(): f"{value} ({note})" if note else value
            for name, value, note in stats(facts)
        },
    }


def _notes(a: RunFacts, b: RunFacts) -> list[str]:
    if a.record.settings.get("val") != b.record.settings.get("val"):
        return ["Their validation tasks differ: their scores are not comparable."]
    return []


def _resources(facts: RunFacts) -> dict[str, Any]:
    chosen = facts.best or facts.finalist or facts.seed
    return {} if chosen is None else dict(chosen.candidate.resources)


def _tasks(a: RunFacts, b: RunFacts) -> list[dict[str, Any]]:
    """Return the tasks that the best of both were run on, the largest differences first."""
    ours, theirs = _of_best(a), _of_best(b)
    tasks: list[dict[str, Any]] = []
    for task in a.tasks:
        key = (task.split, task.key)
        one, other = mean_score(ours.get(key, ())), mean_score(theirs.get(key, ()))
        if one is None or other is None:
            continue
        tasks.append(
            {
                "name": printable(task.name),
                "text": snippet(task.data),
                "split": task.split,
                "a": one,
                "b": other,
                "a_key": str(ours[key][0].key),
                "b_key": str(theirs[key][0].key),
            }
        )
    return sorted(tasks, key=lambda task: -abs(task["b"] - task["a"]))


def _of_best(facts: RunFacts) -> dict[tuple[str, str], list[RolloutFacts]]:
    best: CandidateFacts | None = facts.best or facts.finalist
    found: dict[tuple[str, str], list[RolloutFacts]] = {}
    for (candidate, task), rollouts in facts.cells.items():
        if best is not None and candidate == best.number:
            known = facts.tasks[task]
            found[known.split, known.key] = list(rollouts)
    return found
