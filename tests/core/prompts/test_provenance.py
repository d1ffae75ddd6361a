"""What a text was rendered from is known, where prompts are bound."""

from __future__ import annotations

from agl_core.prompts.binding import Binding, bound
from agl_core.prompts.provenance import Renderings
from agl_core.prompts.templates import PromptTemplate

PLAN = PromptTemplate("Plan for {name}. Today is {day}.")


def test_our_own_templates_tell_what_they_are_rendered_to() -> None:
    candidate = PromptTemplate("{day}: help {name}.")
    with bound(Binding({"s": candidate}, {"s": PLAN})) as binding:
        text = PLAN.format(name="Ann. Today is Bob", day=3, unused="x")
        # By the text alone the first value would end too early.
        assert binding.inject("s", text) == "3: help Ann. Today is Bob."
        assert binding.slots["s"].template == PLAN


def test_a_jinja_template_cannot_be_inverted_and_need_not_be() -> None:
    own = PromptTemplate("{% for f in facts %}- {{ f }}\n{% endfor %}", "jinja")
    candidate = PromptTemplate("{{ facts|length }} facts", "jinja")
    with bound(Binding({"s": candidate}, {"s": own})) as binding:
        assert binding.inject("s", own.format(facts=["a", "b"])) == "2 facts"


def test_a_text_that_was_made_of_a_rendered_one_is_another_text() -> None:
    with bound(Binding({})) as binding:
        binding.inject("s", PLAN.format(name="Ann", day=3) + " Be brief.")
        assert binding.slots["s"].template is None


def test_nothing_is_noted_where_nothing_is_bound() -> None:
    binding = Binding({})
    with bound(binding), bound(None):
        text = PLAN.format(name="Ann", day=3)
    assert binding.renderings.of(text) is None
    assert PLAN.format(name="Ann", day=3) == text
    assert binding.renderings.of(text) is None


def test_what_the_program_was_handed_is_no_prompt_of_its_own() -> None:
    with bound(Binding({"a": PLAN})) as binding:
        text = binding.handed_out()["a"].format(name="Ann", day=3)
    assert binding.renderings.of(text) is None


def test_a_template_without_variables_tells_nothing() -> None:
    with bound(Binding({})) as binding:
        text = PromptTemplate("Plan.").format()
    assert binding.renderings.of(text) is None


def test_the_latest_ones_are_remembered() -> None:
    renderings = Renderings()
    for n in range(300):
        renderings.add(PLAN, {"name": n}, str(n))
    assert renderings.of("0") is None
    found = renderings.of("299")
    assert found is not None
    assert found.values == {"name": "299"}
