from __future__ import annotations

import contextlib
import copy
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agl_core.datasets import Dataset, load_dataset
from agl_core.errors import DatasetError


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


class TestTasks:
    def test_are_taken_from_any_iterable_in_order(self) -> None:
        for source in (["a", "b"], ("a", "b"), iter(["a", "b"]), {"a": 1, "b": 2}.keys()):
            dataset = load_dataset(source, "train")
            assert [(task.split, task.index, task.data) for task in dataset] == [
                ("train", 0, "a"),
                ("train", 1, "b"),
            ]

    def test_are_handed_on_as_they_are(self) -> None:
        task = {"id": 7, "input": ("a", None, 1.5)}
        assert load_dataset([task], "val")[0].data is task

    def test_are_called_by_their_id_or_place(self) -> None:
        names = [task.name for task in load_dataset([{"id": "x1"}, {"id": 7}, {"id": []}], "val")]
        assert names == ["x1", "7", "val[2]"]

    def test_what_they_are_called_is_short_and_safe_to_print(self) -> None:
        names = [t.name for t in load_dataset([{"id": "\x1b[2Ja"}, {"id": "b" * 999}], "val")]
        assert names == ["\ufffd[2Ja", "b" * 100 + "… (999 characters in all)"]

    def test_equal_tasks_have_keys_of_their_own(self) -> None:
        dataset = load_dataset([{"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 2}], "val")
        assert len({task.key for task in dataset}) == 3
        assert dataset[1].key == f"{dataset[0].key}.1"

    def test_a_key_depends_on_the_content_alone(self) -> None:
        first = load_dataset([{"x": 1}, {"x": 2}], "train")
        second = load_dataset([{"x": 2}, {"x": 1}], "val")
        assert [task.key for task in first] == [task.key for task in reversed(second)]


class TestDataset:
    def test_slices_and_fingerprints(self) -> None:
        dataset = load_dataset(range(5), "val")
        assert isinstance(dataset[1:3], Dataset)
        assert [task.data for task in dataset[1:3]] == [1, 2]
        assert repr(dataset) == "Dataset('val', 5 tasks)"
        assert dataset.fingerprint() == load_dataset(list(range(5)), "train").fingerprint()
        assert dataset.fingerprint() != load_dataset([0, 2, 1, 3, 4], "val").fingerprint()

    @pytest.mark.parametrize(
        ("source", "reason"),
        [
            ([], "the val dataset holds no task; at least one is needed"),
            (iter(()), "holds no task"),
            ({"input": "x"}, "the val dataset is dict"),
            (b"tasks.jsonl", "is bytes"),
            (5, "is int; give a list of tasks or the path of a JSONL file"),
            (None, "is NoneType"),
            ([1, {2}], "the val dataset, task 1: a task must be JSON-able"),
            ([object()], "task 0: a task must be JSON-able"),
            ([{(1, 2): 3}], "task 0: a task must be JSON-able"),
        ],
    )
    def test_anything_else_is_refused(self, source: Any, reason: str) -> None:
        with pytest.raises(DatasetError, match=reason):
            load_dataset(source, "val")

    def test_a_task_that_holds_itself_is_refused(self) -> None:
        loop: list[Any] = []
        loop.append(loop)
        with pytest.raises(DatasetError, match="task 0: a task must be JSON-able"):
            load_dataset([loop], "val")


class TestJSONL:
    def test_one_value_a_line(self, tmp_path: Path) -> None:
        path = write(tmp_path / "tasks.jsonl", '{"x": "é"}\r\n\n  \n[1]\n"a\u2028b"')
        for source in (path, str(path)):
            assert [task.data for task in load_dataset(source, "val")] == [
                {"x": "é"},
                [1],
                "a\u2028b",
            ]

    def test_a_byte_order_mark_is_no_part_of_it(self, tmp_path: Path) -> None:
        path = write(tmp_path / "tasks.jsonl", b'\xef\xbb\xbf{"x": 1}\n')
        assert load_dataset(path, "val")[0].data == {"x": 1}

    def test_a_line_that_does_not_parse_is_named(self, tmp_path: Path) -> None:
        path = write(tmp_path / "tasks.jsonl", '{"x": 1}\n\n{"x": \n')
        with pytest.raises(DatasetError, match=r"tasks\.jsonl, line 3: not valid JSON"):
            load_dataset(path, "val")

    def test_a_line_that_is_nested_too_deeply_is_named(self, tmp_path: Path) -> None:
        path = write(tmp_path / "tasks.jsonl", "1\n" + "[" * 100_000)
        with pytest.raises(DatasetError, match="line 2"):
            load_dataset(path, "val")

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            ("", r"tasks\.jsonl holds no task"),
            ("\n \n", "holds no task"),
            (b"\xff\xfe", "cannot read the dataset .*; save it as UTF-8"),
            ('{"x": 1},\n{"x": 2}', r'line 1: .*; each line is one JSON value, such as \{"'),
            ('[\n{"x": 1}\n]', "line 1: .*; the file is one JSON array: write each of its items"),
        ],
    )
    def test_an_empty_or_unreadable_file_is_refused(
        self, tmp_path: Path, content: str | bytes, reason: str
    ) -> None:
        with pytest.raises(DatasetError, match=reason):
            load_dataset(write(tmp_path / "tasks.jsonl", content), "val")

    def test_a_file_that_is_not_there_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(
            DatasetError, match=r"nowhere\.jsonl: No such file.*; paths are relative to /"
        ):
            load_dataset(tmp_path / "nowhere.jsonl", "val")
        with pytest.raises(DatasetError, match="Is a directory; give a file in it"):
            load_dataset(tmp_path, "val")

    def test_a_number_that_is_too_long_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(DatasetError, match="line 2: not valid JSON"):
            load_dataset(write(tmp_path / "tasks.jsonl", "1\n" + "9" * 5_000), "val")

    @given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
    def test_any_file_is_read_or_refused(
        self, tmp_path_factory: pytest.TempPathFactory, content: bytes
    ) -> None:
        path = write(tmp_path_factory.getbasetemp() / "any.jsonl", content)
        with contextlib.suppress(DatasetError):
            assert len(load_dataset(path, "val")) >= 1


def test_a_number_that_is_none_keeps_its_key() -> None:
    one, two = (load_dataset([{"x": math.nan}], "val")[0].key for _ in range(2))
    assert one == two


def test_a_task_that_is_nested_too_deeply_is_refused_before_it_is_copied() -> None:
    def nested(levels: int) -> Any:
        data: Any = "x"
        for _ in range(levels):
            data = {"a": [data]}
        return data

    copy.deepcopy(load_dataset([nested(49)], "val")[0].data)
    with pytest.raises(DatasetError, match="the val dataset, task 1: it is nested more than 100"):
        load_dataset([1, nested(50)], "val")


def test_a_dataset_can_serve_as_another_split() -> None:
    val = load_dataset([{"q": 1}, {"q": 2}, {"q": 3}], "val")[1:]
    train = load_dataset(val, "train")
    assert [(task.split, task.index, task.data) for task in train] == [
        ("train", 0, {"q": 2}),
        ("train", 1, {"q": 3}),
    ]
    assert [task.key for task in train] == [task.key for task in val]
