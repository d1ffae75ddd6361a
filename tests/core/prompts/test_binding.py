"""Bindings: a slot whose template the hook knows, and prompts that are handed out."""

import pickle

import pytest

from agl_core.execution.agents import RolloutContext
from agl_core.prompts.binding import Binding, SlotUse, bound, current_binding
from agl_core.prompts.provenance import Rendered
from agl_core.prompts.rewrites import InvalidRewriteError, check_rewrite
from agl_core.prompts.templates import PromptTemplate
from agl_core.rollouts import Rollout

OWN = PromptTemplate("Choose from {names}. {{JSON}}")
VALUES = {"names": "{a} or b"}
RENDERED = "Choose from {a} or b. {JSON}"


def read_back(binding: Binding) -> SlotUse:
    rollout = Rollout("1", {}, "t", "t", "val", "succeeded", 1.0, slots=binding.slots)
    return Rollout.from_json(rollout.to_json(), {}).slots["s"]


def test_without_a_candidate_the_original_is_sent_and_the_template_recorded() -> None:
    binding = Binding({})
    assert binding.inject("s", RENDERED, Rendered(OWN, VALUES)) == RENDERED
    assert read_back(binding).template == OWN


def test_a_candidate_is_rendered_with_the_values_of_the_program() -> None:
    candidate = PromptTemplate('Pick one: {names}. {"next": 1}')
    for originals in ({}, {"s": OWN}):
        binding = Binding({"s": candidate}, originals)
        assert (
            binding.inject("s", RENDERED, Rendered(OWN, VALUES))
            == 'Pick one: {a} or b. {"next": 1}'
        )
        assert binding.reads == {"s"}


def test_another_template_than_the_optimized_one_is_left_alone() -> None:
    binding = Binding({"s": PromptTemplate("New {names}")}, {"s": OWN})
    other = PromptTemplate("Something else: {names}")
    assert (
        binding.inject("s", "Something else: x", Rendered(other, {"names": "x"}))
        == "Something else: x"
    )
    assert binding.unmatched == {"s": 1}


def test_a_rewrite_that_loses_a_placeholder_of_the_program_is_refused() -> None:
    binding = Binding({})
    binding.inject("s", RENDERED, Rendered(OWN, VALUES))
    own = read_back(binding).template
    assert own is not None
    with pytest.raises(InvalidRewriteError, match=r"loses \{names\}"):
        check_rewrite(own, "Choose well.")


def test_texts_that_do_not_match_are_counted_also_where_the_programs_own_prompt_is_in_force() -> (
    None
):
    binding = Binding({}, {"s": OWN})
    for text in ("Choose from x. {JSON}", "Choose another.", "Choose from y. {JSON}"):
        assert binding.inject("s", text) == text
    assert binding.unmatched == {"s": 1}
    use = read_back(binding)
    assert (use.unmatched, use.original, use.calls) == (
        "Choose another.",
        "Choose from y. {JSON}",
        3,
    )


def test_none_takes_the_prompts_out_of_force() -> None:
    with bound(Binding({})) as binding:
        with bound(None):
            assert current_binding() is None
        assert current_binding() is binding


class TestReading:
    """What the program reads of the prompts that it was handed is recorded."""

    def test_reading_a_prompt_is_noted(self) -> None:
        for read in (
            lambda prompt: prompt.format(x=1),
            lambda prompt: prompt.template,
            str,
        ):
            binding = Binding({"a": PromptTemplate("{x}"), "b": PromptTemplate("{x}")})
            read(binding.handed_out()["a"])
            assert binding.reads == {"a"}

    def test_machinery_looking_at_it_is_not(self) -> None:
        binding = Binding({"a": PromptTemplate("{x}")})
        prompt = binding.handed_out()["a"]
        _ = (prompt.raw, prompt.render({"x": 1}), repr(prompt), hash(prompt), prompt.to_json())
        assert binding.reads == set()

    def test_it_is_the_same_prompt(self) -> None:
        prompt = PromptTemplate("{x}")
        handed = Binding({"a": prompt}).handed_out()["a"]
        assert handed == prompt
        assert pickle.loads(pickle.dumps(handed)) == prompt

    def test_a_rollout_hands_out_its_prompts(self) -> None:
        context = RolloutContext({"a": PromptTemplate("{x}")})
        context.resources["a"].format(x=1)
        assert context.reads == {"a"}
