"""Credentials: keys and tokens that turn up in texts, taken out before a text is kept or shown."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping

__all__ = ["REMOVED", "VARIABLE", "Credentials", "without_credentials"]

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
    r"""(?:\\?["'])?(?:(?:bearer|basic)\s+)?)(?!(?:bearer|basic)\b|your|[<{$%])"""
    # A word is no key: "authorization: required".
    r"""(?=[^\s"'\\,;}&)\[\]]{0,200}\d|\S{24})([^\s"'\\,;}&)\[\]]{6,})""",
    re.IGNORECASE,
)
_NAME = re.compile(
    r"(?:api[-_]?key|authorization|access[-_]?token|client[-_]?secret)$", re.IGNORECASE
)
_BEARER = re.compile(
    r"(\bbearer\s+)(?=[A-Za-z._~+/=-]{0,200}\d|\S{24})([A-Za-z0-9._~+/=-]{8,})", re.IGNORECASE
)
_IN_ADDRESS = re.compile(
    r"(\b[a-z][a-z0-9+.-]{0,20}://)[^\s/:@\"'\\]{0,200}:[^\s/@\"'\\]{1,500}@", re.IGNORECASE
)
_IN_QUERY = re.compile(
    r"([?&](?:api[-_]?key|key|token|access[-_]?token|sig|signature)=)[^&\s\"'\\#]+", re.IGNORECASE
)
# Of each expression: one of these stands, in lower case, in every text that it changes. To look for
# them takes a tenth of the time.
_EXPRESSIONS = (
    (("://",), _IN_ADDRESS, rf"\1{REMOVED}@"),
    (("?", "&"), _IN_QUERY, rf"\1{REMOVED}"),
    (("key", "authorization", "token", "secret"), _NAMED, rf"\1{REMOVED}"),
    (("bearer",), _BEARER, rf"\1{REMOVED}"),
    (
        ("sk-", "gsk_", "hf_", "akia", "aiza", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "xox"),
        _KEYS,
        REMOVED,
    ),
)
_SHORTEST = 6
"""Characters of the shortest text that an expression changes, such as ``?key=x``."""
VARIABLE = re.compile(r"(?:KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS?|AUTHORIZATIONS?)$", re.IGNORECASE)
"""Finds in a name that what has it is a credential."""


class Credentials:
    """Knows the credentials of the environment by their values, and others by their form.

    Args:
        environment: Variables. The values of those called like a key, a token, a secret or a
            password count, if they are long and no plain word.
        values: Further ones, such as the key that a client was given; under the same condition.
    """

    def __init__(
        self, environment: Mapping[str, str] | None = None, values: Iterable[str] = ()
    ) -> None:
        variables = os.environ if environment is None else environment
        known = {value for name, value in variables.items() if VARIABLE.search(name)}
        # The longest first: one may be part of another.
        secrets = filter(_is_secret, known.union(values))
        self._values = sorted(secrets, key=len, reverse=True)

    def removed(self, text: str) -> str:
        """Return the text without credentials."""
        for value in self._values:
            if value in text:
                text = text.replace(value, REMOVED)
        if len(text) < _SHORTEST:
            return text  # most names of fields
        lowered = text.lower()
        for signs, expression, written in _EXPRESSIONS:
            for sign in signs:  # no generator: every text that is written comes by here
                if sign in lowered:
                    text = expression.sub(written, text)
                    break
        return text

    def removed_from_value(self, name: str, value: str) -> str:
        """Return a value without credentials; what has the name of one is one."""
        said = f"{name}: "
        cleaned = self.removed(f"{said}{value}") if _NAME.search(name) else ""
        return cleaned[len(said) :] if cleaned.startswith(said) else self.removed(value)


def without_credentials(text: str) -> str:
    """Return the text without credentials, those of the environment as it is now included."""
    return Credentials().removed(text)


def _is_secret(value: str) -> bool:
    return len(value) >= 12 and any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
