from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agl_core.prompts.binding import SlotUse
from agl_core.rewards.reward import Reward
from agl_core.rollouts import Evaluation, ModelUsage, Rollout, json_safe
from agl_core.spans.span import Span


def make(score: float | None = 1.0, **fields: Any) -> Rollout:
    values: dict[str, Any] = {
        "id": "c/val/k/0",
        "task": {"x": 1},
        "task_key": "k",
        "task_name": "val[0]",
        "split": "val",
        "status": "succeeded",
        "score": score,
    }
    return Rollout(**{**values, **fields})


def test_a_rollout_survives_json() -> None:
    rollout = make(
        reward=Reward(1.0, "good", {"accuracy": 0.5}),
        error="Traceback \ud800",
        output={"a": [1, None]},
        spans=(Span("s", "internal", "1" * 32, "2" * 16, None, 1, 2, {"x": 1}),),
        slots={"a#system": SlotUse("own", "sent", 2)},
        reads=frozenset({"b", "a"}),
        unmatched={"b#system": 1},
        usage=ModelUsage(1, 2, 3, 0.5),
        started=1.5,
        seconds=0.25,
        attempts=2,
    )
    again = Rollout.from_json(json.loads(json.dumps(rollout.to_json())), rollout.task)
    assert again == rollout
    assert again.reward is not None
    assert again.feedback == "good"
    assert again.reward.metrics == {"accuracy": 0.5}


@pytest.mark.parametrize(
    ("status", "failed"),
    [("succeeded", False), ("failed", True), ("timed_out", True), ("unavailable", False)],
)
def test_only_the_agents_own_failures_are_failures(status: str, failed: bool) -> None:
    assert make(status=status).failed is failed


class TestUsage:
    def test_adds_up_and_multiplies(self) -> None:
        usage = ModelUsage(1, 10, 5, 0.5) + ModelUsage(2, 1, 1, 0.25)
        assert usage == ModelUsage(3, 11, 6, 0.75)
        assert usage.tokens == 17
        assert usage * 2 == ModelUsage(6, 22, 12, 1.5)
        assert ModelUsage(1, 3, 5) * 0.5 == ModelUsage(0, 2, 2)
        assert usage + usage * -1 == ModelUsage()
        assert ModelUsage(*usage.to_json()) == usage  # pyright: ignore[reportArgumentType]

    def test_takes_the_larger_of_each(self) -> None:
        assert ModelUsage(1, 9, 0, 3).at_least(ModelUsage(2, 1, 5, 1)) == ModelUsage(2, 9, 5, 3)


class TestEvaluation:
    def test_is_the_rollouts_in_order(self) -> None:
        rollouts = [make(score) for score in (0.0, 1.0, None)]
        evaluation = Evaluation(rollouts)
        assert list(evaluation) == rollouts
        assert evaluation[1] is rollouts[1]
        assert isinstance(evaluation[:2], Evaluation)
        assert len(evaluation[:2]) == 2
        assert repr(evaluation) == "Evaluation(3 rollouts, score 0.500)"

    def test_what_the_world_failed_is_left_out_of_the_mean(self) -> None:
        assert Evaluation([make(1.0), make(None), make(0.5)]).score == 0.75
        assert Evaluation([make(1.0), make(None)]).scores == (1.0, None)

    def test_of_repeats_a_task_counts_once_by_its_mean(self) -> None:
        rollouts = [make(score) for score in (1.0, 0.0, None, 0.5, None, None)]
        evaluation = Evaluation(rollouts, repeats=2)
        assert evaluation.scores == (0.5, 0.5, None)
        assert evaluation.score == 0.5
        assert list(evaluation) == rollouts

    def test_without_any_score_there_is_none(self) -> None:
        assert Evaluation([make(None)]).score is None
        assert Evaluation([]).score is None
        assert repr(Evaluation([])) == "Evaluation(0 rollouts, score none)"


class Unshowable:
    def __str__(self) -> str:
        raise RuntimeError("no")


class TestJsonSafe:
    def test_small_json_stays(self) -> None:
        for value in (None, 1, "text", [1, {"a": None}], {"x": [True]}):
            assert json_safe(value) == value

    def test_it_is_the_same_at_once_and_from_the_store(self) -> None:
        class Word(str):
            def __str__(self) -> str:
                raise RuntimeError("no")

        assert json_safe(Word("a")) == "a"
        assert type(json_safe(Word("a"))) is str
        assert json_safe({1: ("a", "b")}) == {"1": ["a", "b"]}

    def test_other_things_become_text(self) -> None:
        assert json_safe({1, 2}) == "{1, 2}"
        assert "cannot be shown" in json_safe(Unshowable())
        loop: list[Any] = []
        loop.append(loop)
        assert json_safe(loop) == "[[...]]"

    @pytest.mark.parametrize("value", ["x" * 5_000_000, ["x" * 30_000], {"a": "y" * 30_000}])
    def test_large_things_are_cut(self, value: Any) -> None:
        safe = json_safe(value)
        assert len(safe) < 20_100
        assert len(safe) > 15_000
        assert "characters in all" in safe

    def test_of_huge_data_only_the_start_is_looked_at(self) -> None:
        seen: list[int] = []

        def redacted(data: Any) -> Any:
            seen.append(len(str(data)))
            return data

        for value in (
            {"a": "x y" * 2_000_000, "b": 1},
            [{"a": "x y"}] * 2_000_000,
            [Unshowable, "x y" * 2_000_000],
        ):
            assert json_safe(value, redacted=redacted).endswith(
                "(more than 200000 characters in all)"
            )
        assert max(seen) < 1_000_000

    def test_what_was_cut_in_two_before_it_was_searched_is_not_kept(self) -> None:
        """Even where almost nothing is left of what was searched."""

        def redacted(data: Any) -> Any:
            text = data if isinstance(data, str) else json.dumps(data)
            return text.replace("x" * 1_000, "").replace("Jane Doe", "")

        for value in ("x" * 199_000 + "Jane Doe " * 1_000, ["x" * 199_000, "Jane Doe " * 1_000]):
            assert "Jane" not in json_safe(value, redacted=redacted)

    @given(st.recursive(st.none() | st.text() | st.binary(), st.lists, max_leaves=8))
    def test_whatever_it_is_it_can_be_stored(self, value: Any) -> None:
        json.dumps(json_safe(value, limit=50))
