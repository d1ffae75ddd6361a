import random
from collections.abc import Callable

from agl_adapters.testing import Editor, Rule, any_of

RULES = [Rule("seats", "Mind the seats.", any_of("seats|chairs"), 0.5)]
FLAWLESS = Editor(0, 0, 0, 0)
PROMPT = "Book for {name}.\nBe kind to {name} and {other}."


def edit(editor: Editor, prompt: str = PROMPT, *sentences: str, seed: int = 0) -> str:
    return editor.edit(prompt, sentences, RULES, random.Random(seed))


def share(test: Callable[[int], bool]) -> float:
    return sum(test(seed) for seed in range(1000)) / 1000


def test_it_adds_what_is_not_yet_stated() -> None:
    assert edit(FLAWLESS, "Book.", "Mind the seats.", "Smile.") == "Book.\nMind the seats.\nSmile."
    assert edit(FLAWLESS, "Count chairs.", "Mind the seats.") == "Count chairs."
    assert edit(FLAWLESS, "Do smile. Smile.", "Smile.") == "Do smile. Smile."
    assert edit(FLAWLESS, "Book.", "Smile.", "Smile.") == "Book.\nSmile."


def test_faults_come_at_their_rates() -> None:
    editor = Editor()
    lines = share(lambda seed: edit(editor, "A\nB\nC", seed=seed).count("\n") < 2)
    assert 0.07 < lines < 0.13
    one = Editor(drops_line=0)
    placeholders = share(lambda seed: edit(one, seed=seed).count("{") < 3)
    assert 0.07 < placeholders < 0.13
    wrapped = [editor.wrap("A", False, random.Random(seed)) for seed in range(1000)]
    assert 110 < sum("```" in text for text in wrapped) < 190
    assert 110 < sum(text.startswith("Here is") for text in wrapped) < 190


def test_the_only_line_is_not_dropped() -> None:
    assert edit(Editor(1, 0, 0, 0), "Book.") == "Book."
    assert edit(Editor(1, 0, 0, 0), "A\nB") in ("A", "B")


def test_a_fence_that_is_asked_for_is_always_there() -> None:
    assert FLAWLESS.wrap("A", True, random.Random(0)) == "```\nA\n```"
