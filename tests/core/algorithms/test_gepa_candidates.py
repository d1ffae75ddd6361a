from __future__ import annotations

from agl_core.algorithms.gepa_candidates import resources_of, texts_of
from agl_core.prompts.templates import PromptTemplate


def test_prompts_come_back_as_they_were() -> None:
    initial = {"a": PromptTemplate("Say {word}."), "b": PromptTemplate("{{ x }}", engine="jinja")}
    texts = texts_of(initial)
    assert resources_of(texts, initial) == initial
    assert all(type(name) is str for name in resources_of(texts, initial))


def test_names_hash_alike_in_every_process() -> None:
    """So that sets of them are gone through in the same order when a run is resumed."""
    texts = texts_of({"planner": PromptTemplate("Plan.")})
    assert [hash(name) for name in texts] == [2505144161]
