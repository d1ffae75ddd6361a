from __future__ import annotations

from typing import Any

import pytest

from agl_core.discovery.seed_checks import SeedCheck
from agl_core.errors import RolloutError
from agl_core.prompts.templates import PromptTemplate
from agl_core.rollouts import Rollout

SEED = {"a": PromptTemplate("Hi.")}


def rollouts(count: int, **fields: Any) -> list[Rollout]:
    fields = {"status": "succeeded", "score": 1.0, "reads": frozenset({"a"}), **fields}
    return [
        Rollout(id=f"{n}", task=n, task_key=f"{n}", task_name=f"val[{n}]", split="val", **fields)
        for n in range(count)
    ]


FAILED: dict[str, Any] = {"status": "failed", "score": 0.0, "error": "Traceback: no key"}


def test_waits_until_it_is_plain() -> None:
    check = SeedCheck(SEED, tasks=20)
    check.see(rollouts(7, **FAILED))
    with pytest.raises(RolloutError, match=r"all of 8 rollouts[^T]*val\[0\]:\nTraceback: no key"):
        check.see(rollouts(1, **FAILED))


def test_waits_for_no_more_than_there_are() -> None:
    with pytest.raises(RolloutError, match="all of 2 rollouts"):
        SeedCheck(SEED, tasks=2).see(rollouts(2, **FAILED))


def test_one_that_works_is_enough_and_it_looks_once() -> None:
    check = SeedCheck(SEED, tasks=3)
    check.see([*rollouts(2, **FAILED), *rollouts(1)])
    check.see(rollouts(9, **FAILED))


def test_an_agent_that_reads_no_prompt_is_refused() -> None:
    with pytest.raises(RolloutError, match=r"no rollout read a prompt .*\(a\)"):
        SeedCheck(SEED, tasks=3).see(rollouts(3, reads=frozenset()))
