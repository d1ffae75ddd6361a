from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agl_core.matching import lift
from agl_core.prompts import PromptTemplate

PIECES = st.one_of(
    st.sampled_from(["{a}", "{b}", "{c}", "{{", "}}", "{", "}", "{undeclared}", "\n"]),
    st.text(alphabet="abc{}.*(\\ \n", max_size=4),
)
VALUES = st.text(alphabet="abc{}.\n", max_size=5)


@given(pieces=st.lists(PIECES, max_size=12), a=VALUES, b=VALUES, c=VALUES)
@example(pieces=["{a}", "-", "{b}", "=", "{b}"], a="p-q", b="r", c="")
def test_rendering_what_was_lifted_gives_the_same_text(
    pieces: list[str], a: str, b: str, c: str
) -> None:
    prompt = PromptTemplate("".join(pieces), variables=["a", "b", "c"])
    text = prompt.render({"a": a, "b": b, "c": c})
    values = lift(prompt, text)
    assert values is not None
    assert prompt.render(values) == text


@pytest.mark.parametrize(
    ("template", "text", "values"),
    [
        ("Hello {name}!", "Hello Ada!", {"name": "Ada"}),
        ("Hello {name}!", "Hello Ada", None),
        ("Hello {name}!", "Oh, Hello Ada!", None),
        ("Hello {name}!", "Hello Ada!\n", None),
        ("Hello {name}!", "Hello !", {"name": ""}),
        ("{a}, {b}", "x, y, z", {"a": "x", "b": "y, z"}),
        ("{a}{b}", "xy", {"a": "", "b": "xy"}),
        ("{a}\n{b}", "one\n\ntwo", {"a": "one", "b": "\ntwo"}),
        ("{x} and {x}", "1 and 1", {"x": "1"}),
        ("{x} and {x}", "1 and 2", None),
        ("{a}-{x}={x}", "p-q-r=r", {"a": "p-q", "x": "r"}),
        ("{x}{x}-{y}.", "aa-b-c.", {"x": "a", "y": "b-c"}),
        ("{{x}} {x}", "{x} 1", {"x": "1"}),
        ("a.c*", "a.c*", {}),
        ("a.c", "abc", None),
        ("", "", {}),
    ],
)
def test_the_whole_text_has_to_match(
    template: str, text: str, values: dict[str, str] | None
) -> None:
    assert lift(PromptTemplate(template), text) == values


def test_undeclared_names_are_text() -> None:
    prompt = PromptTemplate("{a} {b}", variables=["a"])
    assert lift(prompt, "1 {b}") == {"a": "1"}
    assert lift(prompt, "1 2") is None


def test_literal_and_jinja_match_their_own_text_alone() -> None:
    assert lift(PromptTemplate("{a}", engine="literal"), "{a}") == {}
    assert lift(PromptTemplate("{a}", engine="literal"), "x") is None
    assert lift(PromptTemplate("{{ a }}", engine="jinja"), "{{ a }}") == {}
    assert lift(PromptTemplate("{{ a }}", engine="jinja"), "x") is None


def test_a_hostile_text_costs_no_time() -> None:
    prompt = PromptTemplate("".join(f"{{v{i}}}\n" for i in range(20)) + "END")
    start = time.process_time()
    assert lift(prompt, "\n" * 20_000) is None
    assert time.process_time() - start < 1.0
