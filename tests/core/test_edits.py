from __future__ import annotations

from agl_core.edits import Critique, joined


def test_a_critique_concerns_what_it_names_or_if_it_names_nothing_all() -> None:
    assert Critique("1", "x", ("a",)).concerns("a")
    assert not Critique("1", "x", ("a",)).concerns("b")
    assert Critique("1", "x").concerns("b")
    assert not Critique("1", "x", ()).concerns("b")


def test_several_are_told_apart_when_joined() -> None:
    assert joined([Critique("1", "x")]) == "x"
    both = joined([Critique("1", "x"), Critique("2", "y")])
    assert both == "## Critique 1\n\nx\n\n## Critique 2\n\ny"
