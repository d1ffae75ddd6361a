from __future__ import annotations

import math
import random
from statistics import fmean
from typing import Any

import pytest

from agl_core.statistics.comparisons import Comparison, compare, paired_means


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


def compared(*rows: Any, rng: random.Random | None = None, chosen: int = 0) -> Comparison:
    result = compare(rows[0], rows[1:], "test", rng or random.Random(0), chosen)
    assert result is not None
    return result


class TestCompareOne:
    def test_of_equal_scores_is_exactly_zero(self) -> None:
        scores = [0.0, 1.0, 0.5] * 5
        result = compared(scores, scores)
        assert (result.gain, result.interval, result.verdict) == (0.0, (0.0, 0.0), "no_gain")
        assert (result.seed_score, result.best_score, result.tasks) == (0.5, 0.5, 15)
        assert (result.split, result.spread, result.differing) == ("test", 0.0, 0)

    def test_is_paired(self) -> None:
        """A small gain on every task is certain, however much the tasks differ."""
        seed = [i / 20 for i in range(20)]
        result = compared(seed, [s + 0.01 for s in seed])
        assert result.verdict == "improved"
        assert result.interval == pytest.approx((0.01, 0.01))

    def test_of_one_random_source_is_always_the_same(self) -> None:
        rng = random.Random(1)
        seed, best = coin(rng, 0.5, 29), coin(rng, 0.7, 29)
        one, two = (compared(seed, best, rng=random.Random(5)) for _ in range(2))
        assert one == two

    def test_agrees_with_the_normal_approximation(self) -> None:
        rng = random.Random(2)
        seed = [rng.gauss(0, 1) for _ in range(400)]
        best = [s + rng.gauss(0.5, 1) for s in seed]
        result = compared(seed, best)
        assert result.gain == pytest.approx(fmean(best) - fmean(seed))
        half = 1.96 / 400**0.5
        assert result.interval == pytest.approx((result.gain - half, result.gain + half), abs=0.02)
        assert result.spread == pytest.approx(1.0, abs=0.1)

    def test_agrees_with_student_where_tasks_are_few(self) -> None:
        rng = random.Random(2)
        ratios: list[float] = []
        for _ in range(20):
            result = compared([0.0] * 10, [rng.gauss(0, 1) for _ in range(10)])
            width = result.interval[1] - result.interval[0]
            ratios.append(width / (2 * 2.262 * result.spread / 10**0.5))
        assert fmean(ratios) == pytest.approx(1.0, abs=0.05)

    @pytest.mark.usefixtures("few_resamples")
    def test_covers_the_true_gain(self) -> None:
        rng = random.Random(3)
        covered = above = 0
        for _ in range(200):
            low, high = compared(coin(rng, 0.5, 29), coin(rng, 0.7, 29), rng=rng).interval
            covered += low <= 0.2 <= high
            above += low > 0.2
        assert 0.91 <= covered / 200 <= 0.99
        assert above / 200 <= 0.06  # at either end

    @pytest.mark.usefixtures("few_resamples")
    def test_seldom_sees_a_gain_where_there_is_none_and_often_one_that_is_there(self) -> None:
        rng = random.Random(4)

        def improved(share: float) -> float:
            verdicts = [
                compared(coin(rng, 0.5, 29), coin(rng, share, 29), rng=rng).verdict
                for _ in range(120)
            ]
            return verdicts.count("improved") / 120

        assert improved(0.5) <= 0.05
        assert improved(0.9) >= 0.9

    def test_tasks_without_a_score_are_left_out_in_pairs(self) -> None:
        result = compared([1.0, None, 0.0, 0.0], [1.0, 1.0, None, 1.0])
        assert (result.tasks, result.seed_score, result.best_score) == (2, 0.5, 1.0)
        assert compare([None, 1.0], [[1.0, None]], "test", random.Random(0)) is None

    def test_of_a_single_task_says_little(self) -> None:
        result = compared([0.0], [1.0])
        assert (result.interval, result.verdict) == ((1.0, 1.0), "inconclusive")

    def test_gains_on_a_few_of_many_tasks_are_no_proof(self) -> None:
        """As few that differ as would be no proof if there were no other tasks."""
        same = [0.0, 1.0] * 12
        five = compared(same + [0.0] * 5, same + [1.0] * 5)
        six = compared(same + [0.0] * 6, same + [1.0] * 6)
        assert five.interval[0] > 0
        assert (five.differing, five.verdict) == (5, "inconclusive")
        assert (six.differing, six.verdict) == (6, "improved")


