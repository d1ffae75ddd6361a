"""Trackers: what arrives in the real packages, and that their failures end no run."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

import agl_adapters as agl
from agl_adapters.trackers.tracker import Tracker, result_files
from agl_core.candidates import Candidate
from agl_core.plans import Plan


@agl.rollout
def answer(task: Any, prompt: agl.PromptTemplate) -> float:
    return float("kind" in prompt.format(name="Ann"))


@agl.algorithm
async def two(session: agl.Session) -> None:
    for text in ("Be brief, {name}.", "Be kind, {name}."):
        await session.evaluate({"prompt": text}, session.val)
        session.report(Candidate({"prompt": session.initial["prompt"].with_text(text)}))


def run(tracker: agl.Callback, agent: Any = answer, **options: Any) -> agl.TrainResult:
    trainer = agl.Trainer(
        two,
        initial_resources={"prompt": "Be brief, {name}."},
        callbacks=[tracker],
        run="its run",
        **options,
    )
    return trainer.fit(agent, list(range(8)), test_dataset=list(range(8, 16)))


class Failing(Tracker):
    def __init__(self, where: str) -> None:
        super().__init__()
        self.where = where
        self.calls: list[str] = []

    def _do(self, name: str) -> None:
        self.calls.append(name)
        if name == self.where:
            raise ConnectionError("no route")

    def begin(self, plan: Plan) -> None:
        self._do("begin")

    def candidate(self, candidate: Candidate, score: float, best: float, number: int) -> None:
        self._do(f"candidate {number} {score:g} {best:g}")

    def result(self, result: agl.TrainResult) -> None:
        self._do("result")

    def end(self, succeeded: bool) -> None:
        self._do("end")


def test_each_validated_candidate_is_kept_once() -> None:
    tracker = Failing("nowhere")
    run(tracker)
    assert tracker.calls == ["begin", "candidate 1 0 0", "candidate 2 1 1", "result", "end"]


@pytest.mark.parametrize(
    ("where", "calls"),
    [("begin", 1), ("candidate 1 0 0", 2), ("result", 4)],
)
def test_a_service_that_fails_is_told_once_and_left_alone(
    where: str, calls: int, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = Failing(where)
    with caplog.at_level(logging.WARNING):
        assert run(tracker).verdict == "improved"
    assert len(tracker.calls) == calls
    (message,) = caplog.messages
    assert message == "Failing keeps nothing more of this run: ConnectionError: no route"


@pytest.mark.filterwarnings("ignore")  # MLflow's own, of the packages that it stands on
class TestMLflow:
    @pytest.fixture
    def uri(self, tmp_path: Path) -> str:
        pytest.importorskip("mlflow", reason="MLflow is not installed")
        return f"sqlite:///{tmp_path}/mlflow.db"

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)

    def test_a_run_arrives_with_its_scores_prompts_and_verdict(self, uri: str) -> None:
        import mlflow  # pyright: ignore[reportMissingImports]

        from agl_adapters.trackers.mlflow import MLflowTracker, pull_prompts

        run(MLflowTracker(tracking_uri=uri, register=True), store="runs.db")
        client = mlflow.MlflowClient(tracking_uri=uri)
        experiment = client.get_experiment_by_name("agl-adapters")
        assert experiment is not None
        (kept,) = client.search_runs([experiment.experiment_id])
        assert (kept.info.run_name, kept.info.status) == ("its run", "FINISHED")
        assert kept.data.params["algorithm"] == "two"
        assert kept.data.tags["verdict"] == "improved"
        assert kept.data.metrics["best_test"] == 1.0
        history = client.get_metric_history(kept.info.run_id, "validation")
        assert [(metric.step, metric.value) for metric in history] == [(1, 0.0), (2, 1.0)]
        names = {item.path for item in client.list_artifacts(kept.info.run_id)}
        assert names == {"prompts", "prompts.json", "report.txt", "report.html"}
        prompts = pull_prompts(["prompt"], tracking_uri=uri)
        assert prompts["prompt"].format(name="Ann") == "Be kind, Ann."

    def test_a_run_that_fails_is_marked_so(self, uri: str) -> None:
        import mlflow  # pyright: ignore[reportMissingImports]

        from agl_adapters.trackers.mlflow import MLflowTracker

        @agl.rollout
        def broken(task: Any, prompt: agl.PromptTemplate) -> float:
            raise ValueError("broken")

        with pytest.raises(agl.RolloutError):
            run(MLflowTracker(tracking_uri=uri), broken)
        client = mlflow.MlflowClient(tracking_uri=uri)
        (kept,) = client.search_runs(["1"])
        assert kept.info.status == "FAILED"

    def test_prompts_are_pushed_and_pulled_by_slot_and_version(self, uri: str) -> None:
        from agl_adapters.trackers.mlflow import pull_prompts, push_prompts

        slot = "langgraph:planner#system"
        template = agl.PromptTemplate('Say {{"a": 1}} to {name}.')
        assert push_prompts({slot: template}, tracking_uri=uri) == {slot: 1}
        assert push_prompts({slot: "Plain {text}."}, tracking_uri=uri) == {slot: 2}
        assert pull_prompts({slot: 1}, tracking_uri=uri)[slot].format(name="B") == (
            'Say {"a": 1} to B.'
        )
        assert pull_prompts([slot], tracking_uri=uri)[slot].raw == "Plain {text}."
        with pytest.raises(agl.ConfigurationError, match=r"no prompt prompts:/other@latest"):
            pull_prompts(["other"], tracking_uri=uri)


@pytest.mark.filterwarnings("ignore")  # of wandb itself
def test_a_run_arrives_in_wandb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    from agl_adapters.trackers.wandb import WandbTracker

    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    run(WandbTracker(dir=str(tmp_path)), store=str(tmp_path / "runs.db"))
    wandb.teardown()  # what it writes is written
    (folder,) = (tmp_path / "wandb").glob("offline-run-*")
    (record,) = folder.glob("*.wandb")
    kept = record.read_bytes()
    for expected in ("best_validation_so_far", "verdict", "improved", "prompts.json", "report.txt"):
        assert expected.encode() in kept, expected
    (table,) = (folder / "files" / "media" / "table").glob("candidates*.json")
    texts = [row[-1] for row in json.loads(table.read_text())["data"]]
    assert texts == ["Be brief, {name}.", "Be kind, {name}."]
    (page,) = (folder / "files" / "media" / "html").glob("report*.html")
    assert "Be kind, {name}." in page.read_text()


def test_a_report_is_made_of_a_store_in_a_file_only(tmp_path: Path) -> None:
    class Files(Tracker):
        names: list[str]

        def result(self, result: agl.TrainResult) -> None:
            self.names = [path.name for path in result_files(result, tmp_path)]

    tracker = Files()
    run(tracker)
    assert tracker.names == ["prompts.json", "report.txt"]
    run(tracker, store=tmp_path / "runs.db")
    assert tracker.names == ["prompts.json", "report.txt", "report.html"]
    assert "its run" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("package", ["langsmith", "mlflow", "wandb"])
def test_without_the_package_it_says_what_to_install(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    from agl_adapters.trackers.langsmith import LangSmithHub
    from agl_adapters.trackers.mlflow import MLflowTracker
    from agl_adapters.trackers.wandb import WandbTracker

    trackers = {"langsmith": LangSmithHub, "mlflow": MLflowTracker, "wandb": WandbTracker}
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(agl.MissingDependencyError, match=rf"agl-adapters\[{package}\]"):
        trackers[package]()


def test_names_in_the_registry_are_what_it_takes() -> None:
    from agl_adapters.trackers.mlflow import registry_name

    assert registry_name("langgraph:planner#system") == "langgraph.planner.system"
    assert json.dumps(registry_name("a b/ü")) == '"a.b"'
