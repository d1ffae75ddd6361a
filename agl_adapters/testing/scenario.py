"""The protocol of a scenario: how the simulated model behaves in one domain.

A third party adds a scenario by writing a class with the members of `Scenario` and naming a factory
of it where a scenario is asked for, as `module:attribute`::

    class Triage:
        name = "triage"
        critic, editor = Critic(), Editor()
        rules = (Rule("urgency", "Sort by urgency first.", any_of(r"urgen"), 0.5),)

        def reply(self, call, rng):            # an agent call
            first = obeyed(self.rules, call.prompt, rng)
            return Reply("..." if "urgency" in first else "...")

        def breaches(self, text):              # None: this text holds no transcript
            ...

    with simulated_model(scenario="my_package.triage:Triage"):
        ...

`agl_adapters.testing.stages.Stage` is a base for scenarios that are read from text: who says how a
text is read and what is done by which rules gets replies and breaches from it.

Critique and rewrite calls need nothing more: `agl_adapters.testing.optimizer` answers them for
every scenario from its `rules` and `breaches`. A scenario must know no answers: it may use only
what the call says, and the generator that it is given, so that equal calls get equal replies.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Protocol, cast, runtime_checkable

from agl_adapters.testing.calls import Call, Reply
from agl_adapters.testing.critic import Critic
from agl_adapters.testing.editor import Editor
from agl_adapters.testing.rules import Breach, Rule
from agl_core.errors import ConfigurationError

__all__ = ["BUILT_IN", "Scenario", "load_scenario"]

BUILT_IN = {
    "dispatch": "agl_adapters.testing.dispatch:dispatch",
    "echo": "agl_adapters.testing.echo:Echo",
    "functions": "agl_adapters.testing.functions:functions",
    "handbook": "agl_adapters.testing.handbook:handbook",
    "parcels": "agl_adapters.testing.parcels:parcels",
    "room_booking": "agl_adapters.testing.room_booking:RoomBooking",
    "support": "agl_adapters.testing.support:support",
    "tickets": "agl_adapters.testing.tickets:tickets",
}
"""Where the scenarios of this package are made, by name."""


@runtime_checkable
class Scenario(Protocol):
    """How the simulated model behaves in one domain. Stateless: one instance serves all calls."""

    @property
    def name(self) -> str:
        """The scenario's name."""
        ...

    @property
    def rules(self) -> Sequence[Rule]:
        """What a good prompt states. Empty: `reply` answers critique and rewrite calls too."""
        ...

    @property
    def critic(self) -> Critic:
        """How critiques are written."""
        ...

    @property
    def editor(self) -> Editor:
        """How prompts are rewritten."""
        ...

    def reply(self, call: Call, rng: random.Random) -> Reply:
        """Answer a call of an agent, from the call and the generator alone."""
        ...

    def breaches(self, text: str) -> list[Breach] | None:
        """The rules visibly broken in the transcripts that a text holds, in order, with repeats.

        Args:
            text: A message's text. Transcripts in it may be quoted in any way (JSON, markdown,
                tags).

        Returns:
            One breach for every rule that a transcript breaks; None if the text holds no
            transcript.
        """
        ...


def load_scenario(name: str) -> Scenario:
    """The scenario of that name: one that is built in, or `module:attribute` of a factory.

    Raises:
        ConfigurationError: No scenario has the name, or the attribute makes none.
    """
    module, separator, attribute = BUILT_IN.get(name, name).partition(":")
    if not separator:
        known = ", ".join(sorted(BUILT_IN))
        raise ConfigurationError(
            f"There is no scenario {name!r}. Built in: {known}. Your own: 'module:attribute'."
        )
    try:
        made = cast("Callable[[], object]", getattr(import_module(module), attribute))()
    except (ImportError, AttributeError, TypeError) as error:
        raise ConfigurationError(
            f"The scenario {name!r} cannot be made: {error}. "
            "Name an importable module and a factory without arguments in it."
        ) from error
    if not isinstance(made, Scenario):
        raise ConfigurationError(
            f"{name!r} makes {made!r}, which is no scenario: it lacks members of "
            "agl_adapters.testing.Scenario."
        )
    return made
