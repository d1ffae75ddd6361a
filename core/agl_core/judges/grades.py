"""Grades: the fixed form of a judge's answer, read also where a service does not keep to it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from agl_core.errors import AglError

__all__ = ["Grade", "MalformedGradeError", "grade_schema", "read_grade"]


class MalformedGradeError(AglError):
    """An answer is no grade. The message says why."""


@dataclass(frozen=True, slots=True)
class Grade:
    """What a judge answered."""

    scores: Mapping[str, float]
    """A number for each rubric, from 0 to the scale."""
    reason: str
    """Why."""


def grade_schema(names: Sequence[str], scale: int) -> dict[str, Any]:
    """Return the JSON schema of an answer, as the API takes it: the reason, then the grades.

    Args:
        names: The rubrics.
        scale: The best grade.
    """
    # An enumeration: not all services that know schemas know the limits of numbers.
    number = {"type": "integer", "enum": list(range(scale + 1))}
    return {
        "name": "grade",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"reason": {"type": "string"}, **dict.fromkeys(names, number)},
            "required": ["reason", *names],
            "additionalProperties": False,
        },
    }


def read_grade(answer: str, names: Sequence[str], scale: int) -> Grade:
    """Read an answer: a JSON object, alone or within other text.

    Args:
        answer: What the judge answered.
        names: The rubrics.
        scale: The best grade.

    Raises:
        MalformedGradeError: If there is no such object, a grade is out of range, or there are
            several objects with other grades, of which one may be quoted from the output.
    """
    found = [grade for object in _objects(answer) if (grade := _grade(object, names, scale))]
    if not found:
        raise MalformedGradeError("it holds no JSON object with the reason and a grade in range")
    if any(grade.scores != found[0].scores for grade in found):
        raise MalformedGradeError("it holds several grades that differ")
    return found[0]


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects in a text, those within others left out."""
    decoder, at = json.JSONDecoder(), 0
    while (at := text.find("{", at)) >= 0:
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at += 1
            continue
        if isinstance(value, dict):
            yield cast("dict[str, Any]", value)


def _grade(value: Mapping[str, Any], names: Sequence[str], scale: int) -> Grade | None:
    scores = {name: _number(value.get(name), scale) for name in names}
    known = {name: score for name, score in scores.items() if score is not None}
    reason = value.get("reason", "")
    if len(known) < len(names) or not isinstance(reason, str):
        return None
    return Grade(known, reason)


def _number(value: Any, scale: int) -> float | None:
    """Return a grade in range, also if it is written as text: ``7`` or ``7/10``."""
    if isinstance(value, str):
        written = re.fullmatch(rf"\s*(\d+(?:\.\d+)?)\s*(?:/\s*{scale})?\s*", value)
        value = float(written[1]) if written else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and 0 <= value <= scale else None
