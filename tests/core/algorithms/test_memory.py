from __future__ import annotations

from agl_core.algorithms.memory import CritiqueMemory
from agl_core.candidates import Candidate
from agl_core.edits import Critique
from agl_core.prompts.templates import PromptTemplate

ASKED = [Critique("c", "Say x.")]


def line(*lessons: Critique) -> tuple[CritiqueMemory, str]:
    """Return a memory of candidates that came of one critique each, and the last one's id."""
    memory, parent = CritiqueMemory(), ""
    for lesson in lessons:
        child = Candidate({"a": PromptTemplate(lesson.key)}, parent, critiques=(lesson,))
        memory.admitted[child.id] = child
        parent = child.id
    return memory, parent


def test_an_empty_one_says_nothing() -> None:
    memory = CritiqueMemory()
    assert memory.for_critique() == ""
    assert memory.for_rewrite("a", ASKED, "the seed") == "Say x."


def test_forgets_the_oldest_lessons_when_they_get_long() -> None:
    memory, parent = line(Critique("1", "old " * 1000), Critique("2", "new " * 1000))
    told = memory.for_rewrite("a", ASKED, parent)
    assert "new" in told
    assert "old" not in told


def test_a_prompt_is_told_the_lessons_that_concern_it() -> None:
    memory, parent = line(
        Critique("1", "Plan ahead.", ("a", "b")),
        Critique("2", "Write well.", ("b",)),
        Critique("3", "Whoever.", None),
        Critique("4", "Nobody.", ()),
    )
    told = memory.for_rewrite("a", ASKED, parent)
    assert told.endswith("Plan ahead.\n\nWhoever.")
    assert "Write well." not in told


def test_a_prompt_is_not_told_the_lessons_of_other_lines() -> None:
    memory, parent = line(Critique("1", "Plan ahead."))
    other = Candidate({"a": PromptTemplate("2")}, parent, critiques=(Critique("2", "Guess."),))
    memory.admitted[other.id] = other
    told = memory.for_rewrite("a", ASKED, parent)
    assert "Plan ahead." in told
    assert "Guess." not in told
    assert "Guess." in memory.for_rewrite("a", ASKED, other.id)


def test_the_latest_failures_are_told_to_the_next_critic() -> None:
    failed = [Critique(str(n), f"Edit {n}. " + "x" * 900) for n in range(7)]
    told = CritiqueMemory(failed=failed).for_critique()
    assert [n for n in range(7) if f"Edit {n}." in told] == [2, 3, 4, 5, 6]
    assert len(told) < 5 * 700
