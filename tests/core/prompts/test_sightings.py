"""What a program was seen to send, kept with the rollout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agl_core.prompts.binding import Binding
from agl_core.prompts.provenance import Rendered
from agl_core.prompts.sightings import Sightings, texts_in
from agl_core.prompts.templates import PromptTemplate
from agl_core.rollouts import Rollout

OWN = PromptTemplate("Hi {name}.")


def test_all_texts_of_a_slot_are_kept_and_come_back_from_the_store() -> None:
    binding = Binding({}, sightings=Sightings())
    binding.inject("a#system", "Plan.", place="app.py:3")
    binding.inject("a#system", "Plan.")
    binding.inject("a#system", "Hi Ann.", Rendered(OWN, {"name": "Ann"}))
    binding.inject("a#user", "Go on.", role="user")
    assert binding.sightings is not None
    binding.sightings.inputs.append("a question")
    rollout = Rollout("1", {}, "t", "t", "val", "succeeded", 1.0, sightings=binding.sightings)
    seen = Rollout.from_json(rollout.to_json(), {}).sightings
    assert seen == binding.sightings
    assert seen is not None
    first, second = seen.slots["a#system"], seen.slots["a#user"]
    assert (first.calls, first.place, first.role) == (3, "app.py:3", "system")
    assert first.texts == {"Plan.": None, "Hi Ann.": Rendered(OWN, {"name": "Ann"})}
    assert (second.calls, second.role, list(second.texts)) == (1, "user", ["Go on."])


def test_a_user_message_is_a_sighting_and_no_use_of_a_slot() -> None:
    binding = Binding({}, sightings=Sightings())
    assert binding.takes_user_messages
    assert binding.inject("a#user", "Go on.", role="user") == "Go on."
    assert binding.slots == {}


def test_user_messages_are_asked_for_where_one_is_known_as_a_prompt() -> None:
    prompt = PromptTemplate("Go.", "literal")
    assert not Binding({"a#system": prompt}).takes_user_messages
    assert not Binding({"user:a#system": prompt}).takes_user_messages
    assert Binding({"a#user.2": prompt}).takes_user_messages
    # The seed's prompts are not bound, for the program sends them by itself.
    binding = Binding({}, {"a#user": prompt})
    assert binding.takes_user_messages
    binding.inject("a#user", "Go.", role="user")
    assert binding.slots["a#user"].role == "user"


def test_not_all_of_a_long_conversation_is_kept() -> None:
    sightings = Sightings()
    for n in range(200):
        sightings.note(f"a#user.{n}", "x", None, "user")
        sightings.note("a#user.0", f"text {n}", None, "user")
    assert len(sightings.slots) == 64
    assert len(sightings.slots["a#user.0"].texts) == 8
    assert sightings.slots["a#user.0"].calls == 201


def test_texts_are_found_in_whatever_a_program_is_given() -> None:
    @dataclass
    class Message:
        content: Any
        id: int = 3

    given = {
        "messages": [("user", "Where is it?"), Message([{"type": "text", "text": "Rome?"}])],
        "limit": 3,
        "empty": "  ",
    }
    assert texts_in(given) == ["user", "Where is it?", "text", "Rome?"]
    assert texts_in("just text") == ["just text"]
    assert texts_in(None) == []


def test_what_holds_itself_has_an_end() -> None:
    loop: list[Any] = ["text"]
    loop.append(loop)
    assert texts_in(loop) == ["text"]
    assert len(texts_in([str(n) for n in range(1_000)])) == 1_000
