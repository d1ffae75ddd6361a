"""The slot policy: which prompts of a program are optimized, and what rewrites must keep to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

from agl_core.errors import ConfigurationError
from agl_core.prompts.constraints import Constraint, ConstraintError
from agl_core.prompts.slots import SlotRecord
from agl_core.prompts.templates import PromptTemplate, Resources, coerce_resources

__all__ = ["MAX_UNMATCHED", "SlotChoice", "SlotPolicy", "SlotState"]

MAX_UNMATCHED = 0.2
"""The share of texts that may be left alone because they are not the known prompt, by default."""

SlotState = Literal["optimized", "frozen", "off"]
"""``off``: nobody asked for it, or there is no prompt to start from."""


@dataclass(frozen=True, slots=True)
class SlotChoice:
    """What becomes of a slot in a run."""

    record: SlotRecord
    """What is known of it."""
    state: SlotState
    """What becomes of it."""
    reason: str = ""
    """Why it is not optimized."""
    constraint: Constraint = field(default_factory=Constraint)
    """What its rewrites must keep to."""

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form that is kept in the store."""
        return {
            "state": self.state,
            "reason": self.reason,
            "role": self.record.role,
            "source": self.record.source,
            "place": self.record.place,
            "calls_per_rollout": self.record.calls,
            "tokens_per_rollout": self.record.tokens,
            "tokens_counted": self.record.tokens_counted,
            "constraint": self.constraint.to_json() if self.constraint else None,
        }


