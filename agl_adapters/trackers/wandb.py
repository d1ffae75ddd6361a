"""Weights & Biases: a run with its scores, prompts and result. Needs the extra ``wandb``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from agl_adapters.trackers.tracker import Tracker, outcome, prompt_texts, result_files, settings
from agl_core.candidates import Candidate
from agl_core.errors import MissingDependencyError
from agl_core.plans import Plan
from agl_core.result import TrainResult

__all__ = ["WandbTracker"]


class WandbTracker(Tracker):
    """Keeps a run in Weights & Biases; offline as its own settings (``WANDB_MODE``) say.

    A run that fails is ended, as failed, when the process does.

    Args:
        project: The project's name.
        entity: The user or team; by default the one that is logged in.
        dir: The folder that wandb writes into; the current one by default.

    Raises:
        MissingDependencyError: If wandb is not installed.
    """

    def __init__(
        self, project: str = "agl-adapters", entity: str | None = None, dir: str | None = None
    ) -> None:
        super().__init__()
        try:
            import wandb
        except ModuleNotFoundError as error:
            raise MissingDependencyError(
                "this needs Weights & Biases: pip install 'agl-adapters[wandb]'"
            ) from error
        self._wandb: Any = wandb
        self._place = {"project": project, "entity": entity, "dir": dir}
        self._run: Any = None
        self._rows: list[list[Any]] = []

    def begin(self, plan: Plan) -> None:
        """Create the run."""
        self._rows = []
        self._run = self._wandb.init(
            **self._place,
            name=plan.run,
            config={**settings(plan), "seed_prompts": dict(prompt_texts(plan.initial))},
            reinit="create_new",
        )

    def candidate(self, candidate: Candidate, score: float, best: float, number: int) -> None:
        """Log the scores as a step, and note the prompts."""
        self._run.log({"validation": score, "best_validation_so_far": best}, step=number)
        for name, text in prompt_texts(candidate.resources).items():
            self._rows.append([number, candidate.id, candidate.round, score, name, text])

    def result(self, result: TrainResult) -> None:
        """Log the numbers, the verdict, every candidate's prompts, the best ones, the report."""
        self._run.summary.update({**outcome(result), "verdict": result.verdict})
        columns = ["number", "candidate", "round", "validation", "prompt", "text"]
        self._run.log({"candidates": self._wandb.Table(columns=columns, data=self._rows)})
        artifact = self._wandb.Artifact(f"result-{self._run.id}", type="result")
        with tempfile.TemporaryDirectory() as folder:
            for path in result_files(result, Path(folder)):
                artifact.add_file(str(path))
                if path.suffix == ".html":
                    page = path.read_text(encoding="utf-8")
                    self._run.log({"report": self._wandb.Html(page, inject=False)})
            self._run.log_artifact(artifact)

    def end(self, succeeded: bool) -> None:
        """End the run."""
        self._run.finish(exit_code=0 if succeeded else 1)
