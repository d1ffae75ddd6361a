from __future__ import annotations

from agl_core.algorithms.memory import CritiqueMemory
from agl_core.edits import Critique


def test_an_empty_one_says_nothing() -> None:
    memory = CritiqueMemory()
    assert memory.for_critique() == ""
    assert memory.for_rewrite("a", [Critique("c", "Say x.")]) == "Say x."


def test_forgets_the_oldest_lessons_when_they_get_long() -> None:
    lessons = [Critique("1", "old " * 1000), Critique("2", "new " * 1000)]
    told = CritiqueMemory(learned=lessons).for_rewrite("a", [Critique("c", "Say x.")])
    assert "new" in told
    assert "old" not in told


def test_a_prompt_is_told_the_lessons_that_concern_it() -> None:
    lessons = [
        Critique("1", "Plan ahead.", ("a", "b")),
        Critique("2", "Write well.", ("b",)),
        Critique("3", "Whoever.", None),
        Critique("4", "Nobody.", ()),
    ]
    told = CritiqueMemory(learned=lessons).for_rewrite("a", [Critique("c", "Say x.")])
    assert told.endswith("Plan ahead.\n\nWhoever.")
    assert "Write well." not in told


def test_the_latest_failures_are_told_to_the_next_critic() -> None:
    failed = [Critique(str(n), f"Edit {n}. " + "x" * 900) for n in range(7)]
    told = CritiqueMemory(failed=failed).for_critique()
    assert [n for n in range(7) if f"Edit {n}." in told] == [2, 3, 4, 5, 6]
    assert len(told) < 5 * 700
