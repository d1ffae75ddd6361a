from __future__ import annotations

from agl_core.datasets import load_dataset
from agl_core.validations import Validations

VAL = load_dataset(range(3), "val")
TRAIN = load_dataset(range(3), "train")


def test_a_candidate_has_scores_once_it_was_run_on_every_task() -> None:
    validations = Validations(VAL)
    validations.add("a", VAL[1:], [0.5, None])
    assert validations.scores("a") is None
    assert validations.so_far("a") == (None, 0.5, None)
    validations.add("a", VAL[:1], [1.0])
    assert validations.scores("a") == validations.so_far("a") == (1.0, 0.5, None)
    assert validations.runs("a") == 1


def test_tasks_of_another_split_are_never_mixed_in() -> None:
    validations = Validations(VAL)
    validations.add("a", [*TRAIN, *VAL[:2]], [1.0, 1.0, 1.0, 0.0, 0.0])
    assert validations.so_far("a") == (0.0, 0.0, None)
    assert validations.scores("a") is None


def test_confirmations_are_averaged_task_by_task() -> None:
    validations = Validations(VAL)
    validations.confirm("a", (1.0, 0.0, None))
    assert validations.scores("a") == (1.0, 0.0, None)
    validations.add("a", VAL, [0.0, 0.0, 0.5])
    assert validations.scores("a") == validations.so_far("a") == (0.5, 0.0, 0.5)
    assert validations.runs("a") == 2


def test_candidates_are_told_apart() -> None:
    validations = Validations(VAL)
    validations.add("a", VAL, [1.0, 1.0, 1.0])
    assert validations.scores("b") is None
    assert validations.so_far("b") == (None, None, None)
    assert validations.runs("b") == 0


def test_ranked_by_when_they_were_sent_to_all_of_the_set() -> None:
    validations = Validations(VAL)
    validations.ask("b", VAL[:2])
    validations.ask("b", TRAIN)
    for identity in ("a", "b", "a"):
        validations.ask(identity, VAL)
    assert [validations.rank(identity) for identity in "abc"] == [0, 1, 2]
