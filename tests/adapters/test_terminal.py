"""What is shown in a terminal: hostile text does nothing there, and verdicts are plain words."""

import io
import unicodedata
from typing import Any

import pytest
from rich.console import Console, RenderableType

from agl_adapters.terminal import (
    changes_view,
    prompts_view,
    rounds_view,
    verdict_view,
)
from agl_core.candidates import Candidate
from agl_core.prompts.templates import PromptTemplate
from agl_core.result import CandidateRecord, TrainResult
from agl_core.spending.budgets import StopReason, Usage
from agl_core.statistics.comparisons import Comparison, Verdict


def shown(view: RenderableType, width: int = 80, **options: Any) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, highlight=False, **options).print(view)
    return stream.getvalue()


def prompt(text: str) -> PromptTemplate:
    return PromptTemplate(text, "literal")


def moves(text: str) -> list[str]:
    """The characters of a text that a terminal could take for a command."""
    return [c for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Cs")]


# hostile text


def test_no_view_of_prompts_lets_text_through(hostile_text: str) -> None:
    name = f"my:{hostile_text}#system"
    before, after = {name: prompt(f"old {hostile_text}")}, {name: prompt(f"new {hostile_text}")}
    for view in (prompts_view(after), changes_view(before, after), changes_view(after, after)):
        assert moves(shown(view)) == []


def test_markup_and_emoji_codes_in_text_are_text() -> None:
    text = "[red]stop[/red] [/nothing] :warning: \\[x]"
    prompts = {f"my:{text}#system": prompt(text)}
    output = shown(prompts_view(prompts), force_terminal=True, color_system="truecolor")
    assert output.count(text) == 2


# prompts and their changes


def test_a_long_prompt_is_cut_and_says_so() -> None:
    output = shown(prompts_view({"a": prompt("\n".join(map(str, range(100))))}, lines=3))
    assert [line.strip("│ ") for line in output.splitlines()[1:-1]] == [
        "0",
        "1",
        "2",
        "… 97 more lines",
    ]


def body(output: str) -> list[str]:
    """The lines of a panel, without its frame."""
    return [line[2:-2].rstrip() for line in output.splitlines() if line.startswith("│")]


def test_changes_are_marked_line_by_line() -> None:
    before = {"a": prompt("One.\nTwo.\nThree."), "b": prompt("Same.")}
    after = {"a": prompt("One.\n2.\nThree.\nFour."), "b": prompt("Same.")}
    output = shown(changes_view(before, after))
    assert body(output) == ["  One.", "- Two.", "+ 2.", "  Three.", "+ Four."]
    assert output.splitlines()[0].startswith("╭─ a ─")
    assert output.splitlines()[-1] == "unchanged: b"


def test_lines_that_look_like_the_marks_of_a_diff_are_lines() -> None:
    before = {"a": prompt("-- rule\n--- a\n@@ x @@\n+++ b")}
    after = {"a": prompt("--- a\n@@ x @@\n+++ b\n@@ y @@")}
    assert body(shown(changes_view(before, after))) == [
        "- -- rule",
        "  --- a",
        "  @@ x @@",
        "  +++ b",
        "+ @@ y @@",
    ]


def test_what_is_far_from_a_change_is_left_out() -> None:
    lines = [str(number) for number in range(40)]
    after = [*lines[:5], "five", *lines[6:30], "thirty", *lines[31:]]
    rows = body(
        shown(changes_view({"a": prompt("\n".join(lines))}, {"a": prompt("\n".join(after))}))
    )
    assert rows[:4] == ["  2", "  3", "  4", "- 5"]
    assert rows.count("…") == 1


def test_a_long_line_goes_on_below_itself() -> None:
    output = shown(changes_view({"a": prompt("")}, {"a": prompt("word " * 30)}), width=40)
    rows = body(output)
    assert rows[1].startswith("+ word")
    assert all(row.startswith("  word") for row in rows[2:])
    assert all(len(line) <= 40 for line in output.splitlines())


def test_a_prompt_that_is_new_is_all_added() -> None:
    assert body(shown(changes_view({}, {"a": prompt("x")}))) == ["-", "+ x"]


# results


def result(
    verdict: Verdict = "improved",
    stop: StopReason = "completed",
    interval: tuple[float, float] = (0.1, 0.5),
    split: str = "test",
    history: tuple[CandidateRecord, ...] = (),
) -> TrainResult:
    seed, best = {"a": prompt("Seed.")}, {"a": prompt("Best.")}
    comparison = Comparison(0.5, 0.8, 0.3, interval, 29, split)
    return TrainResult(
        run="run-1",
        best=seed if verdict == "no_gain" else best,
        seed=seed,
        best_score=0.8,
        seed_score=0.5,
        test=comparison if split == "test" else None,
        comparison=comparison,
        verdict=verdict,
        stop_reason=stop,
        usage=Usage(200, 400, 150_000, 9_000, 0.0, 5.25),
        history=history,
        store="runs.db",
        replaces=seed,
    )


def words(view: RenderableType) -> str:
    return " ".join(shown(view).split())


def test_the_verdict_is_told_with_scores_gain_and_interval() -> None:
    assert words(verdict_view(result())) == (
        "Verdict: improved "
        "On 29 test tasks that the search never saw, the best prompts score 0.800 and the seed's "
        "0.500: a gain of +0.300, 95% interval +0.100 to +0.500. "
        "The whole interval is above zero: this is hardly chance. "
        "Spent: 200 rollouts, 400 model calls, 159,000 tokens, 5.2 s"
    )


def test_a_gain_that_may_be_chance_is_called_so() -> None:
    output = words(verdict_view(result("inconclusive", interval=(-0.1, 0.5))))
    assert output.startswith("Verdict: inconclusive ")
    assert (
        "95% interval -0.100 to +0.500. The interval takes in zero: this may be chance." in output
    )


def test_no_gain_says_that_the_seed_stays() -> None:
    output = words(verdict_view(result("no_gain", interval=(-0.5, -0.1))))
    assert output.startswith("Verdict: no gain ")
    assert "The seed's prompts stay: nothing better was found." in output


def test_a_verdict_from_validation_says_that_nothing_was_held_out() -> None:
    output = words(verdict_view(result(split="val")))
    assert "On 29 validation tasks (none were held out; the choice among candidates" in output


@pytest.mark.parametrize(
    ("stop", "text"),
    [
        ("interrupted", "The run was interrupted: this is the best so far."),
        ("target", "The search stopped early: the target score was reached."),
        ("rollouts", "The budget's rollouts were used up."),
        ("model_calls", "The budget's model calls were used up."),
    ],
)
def test_why_a_run_stopped_is_told(stop: StopReason, text: str) -> None:
    assert text in words(verdict_view(result(stop=stop)))
    assert text not in words(verdict_view(result()))


def test_simulated_results_are_called_so() -> None:
    assert words(verdict_view(result(), "simulated")).startswith("Verdict: improved (simulated) ")
    assert words(rounds_view(result(), "simulated")).startswith("Score per round (simulated) ")


def test_rounds_show_the_best_score_so_far() -> None:
    def made(number: int, validation: float | None, rejected: str = "") -> CandidateRecord:
        resources = {"a": prompt(f"{number} {validation}")}
        candidate = Candidate(resources, "p", round=number, score=0.99, rejected=rejected)
        return CandidateRecord(candidate, validation)

    history = (
        made(0, 0.5),
        made(1, 0.7),
        made(1, None),
        made(1, None, "too long"),
        made(2, 0.6),
        made(3, 0.8),
    )
    rows = shown(rounds_view(result(history=history))).splitlines()
    assert [row.split() for row in rows if row.strip()[:1].isdigit() or "seed" in row] == [
        ["seed", "0.500"],
        ["1", "2", "1", "0.700"],
        ["2", "1", "0", "0.700"],
        ["3", "1", "0", "0.800"],
    ]


def test_a_run_without_scores_has_dashes() -> None:
    record = CandidateRecord(Candidate({"a": prompt("x")}), None)
    assert "-" in shown(rounds_view(result(history=(record,)))).splitlines()[-2]
