"""Programs of a framework, with what is known of them: the cases of the conformance suite."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Program"]


def _text(text: str) -> Any:
    return text


@dataclass(frozen=True)
class Program:
    """A program as its author would write it, and what a run of it must show.

    Its model is the simulated one, in the scenario `agl_adapters.testing.echo.Echo`, which any
    OpenAI client that is built without a base URL talks to. The model is directed by the user's
    text: the program must send that on, in every conversation that it starts.

    Attributes:
        name: What the case is called.
        build: Builds what a user would give to `agl_adapters.wrap`: an object of the framework, a
            function of one argument that uses it inside, or a factory. It is called once, when the
            model is there and no hooks are.
        prompts: The program's own text by slot, exactly as the program has it.
        input: Makes the program's input of the user's text; the text itself by default.
        words: Directions for the model in the user's text, such as ``CALL:add``.
        tools: The names of the tools that a run executes, in any order.
        model_calls: How many model calls a run makes. By default as many as reach the model: other
            than that with caches, and with calls that fail on the way.
        user_messages: Whether some of the prompts are sent as user messages. They are found by
            running the program on two texts; the variables of their templates are called
            ``value_1`` and so on.
        failure: Directions that make a run fail.
        error: What the traceback of that failure holds.
        not_applicable: Properties that this program cannot have, each with the reason. A property
            is the name of one of the suite's tests, without ``test_``.
    """

    name: str
    build: Callable[[], Any]
    prompts: Mapping[str, str]
    input: Callable[[str], Any] = _text
    words: str = ""
    tools: Sequence[str] = ()
    model_calls: int | None = None
    user_messages: bool = False
    failure: str = "FAIL400"
    error: str = "400"
    not_applicable: Mapping[str, str] = field(default_factory=dict[str, str])
