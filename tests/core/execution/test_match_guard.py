"""A run is stopped where too many texts are not the prompt that is optimized."""

from __future__ import annotations

from agl_core.execution.match_guard import MatchGuard
from agl_core.prompts.binding import Binding
from agl_core.prompts.templates import PromptTemplate
from agl_core.rollouts import Rollout

OWN = {"s": PromptTemplate("Hi {name}.")}


def rollout(*texts: str, split: str = "val", number: str = "1") -> Rollout:
    binding = Binding({}, OWN)
    for text in texts:
        binding.inject("s", text)
    return Rollout(
        number,
        {},
        "t",
        "t",
        split,
        "succeeded",
        1.0,
        slots=binding.slots,
        unmatched=binding.unmatched,
    )


def test_a_share_is_allowed() -> None:
    guard = MatchGuard(0.2)
    for n in range(100):
        text = "Bye." if n % 5 == 4 else "Hi Bob."
        assert guard.see(rollout(text, number=str(n)), OWN) is None


def test_more_is_not_and_the_text_is_shown() -> None:
    guard = MatchGuard(0.2)
    assert guard.see(rollout("Hi Ann.", "Hi Bob.", "Bye.", number="1"), OWN) is None
    assert guard.see(rollout(*["Bye."] * 3, number="2"), OWN) is None  # of twenty, four are allowed
    error = guard.see(rollout("\x1b[2JBye " + 600 * "x", number="3"), OWN)
    assert error is not None
    message = str(error)
    assert "5 of the 7 texts that the program sent as s were not the prompt" in message
    assert "max_unmatched=0.2" in message
    assert "Bye xxx" in message
    assert "\x1b" not in message
    assert "characters in all" in message
    assert "Hi {name}." in message
    assert "templates={'s': ...}" in message


def test_none_may_be_allowed() -> None:
    assert MatchGuard(0.0).see(rollout("Hi Ann.", "Bye."), OWN) is not None
    assert MatchGuard(1.0).see(rollout(*["Bye."] * 50), OWN) is None


def test_a_rollout_counts_once() -> None:
    guard = MatchGuard(0.2)
    for _ in range(10):
        assert guard.see(rollout("Bye."), OWN) is None


def test_on_the_test_split_everything_has_been_spent() -> None:
    assert MatchGuard(0.0).see(rollout("Bye.", split="test"), OWN) is None


def test_only_what_is_optimized_is_of_interest() -> None:
    assert MatchGuard(0.0).see(rollout("Bye."), {}) is None
