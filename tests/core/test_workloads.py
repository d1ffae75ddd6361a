from __future__ import annotations

from typing import Any

import pytest

from agl_core.algorithms import APO, Baseline, algorithm
from agl_core.workloads import RunSize, Workload, whole_workload

SIZE = RunSize(train=29, val=29, prompts=1)
SMALL: dict[str, Any] = {
    "val_batch_size": 10,
    "gradient_batch_size": 4,
    "beam_width": 2,
    "branch_factor": 2,
    "beam_rounds": 2,
}


def test_of_the_published_search_is_exact() -> None:
    """142 + 3 |V| rollouts for 8 proposals."""
    work = APO.published("m", **SMALL).workload(SIZE)
    assert (work.rollouts, work.most_rollouts) == (142 + 3 * 29, 142 + 3 * 29)
    assert (work.calls, work.most_calls) == (16, 16)


def test_of_the_default_search_is_expected_and_bounded() -> None:
    work = APO("m", **SMALL).workload(SIZE)
    # The seed; then twice a batch of 16, and one child that is kept.
    assert work.rollouts == 29 + 2 * (16 + 29)
    # Twice a batch, and a child that is validated and confirmed.
    assert work.most_rollouts == 29 + 2 * (16 + 2 * 29)
    assert (work.calls, work.most_calls) == (2 * (4 + 1), 2 * (4 + 2))


@pytest.mark.parametrize("search", [APO, APO.published])
def test_grows_with_prompts_and_repeats(search: Any) -> None:
    plain = search("m", **SMALL).workload(SIZE)
    assert search("m", **SMALL).workload(RunSize(29, 29, 3)).most_calls > plain.most_calls
    assert search("m", **SMALL).workload(RunSize(29, 29, 1, 2)).rollouts > plain.rollouts
    few = search("m", **SMALL).workload(RunSize(2, 29, 1))
    assert few.rollouts < plain.rollouts


def test_of_a_run_counts_the_test_split() -> None:
    assert whole_workload(Baseline(), RunSize(5, 29, 1, 2), 87) == Workload(58 + 87, 58 + 87)


def test_of_an_algorithm_that_does_not_tell_is_unknown() -> None:
    @algorithm
    async def mine(session: Any) -> None: ...

    assert whole_workload(mine, SIZE, 0) is None
