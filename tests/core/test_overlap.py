from __future__ import annotations

import pytest

from agl_core.datasets import load_dataset
from agl_core.overlap import OverlapGuard

LONG = "Please book a quiet room with a projector for nine people on the third of May"
TRAIN = load_dataset(
    [{"input": "Book something small for two of us today", "room": "M18"}], "train"
)
JUDGED = load_dataset(
    [{"input": LONG, "room": "M18"}, {"input": "Who built it and when?", "room": "Gustave Eiffel"}],
    "test",
)
GUARD = OverlapGuard(TRAIN, JUDGED)


@pytest.mark.parametrize(
    "text",
    [
        LONG,
        f"user: {LONG.upper()}!\nassistant: Room M18.",
        LONG.removesuffix(" of May"),
        "He asked: who built it, and when?",
    ],
)
def test_a_text_that_holds_most_of_a_judged_task_repeats_it(text: str) -> None:
    assert GUARD.repeats(text)


@pytest.mark.parametrize(
    "text",
    ["Please book a quiet room for two.", "Book something small for two of us today", "M18", ""],
)
def test_some_words_in_common_are_no_repetition(text: str) -> None:
    assert not GUARD.repeats(text)


def test_an_answer_that_only_judged_tasks_have_is_given_away() -> None:
    assert GUARD.gives_away("It was Gustave  Eiffel.")
    assert not GUARD.gives_away("Room M18, as asked; not Eiffel.")


def test_of_a_dataset_that_serves_as_both_everything_is_repeated() -> None:
    guard = OverlapGuard(TRAIN, load_dataset(TRAIN, "val"))
    assert guard.repeats("Book something small for two of us today")
