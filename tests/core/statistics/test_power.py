from __future__ import annotations

import math
import random
from statistics import fmean

import pytest

from agl_core.statistics.comparisons import compare
from agl_core.statistics.power import FEWEST, smallest_gain, spread_of


def test_the_smallest_gain_is_2_8_standard_errors() -> None:
    assert smallest_gain(100, 0.5) == pytest.approx(2.80 * 0.05, abs=0.001)
    assert smallest_gain(400, 0.5) == pytest.approx(smallest_gain(100, 0.5) / 2)


def test_fewer_tasks_than_can_prove_anything_show_no_gain() -> None:
    assert smallest_gain(FEWEST - 1, 0.1) == math.inf
    assert smallest_gain(FEWEST, 0.1) < math.inf


def test_the_spread_to_expect_is_that_of_the_seeds_scores() -> None:
    assert spread_of([0.0, None, 1.0] * 50) == pytest.approx(0.5, abs=0.01)
    assert spread_of([1.0, None]) is None


@pytest.mark.usefixtures("few_resamples")
def test_a_gain_of_that_size_is_shown_about_four_times_in_five() -> None:
    rng = random.Random(0)
    gain = smallest_gain(40, 0.3)
    shown = [
        result.verdict == "improved"
        for _ in range(150)
        if (result := compare([0.0] * 40, [[rng.gauss(gain, 0.3) for _ in range(40)]], "test", rng))
    ]
    assert 0.7 <= fmean(shown) <= 0.9
