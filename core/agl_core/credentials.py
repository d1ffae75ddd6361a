"""Credentials: keys and tokens that turn up in texts, taken out before a text is kept or shown."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar, cast

from agl_core.spans import Span

__all__ = ["REMOVED", "Credentials", "clean_error", "without_credentials"]

E = TypeVar("E", bound=BaseException)

REMOVED = "[secret]"
"""What stands in the place of a credential."""

# Not within a word: a task-1234567 is no key. In JSON text, the n of a \n is no part of a word.
_START = r"(?:(?<![A-Za-z0-9_-])|(?<=\\[nrt]))"
_KEYS = re.compile(
    rf"{_START}(?:sk-[A-Za-z0-9_*.-]{{8,}}|gsk_\w{{20,}}|hf_[A-Za-z0-9]{{20,}}|AKIA[0-9A-Z]{{16}}"
    r"|AIza[\w-]{30,}|gh[pousr]_[A-Za-z0-9]{20,}|xox[abps]-[\w-]{10,})"
)
_NAMED = re.compile(
    r"""((?:api[-_]?key|authorization|access[-_]?token|client[-_]?secret)(?:\\?["'])?\s*[:=]\s*"""
    r"""(?:\\?["'])?(?:(?:bearer|basic)\s+)?)(?!(?:bearer|basic)\b)([^\s"'\\,;}&)\[\]]{6,})""",
    re.IGNORECASE,
)
_BEARER = re.compile(r"(\bbearer\s+)([A-Za-z0-9._~+/=-]{8,})", re.IGNORECASE)
_IN_ADDRESS = re.compile(
    r"(\b[a-z][a-z0-9+.-]{0,20}://)[^\s/:@\"'\\]{0,200}:[^\s/@\"'\\]{1,500}@", re.IGNORECASE
)
_IN_QUERY = re.compile(
    r"([?&](?:api[-_]?key|key|token|access[-_]?token|sig|signature)=)[^&\s\"'\\#]+", re.IGNORECASE
)
# One of these stands in every text that the expressions above change.
_HINTS = re.compile(
    r"sk-|gsk_|hf_|AKIA|AIza|gh[pousr]_|xox|key|authorization|token|secret|bearer|://|sig",
    re.IGNORECASE,
)
_VARIABLE = re.compile(r"(?:KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS?)$", re.IGNORECASE)


class Credentials:
    """Knows the credentials of the environment by their values, and others by their form.

    Args:
        environment: Variables. The values of those called like a key, a token, a secret or a
            password count, if they are long and no plain word.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        variables = os.environ if environment is None else environment
        values = {v for name, v in variables.items() if _VARIABLE.search(name) and _is_secret(v)}
        # The longest first: one may be part of another.
        self._values = sorted(values, key=len, reverse=True)

    def removed(self, text: str) -> str:
        """Return the text without credentials."""
        for value in self._values:
            if value in text:
                text = text.replace(value, REMOVED)
        if _HINTS.search(text) is None:
            return text
        text = _IN_ADDRESS.sub(rf"\1{REMOVED}@", text)
        text = _IN_QUERY.sub(rf"\1{REMOVED}", text)
        text = _NAMED.sub(rf"\1{REMOVED}", text)
        text = _BEARER.sub(rf"\1{REMOVED}", text)
        return _KEYS.sub(REMOVED, text)

    def removed_from(self, data: Any) -> Any:
        """Return JSON-able data with every text in it changed like that, keys of objects too."""
        if isinstance(data, str):
            return self.removed(data)
        if isinstance(data, Mapping):
            return {self.removed(str(k)): self.removed_from(v) for k, v in data.items()}
        if isinstance(data, list | tuple):
            return [self.removed_from(item) for item in data]
        return data

    def removed_from_span(self, span: Span) -> Span:
        """Return a span with every text in it changed like that."""
        return replace(
            span,
            name=self.removed(span.name),
            status_message=self.removed(span.status_message),
            attributes={k: self.removed_from(v) for k, v in span.attributes.items()},
            events=tuple(
                replace(event, attributes=self.removed_from(event.attributes))
                for event in span.events
            ),
        )


def clean_error(error: E) -> E:
    """Take credentials out of the message of an error, and of those that led to it.

    It is changed itself: Python prints the causes of an error that nobody catches.
    """
    credentials, link = Credentials(), cast("BaseException | None", error)
    for _ in range(100):
        if link is None:
            break
        cleaned = credentials.removed(str(link))
        if cleaned != str(link):
            link.args = (cleaned,)
        link = link.__cause__ or link.__context__
    return error


def without_credentials(text: str) -> str:
    """Return the text without credentials, those of the environment as it is now included."""
    return Credentials().removed(text)


def _is_secret(value: str) -> bool:
    return len(value) >= 12 and any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