@dataclass(frozen=True, slots=True)
class SlotPolicy:
    """Which slots are optimized, which are not, and how. Patterns are those of `fnmatch`.

    Build it with `of`, which checks the user's arguments.
    """

    optimize: tuple[str, ...] | None = None
    """Patterns of slots to optimize. None for all that are by default: system messages whose text
    or template is known."""
    freeze: tuple[str, ...] = ()
    """Patterns of slots to leave as the program has them. They are never bound."""
    constraints: Mapping[str, Constraint] = field(default_factory=dict[str, Constraint])
    """Constraints by pattern. Several that match a slot hold together."""
    templates: Resources = field(default_factory=dict[str, PromptTemplate])
    """The program's template by slot, where the user knows it."""
    max_unmatched: float = MAX_UNMATCHED
    """The share of the texts of an optimized slot that may be another text than the known one."""

    @classmethod
    def of(
        cls,
        optimize: str | Iterable[str] | None = None,
        freeze: str | Iterable[str] = (),
        constraints: Mapping[str, Constraint] | None = None,
        templates: Mapping[str, str | PromptTemplate] | None = None,
        max_unmatched: float = MAX_UNMATCHED,
    ) -> SlotPolicy:
        """Build a policy from what a user gave.

        Raises:
            ConfigurationError: If something is of the wrong kind or out of range.
        """
        limits: Any = {} if constraints is None else constraints
        if not isinstance(limits, Mapping) or not all(
            isinstance(limit, Constraint) for limit in limits.values()
        ):
            raise ConfigurationError(
                "constraints map patterns to constraints, as in "
                "{'langgraph:planner*': agl.Constraint(max_chars=2000)}"
            )
        share: Any = max_unmatched
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
            raise ConfigurationError(
                f"max_unmatched is {share!r}; it is a share of texts, from 0 to 1"
            )
        chosen = None if optimize is None else _patterns("optimize", optimize)
        if chosen == ():
            raise ConfigurationError(
                "optimize is empty, so there is nothing to optimize: give patterns of slots, or "
                "None for all that are optimized by default"
            )
        frozen = _patterns("freeze", freeze)
        if both := [pattern for pattern in frozen if pattern in (chosen or ())]:
            raise ConfigurationError(f"{both[0]!r} is both in optimize and in freeze")
        return cls(
            chosen,
            frozen,
            {_pattern("constraints", name): limit for name, limit in limits.items()},
            coerce_resources(templates or {}),
            float(share),
        )

    def asks_for(self, slot: str) -> bool:
        """Tell whether a slot is named by a pattern of `optimize`."""
        return _matches(self.optimize or (), slot)

    def choose(self, records: Iterable[SlotRecord], given: Resources) -> tuple[SlotChoice, ...]:
        """Say of each slot what becomes of it.

        Args:
            records: The slots that there are.
            given: Prompts to start from in place of the program's own.

        Raises:
            ConfigurationError: If a pattern matches no slot, a slot is to be optimized and frozen,
                one that is named has no prompt to start from, or a prompt to start from breaks the
                constraint that it keeps a text. The message says which slots there are.
        """
        known = {record.name: record for record in records}
        for role in ("optimize", "freeze", "constraints"):
            for pattern in getattr(self, role) or ():
                if not any(_matches((pattern,), name) for name in known):
                    raise ConfigurationError(
                        f"{role} has {pattern!r}, which matches no slot; "
                        f"there are: {', '.join(known) or 'none'}"
                    )
        choices = tuple(self._choice(record, given) for record in known.values())
        for pattern in self.optimize or ():
            named = [choice for choice in choices if _matches((pattern,), choice.record.name)]
            if not any(choice.state == "optimized" for choice in named):
                raise ConfigurationError(
                    f"optimize has {pattern!r}, and "
                    + "; ".join(f"{choice.record.name} {choice.reason}" for choice in named)
                )
        if choices and not any(choice.state == "optimized" for choice in choices):
            raise ConfigurationError(
                "nothing is left to optimize: "
                + "; ".join(f"{choice.record.name} {choice.reason}" for choice in choices)
            )
        return choices

    def to_json(self) -> dict[str, Any]:
        """Return the settings that a run has to be resumed with.

        Not `max_unmatched`: a run that it stopped can be gone on with under another one.
        """
        return {
            "optimize": None if self.optimize is None else sorted(self.optimize),
            "freeze": sorted(self.freeze),
            "constraints": {name: limit.to_json() for name, limit in self.constraints.items()},
            "templates": {name: own.to_json() for name, own in self.templates.items()},
        }

    def _choice(self, record: SlotRecord, given: Resources) -> SlotChoice:
        name = record.name
        constraint = Constraint()
        for pattern, limit in self.constraints.items():
            if _matches((pattern,), name):
                constraint &= limit
        asked, frozen = self.asks_for(name), _matches(self.freeze, name)
        if asked and frozen:
            raise ConfigurationError(
                f"{name} is both to be optimized and frozen: optimize has "
                f"{_first(self.optimize or (), name)!r}, freeze has {_first(self.freeze, name)!r}"
            )
        if frozen:
            return SlotChoice(record, "frozen", "is frozen")
        if self.optimize is not None and not asked:
            return SlotChoice(record, "off", "is not named in optimize")
        start = given.get(name, record.prompt)
        if start is None or not (asked or record.default or name in given):
            return SlotChoice(record, "off", record.reason)
        _check_start(name, start, constraint)
        return SlotChoice(record, "optimized", constraint=constraint)


def _check_start(name: str, start: PromptTemplate, constraint: Constraint) -> None:
    """Refuse to keep a text that is not there. A prompt that is too long may become shorter."""
    try:
        Constraint(keep=constraint.keep).check(start.raw)
    except ConstraintError as error:
        raise ConfigurationError(
            f"{name} is to keep a text that it does not have: it {error}. Its own text begins: "
            f"{start.raw[:200]!r}"
        ) from error


def _patterns(role: str, given: Any) -> tuple[str, ...]:
    if isinstance(given, str):
        given = (given,)
    if not isinstance(given, Iterable):
        raise ConfigurationError(f"{role} is {type(given).__name__}; give a list of patterns")
    return tuple(dict.fromkeys(_pattern(role, pattern) for pattern in given))


def _pattern(role: str, given: Any) -> str:
    if not isinstance(given, str) or not given.strip():
        raise ConfigurationError(
            f"{role} has {given!r}; a pattern is text, such as 'langgraph:planner*'"
        )
    return given


def _matches(patterns: Iterable[str], name: str) -> bool:
    return _first(patterns, name) is not None


def _first(patterns: Iterable[str], name: str) -> str | None:
    return next((p for p in patterns if p == name or fnmatchcase(name, p)), None)
