"""MLflow: runs in an experiment, and prompts in its registry. Needs the extra ``mlflow``."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agl_adapters.trackers.tracker import (
    Tracker,
    outcome,
    prompt_texts,
    registered_names,
    result_files,
    settings,
    text_with_fields,
)
from agl_core.candidates import Candidate
from agl_core.errors import ConfigurationError, MissingDependencyError
from agl_core.plans import Plan
from agl_core.prompts.templates import PromptTemplate, Resources
from agl_core.result import TrainResult

__all__ = ["MLflowTracker", "pull_prompts", "push_prompts", "registry_name"]

_VARIABLE = re.compile(r"\{\{\s*(\w+)\s*\}\}")


class MLflowTracker(Tracker):
    """Keeps a run in MLflow: settings, a step per validated candidate, prompts, result, verdict.

    Args:
        experiment: The experiment's name; created if it is not there.
        tracking_uri: Where MLflow is; by default where its own settings say.
        register: Whether the best prompts are pushed to the prompt registry as new versions, if the
            verdict is ``improved``.

    Raises:
        MissingDependencyError: If mlflow is not installed.
    """

    def __init__(
        self,
        experiment: str = "agl-adapters",
        tracking_uri: str | None = None,
        register: bool = False,
    ) -> None:
        super().__init__()
        self._mlflow = _mlflow()
        self._experiment = experiment
        self._uri = tracking_uri
        self._register = register
        self._client: Any = None
        self._run = ""

    def begin(self, plan: Plan) -> None:
        """Create the run."""
        self._client = self._mlflow.MlflowClient(tracking_uri=self._uri)
        known = self._client.get_experiment_by_name(self._experiment)
        experiment = (
            self._client.create_experiment(self._experiment)
            if known is None
            else known.experiment_id
        )
        self._run = self._client.create_run(experiment, run_name=plan.run).info.run_id
        for name, value in settings(plan).items():
            self._client.log_param(self._run, name, value)
        self._client.log_dict(self._run, dict(prompt_texts(plan.initial)), "prompts/seed.json")

    def candidate(self, candidate: Candidate, score: float, best: float, number: int) -> None:
        """Log the scores as a step, and the prompts."""
        self._client.log_metric(self._run, "validation", score, step=number)
        self._client.log_metric(self._run, "best_validation_so_far", best, step=number)
        prompts = dict(prompt_texts(candidate.resources))
        self._client.log_dict(self._run, prompts, f"prompts/{number:03}-{candidate.id}.json")

    def result(self, result: TrainResult) -> None:
        """Log the numbers, the verdict, the prompts and the report; register the prompts."""
        for name, value in outcome(result).items():
            self._client.log_metric(self._run, name, value)
        self._client.set_tag(self._run, "verdict", result.verdict)
        self._client.set_tag(self._run, "stop_reason", result.stop_reason)
        with tempfile.TemporaryDirectory() as folder:
            for path in result_files(result, Path(folder)):
                self._client.log_artifact(self._run, str(path))
        if self._register and result.verdict == "improved":
            message = f"agl-adapters run {result.run}"
            push_prompts(result.best, tracking_uri=self._uri, message=message)

    def end(self, succeeded: bool) -> None:
        """Give the run its status."""
        self._client.set_terminated(self._run, "FINISHED" if succeeded else "FAILED")

    def on_close(self) -> None:
        """Take the run for failed until its result comes."""
        self._try(self.end, False)


def push_prompts(
    prompts: Mapping[str, str | PromptTemplate],
    *,
    tracking_uri: str | None = None,
    message: str = "",
) -> Mapping[str, int]:
    """Register prompts as new versions, each under `registry_name` of its name.

    Returns:
        The version by name.

    Raises:
        ConfigurationError: If one is a Jinja template that the registry's ``{{name}}`` cannot say,
            or two slots would have one name.
        MissingDependencyError: If mlflow is not installed.
    """
    client = _mlflow().MlflowClient(tracking_uri=tracking_uri)
    versions: dict[str, int] = {}
    for name, registry in registered_names(prompts, registry_name).items():
        registered = client.register_prompt(
            name=registry,
            template=text_with_fields(prompts[name], str, "{{{{{}}}}}".format),
            commit_message=message or None,
            tags={"agl.slot": name},
        )
        versions[name] = int(registered.version)
    return versions


def pull_prompts(
    names: Mapping[str, int | str | None] | list[str], *, tracking_uri: str | None = None
) -> Resources:
    """Return prompts of the registry by slot, as `use_prompts` and `Trainer` take them.

    Args:
        names: Slots, or slots with a version each: a number, an alias, None for the latest.
        tracking_uri: Where MLflow is; by default where its own settings say.

    Raises:
        ConfigurationError: If there is no such prompt.
        MissingDependencyError: If mlflow is not installed.
    """
    mlflow = _mlflow()
    client = mlflow.MlflowClient(tracking_uri=tracking_uri)
    wanted = names if isinstance(names, Mapping) else dict.fromkeys(names)
    prompts: dict[str, PromptTemplate] = {}
    for slot, version in wanted.items():
        name = registry_name(slot)
        if isinstance(version, str):
            where = f"prompts:/{name}@{version}"
        else:
            where = f"prompts:/{name}/{version}" if version else f"prompts:/{name}@latest"
        try:
            found = client.load_prompt(where)
        except mlflow.exceptions.MlflowException as error:
            raise ConfigurationError(f"the registry has no prompt {where}: {error}") from error
        prompts[slot] = _from_registry(found.template)
    return prompts


def registry_name(slot: str) -> str:
    """Return what a slot is called in the registry: letters, digits, hyphens, underscores, dots."""
    return re.sub(r"[^\w.-]+", ".", slot, flags=re.ASCII).strip(".")


def _from_registry(template: str) -> PromptTemplate:
    names = dict.fromkeys(_VARIABLE.findall(template))
    return PromptTemplate(_VARIABLE.sub(r"{\1}", template), "literal", names)


def _mlflow() -> Any:
    try:
        import mlflow
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "this needs MLflow: pip install 'agl-adapters[mlflow]'"
        ) from error
    return mlflow
