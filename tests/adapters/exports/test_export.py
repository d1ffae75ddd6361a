"""Exports as files: what `datasets` makes of them."""

import json
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import datasets
import openai
import pytest

import agl_adapters as agl
from agl_adapters.exports import Format, export
from agl_adapters.testing import simulated_model

TASKS = [{"id": f"t{n}", "input": f"Say {n}."} for n in range(6)]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Generator[agl.SQLiteStore]:
    """A store with a run in which two candidates were tried on tasks of all splits."""
    store = agl.SQLiteStore(tmp_path_factory.mktemp("exports") / "runs.db")
    with simulated_model("echo") as model:
        client = openai.OpenAI(base_url=model.base_url, api_key="simulated")

        @agl.rollout
        def answer(task: Any, prompt: agl.PromptTemplate) -> float:
            messages: list[Any] = [
                {"role": "system", "content": prompt.format()},
                {"role": "user", "content": task["input"]},
            ]
            client.chat.completions.create(model="m", messages=messages)
            return float("kind" in prompt.raw) - 0.5 * float(task["id"] == "t0")

        @agl.algorithm
        async def two(session: agl.Session) -> None:
            for text in ("Be brief.", "Be kind."):
                await session.evaluate({"prompt": text}, session.val)
                session.report({"prompt": text})

        trainer = agl.Trainer(
            two, initial_resources={"prompt": "Be brief."}, store=store, run="r", n_runners=2
        )
        trainer.fit(answer, TASKS[:4], TASKS[:4], test_dataset=TASKS[4:])
        client.close()
    yield store
    store.close()


def _load(path: Path, kind: str = "json") -> Any:
    cache = str(path.parent / "cache")
    return datasets.load_dataset(kind, data_files=str(path), split="train", cache_dir=cache)


FORMATS = {
    "chat-sft": (3, {"messages"}),
    "openai-finetune": (3, {"messages"}),
    "preference": (3, {"prompt", "chosen", "rejected", "margin"}),
    "triplets": (8, {"prompt", "response", "reward", "score", "slot", "task"}),
    "jsonl": (8, {"candidate", "split", "score", "messages", "output"}),
    "parquet": (8, {"candidate", "split", "score", "messages", "output"}),
}


@pytest.mark.parametrize("format", FORMATS)
def test_each_format_is_loaded_by_datasets(
    format: str, store: agl.SQLiteStore, tmp_path: Path
) -> None:
    path = tmp_path / "out" / "rows"
    rows, columns = FORMATS[format]
    assert export(store, "r", path, format=format) == rows
    loaded = _load(path, "parquet" if format == "parquet" else "json")
    assert len(loaded) == rows
    assert columns <= set(loaded.column_names)
    assert [item.name for item in path.parent.iterdir() if item.name != "cache"] == ["rows"]


def test_every_format_is_tested() -> None:
    assert set(FORMATS) == set(Format)


def test_conversations_are_what_trl_calls_conversational(
    store: agl.SQLiteStore, tmp_path: Path
) -> None:
    """Lists of messages with role and content: `trl.is_conversational` looks at just that."""
    export(store, "r", tmp_path / "p.jsonl", format=Format.PREFERENCE)
    for row in _load(tmp_path / "p.jsonl"):
        assert row["prompt"][-1]["role"] == "user"
        for key in ("chosen", "rejected"):
            assert [item["role"] for item in row[key]] == ["assistant"]
        assert row["chosen"] != row["rejected"]


def test_test_tasks_stay_out_unless_they_are_named(store: agl.SQLiteStore, tmp_path: Path) -> None:
    path = tmp_path / "rows"
    assert export(store, "r", path, format="jsonl", splits=("test",)) == 4
    export(store, "r", path, format="jsonl")
    assert {json.loads(line)["split"] for line in path.read_text().splitlines()} == {"val"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"runs": "x"}, "has no run 'x'; it has: r"),
        ({"format": "csv"}, "there is no format 'csv'; there are: chat-sft"),
        ({"min_reward": 2.0}, "no rollout earned 2; the best one earned 1: lower min_reward"),
        ({"splits": ("train",)}, "no rollout with a score on tasks of train"),
    ],
)
def test_what_cannot_be_exported_is_told_and_writes_nothing(
    arguments: dict[str, Any], message: str, store: agl.SQLiteStore, tmp_path: Path
) -> None:
    with pytest.raises(agl.ConfigurationError) as raised:
        export(store, arguments.pop("runs", "r"), tmp_path / "rows", **arguments)
    assert message in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_told(store: agl.SQLiteStore, tmp_path: Path) -> None:
    with pytest.raises(agl.ConfigurationError, match=r"cannot write .*: Is a directory"):
        export(store, "r", tmp_path)


def test_without_pyarrow_it_says_what_to_install(
    store: agl.SQLiteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(agl.MissingDependencyError, match=r"agl-adapters\[export\]"):
        export(store, "r", tmp_path / "rows", format="parquet")
    assert list(tmp_path.iterdir()) == []
