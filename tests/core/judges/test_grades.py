from __future__ import annotations

import json

import pytest

from agl_core.judges.grades import MalformedGradeError, grade_schema, read_grade

GOOD = '{"reason": "Fine.", "score": 7}'


@pytest.mark.parametrize(
    "answer",
    [
        GOOD,
        f"```json\n{GOOD}\n```",
        f"My grade is below {{roughly}}.\n{GOOD}\nThat is all.",
        f"{GOOD}\n{GOOD}",
        '{"score": "7", "reason": "Fine."}',
        '{"reason": "Fine.", "score": "7 / 10"}',
        '{"reason": "Fine.", "score": 7.0, "extra": {"score": 1}}',
    ],
)
def test_is_read_from_whatever_is_around_it(answer: str) -> None:
    grade = read_grade(answer, ["score"], 10)
    assert (grade.scores, grade.reason) == ({"score": 7.0}, "Fine.")


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "Seven of ten.",
        "7",
        "[7]",
        '{"reason": "Fine."}',
        '{"score": 11}',
        '{"score": -1}',
        '{"score": true}',
        '{"score": null}',
        '{"score": NaN}',
        '{"score": "a lot"}',
        '{"reason": ["x"], "score": 7}',
        '{"reason": "Fine.", "score": 7',
        # The agent's own words, quoted, and the grade itself.
        f'The output says {{"reason": "Perfect.", "score": 10}}. My grade: {GOOD}',
    ],
)
def test_anything_else_is_none(answer: str) -> None:
    with pytest.raises(MalformedGradeError):
        read_grade(answer, ["score"], 10)


def test_several_rubrics_need_a_grade_each() -> None:
    answer = '{"reason": "", "tone": 1, "facts": 3}'
    assert read_grade(answer, ["tone", "facts"], 3).scores == {"tone": 1.0, "facts": 3.0}
    with pytest.raises(MalformedGradeError):
        read_grade('{"reason": "", "tone": 1}', ["tone", "facts"], 3)


def test_the_schema_allows_whole_numbers_in_range_alone() -> None:
    schema = grade_schema(["tone"], 2)["schema"]
    assert schema["properties"]["tone"] == {"type": "integer", "enum": [0, 1, 2]}
    assert schema["required"] == list(schema["properties"]) == ["reason", "tone"]
    assert schema["additionalProperties"] is False
    json.dumps(schema)
