from __future__ import annotations

import json
import random

import pytest

from agl_adapters.testing import Message, load_scenario
from agl_adapters.testing.calls import Call
from agl_adapters.testing.chains import Chain
from agl_adapters.testing.handbook import ANSWERING, SEARCHING, handbook

QUESTION = "We sat in the garden. How many days of holiday does somebody in the office have?"
DOCUMENTS = [
    "[H01] Annual leave, workshop staff, edition 2024. They have 30 days.",
    "[H02] Annual leave, office staff, draft 2026. They have 40 days.",
    "[H03] Annual leave, office staff, edition 2020. They have 25 days.",
    "[H04] Annual leave, office staff, edition 2023. They have 27 days.",
]
FOUND = "\n".join([QUESTION, "", "Documents:", *DOCUMENTS])
RULES = [*SEARCHING, *ANSWERING]
PARAPHRASES = {
    "story": "Drop everything that is only background.",
    "formal": "Translate colloquial expressions into official terms",
    "staff": "Always include the department in the search",
    "meant": "The document must apply to the staff group in question.",
    "draft": "Ignore documents that are not yet in force.",
    "newest": "Prefer the most recent edition",
    "cite": "Give the document's number as a reference after the answer.",
}


def ask(text: str, missing: str = "") -> str:
    prompt = "\n".join(rule.sentence for rule in RULES if rule.name != missing)
    call = Call("chat", "m", (Message("system", prompt), Message("user", text)))
    scenario = handbook()
    for stage in scenario.stages:  # what is not stated is not done
        stage.rules = [
            type(rule)(rule.name, rule.sentence, rule.stated_in, 0.0, 1.0) for rule in stage.rules
        ]
    return scenario.reply(call, random.Random(0)).text


@pytest.mark.parametrize(
    ("missing", "search"),
    [
        ("", "annual leave office staff"),
        ("formal", "holiday office staff"),
        ("staff", "annual leave"),
        ("story", "annual leave office staff We sat in the garden."),
    ],
)
def test_the_search_is_written_by_the_rules(missing: str, search: str) -> None:
    assert ask(QUESTION, missing) == f"Search: {search}"


@pytest.mark.parametrize(
    ("missing", "answer"),
    [
        ("", "27 days [H04]"),
        ("meant", "30 days [H01]"),
        ("draft", "40 days [H02]"),
        ("newest", "25 days [H03]"),
        ("cite", "27 days"),
    ],
)
def test_the_answer_is_taken_from_the_documents_by_the_rules(missing: str, answer: str) -> None:
    assert ask(FOUND, missing) == f"Answer: {answer}"


def test_what_the_documents_do_not_say_is_not_known() -> None:
    assert ask(FOUND.replace("Annual leave", "Sick pay")) == "Answer: not found"
    assert ask(f"{QUESTION}\n\nDocuments:\nnone") == "Answer: not found"


def test_a_rule_is_stated_in_whatever_words() -> None:
    for rule in RULES:
        stage = SEARCHING if rule in SEARCHING else ANSWERING
        assert [r.name for r in stage if r.states(PARAPHRASES[rule.name])] == [rule.name]
        assert [other.name for other in RULES if other.states(rule.sentence)] == [rule.name]


def test_a_critic_sees_which_call_went_wrong_and_where() -> None:
    run = f"{QUESTION}\n\nSearch: holiday office staff\n\n{FOUND}\n\nAnswer: 40 days [H02]"
    for text in (run, json.dumps(run), json.dumps(json.dumps({"run": run}))):
        breaches = handbook().breaches(text) or []
        assert [breach.rule for breach in breaches] == ["formal", "draft"]
        assert text[breaches[0].position :].startswith("Search: ")
        assert text[breaches[1].position :].startswith("Answer: ")
    right = f"{QUESTION}\n\nSearch: annual leave office staff\n\n{FOUND}\n\nAnswer: 27 days [H04]"
    assert handbook().breaches(right) == []
    assert handbook().breaches(FOUND) is None
    assert handbook().breaches(f"{QUESTION}\nAnswer: 27 days") is None  # from no documents


def test_is_built_in_and_knows_what_is_no_question() -> None:
    scenario = load_scenario("handbook")
    assert isinstance(scenario, Chain)
    assert "What do you want to know" in ask("Hello.")
