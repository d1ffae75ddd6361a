"""A rule is stated by its own sentence, and by what a human would write instead."""

import pytest

from agl_adapters.testing.room_rules import RULES
from agl_adapters.testing.rules import Rule

PARAPHRASES = {
    "day": [
        "Always pass the date to the tool.",
        "Look up the rooms for the requested day.",
        "When calling list_rooms, include the day.",
    ],
    "building": [
        "Pass the building to list_rooms.",
        "Respect the building the user asked for.",
        "Search in the building which the request names.",
    ],
    "capacity": [
        "Make sure that everyone fits into the room.",
        "The room must hold all attendees.",
        "Capacity has to be at least the group's size.",
        "There must be enough seats for all participants.",
    ],
    "equipment": [
        "The room must have all requested equipment.",
        "Check that every item they need is there: projector, whiteboard and so on.",
        "Match the equipment.",
    ],
    "step_free": [
        "Wheelchair users need an accessible room.",
        "For people with limited mobility choose step-free rooms.",
        "Make sure the room is accessible if that is required.",
    ],
    "free": [
        "The room has to be free for the whole slot.",
        "Avoid double-booking.",
        "Check that there is no conflict with another booking.",
        "Never choose a room that is already booked.",
        "It must be free for the whole slot (a booking right before it is fine).",
        "The room must be available during the entire meeting; back-to-back bookings are fine.",
    ],
    "touching": [
        "Back-to-back bookings are fine.",
        "A booking ending exactly when ours starts does not conflict.",
        "Bookings that touch the slot do not count as overlaps.",
        "It is OK if another meeting begins right after ours.",
    ],
    "smallest": [
        "Choose the smallest suitable room.",
        "Do not waste space on an oversized room.",
        "Pick the room with the fewest seats.",
        "Prefer the lowest capacity.",
    ],
    "nearest": [
        "Break ties by choosing the nearest room.",
        "If two are equal, take the closest one.",
        "Then prefer the shorter distance.",
    ],
}
CASES = [(name, text) for name, texts in PARAPHRASES.items() for text in texts]


def stated(prompt: str) -> set[str]:
    return {rule.name for rule in RULES if rule.states(prompt)}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_sentence_states_its_rule_and_no_other(rule: Rule) -> None:
    assert stated(rule.sentence) == {rule.name}


@pytest.mark.parametrize(("name", "text"), CASES)
def test_a_paraphrase_states_the_rule(name: str, text: str) -> None:
    assert name in stated(text)
    assert name in stated(f"You are a booking assistant. {text} Be polite!")


@pytest.mark.parametrize(
    "prompt",
    [
        "You are a booking assistant.",
        "You gather what is needed to book a meeting room.",
        "You book meeting rooms for the staff. Be friendly, and answer in one sentence.",
        "Think step by step and double-check your answer. Answer with `Room: <name>`.",
        "",
    ],
)
def test_a_prompt_without_rules_states_none(prompt: str) -> None:
    assert stated(prompt) == set()


def test_one_prompt_states_all() -> None:
    texts = [texts[0] for texts in PARAPHRASES.values()]
    assert stated("\n".join(f"- {text}" for text in texts)) == {rule.name for rule in RULES}
