from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agl_core.prompts.binding import Binding
from agl_core.prompts.matching import lift
from agl_core.prompts.provenance import Rendered
from agl_core.prompts.templates import PromptTemplate

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


# What prompts are made of, and what has broken such machinery before.
LITERALS = st.one_of(
    st.sampled_from(
        [
            "You are an assistant.\n",
            'Reply with JSON: {"answer": {"text": "...", "sure": true}}\n',
            "Keep {placeholders} and {{double}} ones {as they are}.",
            "\n\n## Facts\n- ",
            ", ",
            "(.*)+$^[a-z]\\d",
            "",
        ]
    ),
    st.text(max_size=12),
)
NAMES = ["role", "date", "facts"]


@settings(max_examples=300)
@given(data=st.data(), engine=st.sampled_from(["f-string", "literal"]))
def test_a_candidate_gets_the_same_values_whatever_they_hold(
    data: st.DataObject, engine: Any
) -> None:
    """Render, match, render is the identity.

    With optional text, which is an empty value or one with a line break; with variables that stand
    there twice; and with values that hold parts of the text, braces and names of variables.
    """
    literals = data.draw(st.lists(LITERALS, min_size=2, max_size=6))
    names = data.draw(
        st.lists(st.sampled_from(NAMES), min_size=len(literals) - 1, max_size=len(literals) - 1)
    )
    value = st.one_of(
        st.just(""),
        st.sampled_from([*literals, *(text[:5] for text in literals)]),
        st.sampled_from(
            ["{role}", "{{date}}", "\nThe customer is a member.\n", "a\r\nb", "{", "}"]
        ),
        st.text(max_size=12),
    )
    text = literals[0] + "".join(
        f"{{{name}}}{literal}" for name, literal in zip(names, literals[1:], strict=True)
    )
    template = PromptTemplate(text, engine, NAMES)
    values = {name: data.draw(value) for name in NAMES}
    rendered = template.render(values)
    lifted = lift(template, rendered)
    assert lifted is not None
    assert template.render(lifted) == rendered
    # A known template's values are not lifted, and reach another prompt as they are.
    other = PromptTemplate("{facts}|{role}|{date}", variables=NAMES)
    binding = Binding({"s": other}, {"s": template})
    known = Rendered(template, values)
    assert binding.inject("s", rendered, known) == other.render(values)


@settings(max_examples=200)
@given(values=st.lists(st.text("ab \n{}", max_size=6), min_size=3, max_size=3))
def test_values_without_the_text_between_them_are_found_exactly(values: list[str]) -> None:
    template = PromptTemplate("<1>{role}<2>{date}<3>{facts}<4>", "literal", NAMES)
    given = dict(zip(NAMES, values, strict=True))
    assert lift(template, template.render(given)) == given


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
