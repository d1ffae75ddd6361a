from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from agl_adapters.report.diffs import DiffRow, Word, prompt_diffs, text_diff
from agl_core.prompts.templates import coerce_resources


def sides(rows: Sequence[DiffRow]) -> tuple[str, str]:
    """Put the two texts of a diff together again."""
    before: list[str] = []
    after: list[str] = []
    for row in rows:
        for side, words in ((before, row.before), (after, row.after)):
            side.extend(row.skipped)
            if words is not None:
                side.append("".join(word.text for word in words))
    return "\n".join(before), "\n".join(after)


def test_equal_texts_have_no_diff() -> None:
    assert text_diff("a\nb", "a\nb") == []


def test_a_changed_line_shows_which_words_changed() -> None:
    (row,) = text_diff("Pick a large room.", "Pick a small room.")
    assert row.kind == "changed"
    assert row.before == [Word("Pick a ", False), Word("large", True), Word(" room.", False)]
    assert row.after == [Word("Pick a ", False), Word("small", True), Word(" room.", False)]


def test_lines_that_have_little_in_common_are_not_one_line_changed() -> None:
    rows = text_diff("You are an assistant.", "Never book two rooms at once, ever.")
    assert [row.kind for row in rows] == ["replaced"]
    assert rows[0].before == [Word("You are an assistant.", False)]


def test_a_line_is_paired_with_its_like_further_down() -> None:
    rows = text_diff("Pick a large room.", "Be kind.\nPick a small room.\nBe brief.")
    assert [row.kind for row in rows] == ["added", "changed", "added"]


def test_what_is_far_from_a_change_is_folded_away() -> None:
    lines = [f"line {n}" for n in range(20)]
    changed = [*lines[:10], "something else entirely", *lines[11:]]
    rows = text_diff("\n".join(lines), "\n".join(changed))
    assert [row.kind for row in rows if row.kind != "same"] == [
        "skipped",
        "replaced",
        "skipped",
    ]
    assert rows[0].skipped == lines[:7]
    assert rows[-1].skipped == lines[14:]


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_lost_on_either_side(seed: int) -> None:
    rng = random.Random(seed)

    def line() -> str:
        return " ".join(rng.choices(["a", "room", "", "  ", "é", "b."], k=4))

    texts = ["\n".join(line() for _ in range(rng.randrange(30))) for _ in range(2)]
    rows = text_diff(*texts)
    assert sides(rows) == tuple(texts) if texts[0] != texts[1] else rows == []


def test_from_and_to_nothing() -> None:
    assert [row.kind for row in text_diff("", "a\nb")] == ["added", "added"]
    assert [row.kind for row in text_diff("a", "")] == ["removed"]


def test_prompts_that_changed_come_first_and_are_safe_to_show() -> None:
    before = {"a": "same", "b": "x\x1b[31m", "c": "c"}
    after = {"a": "same", "b\u202e": "new", "b": "y"}
    diffs = prompt_diffs(coerce_resources(before), coerce_resources(after))
    assert [(diff.name, diff.summary) for diff in diffs] == [
        ("b\ufffd", "lines: 1 added"),
        ("b", "lines: 1 changed"),
        ("c", "lines: 1 removed"),
        ("a", "unchanged"),
    ]
    (replaced,) = diffs[1].rows
    assert replaced.before == [Word("x\ufffd[31m", False)]
