from __future__ import annotations

import json

from agl_core.candidates import Candidate
from agl_core.edits import Critique, PromptEdit
from agl_core.prompts.templates import PromptTemplate, fingerprint

PROMPTS = {"a": PromptTemplate("Hi {x}."), "b": PromptTemplate("Ho.", engine="literal")}


def test_is_called_by_its_prompts_alone() -> None:
    candidate = Candidate(PROMPTS, parent="p", edit="why", round=2, score=0.5)
    assert candidate.id == fingerprint(PROMPTS) == Candidate(PROMPTS).id
    assert candidate.id != Candidate({**PROMPTS, "a": PROMPTS["b"]}).id


def test_survives_json() -> None:
    candidate = Candidate(
        PROMPTS,
        "p",
        "why",
        2,
        0.5,
        "empty",
        {"branch": "round 1"},
        (Critique("1", "This.", ("a",)), Critique("2", "That.", ()), Critique("3", "Who?")),
        {"a": PromptEdit(("1", "3")), "b": PromptEdit(("3",), "it is empty")},
    )
    data = json.loads(json.dumps(candidate.to_json()))
    assert data["id"] == candidate.id
    assert Candidate.from_json(data) == candidate


def test_says_which_prompts_were_changed() -> None:
    edits = {"a": PromptEdit(("1",), "it is empty"), "b": PromptEdit(("1",))}
    assert Candidate(PROMPTS, edits=edits).changed == ("b",)
    assert Candidate(PROMPTS).changed == ()
