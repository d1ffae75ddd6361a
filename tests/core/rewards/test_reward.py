from __future__ import annotations

import copy
import math
import pickle
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from agl_core.errors import RewardError
from agl_core.rewards.reward import Reward, coerce_reward


class Scalar:
    """A number of another library."""

    def __float__(self) -> float:
        return 0.25


@pytest.mark.parametrize(
    ("value", "score"),
    [
        (True, 1.0),
        (False, 0.0),
        (3, 3.0),
        (-0.5, -0.5),
        (Decimal("0.1"), 0.1),
        (Fraction(1, 4), 0.25),
        (Scalar(), 0.25),
    ],
)
def test_numbers_are_rewards(value: Any, score: float) -> None:
    reward = coerce_reward(value)
    assert isinstance(reward, Reward)
    assert reward == score
    assert (reward.feedback, dict(reward.metrics)) == ("", {})


def test_a_reward_stays_what_it_is() -> None:
    reward = Reward(0.5, "half", {"accuracy": 1})
    assert coerce_reward(reward) is reward


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, r"there is no reward: return a number or agl\.Reward"),
        ("0.5", "text, '0.5'"),
        (b"1", "text"),
        (bytearray(b"1"), "text"),
        (math.nan, "nan, and must be a finite number"),
        (math.inf, "inf"),
        (10**400, "of type int"),
        ([1.0], r"\[1.0\] of type list"),
        ({"score": 1.0}, "of type dict"),
        (1j, "of type complex"),
        (object(), "of type object"),
        (["x" * 1000], r"\.\.\. of type list"),
    ],
)
def test_everything_else_is_an_error_that_shows_it(value: Any, reason: str) -> None:
    with pytest.raises(RewardError, match=reason):
        coerce_reward(value)


def test_is_a_number_with_a_reason() -> None:
    reward = Reward(0.5, "half", {"accuracy": True})
    assert reward + 0.5 == 1.0
    assert type(reward.score) is float
    assert reward.feedback == "half"
    assert reward.metrics == {"accuracy": 1.0}
    assert repr(reward) == "Reward(0.5, feedback='half', metrics={'accuracy': 1.0})"
    assert repr(Reward(1)) == "Reward(1.0)"


def test_metrics_are_finite_numbers_and_cannot_be_changed() -> None:
    with pytest.raises(RewardError, match="metric 'loss' is nan"):
        Reward(1.0, metrics={"loss": math.nan})
    with pytest.raises(TypeError):
        Reward(1.0, metrics={"loss": 1.0}).metrics["loss"] = 2.0  # pyright: ignore[reportIndexIssue]


def test_survives_copy_and_pickle() -> None:
    reward = Reward(0.5, "half", {"accuracy": 1.0})
    for twin in (copy.deepcopy(reward), pickle.loads(pickle.dumps(reward))):
        assert (twin, twin.feedback, twin.metrics) == (0.5, "half", {"accuracy": 1.0})


class TestOfMetrics:
    METRICS: dict[str, float] = {"accuracy": 1.0, "brevity": 0.4}  # noqa: RUF012

    def test_counts_all_the_same_by_default(self) -> None:
        reward = Reward.of(self.METRICS, feedback="long")
        assert reward == pytest.approx(0.7)
        assert (reward.feedback, dict(reward.metrics)) == ("long", self.METRICS)

    def test_takes_weights_and_records_what_has_none(self) -> None:
        reward = Reward.of({**self.METRICS, "calls": 7}, weights={"accuracy": 3, "brevity": 1})
        assert reward == pytest.approx((3 * 1.0 + 0.4) / 4)
        assert reward.metrics["calls"] == 7

    def test_takes_a_function(self) -> None:
        product = Reward.of(self.METRICS, score=lambda m: m["accuracy"] * m["brevity"])
        assert product == pytest.approx(0.4)

    @pytest.mark.parametrize(
        ("options", "reason"),
        [
            ({"weights": {"style": 1}}, "'style', which is no metric; there are: 'accuracy', 'br"),
            ({"weights": {"accuracy": 0}}, "add up to zero"),
            ({"weights": {}}, "add up to zero"),
            ({"weights": {"accuracy": -1, "brevity": 2}}, "turn the metric around"),
            ({"weights": {"accuracy": math.nan}}, "the weight of 'accuracy' is nan"),
            ({"weights": {"accuracy": 1}, "score": min}, "not both"),
            ({"score": lambda metrics: math.inf}, "the score is inf"),
            ({"metrics": {}}, "there are no metrics"),
            ({"metrics": {"accuracy": math.nan}}, "metric 'accuracy' is nan"),
            ({"metrics": {"accuracy": None}}, "there is no metric 'accuracy'"),
        ],
    )
    def test_refuses_what_makes_no_sense(self, options: dict[str, Any], reason: str) -> None:
        options = {"metrics": self.METRICS, **options}
        with pytest.raises(RewardError, match=reason):
            Reward.of(**options)
