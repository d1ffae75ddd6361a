from __future__ import annotations

import pytest

from agl_adapters.testing.tickets import RATER_ERRS, TICKETS, noisy_grade


@pytest.mark.parametrize("right", [True, False])
def test_the_rater_errs_as_often_as_is_said(right: bool) -> None:
    (task,) = TICKETS.tasks("test", 1)
    answer = f"Clerk: {task['expected']}" if right else "Clerk: none"
    grades = [noisy_grade(answer, task, str(draw)) for draw in range(3000)]
    wrong = sum(grade != float(right) for grade in grades) / len(grades)
    assert wrong == pytest.approx(RATER_ERRS, abs=0.03)
    assert noisy_grade(answer, task, "7") == noisy_grade(answer, task, "7")
