"""How the simulated model rewrites prompts: it adds what was suggested, and spoils a little."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from agl_adapters.testing.rules import Rule

__all__ = ["Editor"]

PLACEHOLDER = re.compile(r"\{[A-Za-z_]\w*\}")


@dataclass(frozen=True, slots=True)
class Editor:
    """Rewrites prompts: keeps their lines and adds what is suggested and not yet stated.

    Attributes:
        drops_line: The probability that one line of several is lost.
        loses_placeholder: The probability that one `{placeholder}` is lost.
        fence: The probability that the prompt comes in a code fence.
        preface: The probability that a preface comes first.
    """

    drops_line: float = 0.10
    loses_placeholder: float = 0.10
    fence: float = 0.15
    preface: float = 0.15

    def edit(
        self, prompt: str, sentences: Sequence[str], rules: Sequence[Rule], rng: random.Random
    ) -> str:
        """The prompt with the sentences, less what gets lost."""
        by_sentence = {rule.sentence: rule for rule in rules}
        lines = prompt.split("\n")
        for sentence in sentences:
            text, rule = "\n".join(lines), by_sentence.get(sentence)
            if not (rule.states(text) if rule else sentence in text):
                lines.append(sentence)
        if rng.random() < self.drops_line and len(lines) > 1:
            del lines[rng.randrange(len(lines))]
        text = "\n".join(lines)
        placeholders = PLACEHOLDER.findall(text)
        if rng.random() < self.loses_placeholder and placeholders:
            text = text.replace(rng.choice(placeholders), "", 1)
        return text

    def wrap(self, text: str, fenced: bool, rng: random.Random) -> str:
        """The text as the reply shows it: fenced by chance or if asked to, prefaced by chance."""
        if rng.random() < self.fence or fenced:
            text = f"```\n{text}\n```"
        return f"Here is the improved prompt:\n\n{text}" if rng.random() < self.preface else text
