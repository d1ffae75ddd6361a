"""Recovery: from what was seen in a slot to the prompt that the program has there, or to none."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from agl_core.errors import ConfigurationError
from agl_core.prompts.inference import free_prefix, infer_template
from agl_core.prompts.matching import lift
from agl_core.prompts.provenance import Rendered
from agl_core.prompts.sightings import texts_in
from agl_core.prompts.slots import PromptSource, Role, is_user_message
from agl_core.prompts.templates import PromptTemplate
from agl_core.rollouts import Rollout
from agl_core.spans import genai
from agl_core.text import cut

__all__ = [
    "Foreign",
    "Recovered",
    "SeenSlot",
    "SeenText",
    "declared",
    "recover",
    "sample_values",
    "seen_slots",
]

_MAX_CHARS = 20_000
"""Longer texts, what is foreign in them apart, are not aligned: that takes long."""
_MIN_FOREIGN = 12
"""Fewer characters than that may stand in a prompt by chance."""
_MIN_WORDS = 3
"""Words and signs that a user message must have of its own to be taken for a prompt."""
_SHOWN = 300
_MASKS = 0xF0000  # the first of a plane of characters that nobody's text has
_MASK = re.compile("[\U000f0000-\U000ffffd]")
_TOKEN = re.compile(r"\w+|[^\w\s]")


class Recovered(NamedTuple):
    """A prompt with how it is known; or none, with the reason."""

    prompt: PromptTemplate | None
    source: PromptSource | None
    reason: str = ""


class SeenText(NamedTuple):
    """A text that was sent in a slot."""

    text: str
    rendered: Rendered | None
    """What it was rendered from, if that is known."""
    rollout: int
    """The number of the rollout."""
    calls: int
    """How many model calls of the rollout sent it."""


@dataclass(slots=True)
class SeenSlot:
    """What was seen in a slot, in all rollouts."""

    name: str
    role: Role
    place: str = ""
    calls: int = 0
    texts: list[SeenText] = field(default_factory=list[SeenText])

    @property
    def distinct(self) -> list[str]:
        """The different texts, in order of appearance."""
        return list(dict.fromkeys(seen.text for seen in self.texts))

    @property
    def rollouts(self) -> int:
        """How many rollouts used it."""
        return len({seen.rollout for seen in self.texts})


class Foreign:
    """The texts of one rollout that are none of the program's own.

    They are what it was given, which is the task and the input made of it; what models answered and
    asked tools for; and what tools gave back.

    Args:
        rollout: The rollout, observed.
        sent: Further texts: what the program sent in other slots.
    """

    def __init__(self, rollout: Rollout, sent: Iterable[str] = ()) -> None:
        inputs = [] if rollout.sightings is None else rollout.sightings.inputs
        self._given = [*texts_in(rollout.task), *inputs]
        foreign = {text.strip() for text in (*self._given, *_said(rollout))}
        self._whole = foreign | {text.strip() for text in sent}
        lengthy = (text for text in foreign if len(text) >= _MIN_FOREIGN)
        self._parts = sorted(lengthy, key=lambda text: (-len(text), text))

    def has(self, text: str) -> bool:
        """Tell whether a text is one of these, or a part of what the program was given."""
        text = text.strip()
        return text in self._whole or any(text in given for given in self._given)

    def masked(self, text: str, masks: Iterator[str]) -> str:
        """Return a text with each of these in it replaced by a mask."""
        for part in self._parts:
            if part in text:
                text = text.replace(part, next(masks))
        return text


def seen_slots(rollouts: Sequence[Rollout]) -> dict[str, SeenSlot]:
    """Return what was seen, by slot, in order of appearance."""
    found: dict[str, SeenSlot] = {}
    for number, rollout in enumerate(rollouts):
        seen = {} if rollout.sightings is None else rollout.sightings.slots
        for name, sighting in seen.items():
            slot = found.setdefault(name, SeenSlot(name, sighting.role))
            slot.place = slot.place or sighting.place
            slot.calls += sighting.calls
            slot.texts += [
                SeenText(text, rendered, number, sighting.counts[text])
                for text, rendered in sighting.texts.items()
            ]
    return found


def recover(
    slot: SeenSlot, foreign: Sequence[Foreign], tasks: int, max_unmatched: float
) -> Recovered | None:
    """Return the prompt of a slot; None if what is sent there is no prompt of the program's.

    A system message is always a prompt, also one that cannot be recovered. A user message is only
    if it is the same on several tasks, or has a template with text of its own, and if it is not
    what the program was given, or what a model or a tool said.

    Args:
        slot: What was seen in it.
        foreign: By rollout, the texts that are not the program's.
        tasks: On how many different tasks the program was run.
        max_unmatched: The share of the calls that may send another text than the prompt.
    """
    recovered = _rendered(slot)
    if not is_user_message(slot.name):
        return recovered or _from_texts(slot, foreign, max_unmatched)
    if recovered is None:
        if any(foreign[seen.rollout].has(seen.text) for seen in slot.texts):
            return None
        if slot.rollouts < 2 or tasks < 2:
            return None
        recovered = _from_texts(slot, foreign, max_unmatched)
    return recovered if _says_something(recovered.prompt) else None


def declared(slot: SeenSlot, template: PromptTemplate) -> tuple[Recovered, list[str]]:
    """Return the prompt that the user declares for a slot, and the texts that it does not match.

    Raises:
        ConfigurationError: If it matches no text that was seen. The message shows one.
    """
    unmatched = [text for text in slot.distinct if lift(template, text) is None]
    if len(unmatched) == len(slot.distinct):
        raise ConfigurationError(
            f"the template declared for {slot.name} matches nothing that the program sends there. "
            f"The template: {cut(template.raw, _SHOWN)!r}. "
            f"The text seen: {cut(slot.distinct[0], _SHOWN)!r}"
        )
    return Recovered(template, "declared"), unmatched


def sample_values(
    template: PromptTemplate, texts: Iterable[SeenText], most: int = 3
) -> dict[str, tuple[str, ...]]:
    """Return the first few different values of each variable."""
    found: dict[str, dict[str, None]] = {name: {} for name in sorted(template.variables)}
    for seen in texts:
        known = seen.rendered is not None and seen.rendered.template == template
        values: Mapping[str, Any] = (
            seen.rendered.values
            if known and seen.rendered is not None
            else lift(template, seen.text) or {}
        )
        for name, value in values.items():
            if name in found and len(found[name]) < most:
                found[name][str(value)] = None
    return {name: tuple(values) for name, values in found.items()}


def _rendered(slot: SeenSlot) -> Recovered | None:
    """Return the template that the program was seen to render, if it renders all texts."""
    templates = {seen.rendered.template for seen in slot.texts if seen.rendered is not None}
    if not templates:
        return None
    if len(templates) > 1:
        return Recovered(
            None, None, f"is rendered from {len(templates)} different templates, and is left alone"
        )
    (template,) = templates
    plain = [seen.text for seen in slot.texts if seen.rendered is None]
    return (
        None
        if any(lift(template, text) is None for text in plain)
        else Recovered(template, "template")
    )


def _from_texts(slot: SeenSlot, foreign: Sequence[Foreign], max_unmatched: float) -> Recovered:
    """Return the one text, or the template that all texts can be recovered from."""
    texts = slot.distinct
    counts: Counter[str] = Counter()
    for seen in slot.texts:
        counts[seen.text] += seen.calls
    ((usual, calls),) = counts.most_common(1)
    # Few other texts are other prompts that share the slot. But a text of one task is no prompt.
    everywhere = len({seen.rollout for seen in slot.texts if seen.text == usual}) == slot.rollouts
    if len(texts) == 1 or (everywhere and slot.calls - calls <= max_unmatched * slot.calls):
        return Recovered(PromptTemplate(usual, engine="literal"), "text")
    masks = map(chr, itertools.count(_MASKS))
    masked = [foreign[seen.rollout].masked(seen.text, masks) for seen in slot.texts]
    for template in (_skeleton(masked), _aligned(masked), _aligned(texts)):
        if template is not None and all(lift(template, text) is not None for text in texts):
            return Recovered(template, "inferred")
    return Recovered(
        None,
        None,
        f"is left alone: its text changes ({len(texts)} texts in {slot.rollouts} rollouts), and no "
        "template can be recovered from that; declare it with templates={...}",
    )


def _skeleton(masked: Sequence[str]) -> PromptTemplate | None:
    """Return the template of texts that are the same but for their masks."""
    skeletons = {_canonical(text) for text in masked}
    if len(skeletons) > 1:
        return None
    (text,) = skeletons
    masks = sorted(set(_MASK.findall(text)))
    prefix = free_prefix(text)
    for number, mask in enumerate(masks, start=1):
        text = text.replace(mask, f"{{{prefix}_{number}}}")
    names = [f"{prefix}_{n + 1}" for n in range(len(masks))]
    template = PromptTemplate(text, "literal", names)
    return template if _says_something(template) else None


def _canonical(masked: str) -> str:
    """Return a text with its masks numbered in order of appearance."""
    numbers: dict[str, str] = {}
    return _MASK.sub(
        lambda match: numbers.setdefault(match.group(), chr(_MASKS + len(numbers))), masked
    )


def _aligned(samples: Sequence[str]) -> PromptTemplate | None:
    return infer_template(samples) if max(map(len, samples)) <= _MAX_CHARS else None


def _says_something(prompt: PromptTemplate | None) -> bool:
    """Tell whether a prompt has text of its own besides its variables."""
    if prompt is None:
        return False
    if prompt.engine == "jinja":
        return True
    own = " ".join(text for text, _ in prompt.segments)
    return len(_TOKEN.findall(own)) >= _MIN_WORDS


def _said(rollout: Rollout) -> list[str]:
    """Return what models answered, what they asked tools for, and what tools gave back."""
    said: list[str] = []
    for span in rollout.spans:
        if genai.is_tool_call(span):
            said.append(genai.tool_result(span))
            said += _inside(genai.tool_arguments(span))
        for message in genai.output_messages(span):
            said += [message["content"], *_inside(message["content"])]
            for call in message.get("tool_calls", ()):
                said += _inside(call["arguments"])
    return [text for text in said if text.strip()]


def _inside(text: str) -> list[str]:
    """Return the texts in JSON."""
    if not text.lstrip().startswith(("{", "[", '"')):
        return []
    try:
        return texts_in(json.loads(text))
    except (ValueError, RecursionError):
        return []
