from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agl_core.candidates import Candidate
from agl_core.errors import ConfigurationError
from agl_core.prompts.prompt_files import read_prompt_file
from agl_core.prompts.templates import PromptTemplate
from agl_core.result import CandidateRecord, TrainResult, prompt_diff
from agl_core.spending.budgets import Usage
from agl_core.statistics.comparisons import Comparison

SEED = {"a": PromptTemplate("Be brief.\nBe kind."), "b": PromptTemplate("Hi {name}.")}
BEST = {**SEED, "a": PromptTemplate("Be brief.\nBe very kind.")}


def make(**fields: Any) -> TrainResult:
    values: dict[str, Any] = {
        "run": "r1",
        "best": BEST,
        "seed": SEED,
        "best_score": 0.75,
        "seed_score": 0.5,
        "test": Comparison(0.5, 0.8, 0.3, (0.1, 0.5), 29, "test"),
        "comparison": Comparison(0.5, 0.8, 0.3, (0.1, 0.5), 29, "test"),
        "verdict": "improved",
        "stop_reason": "completed",
        "usage": Usage(10, 5, 100, 20, 0.0, 1.5),
        "history": [],
        "store": "runs.db",
        "replaces": SEED,
    }
    return TrainResult(**{**values, **fields})


class TestDiff:
    def test_shows_what_changed_prompt_by_prompt(self) -> None:
        assert make().diff() == (
            "--- a (seed)\n+++ a (best)\n@@ -1,2 +1,2 @@\n Be brief.\n-Be kind.\n+Be very kind.\n"
        )

    def test_of_the_same_prompts_is_empty(self) -> None:
        assert make(best=SEED).diff() == ""
        assert not make(best=SEED).improved
        assert make().improved

    def test_shows_prompts_that_only_one_side_has(self) -> None:
        assert "+new" in prompt_diff({}, {"a": PromptTemplate("new")})
        assert "-old" in prompt_diff({"a": PromptTemplate("old")}, {})


class TestReport:
    def test_says_it_in_a_few_lines(self) -> None:
        assert make().report().splitlines()[:5] == [
            "run r1: improved, stopped: completed",
            "validation: seed 0.500, best 0.750",
            "test split, 29 tasks: seed 0.500, best 0.800, gain +0.300 [+0.100, +0.500], improved",
            "spent: 10 rollouts, 5 model calls, 120 tokens, 1.5 s",
            "",
        ]
        assert "+Be very kind." in make().report()

    def test_says_where_the_verdict_is_from_if_nothing_was_held_out(self) -> None:
        comparison = Comparison(0.5, 0.6, 0.1, (-0.1, 0.3), 29, "val")
        text = make(test=None, comparison=comparison, verdict="inconclusive").report()
        assert "validation (nothing was held out; the choice among candidates is accounted" in text

    def test_says_what_so_many_tasks_can_show_where_it_is_inconclusive(self) -> None:
        comparison = Comparison(0.5, 0.6, 0.1, (-0.1, 0.3), 25, "test", spread=0.5)
        text = make(test=comparison, comparison=comparison, verdict="inconclusive").report()
        assert (
            "\nSo many tasks show a gain of 0.28 or more (four times in five); "
            "to show one of 0.100, about 210 tasks are needed.\n"
        ) in text
        few = Comparison(0.0, 1.0, 1.0, (1.0, 1.0), 5, "test")
        text = make(test=few, comparison=few, verdict="inconclusive").report()
        assert "show no gain (four times in five); to show one of 1.000, about 6 tasks" in text
        assert "So many tasks" not in make().report()

    def test_does_without_what_there_is_not(self) -> None:
        text = make(best=SEED, test=None, comparison=None, best_score=None, seed_score=None)
        assert text.report().splitlines()[1:] == [
            "validation: seed none, best none",
            "spent: 10 rollouts, 5 model calls, 120 tokens, 1.5 s",
        ]


def test_no_text_of_a_prompt_or_run_moves_a_terminal() -> None:
    """The report and the diff are printed as they are."""
    hostile = "\x1b[2J\x1b]0;owned\x07\x9b31m\r\u202e"
    result = make(run=hostile, best={f"a{hostile}": PromptTemplate(f"Be {hostile}.", "literal")})
    for text in (result.report(), result.diff()):
        assert "\N{REPLACEMENT CHARACTER}[2J" in text
        assert not any(character in text for character in "\x1b\x07\x9b\r\u202e")


class TestSave:
    def test_writes_the_prompts_with_what_they_replace(self, tmp_path: Path) -> None:
        file = read_prompt_file(make().save(tmp_path / "new" / "prompts.json"))
        assert (file.prompts, file.replaces) == (BEST, SEED)
        assert (file.run, file.verdict) == ("r1", "improved")
        assert file.scores == {
            "seed_validation": 0.5,
            "best_validation": 0.75,
            "seed_test": 0.5,
            "best_test": 0.8,
            "test_gain": 0.3,
            "test_gain_low": 0.1,
            "test_gain_high": 0.5,
            "test_tasks": 29,
        }

    def test_writes_no_test_scores_where_there_was_no_test(self, tmp_path: Path) -> None:
        file = read_prompt_file(make(test=None, seed_score=None).save(tmp_path / "prompts.json"))
        assert file.scores == {"seed_validation": None, "best_validation": 0.75}

    def test_what_cannot_be_written_is_an_error_that_names_it(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match=r"cannot write .*: Is a directory"):
            make().save(tmp_path)


def test_a_result_is_json_able() -> None:
    data = json.loads(json.dumps(make().to_json()))
    assert data["verdict"] == "improved"
    assert data["test"]["interval"] == [0.1, 0.5]
    assert data["usage"]["rollouts"] == 10
    assert data["best"]["a"]["template"] == BEST["a"].raw


def test_a_record_scores_by_validation_first() -> None:
    candidate = Candidate(SEED, score=0.25)
    assert CandidateRecord(candidate, 0.5).score == 0.5
    assert CandidateRecord(candidate, None).score == 0.25
    assert CandidateRecord(candidate, None).id == candidate.id
