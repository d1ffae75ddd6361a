from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from agl_core.algorithms.baseline import Baseline
from agl_core.errors import StoreError
from agl_core.execution.agents import FunctionAgent
from agl_core.prompts.templates import PromptTemplate
from agl_core.storage.sqlite import SQLiteStore
from agl_core.trainer import Trainer

DAMAGED = ["{not json", "[]", "null", "3", b"\xff\xfe", "[" * 100_000]


@FunctionAgent
def agent(task: Any, prompt: PromptTemplate) -> float:
    return float(bool(prompt.format()))


def fit(path: Path, resume: bool = False) -> None:
    store = SQLiteStore(path)
    try:
        trainer = Trainer(Baseline(), initial_resources={"prompt": "Hi."}, store=store, run="r")
        trainer.fit(agent, [{"n": 0}], [{"n": 1}, {"n": 2}], resume=resume)
    finally:
        store.close()


@pytest.mark.parametrize(("table", "column"), [("rollouts", "record"), ("runs", "settings")])
def test_a_run_of_which_a_record_is_damaged_is_refused(
    tmp_path: Path, table: str, column: str
) -> None:
    path = tmp_path / "runs.db"
    fit(path)
    for damaged in DAMAGED:
        with sqlite3.connect(path) as file:
            file.execute("UPDATE runs SET result=NULL")
            file.execute(f"UPDATE {table} SET {column}=?", (damaged,))
        file.close()
        if (column, damaged) == ("settings", "[]"):
            continue  # of a run with other settings
        with pytest.raises(StoreError, match=r"cannot be read .* damaged"):
            fit(path, resume=True)
