"""Prompts in the text of an optimizer's call: finding them, choosing among them, writing them.

A prompt to change is looked for in this order; the first form that is found counts.

1. Tags whose name holds `prompt` or `instruction`, as `<prompt name="...">...</prompt>` or
   `<current_prompt>...</current_prompt>`. There may be several, told apart by `name`.
2. The first block between code fences.
3. The text under a markdown heading with `prompt` or `instruction` in it, up to a heading with
   `critique`, `feedback`, `suggestion`, `experiment`, `sample` or `task` in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["FoundPrompt", "asked_for", "find_prompts", "prompt_in_force", "render_prompts"]

TAGGED = re.compile(
    r"<(?P<tag>\w*(?:prompt|instruction)\w*)(?P<attributes>\s[^<>]*)?>"
    r"(?P<text>(?:(?!<(?P=tag)[\s>]).)*?)</(?P=tag)>",
    re.DOTALL | re.IGNORECASE,
)
NAME = re.compile(r"name\s*=\s*[\"']?([^\"'>]+?)[\"']?\s*(?:$|\s\w+=)")
FENCED = re.compile(r"```[^\n`]*\n(?P<text>.*?)\n?```", re.DOTALL)
HEADED = re.compile(
    r"^#+ [^\n]*(?:prompt|instruction)[^\n]*\n(?P<text>.*?)"
    r"(?=^#+ [^\n]*(?:critique|feedback|suggestion|experiment|sample|task)|\Z)",
    re.DOTALL | re.IGNORECASE | re.MULTILINE,
)
ORDER = r"(?:rewrite|revise|edit|change|improve|update|modify|return)\b[^.\n]{0,120}"


@dataclass(frozen=True, slots=True)
class FoundPrompt:
    """A prompt in a text.

    Attributes:
        text: The prompt.
        name: Its name, if it was tagged with one.
        start: Where its tag or block begins.
        end: Where that ends.
    """

    text: str
    name: str | None
    start: int
    end: int


def find_prompts(text: str) -> list[FoundPrompt]:
    """The prompts in a text, in the first of the forms that it holds."""
    tagged = [
        FoundPrompt(m["text"].strip("\n"), _name(m["attributes"]), m.start(), m.end())
        for m in TAGGED.finditer(text)
        if m["text"].strip(" .\n…")
    ]
    if tagged:
        return list({prompt.name or prompt.text: prompt for prompt in tagged}.values())
    for form in (FENCED, HEADED):
        if found := form.search(text):
            return [FoundPrompt(found["text"].strip("\n"), None, found.start(), found.end())]
    return []


def _name(attributes: str | None) -> str | None:
    found = NAME.search(attributes or "")
    return found[1] if found else None


def asked_for(prompts: Sequence[FoundPrompt], text: str) -> list[FoundPrompt]:
    """The prompts that a request asks to change.

    Those named in a sentence that says so (rewrite, revise, change ... NAME); else those named
    anywhere outside the prompts; else all.
    """
    outside = text
    for prompt in prompts:
        outside = outside.replace(prompt.text, "")
    outside = TAGGED.sub("", outside)
    names = {
        prompt.name: re.escape(prompt.name) + r"(?![\w#])" for prompt in prompts if prompt.name
    }
    for lead in (ORDER, ""):
        asked = {n for n, form in names.items() if re.search(lead + form, outside, re.IGNORECASE)}
        if asked:
            return [prompt for prompt in prompts if prompt.name in asked]
    return list(prompts)


def render_prompts(edited: Sequence[tuple[FoundPrompt, str]]) -> str:
    """A single prompt's new text as it is, several in tags with their names."""
    if len(edited) == 1:
        return edited[0][1]
    return "\n".join(f'<prompt name="{old.name}">\n{new}\n</prompt>' for old, new in edited)


def prompt_in_force(prompts: Sequence[FoundPrompt], text: str, position: int) -> str | None:
    """The name of the prompt that a transcript shows last before a position.

    It shows a prompt by its text, as it is or JSON-escaped, or by its name in parentheses. The
    tagged prompts themselves do not count: what counts is the transcript of the call that used one.
    """
    best, name = -1, None
    for prompt in prompts:
        for form in {prompt.text, json.dumps(prompt.text)[1:-1], f"({prompt.name})"}:
            place = text.rfind(form, 0, position)
            while any(other.start <= place < other.end for other in prompts):
                place = text.rfind(form, 0, max(place, 0))
            if place > best:
                best, name = place, prompt.name
    return name
