"""Which prompts are in force here: the one channel from a candidate into a running program.

A `Binding` is put into a ContextVar for the length of a rollout or a `use_prompts` block. The hooks
of the integrations read it at every model call; nothing else carries prompts. Concurrent rollouts
each see their own binding because each runs in a context (a task or a thread) of its own. One may
be in force in the whole process besides: it is seen where no block is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, TypeVar

from agl_core.prompts.matching import lift
from agl_core.prompts.provenance import Rendered, Renderings
from agl_core.prompts.scopes import Scoped
from agl_core.prompts.sightings import Sightings
from agl_core.prompts.slots import Role, is_user_message
from agl_core.prompts.templates import PromptTemplate, on_format

__all__ = [
    "Binding",
    "RolloutAbandonedError",
    "SlotUse",
    "bind_everywhere",
    "block_binding",
    "bound",
    "current_binding",
]

_B = TypeVar("_B", bound="Binding | None")
_NOTHING: Mapping[str, PromptTemplate] = MappingProxyType({})


class RolloutAbandonedError(BaseException):
    """Ends what a rollout that was given up still does.

    Not an `Exception`: those a program may catch, to try again.
    """


@dataclass(slots=True)
class SlotUse:
    """How a slot was used in a rollout."""

    original: str
    """The program's own text at the last use."""
    sent: str
    """The text that was sent in its place at the last use."""
    calls: int = 0
    """How many model calls used the slot."""
    template: PromptTemplate | None = None
    """The program's own template, if it is known that the program renders one in this slot."""
    role: Role = "system"
    """The role of the message that it is sent in."""
    unmatched: str | None = None
    """The latest text that was left alone because it was not the known original."""


@dataclass(eq=False)
class Binding:
    """The prompts in force, and a record of which were used.

    One binding belongs to one rollout or one `use_prompts` block. It may be written from several
    threads; each write is a single dictionary operation.
    """

    resources: Mapping[str, PromptTemplate]
    """Prompt by resource or slot name."""
    originals: Mapping[str, PromptTemplate] = field(default_factory=lambda: _NOTHING)
    """The program's own prompt by slot, where it is known. A text that it does not match is left
    alone and counted in `unmatched`: it is some other prompt than the one that was optimized."""
    slots: dict[str, SlotUse] = field(default_factory=dict[str, SlotUse])
    """The slots that the program used, by name, in the order of their first use."""
    reads: set[str] = field(default_factory=set[str])
    """The resources that the program read or was sent."""
    unmatched: Counter[str] = field(default_factory=Counter[str])
    """How often a slot's text was left alone because it was not the known original. Also counted
    where the program's own prompt is in force: the same texts would be left alone with another."""
    sightings: Sightings | None = None
    """Where all that the program sends is noted, if it is observed to find its prompts."""
    meter: Any = None
    """The `CallMeter` that is asked before each model call, if one is. (That is a layer above.)"""
    renderings: Renderings = field(default_factory=Renderings)
    """What the program's texts were rendered from, as far as is known."""
    abandoned: bool = False
    """Whether nobody waits any more for what runs here. It ends at its next model call."""

    @cached_property
    def takes_user_messages(self) -> bool:
        """Whether user messages pass through slots, as system messages do.

        They do if the program is observed, or if one of them is known as a prompt.
        """
        if self.sightings is not None:
            return True
        return any(map(is_user_message, (*self.resources, *self.originals)))

    def knows(self, slot: str) -> bool:
        """Tell whether a slot has a prompt here, the program's own or another one."""
        return slot in self.resources or slot in self.originals

    def inject(
        self,
        slot: str,
        original: str,
        rendered: Rendered | None = None,
        role: Role = "system",
        place: str = "",
    ) -> str:
        """Return the text to send where the program would send `original` in this slot.

        Run-time values are lifted out of the original text by the slot's own template and put into
        the candidate's. Without a prompt for the slot, or without a match, the original comes back.

        Args:
            slot: The slot.
            original: The program's text.
            rendered: What the program rendered it from, if the hook knows; else what was seen while
                it was rendered, if anything. The template is the slot's own.
            role: The role of the message; a slot that is named for user messages tells by itself.
            place: The user's code that sends it, for a program that is observed.
        """
        rendered = rendered or self.renderings.of(original)
        role = "user" if is_user_message(slot) else role
        if self.sightings is not None:
            self.sightings.note(slot, original, rendered, role, place)
        if is_user_message(slot) and not self.knows(slot):
            return original
        use = self.slots.get(slot)
        if use is None:
            use = self.slots[slot] = SlotUse(original, original, role=role)
        sent = self._substitute(slot, original, rendered)
        if sent is None:
            self.unmatched[slot] += 1
            use.unmatched = sent = original
        use.original, use.sent = original, sent
        use.template = None if rendered is None else rendered.template
        use.calls += 1
        return sent

    def handed_out(self) -> dict[str, PromptTemplate]:
        """Return the resources for the program itself: what it reads of them is recorded."""
        return {name: _HandedOut(prompt, name, self) for name, prompt in self.resources.items()}

    def _substitute(self, slot: str, original: str, rendered: Rendered | None) -> str | None:
        """Return the text to send, or None if the original is another text than the known one."""
        own = self.originals.get(slot)
        values: Mapping[str, Any] | None = {} if rendered is None else rendered.values
        if own is not None and (rendered is None or own != rendered.template):
            values = lift(own, original)
        if values is None:
            return None
        prompt = self.resources.get(slot)
        if prompt is None:
            return original
        self.reads.add(slot)
        return prompt.render(values)


class _HandedOut(PromptTemplate):
    """A prompt that a program was handed. Equal to the plain one; it tells when it is read."""

    def __init__(self, prompt: PromptTemplate, name: str, binding: Binding) -> None:
        self.__dict__.update(prompt.__dict__)
        self._name = name
        self._binding = binding

    @property
    def template(self) -> str:
        self._binding.reads.add(self._name)
        return super().template

    def format(self, /, **values: Any) -> str:
        self._binding.reads.add(self._name)
        return self.render(values)  # the program is given it: it is none of its own

    def __str__(self) -> str:
        return self.template


_current: Scoped[Binding] = Scoped("agl_binding")


def current_binding() -> Binding | None:
    """Return the binding in force in this context, or None outside rollouts and `use_prompts`.

    Raises:
        RolloutAbandonedError: If the rollout that runs here was given up. A thread cannot be ended
            from outside, but every hook passes here: so an endless loop of model calls ends.
    """
    binding = _current.get()
    if binding is not None and binding.abandoned:
        raise RolloutAbandonedError
    return binding


def block_binding() -> Binding | None:
    """Return the binding of the block that this context is in; not one of the whole process."""
    return _current.of_block()


@contextmanager
def bound(binding: _B) -> Generator[_B]:
    """Put a binding in force for the block, in this context and those copied from it.

    With None, none is: for work that another context does on behalf of one without.
    """
    listener = None if binding is None else binding.renderings.add
    with _current.set(binding), on_format.set(listener):
        yield binding


def bind_everywhere(binding: Binding | None) -> None:
    """Put a binding in force in every thread and task of the process, except in blocks."""
    on_format.everywhere = None if binding is None else binding.renderings.add
    _current.everywhere = binding
