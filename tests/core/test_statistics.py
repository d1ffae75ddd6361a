from __future__ import annotations

import random
from collections.abc import Callable
from statistics import fmean

import pytest

from agl_core.statistics import Comparison, compare_selected, paired_bootstrap, paired_means


def coin(rng: random.Random, share: float, count: int) -> list[float]:
    return [float(rng.random() < share) for _ in range(count)]


class TestVerdict:
    @pytest.mark.parametrize(
        ("gain", "low", "tasks", "verdict"),
        [
            (0.3, 0.1, 29, "improved"),
            (0.3, 0.1, 6, "improved"),
            (0.3, 0.1, 5, "inconclusive"),
            (0.3, 0.0, 29, "inconclusive"),
            (0.3, -0.1, 29, "inconclusive"),
            (0.0, -0.1, 29, "no_gain"),
            (-0.2, -0.3, 29, "no_gain"),
        ],
    )
    def test_says_what_the_interval_says(
        self, gain: float, low: float, tasks: int, verdict: str
    ) -> None:
        assert Comparison(0.5, 0.5 + gain, gain, (low, 1.0), tasks, "test").verdict == verdict


class TestPairedBootstrap:
    def test_of_equal_scores_is_exactly_zero(self) -> None:
        scores = [0.0, 1.0, 0.5] * 5
        result = paired_bootstrap(scores, scores, "test", random.Random(0))
        assert (result.gain, result.interval, result.verdict) == (0.0, (0.0, 0.0), "no_gain")
        assert (result.seed_score, result.best_score, result.tasks) == (0.5, 0.5, 15)
        assert result.split == "test"

    def test_is_paired(self) -> None:
        """A small gain on every task is certain, however much the tasks differ."""
        seed = [i / 20 for i in range(20)]
        result = paired_bootstrap(seed, [s + 0.01 for s in seed], "test", random.Random(0))
        assert result.verdict == "improved"
        assert result.interval == pytest.approx((0.01, 0.01))

    def test_of_one_random_source_is_always_the_same(self) -> None:
        rng = random.Random(1)
        seed, best = coin(rng, 0.5, 29), coin(rng, 0.7, 29)
        one, two = (paired_bootstrap(seed, best, "val", random.Random(5)) for _ in range(2))
        assert one == two

    def test_agrees_with_the_normal_approximation(self) -> None:
        rng = random.Random(2)
        seed = [rng.gauss(0, 1) for _ in range(400)]
        best = [s + rng.gauss(0.5, 1) for s in seed]
        result = paired_bootstrap(seed, best, "test", random.Random(0))
        assert result.gain == pytest.approx(fmean(best) - fmean(seed))
        half = 1.96 / 400**0.5
        assert result.interval == pytest.approx((result.gain - half, result.gain + half), abs=0.02)

    @pytest.mark.usefixtures("few_resamples")
    def test_covers_the_true_gain(self) -> None:
        rng = random.Random(3)
        covered = above = 0
        for _ in range(200):
            seed, best = coin(rng, 0.5, 29), coin(rng, 0.7, 29)
            low, high = paired_bootstrap(seed, best, "test", rng).interval
            covered += low <= 0.2 <= high
            above += low > 0.2
        assert 0.89 <= covered / 200 <= 0.99
        assert above / 200 <= 0.06  # at either end

    @pytest.mark.usefixtures("few_resamples")
    def test_seldom_sees_a_gain_where_there_is_none_and_often_one_that_is_there(self) -> None:
        rng = random.Random(4)

        def improved(share: float) -> float:
            verdicts = [
                paired_bootstrap(coin(rng, 0.5, 29), coin(rng, share, 29), "test", rng).verdict
                for _ in range(120)
            ]
            return verdicts.count("improved") / 120

        assert improved(0.5) <= 0.06
        assert improved(0.9) >= 0.9


class TestCompareSelected:
    @staticmethod
    def rate(compare: Callable[..., Comparison], share: float, candidates: int) -> float:
        """How often the best of some candidates is called better than a seed of one half."""
        rng = random.Random(5)
        improved = 0
        for _ in range(100):
            seed = coin(rng, 0.5, 29)
            rows = [coin(rng, share, 29) for _ in range(candidates)]
            chosen = max(range(candidates), key=lambda i: sum(rows[i]))
            improved += compare(seed, rows, chosen, rng).verdict == "improved"
        return improved / 100

    @pytest.mark.usefixtures("few_resamples")
    def test_is_not_fooled_by_the_best_of_many(self) -> None:
        naive = self.rate(
            lambda seed, rows, i, rng: paired_bootstrap(seed, rows[i], "val", rng), 0.5, 25
        )
        checked = self.rate(
            lambda seed, rows, i, rng: compare_selected(seed, rows, i, "val", rng), 0.5, 10
        )
        assert naive >= 0.13
        assert checked <= 0.07

    @pytest.mark.usefixtures("few_resamples")
    def test_still_sees_a_real_gain(self) -> None:
        rate = self.rate(
            lambda seed, rows, i, rng: compare_selected(seed, rows, i, "val", rng), 0.9, 5
        )
        assert rate >= 0.9

    def test_of_one_candidate_is_no_narrower_than_the_plain_comparison(self) -> None:
        rng = random.Random(6)
        seed, best = coin(rng, 0.5, 29), coin(rng, 0.7, 29)
        plain = paired_bootstrap(seed, best, "val", random.Random(0))
        checked = compare_selected(seed, [best], 0, "val", random.Random(0))
        assert (checked.gain, checked.tasks, checked.split) == (plain.gain, 29, "val")
        assert checked.interval[0] == pytest.approx(plain.interval[0], abs=0.05)
        assert checked.interval[0] <= checked.gain <= checked.interval[1]

    def test_each_further_candidate_lowers_the_lower_end(self) -> None:
        rng = random.Random(7)
        seed, rows = coin(rng, 0.5, 29), [coin(rng, 0.6, 29) for _ in range(12)]
        lows = [
            compare_selected(seed, rows[:count], 0, "val", random.Random(0)).interval[0]
            for count in (1, 4, 12)
        ]
        assert lows == sorted(lows, reverse=True)
        assert lows[2] < lows[0]


class TestPairedMeans:
    def test_are_plain_means_where_nothing_is_missing(self) -> None:
        assert paired_means({"a": [1.0, 0.0], "b": [1.0, 1.0]}) == {"a": 0.5, "b": 1.0}

    def test_leave_a_task_out_for_all_if_one_has_no_score_on_it(self) -> None:
        assert paired_means({"a": [1.0, 0.0, 0.5], "b": [0.0, None, 1.0]}) == {"a": 0.75, "b": 0.5}

    def test_ignore_who_has_no_score_at_all(self) -> None:
        assert paired_means({"a": [1.0, 0.0], "b": [None, None]}) == {"a": 0.5, "b": None}

    def test_without_a_task_that_all_share_take_what_there_is(self) -> None:
        assert paired_means({"a": [1.0, None], "b": [None, 0.5]}) == {"a": 1.0, "b": 0.5}

    def test_of_nothing_are_nothing(self) -> None:
        assert paired_means({}) == {}
        assert paired_means({"a": []}) == {"a": None}
