"""The `gepa` package alone: its own evaluation, cache and budget, on the same program."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from gepa.api import optimize
from gepa.core.adapter import EvaluationBatch

from peers.programs import MODEL, PROGRAMS, client
from peers.runs import Conditions, Outcome, Point

__all__ = ["search"]


class _Adapter:
    """What a user of the package writes: the program in threads, its conversations as traces."""

    propose_new_texts = None

    def __init__(self, conditions: Conditions) -> None:
        self.program = PROGRAMS[conditions.scenario]
        self.client = client()
        self.pool = ThreadPoolExecutor(conditions.n_runners)
        self.rollouts = 0

    def evaluate(
        self, batch: list[Any], candidate: dict[str, str], capture_traces: bool = False
    ) -> EvaluationBatch[Any, Any]:
        """Run the program on a batch, all runners at once."""
        self.rollouts += len(batch)
        runs = list(self.pool.map(partial(self._run, candidate["prompt"]), batch))
        return EvaluationBatch(
            outputs=[None] * len(batch),
            scores=[score for score, _ in runs],
            trajectories=[(task, *run) for task, run in zip(batch, runs, strict=True)],
        )

    def make_reflective_dataset(
        self, candidate: dict[str, str], eval_batch: Any, components_to_update: list[str]
    ) -> dict[str, list[dict[str, str]]]:
        """The conversations with their rewards."""
        return {
            "prompt": [
                {
                    "Inputs": task["input"],
                    "Generated Outputs": conversation,
                    "Feedback": f"The reward of this run is {score}; a higher one is better.",
                }
                for task, score, conversation in eval_batch.trajectories
            ]
        }

    def _run(self, prompt: str, task: Any) -> tuple[float, str]:
        said: list[Any] = []

        def create(**request: Any) -> Any:
            reply = self.client.chat.completions.create(**request)
            said[:] = [*request["messages"], reply.choices[0].message.model_dump(exclude_none=True)]
            return reply

        score = self.program.run(create, prompt, task)
        return score, "\n\n".join(map(_shown, said))


def _shown(message: Any) -> str:
    calls = [json.dumps(call["function"]) for call in message.get("tool_calls", ())]
    return "\n".join([f"### {message['role']}", message.get("content") or "", *calls])


class _Curve:
    """Notes which prompt is best, by validation, as the run goes."""

    def __init__(self, count: Callable[[], int]) -> None:
        self.points: list[Point] = []
        self._count = count
        self._start = time.monotonic()

    def on_valset_evaluated(self, event: Any) -> None:
        """Note a new best prompt."""
        if event["is_best_program"]:
            seconds = time.monotonic() - self._start
            self.points.append(Point(self._count(), seconds, event["candidate"]["prompt"]))


class _Silence:
    def log(self, message: str) -> None:
        """Print nothing."""


def search(conditions: Conditions) -> Outcome:
    """Run the package's search with its own defaults."""
    adapter = _Adapter(conditions)
    curve = _Curve(lambda: adapter.rollouts)

    def reflect(prompt: Any) -> str:
        messages: list[Any] = [{"role": "user", "content": prompt}]
        reply = adapter.client.chat.completions.create(model=MODEL, messages=messages)
        return reply.choices[0].message.content or ""

    start = time.monotonic()
    result = optimize(
        seed_candidate={"prompt": adapter.program.seed},
        trainset=list(conditions.train),
        valset=list(conditions.val),
        adapter=adapter,  # pyright: ignore[reportArgumentType]
        reflection_lm=reflect,
        max_metric_calls=conditions.rollouts,
        callbacks=[curve],  # pyright: ignore[reportArgumentType]
        logger=_Silence(),
        seed=conditions.seed,
    )
    seconds = time.monotonic() - start
    adapter.pool.shutdown()
    best: Any = result.best_candidate
    return Outcome(
        best=best["prompt"],
        found=result.val_aggregate_scores[result.best_idx],
        rollouts=adapter.rollouts,
        seconds=seconds,
        curve=curve.points,
        notes={"metric_calls": result.total_metric_calls},
    )