class TestOutlook:
    def test_of_a_plain_comparison_is_2_8_standard_errors(self) -> None:
        rng = random.Random(11)
        result = compared([0.0] * 60, [rng.gauss(0.2, 1) for _ in range(60)])
        assert result.smallest_gain == pytest.approx(2.8 * result.spread / 60**0.5, rel=0.07)

    def test_more_tasks_are_needed_for_what_they_do_not_show(self) -> None:
        rng = random.Random(12)
        noise = [rng.gauss(0, 1) for _ in range(60)]
        result = compared([0.0] * 60, [value - fmean(noise) + 0.1 for value in noise])
        assert (result.gain, result.verdict) == (pytest.approx(0.1), "inconclusive")
        needed = (2.8 * result.spread / result.gain) ** 2
        assert result.tasks_needed == pytest.approx(needed, rel=0.15)

    def test_a_choice_among_many_takes_more(self) -> None:
        rng = random.Random(7)
        seed, rows = coin(rng, 0.5, 29), [coin(rng, 0.6, 29) for _ in range(12)]
        alone, among = compared(seed, rows[0]), compared(seed, *rows)
        assert among.smallest_gain > alone.smallest_gain

    def test_too_few_tasks_or_differences_show_nothing(self) -> None:
        few = compared([0.0] * 5, [1.0] * 5)
        assert (few.smallest_gain, few.tasks_needed) == (math.inf, 6)
        same = compared([0.0] * 3 + [1.0] * 27, [1.0] * 30)
        assert same.differing == 3
        assert same.tasks_needed is not None
        assert same.tasks_needed >= 60
        assert compared([0.5] * 9, [0.4] * 9).tasks_needed is None


class TestCompareSelected:
    @staticmethod
    def rate(share: float, candidates: int, alone: bool = False) -> float:
        """How often the best of some candidates is called better than a seed of one half."""
        rng = random.Random(5)
        improved = 0
        for _ in range(100):
            seed = coin(rng, 0.5, 29)
            rows = [coin(rng, share, 29) for _ in range(candidates)]
            chosen = max(range(candidates), key=lambda i: sum(rows[i]))
            rows = [rows[chosen]] if alone else rows
            result = compared(seed, *rows, rng=rng, chosen=0 if alone else chosen)
            improved += result.verdict == "improved"
        return improved / 100

    @pytest.mark.usefixtures("few_resamples")
    def test_is_not_fooled_by_the_best_of_many(self) -> None:
        assert self.rate(0.5, 25, alone=True) >= 0.1
        assert self.rate(0.5, 10) <= 0.05

    @pytest.mark.usefixtures("few_resamples")
    def test_still_sees_a_real_gain(self) -> None:
        assert self.rate(0.9, 5) >= 0.9

    def test_each_further_candidate_lowers_the_lower_end_alone(self) -> None:
        rng = random.Random(7)
        seed, rows = coin(rng, 0.5, 29), [coin(rng, 0.6, 29) for _ in range(12)]
        results = [compared(seed, *rows[:count]) for count in (1, 4, 12)]
        lows = [result.interval[0] for result in results]
        assert lows == sorted(lows, reverse=True)
        assert lows[2] < lows[0]
        assert len({(r.gain, r.interval[1], r.tasks) for r in results}) == 1
        assert [r.candidates for r in results] == [1, 4, 12]

    def test_plainly_worse_ones_change_nothing(self) -> None:
        rng = random.Random(8)
        seed, best = coin(rng, 0.5, 29), coin(rng, 0.7, 29)
        hopeless = [[s * float(i % 3 == 0) for i, s in enumerate(seed)] for _ in range(9)]
        alone, among = compared(seed, best), compared(seed, best, *hopeless)
        assert alone.interval == among.interval

    def test_one_that_was_given_up_half_way_counts_by_what_it_was_run_on(self) -> None:
        rng = random.Random(9)
        seed, best = coin(rng, 0.5, 29), coin(rng, 0.7, 29)
        others = [coin(rng, 0.5, 10) for _ in range(8)]
        alone = compared(seed, best)
        among = compared(seed, best, *([*row, *[None] * 19] for row in others))
        assert among.interval[0] < alone.interval[0]
        nowhere = compared(seed, best, [None] * 29)
        assert nowhere.interval == alone.interval

    def test_one_that_was_given_up_counts_however_badly_it_did(self) -> None:
        """It may have been given up for bad luck, which one that was run to the end has had."""
        rng = random.Random(9)
        seed, best = coin(rng, 0.5, 29), coin(rng, 0.7, 29)
        unlucky = [[s * float((i + k) % 3 == 0) for i, s in enumerate(seed)] for k in range(3)]
        whole = compared(seed, best, *unlucky * 3)
        given_up = compared(seed, best, *([*row[:16], *[None] * 13] for row in unlucky * 3))
        assert given_up.interval[0] < whole.interval[0] == compared(seed, best).interval[0]

    def test_a_smaller_error_is_a_lower_end(self) -> None:
        rng = random.Random(7)
        seed, rows = coin(rng, 0.5, 29), [coin(rng, 0.6, 29) for _ in range(12)]
        ends = [compare(seed, rows, "val", random.Random(0), error=e) for e in (0.1, 0.01)]
        assert ends[0] is not None
        assert ends[1] is not None
        assert ends[1].interval[0] < ends[0].interval[0]

    def test_which_one_was_chosen_is_told_by_its_index(self) -> None:
        rng = random.Random(10)
        seed, one, two = coin(rng, 0.3, 29), coin(rng, 0.5, 29), coin(rng, 0.8, 29)
        assert compared(seed, one, two, chosen=1).best_score == fmean(two)
        assert compared(seed, one, two, chosen=1) == compared(seed, two, one)


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
