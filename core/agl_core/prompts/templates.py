"""Prompt templates: text is data, and formatting fills declared placeholders only."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

from agl_core.errors import ConfigurationError, PlaceholderError
from agl_core.prompts.scopes import Scoped

if TYPE_CHECKING:
    from agl_core.prompts.jinja_sandbox import PromptEnvironment

__all__ = ["Engine", "PromptTemplate", "Resources", "coerce_resources", "fingerprint"]

Engine = Literal["f-string", "jinja", "literal"]

_F_STRING_PIECE = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_]*)\}")
_JINJA_MARK = re.compile(r"\{[{%#]")
_NOTHING = re.compile(r"(?!)")

on_format: Scoped[Callable[[PromptTemplate, Mapping[str, Any], str], None]] = Scoped(
    "agl_on_format"
)
"""Told of each text that a program renders in this context: the template, the values, the text."""


class PromptTemplate:
    """The text of a prompt, with named placeholders. Immutable and hashable.

    Args:
        template: The text.
        engine: How placeholders are written.

            * ``"f-string"``: ``{name}``. Only the declared names are filled. There is no attribute
              or index access; an unknown or unbalanced brace stays as it is; ``{{`` and ``}}`` are
              braces.
            * ``"jinja"``: Jinja2 in its immutable sandbox; an undefined variable is an error, and
              so is a template that takes too many steps or makes too much text.
            * ``"literal"``: text in which braces mean nothing. Only where names are declared, as
              for a prompt recovered from a program, their ``{name}`` is filled.
        variables: The declared names. If not given, those that stand in the text; none in literal
            text. Always found in the text for Jinja.

    Raises:
        ConfigurationError: If the template is not text, the engine is unknown, or Jinja cannot
            parse it.
    """

    def __init__(
        self,
        template: str,
        engine: Engine = "f-string",
        variables: Iterable[str] | None = None,
    ) -> None:
        if not isinstance(template, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(
                f"a prompt is text or a PromptTemplate, not {type(template).__name__}"
            )
        if engine not in get_args(Engine):
            raise ConfigurationError(
                f"unknown template engine {engine!r}; there are {', '.join(get_args(Engine))}"
            )
        self._template = template
        self._engine: Engine = engine
        declared = None if engine == "jinja" else variables
        if declared is not None:
            declared = frozenset([declared] if isinstance(declared, str) else declared)
        self._placeholders = _placeholders(template, engine, declared)
        self._variables = self._placeholders if declared is None else declared

    @property
    def template(self) -> str:
        """The text as it stands, placeholders unfilled."""
        return self._template

    @property
    def engine(self) -> Engine:
        """How placeholders are written."""
        return self._engine

    @property
    def variables(self) -> frozenset[str]:
        """The names that `format` fills."""
        return self._variables

    @property
    def raw(self) -> str:
        """The same text, for machinery: looking at it does not count as the program reading it."""
        return self._template

    def format(self, /, **values: Any) -> str:
        """Fill the placeholders. Values that the template does not ask for are ignored.

        Raises:
            PlaceholderError: If a placeholder has no value (in Jinja: one that is rendered).
        """
        text = self.render(values)
        listener = on_format.get()
        if listener is not None:
            listener(self, values, text)
        return text

    def render(self, values: Mapping[str, Any]) -> str:
        """Do as `format` does, for machinery: it does not count as the program reading it."""
        if self._engine == "jinja":
            return self._render_jinja(values)
        missing = (self._variables & self._placeholders) - values.keys()
        if missing:
            raise PlaceholderError(
                f"the prompt asks for {_braced(missing)}, which it was not given "
                f"(values given: {_listed(values)})"
            )
        parts: list[str] = []
        for text, name in self.segments:
            parts.append(text)
            if name is not None:
                parts.append(str(values[name]))
        return "".join(parts)

    @cached_property
    def segments(self) -> tuple[tuple[str, str | None], ...]:
        """The text in pieces, each with the variable that follows it; the last one has none.

        Escaped braces are resolved. A Jinja template is one piece.
        """
        segments: list[tuple[str, str | None]] = []
        text, end = "", 0
        for match in _pieces(self._engine, self._variables).finditer(self._template):
            text += self._template[end : match.start()]
            end = match.end()
            name = match.group(1)
            if name in self._variables:
                segments.append((text, name))
                text = ""
            else:
                text += match.group() if name else match.group()[0]
        return (*segments, (text + self._template[end:], None))

    def with_text(self, template: str) -> PromptTemplate:
        """Return this template with another text, the engine and declared names kept."""
        return PromptTemplate(template, self._engine, self._variables)

    def escaped(self, text: str) -> str | None:
        """Return a text so that, as a part of this template, it is rendered as it is.

        None if it cannot be held: literal text with declared names knows no escape, and in Jinja
        one would be code.
        """
        if self._engine == "f-string":
            return text.replace("{", "{{").replace("}", "}}")
        if self._engine == "jinja":
            return None if _JINJA_MARK.search(text) else text
        return None if _pieces(self._engine, self._variables).search(text) else text

    def placeholders(self) -> frozenset[str]:
        """The names that stand in the text as placeholders, declared or not."""
        return self._placeholders

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form that `from_json` reads."""
        return {
            "template": self._template,
            "engine": self._engine,
            "variables": sorted(self._variables),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PromptTemplate:
        """Rebuild a template from `to_json`."""
        return cls(data["template"], data["engine"], data["variables"])

    def _render_jinja(self, values: Mapping[str, Any]) -> str:
        from jinja2 import UndefinedError

        try:
            return _environment().rendered(self._compiled, values)
        except RecursionError as error:
            raise ConfigurationError("the prompt's template calls itself too deeply") from error
        except UndefinedError as error:
            raise PlaceholderError(
                f"the prompt asks for what it was not given: {error} "
                f"(values given: {_listed(values)})"
            ) from error

    @cached_property
    def _compiled(self) -> Any:
        return _environment().compiled(self._template)

    def __str__(self) -> str:
        return self._template

    def __repr__(self) -> str:
        engine = "" if self._engine == "f-string" else f", engine={self._engine!r}"
        return f"PromptTemplate({self._template!r}{engine})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PromptTemplate):
            return NotImplemented
        return self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def __reduce__(self) -> tuple[Any, ...]:
        return (PromptTemplate, self._identity())

    def _identity(self) -> tuple[str, Engine, frozenset[str]]:
        return (self._template, self._engine, self._variables)


Resources = Mapping[str, PromptTemplate]
"""The named prompts of one candidate."""


def coerce_resources(resources: Mapping[str, str | PromptTemplate]) -> dict[str, PromptTemplate]:
    """Turn plain strings into templates and check the names.

    Raises:
        ConfigurationError: If it is no mapping, a name is empty, or a value is no prompt.
    """
    if not isinstance(resources, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(
            f"resources map names to prompts, as in {{'prompt_template': '...'}}; "
            f"this is {type(resources).__name__}"
        )
    coerced: dict[str, PromptTemplate] = {}
    for name, prompt in resources.items():
        if not isinstance(name, str) or not name.strip():  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"a resource's name is non-empty text, not {name!r}")
        if isinstance(prompt, PromptTemplate):
            coerced[name] = prompt
        elif isinstance(prompt, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            coerced[name] = PromptTemplate(prompt)
        else:
            raise ConfigurationError(
                f"resource {name!r} is {type(prompt).__name__}; "
                "a resource is text or a PromptTemplate"
            )
    return coerced


def fingerprint(resources: Resources) -> str:
    """Return a short, stable hash of the prompts: equal prompts, equal fingerprint."""
    digest = hashlib.sha256()
    for name in sorted(resources):
        data = resources[name].to_json()
        for part in (name, data["template"], data["engine"], *data["variables"]):
            encoded = part.encode("utf-8", "surrogatepass")
            digest.update(len(encoded).to_bytes(8, "big"))
            digest.update(encoded)
    return digest.hexdigest()[:16]


def _braced(names: Iterable[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(names))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _pieces(engine: Engine, declared: frozenset[str] | None) -> re.Pattern[str]:
    """Return what is not plain text: escaped braces and placeholders."""
    if engine == "f-string":
        return _F_STRING_PIECE
    if engine == "literal" and declared:
        return re.compile(rf"\{{({'|'.join(map(re.escape, sorted(declared)))})\}}")
    return _NOTHING


def _placeholders(template: str, engine: Engine, declared: frozenset[str] | None) -> frozenset[str]:
    if engine != "jinja":
        return frozenset(name for name in _pieces(engine, declared).findall(template) if name)
    import jinja2
    from jinja2 import meta

    try:
        return frozenset(meta.find_undeclared_variables(_environment().parse(template)))
    except jinja2.TemplateSyntaxError as error:
        raise ConfigurationError(
            f"the Jinja template does not parse: {error.message} (line {error.lineno})"
        ) from error
    except RecursionError as error:
        raise ConfigurationError("the Jinja template does not parse: nested too deeply") from error


@cache
def _environment() -> PromptEnvironment:
    # Imported here: most programs never use Jinja, and importing it costs 30 ms.
    from agl_core.prompts.jinja_sandbox import PromptEnvironment

    return PromptEnvironment()
