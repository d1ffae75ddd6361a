"""Redaction: what is taken out of every text before it is written, shown or sent on.

Credentials always are; besides, what the user names with ``redact=``. All that a run writes goes
through one `Redaction`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar, cast

from agl_core.code_identity import code_identity
from agl_core.credentials import Credentials
from agl_core.errors import AglError, RedactionError
from agl_core.prompts.templates import PromptTemplate
from agl_core.spans.contents import is_structure
from agl_core.spans.span import Span
from agl_core.text import SEARCHED, cut_middle

__all__ = ["REDACTED", "WITHHELD_PROMPT", "RedactSource", "Redaction", "clean_error"]

E = TypeVar("E", bound=BaseException)

REDACTED = "[redacted]"
"""What stands in the place of what a pattern matches."""

WITHHELD_PROMPT = "holds what must not be written (redact=, or what looks like a credential)"
"""What is said of a prompt that could not be written back."""

RedactSource = str | re.Pattern[str] | Callable[[str], str] | Iterable[str | re.Pattern[str]]
"""A regular expression, several, or a function that is given a text and returns what may be kept
of it."""

_ROUNDS = 5
_LINKS = 100
_DEPTH = 4
_PROBE = "a text to try redact= on"
# What JSON in a longer text writes for a character; a pair of them for one beyond U+FFFF.
_ESCAPED = re.compile(
    r"\\+u(d[89ab][0-9a-f]{2})\\+u(d[c-f][0-9a-f]{2})|\\+u([0-9a-f]{4})", re.IGNORECASE
)
# What says what kind of thing an object in a message is, which no reader can do without.
_KINDS = frozenset({"role", "type", "finish_reason"})
_NAMES = _KINDS | {"arguments", "content", "id", "name", "parts", "response", "tool_calls"}
_KIND = re.compile(r"[a-z_]{1,40}")


class Redaction:
    """Takes credentials out of texts, and what the user names.

    What it has changed once, it does not change again: so what is read back from the store is what
    was handed on at first. May be used from any thread; a function of the user's then is, too.

    Args:
        redact: What the user names.
        secrets: Values that count as credentials besides those of the environment.

    Raises:
        RedactionError: If a pattern is none, or matches the empty text, or the function does not
            return text.
    """

    def __init__(self, redact: RedactSource = (), secrets: Iterable[str] = ()) -> None:
        self._credentials = Credentials(values=secrets)
        self._function = redact if callable(redact) else None
        self._patterns = () if callable(redact) else tuple(_patterns(redact))
        self._own = bool(self._function or self._patterns)
        # Told before it is called: a callable object may change itself.
        self._identity = "" if self._function is None else code_identity(self._function)
        self.text(_PROBE)

    def text(self, text: str) -> str:
        """Return what may be written of a text.

        Raises:
            RedactionError: If the user's function fails, or changes its own results for ever.
        """
        text = self._credentials.removed(text)
        return self._without_named(text) if self._own and text else text

    def shown(self, text: str) -> str:
        """Return the same for a message or an error: nothing of it, if the function fails.

        A long one is cut in the middle.
        """
        try:
            return self.text(cut_middle(text, SEARCHED))
        except RedactionError:
            return REDACTED

    def data(self, data: Any) -> Any:
        """Return what may be written of JSON-able data: texts, numbers as texts, and names.

        A text that is JSON is taken for the data that it holds.
        """
        return self._data(data, _DEPTH)

    def span(self, span: Span) -> Span:
        """Return what may be written of a span. Its structure stays: ids, kinds, counts."""
        return replace(
            span,
            name=self.text(span.name),
            status_message=self.text(span.status_message),
            attributes=self._attributes(span.attributes),
            events=tuple(
                replace(event, attributes=self._attributes(event.attributes))
                for event in span.events
            ),
        )

    @property
    def fingerprint(self) -> str:
        """What tells what the user named from something else; empty if that is nothing."""
        if not self._own:
            return ""
        named = [self._identity, *(f"{p.pattern}/{p.flags}" for p in self._patterns)]
        return hashlib.sha256("\n".join(named).encode()).hexdigest()[:16]

    def check_prompts(self, prompts: Mapping[str, PromptTemplate]) -> None:
        """Refuse prompts that could not be written as they are.

        Raises:
            RedactionError: The message names one, and not what it holds.
        """
        for name, prompt in prompts.items():
            if self.text(name) != name:
                raise RedactionError(
                    "the name of a prompt holds what must not be written (redact=, or what looks "
                    "like a credential): it is needed in the store and in prompt files"
                )
            if self.text(prompt.raw) != prompt.raw:
                raise RedactionError(
                    f"the prompt {name} {WITHHELD_PROMPT}: it could not be written to the store "
                    "or a prompts file. Take that out of the prompt, or redact less"
                )

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        """Refuse settings of a run that could not be written as they are.

        Raises:
            RedactionError: The message names one, and not what it holds.
        """
        for name, value in settings.items():
            if _without_numbers(self.data(value), value) != value:
                raise RedactionError(
                    f"{name} of the run holds what must not be written (redact=, or what looks "
                    "like a credential), and a run cannot be resumed without it: use another "
                    "one, or redact less"
                )

    @contextmanager
    def errors(self) -> Generator[None]:
        """Change the texts of errors that leave the block."""
        try:
            yield
        except Exception as error:
            self.clean(error)
            raise

    def clean(self, error: BaseException) -> None:
        """Change the texts of an error, its notes, and those that led to it.

        They are changed themselves: Python prints the causes of an error that nobody catches. One
        that makes its text of something else is replaced there by a plain one that says the same.
        """
        seen: set[int] = set()
        waiting: list[BaseException] = [error]
        while waiting and len(seen) < _LINKS:
            link = waiting.pop()
            if id(link) in seen:
                continue
            seen.add(id(link))
            self._clean_one(link)
            suppressed = link.__suppress_context__
            if link.__cause__ is not None:
                link.__cause__ = self._writable(link.__cause__)
                waiting.append(link.__cause__)
            if link.__context__ is not None:
                link.__context__ = self._writable(link.__context__)
                waiting.append(link.__context__)
            link.__suppress_context__ = suppressed
            if isinstance(link, BaseExceptionGroup):
                waiting += cast("tuple[BaseException, ...]", link.exceptions)

    def _clean_one(self, error: BaseException) -> None:
        text = _text_of(error)
        written = self.shown(text)
        if written != text:
            error.args = (written,)
        notes = getattr(error, "__notes__", None)
        if notes:
            error.__notes__ = [self.shown(str(note)) for note in notes]

    def _writable(self, error: BaseException) -> BaseException:
        self._clean_one(error)
        text = _text_of(error)
        written = self.shown(text)
        if written == text:
            return error
        other = AglError(f"{type(error).__name__}: {written}")
        other.__cause__, other.__context__ = error.__cause__, error.__context__
        other.__suppress_context__ = error.__suppress_context__
        for note in getattr(error, "__notes__", ()):
            other.add_note(note)
        return other.with_traceback(error.__traceback__)

    def _without_named(self, text: str) -> str:
        for _ in range(_ROUNDS):
            new = self._once(text)
            if new == text:
                decoded = _decoded(text)
                new = self._once(decoded) if decoded != text else text
                if new == decoded:
                    return text
            # A text that is there stays one: an empty answer would be another answer.
            text = new if new.strip() or not text.strip() else REDACTED
        raise RedactionError(
            "redact= changes again what it has changed, each time anew: it has to leave alone "
            "what it returned"
        )

    def _once(self, text: str) -> str:
        if self._function is None:
            return REDACTED.join(map(self._without_matches, text.split(REDACTED)))
        if text == REDACTED:
            return text
        try:
            new: Any = self._function(text)
        except Exception as error:  # noqa: BLE001 - whatever it raises, nothing is written
            place = error.__traceback__
            while place is not None and place.tb_next is not None:
                place = place.tb_next
            where = (
                ""
                if place is None
                else f" ({place.tb_frame.f_code.co_name}, line {place.tb_lineno})"
            )
            # Without the error itself, which may quote what it was given.
            raise RedactionError(
                f"the function given as redact= raised {type(error).__name__}{where}; the text it "
                "was given is not written"
            ) from None
        if not isinstance(new, str):
            raise RedactionError(
                f"the function given as redact= returned {type(new).__name__}; it returns the text "
                "that may be written"
            )
        return new

    def _without_matches(self, text: str) -> str:
        for pattern in self._patterns:
            text = pattern.sub(lambda match: REDACTED if match.group() else "", text)
        return text

    def _data(self, data: Any, depth: int) -> Any:
        if isinstance(data, str):
            return self._text_or_json(data, depth)
        if isinstance(data, Mapping):
            fields = cast("Mapping[Any, Any]", data)
            return {self._name(str(k)): self._field(str(k), v, depth) for k, v in fields.items()}
        if isinstance(data, list | tuple):
            return [self._data(item, depth) for item in cast("list[Any]", data)]
        if not self._own or data is None or isinstance(data, bool):
            return data
        if isinstance(data, int | float):
            shown = repr(data)
            written = self._without_named(shown)
            return data if written == shown else written
        return data

    def _name(self, name: str) -> str:
        return name if name in _NAMES else self.text(name)

    def _field(self, name: str, value: Any, depth: int) -> Any:
        if not isinstance(value, str):
            return self._data(value, depth)
        if name in _KINDS and _KIND.fullmatch(value):
            return value
        value = self._credentials.removed_from_value(name, value)
        return self._text_or_json(value, depth) if self._own else value

    def _text_or_json(self, text: str, depth: int) -> str:
        if self._own and depth and text[:1] in ("{", "["):
            try:
                data = json.loads(text)
            except (ValueError, RecursionError):
                return self.text(text)
            written = self._data(data, depth - 1)
            text = text if written == data else json.dumps(written, ensure_ascii=False)
            return self._credentials.removed(text)
        return self.text(text)

    def _attributes(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        return {name: self._attribute(name, value) for name, value in attributes.items()}

    def _attribute(self, name: str, value: Any) -> Any:
        if isinstance(value, str):
            value = self._credentials.removed_from_value(name, value)
            if not self._own:
                return value
        if is_structure(name, value):
            return value
        return self._data(value, _DEPTH)


def clean_error(error: E) -> E:
    """Take credentials out of the text of an error, and of those that led to it; return it."""
    Redaction().clean(error)
    return error


def _patterns(redact: Any) -> Iterable[re.Pattern[str]]:
    given = (redact,) if isinstance(redact, str | re.Pattern) else redact
    if not isinstance(given, Iterable) or isinstance(given, bytes | Mapping):
        raise RedactionError(
            f"redact is {type(redact).__name__}; give regular expressions, or a function that "
            "takes a text and returns what may be written of it"
        )
    for pattern in cast("Iterable[Any]", given):
        if not isinstance(pattern, str | re.Pattern) or isinstance(
            getattr(pattern, "pattern", ""), bytes
        ):
            raise RedactionError(f"redact has {type(pattern).__name__}; a pattern is text")
        try:
            compiled = cast("re.Pattern[str]", re.compile(pattern))
        except (re.error, RecursionError, OverflowError) as error:
            raise RedactionError(
                f"redact has {pattern!r}, which is no regular expression: {error}"
            ) from error
        if compiled.search("") is not None:
            raise RedactionError(
                f"redact has {compiled.pattern!r}, which matches where nothing is: it would take "
                "out nothing, or everything"
            )
        yield compiled


def _decoded(text: str) -> str:
    """Return a text with the characters in it that JSON has escaped by their numbers."""
    return _ESCAPED.sub(_character, text)


def _character(escape: re.Match[str]) -> str:
    high, low, single = escape.groups()
    if high:
        return chr(0x10000 + ((int(high, 16) & 0x3FF) << 10) + (int(low, 16) & 0x3FF))
    code = int(single, 16)
    return escape.group() if 0xD800 <= code < 0xE000 else chr(code)  # half a pair is no text


def _without_numbers(written: Any, value: Any) -> Any:
    """Return what is written with the numbers of the value: settings may have any."""
    if isinstance(value, Mapping) and isinstance(written, Mapping):
        fields = cast("Mapping[str, Any]", value)
        return {
            name: _without_numbers(kept, fields.get(name))
            for name, kept in cast("Mapping[str, Any]", written).items()
        }
    if isinstance(value, list | tuple) and isinstance(written, list):
        pairs = zip(cast("list[Any]", written), cast("list[Any]", value), strict=True)
        return type(value)(_without_numbers(kept, item) for kept, item in pairs)
    return value if isinstance(value, int | float) else written


def _text_of(error: BaseException) -> str:
    try:
        # As it was given: an error of ours makes itself safe to show.
        if isinstance(error, AglError):
            return Exception.__str__(error)
        return str(error)
    except Exception:  # noqa: BLE001 - a broken __str__ says nothing
        return ""
