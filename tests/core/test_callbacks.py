from __future__ import annotations

import inspect
from typing import Any

from agl_core.callbacks import Callback, Callbacks

EVENTS = [name for name, _ in inspect.getmembers(Callback) if name.startswith("on_")]


class Recorder(Callback):
    def __init__(self, name: str, told: list[Any]) -> None:
        self._name = name
        self._told = told

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("on_"):
            return super().__getattribute__(name)
        return lambda *arguments: self._told.append((self._name, name, arguments))


def arguments(event: str) -> tuple[str, ...]:
    parameters = list(inspect.signature(getattr(Callback, event)).parameters)[1:]
    return tuple(f"the {name}" for name in parameters)


def test_every_event_is_told_to_all_in_order() -> None:
    assert len(EVENTS) >= 6
    told: list[Any] = []
    both = Callbacks((Recorder("one", told), Recorder("two", told)))
    for event in EVENTS:
        told.clear()
        getattr(both, event)(*arguments(event))
        assert told == [("one", event, arguments(event)), ("two", event, arguments(event))]


def test_by_itself_a_callback_does_nothing() -> None:
    for event in EVENTS:
        assert getattr(Callback(), event)(*arguments(event)) is None


def test_words_are_made_safe_to_print() -> None:
    told: list[Any] = []
    both = Callbacks((Recorder("one", told),))
    both.on_message("a\x1b[2J")
    both.on_warning("b\x9b31m")
    assert told == [("one", "on_message", ("a\ufffd[2J",)), ("one", "on_warning", ("b\ufffd31m",))]
