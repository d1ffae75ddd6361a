"""Constraints: what a rewrite of a prompt must keep to."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agl_core.errors import ConfigurationError
from agl_core.text import cut

__all__ = ["Constraint", "ConstraintError"]

_SHOWN = 80
"""How many characters of a text messages show."""

_SCRIPTS: Mapping[str, tuple[str, ...]] = {
    "arabic": ("ARABIC",),
    "bulgarian": ("CYRILLIC",),
    "chinese": ("CJK",),
    "greek": ("GREEK",),
    "hebrew": ("HEBREW",),
    "hindi": ("DEVANAGARI",),
    "japanese": ("HIRAGANA", "KATAKANA", "CJK"),
    "korean": ("HANGUL",),
    "persian": ("ARABIC",),
    "russian": ("CYRILLIC",),
    "thai": ("THAI",),
    "ukrainian": ("CYRILLIC",),
    **dict.fromkeys(
        ("czech", "danish", "dutch", "english", "finnish", "french", "german", "indonesian"),
        ("LATIN",),
    ),
    **dict.fromkeys(
        ("italian", "norwegian", "polish", "portuguese", "spanish", "swedish", "turkish"),
        ("LATIN",),
    ),
    "vietnamese": ("LATIN",),
}
_MIN_SHARE = 0.25
"""The least share of a prompt's letters that are of its language's script: names of tools and
fields may well be of another one."""


class ConstraintError(ValueError):
    """A text breaks a constraint. The message says which, as in "the rewrite <message>"."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """What every rewrite of a prompt must keep to.

    The rewriting model is told all of it. `max_chars` and `keep` are checked on each rewrite before
    it costs a rollout. Of `language` only the script is checked, and only of a language whose name
    is known here: a rewrite in Chinese is refused where German is asked for, one in English is not.

    Raises:
        ConfigurationError: If a value is of the wrong kind.
    """

    max_chars: int | None = None
    """The longest text, in characters, placeholders as they are written."""
    keep: Sequence[str] = ()
    """Texts that must stand in it, each exactly as it is here."""
    language: str | None = None
    """The language to write in, by its English name."""

    def __post_init__(self) -> None:
        """Check the values."""
        limit: Any = self.max_chars
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int)):
            raise ConfigurationError(f"max_chars is {limit!r}; it is a number of characters")
        if limit is not None and limit < 1:
            raise ConfigurationError(f"max_chars is {limit}; it is at least 1")
        keep: Any = (self.keep,) if isinstance(self.keep, str) else tuple(self.keep)
        if not all(isinstance(text, str) and text for text in keep):
            raise ConfigurationError("keep holds texts that must stay, none of them empty")
        object.__setattr__(self, "keep", keep)
        language: Any = self.language
        if language is not None and not (isinstance(language, str) and language.strip()):
            raise ConfigurationError(f"language is {language!r}; it is a language's English name")

    def __bool__(self) -> bool:
        """Tell whether anything is asked for."""
        return self.max_chars is not None or bool(self.keep) or self.language is not None

    def __and__(self, other: Constraint) -> Constraint:
        """Return the constraint that holds if both do.

        Raises:
            ConfigurationError: If they ask for two languages.
        """
        limits = [c.max_chars for c in (self, other) if c.max_chars is not None]
        languages = list(dict.fromkeys(c.language for c in (self, other) if c.language))
        if len(languages) > 1:
            raise ConfigurationError(f"one prompt cannot be in {' and in '.join(languages)}")
        return Constraint(
            min(limits, default=None),
            tuple(dict.fromkeys((*self.keep, *other.keep))),
            languages[0] if languages else None,
        )

    def check(self, text: str) -> None:
        """Check a prompt's text.

        Raises:
            ConstraintError: If it breaks the constraint, as far as that is checked.
        """
        if self.max_chars is not None and len(text) > self.max_chars:
            raise ConstraintError(f"has {len(text)} characters; the limit is {self.max_chars}")
        for kept in self.keep:
            if kept not in text:
                raise ConstraintError(f"loses {cut(kept, _SHOWN)!r}, which must stay")
        scripts = _SCRIPTS.get((self.language or "").strip().lower())
        if scripts is not None and _share(text, scripts) < _MIN_SHARE:
            raise ConstraintError(f"is not in {self.language}: it is in another script")

    def told(self) -> list[str]:
        """Return what to tell the model that rewrites the prompt, a sentence each."""
        sentences: list[str] = []
        if self.max_chars is not None:
            sentences.append(f"It has at most {self.max_chars} characters.")
        sentences += [f"It holds this text, exactly as it is here: {kept}" for kept in self.keep]
        if self.language is not None:
            sentences.append(f"It is written in {self.language}.")
        return sentences

    def summary(self) -> str:
        """Return it in a few words, for tables."""
        parts = [] if self.max_chars is None else [f"at most {self.max_chars} characters"]
        parts += [f"keeps {cut(kept, _SHOWN)!r}" for kept in self.keep]
        return ", ".join(parts + ([f"in {self.language}"] if self.language else []))

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able form."""
        return {"max_chars": self.max_chars, "keep": list(self.keep), "language": self.language}


def _share(text: str, scripts: Sequence[str]) -> float:
    """Return the share of a text's letters that are of some scripts; 1 of a text without any."""
    letters = [character for character in text if character.isalpha()]
    if not letters:
        return 1.0
    own = sum(unicodedata.name(letter, "").startswith(tuple(scripts)) for letter in letters)
    return own / len(letters)
