"""What a rewrite must keep to, what of it is checked, and what is only told."""

from __future__ import annotations

from typing import Any

import pytest

from agl_core.errors import ConfigurationError
from agl_core.prompts.constraints import Constraint, ConstraintError

GERMAN = "Du planst Reisen. Sei kurz."
CHINESE = "你为客户规划旅行。请简短。"
RUSSIAN = "Ты планируешь поездки. Будь краток."
JAPANESE = 'あなたは旅行を計画します。{"tool": "search_flights"} を使ってください。'


def broken(constraint: Constraint, text: str) -> str | None:
    try:
        constraint.check(text)
    except ConstraintError as error:
        return str(error)
    return None


def test_nothing_is_asked_for_by_default() -> None:
    assert not Constraint()
    assert Constraint(max_chars=9)
    assert Constraint(keep="x")
    assert Constraint(language="German")
    assert broken(Constraint(), "") is None
    assert Constraint().told() == []


def test_the_length_is_a_hard_limit() -> None:
    constraint = Constraint(max_chars=5)
    assert broken(constraint, "12345") is None
    assert broken(constraint, "123456") == "has 6 characters; the limit is 5"


def test_a_text_that_must_stay_stays_to_the_letter() -> None:
    constraint = Constraint(keep=["Reply as JSON: {", "}\nStop."])
    assert broken(constraint, "Reply as JSON: {a}\nStop. Thanks.") is None
    assert broken(constraint, "Reply as JSON: {a}\n stop.") == (
        r"loses '}\nStop.', which must stay"
    )


@pytest.mark.parametrize(
    ("language", "text", "refused"),
    [
        ("German", GERMAN, False),
        ("german ", CHINESE, True),
        ("German", "You plan trips.", False),  # the same script: that is not checked
        ("Chinese", CHINESE, False),
        ("Chinese", GERMAN, True),
        ("Japanese", JAPANESE, False),
        ("Russian", RUSSIAN, False),
        ("Russian", GERMAN, True),
        ("Klingon", CHINESE, False),  # nobody here knows its script
        ("German", "123 {}", False),
    ],
)
def test_of_the_language_the_script_is_checked(language: str, text: str, refused: bool) -> None:
    expected = f"is not in {language}: it is in another script" if refused else None
    assert broken(Constraint(language=language), text) == expected


def test_the_model_is_told_all_of_it() -> None:
    told = Constraint(max_chars=90, keep=["Be kind."], language="German").told()
    assert told == [
        "It has at most 90 characters.",
        "It holds this text, exactly as it is here: Be kind.",
        "It is written in German.",
    ]


def test_several_hold_together() -> None:
    both = Constraint(max_chars=90, keep="a", language="German") & Constraint(50, ["a", "b"])
    assert both == Constraint(50, ("a", "b"), "German")
    assert both.summary() == "at most 50 characters, keeps 'a', keeps 'b', in German"
    with pytest.raises(ConfigurationError, match="in German and in Greek"):
        _ = Constraint(language="German") & Constraint(language="Greek")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_chars": "9"}, "max_chars is '9'"),
        ({"max_chars": True}, "max_chars is True"),
        ({"max_chars": 0}, "at least 1"),
        ({"keep": [""]}, "none of them empty"),
        ({"keep": [1]}, "keep holds texts"),
        ({"language": ""}, "English name"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Constraint(**arguments)
