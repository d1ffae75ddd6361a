"""Drift: whose text is sent, who is told, and how often."""

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from agl_adapters.production.drift import InUse, OnDrift, PromptsBinding
from agl_core.errors import AglError, ConfigurationError, PromptDriftError
from agl_core.prompts.provenance import Rendered
from agl_core.prompts.templates import PromptTemplate

SLOT = "my:program#system"
OWN = PromptTemplate("You plan. Be brief.", "literal")
NEW = PromptTemplate("You plan well.", "literal")


def binding(
    on_drift: OnDrift = "warn",
    own: PromptTemplate | None = OWN,
    new: PromptTemplate = NEW,
    **options: Any,
) -> PromptsBinding:
    use = InUse(on_drift, **options)
    return PromptsBinding({SLOT: new}, {} if own is None else {SLOT: own}, {SLOT: use})


def test_the_text_that_was_replaced_is_replaced() -> None:
    for on_drift in ("warn", "error", "ignore"):
        assert binding(on_drift).inject(SLOT, OWN.raw) == NEW.raw


def test_a_changed_text_is_sent_with_a_warning_once_per_slot() -> None:
    told: list[str] = []
    prompts = binding(tell=told.append)
    for _ in range(3):
        assert prompts.inject(SLOT, "You plan. Be very brief.") == "You plan. Be very brief."
    assert told == [
        f"the prompt for {SLOT} is not used, the program's own is sent: the program now has "
        "'You plan. Be very brief.' where 'You plan. Be brief.' was replaced"
    ]
    assert prompts.unmatched == {SLOT: 3}
    assert prompts.inject(SLOT, OWN.raw) == NEW.raw  # not all that it sends has changed


def test_by_default_the_warning_is_one_of_python() -> None:
    with pytest.warns(RuntimeWarning, match="the program's own is sent"):
        binding().inject(SLOT, "Other.")


def test_a_changed_text_can_be_an_error_where_it_is_sent() -> None:
    prompts = binding("error")
    for _ in range(2):
        with pytest.raises(PromptDriftError, match=f"the prompt for {SLOT} cannot be used: the"):
            prompts.inject(SLOT, "Other.")
    assert issubclass(PromptDriftError, AglError)


def test_a_changed_text_can_be_sent_without_a_word() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert binding("ignore").inject(SLOT, "Other.") == "Other."


def test_where_it_is_not_known_what_is_replaced_nothing_has_drifted() -> None:
    assert binding("error", own=None).inject(SLOT, "Whatever.") == NEW.raw


def test_the_message_shows_where_a_long_text_differs_and_nothing_hostile() -> None:
    told: list[str] = []
    own = PromptTemplate("x" * 500 + "old" + "y" * 500, "literal")
    binding(own=own, tell=told.append).inject(SLOT, "x" * 500 + "\x1b[2J" + "y" * 500)
    (message,) = told
    assert "xxx\\x1b[2Jyyy" in message
    assert "xxxoldyyy" in message
    assert len(message) < 400
    assert message.isprintable()


def test_a_template_that_the_text_does_not_fit_is_told() -> None:
    told: list[str] = []
    own = PromptTemplate("You help {name}.", "literal", ["name"])
    new = own.with_text("Be kind to {name}.")
    prompts = binding(own=own, new=new, tell=told.append)
    assert prompts.inject(SLOT, "You help Ada.") == "Be kind to Ada."
    assert prompts.inject(SLOT, "Help Ada.") == "Help Ada."
    assert told == [
        f"the prompt for {SLOT} is not used, the program's own is sent: the program now sends "
        "'Help Ada.'; it does not fit the template that was replaced, 'You help {name}.'"
    ]


@pytest.mark.parametrize("on_drift", ["warn", "error"])
def test_a_value_that_the_program_does_not_fill_in_is_told(on_drift: OnDrift) -> None:
    told: list[str] = []
    prompts = binding(on_drift, own=None, new=PromptTemplate("Today is {date}."), tell=told.append)
    if on_drift == "error":
        with pytest.raises(PromptDriftError, match=r"asks for \{date\}"):
            prompts.inject(SLOT, "Own.")
        return
    assert prompts.inject(SLOT, "Own.") == "Own."
    assert told == [
        f"the prompt for {SLOT} is not used, the program's own is sent: the prompt asks for "
        "{date}, which it was not given (values given: none); write {{ and }} for braces that are "
        "meant as such"
    ]
    rendered = Rendered(PromptTemplate("It is {date}."), {"date": "Monday"})
    assert prompts.inject(SLOT, "It is Monday.", rendered) == "Today is Monday."


def test_slots_without_a_prompt_are_as_ever() -> None:
    prompts = binding("error")
    assert prompts.inject("my:other#system", "Other.") == "Other."
    assert prompts.in_use[SLOT].slots == set()


def test_the_first_use_of_each_slot_is_told() -> None:
    first: list[str] = []
    prompts = binding("ignore", on_first_use=first.append)
    prompts.inject(SLOT, OWN.raw)
    prompts.inject(SLOT, "Other.")
    assert first == [SLOT]
    assert prompts.in_use[SLOT].slots == prompts.in_use[SLOT].drifted == {SLOT}


def test_threads_warn_once_and_tell_the_first_use_once() -> None:
    told: list[str] = []
    prompts = binding(tell=told.append, on_first_use=told.append)
    at_once = threading.Barrier(8)

    def send(number: int) -> str:
        at_once.wait(10)
        return prompts.inject(SLOT, f"Other {number}.")

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(send, range(8))) == [f"Other {number}." for number in range(8)]
    assert len(told) == 2


def test_a_rule_that_there_is_not_is_refused() -> None:
    wrong: Any = "raise"
    with pytest.raises(ConfigurationError, match="on_drift is 'raise'; it is one of warn, error"):
        InUse(wrong)
