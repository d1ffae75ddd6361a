from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from agl_core.errors import ConfigurationError
from agl_core.files import trouble, write_atomically


def test_replaces_the_file_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    with path.open() as reader:
        write_atomically(path, "new é")
        assert reader.read() == "old"
    assert path.read_text(encoding="utf-8") == "new é"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_leaves_the_old_one_and_nothing_else_if_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(
        ConfigurationError, match=r"cannot write .*a\.json: No space left on device; free some"
    ):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.skipif(os.name != "posix", reason="other systems have other rights")
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o277])
def test_can_be_its_users_own_from_the_start(
    tmp_path: Path, umask: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: list[int] = []
    fsync = os.fsync

    def looked_at(descriptor: int) -> None:
        modes.append(os.fstat(descriptor).st_mode & 0o077)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", looked_at)
    before = os.umask(umask)
    try:
        path = write_atomically(tmp_path / "a.json", "x", private=True)
    finally:
        os.umask(before)
    assert modes == [0]
    assert path.stat().st_mode & 0o077 == 0


def test_can_be_read_by_others_like_any_file(tmp_path: Path) -> None:
    umask = os.umask(0o022)
    try:
        path = write_atomically(tmp_path / "a.json", "{}")
        assert path.stat().st_mode & 0o777 == 0o644
        path.chmod(0o640)
        assert write_atomically(path, "[]").stat().st_mode & 0o777 == 0o640
    finally:
        os.umask(umask)


def test_text_that_is_no_unicode_is_escaped(tmp_path: Path) -> None:
    path = write_atomically(tmp_path / "a.json", json.dumps("\ud83d", ensure_ascii=False))
    assert json.loads(path.read_text(encoding="utf-8")) == "\ud83d"


def test_trouble_says_what_to_do_where_that_is_known() -> None:
    denied = PermissionError(errno.EACCES, "Permission denied")
    assert trouble(denied) == (
        "Permission denied; give your user access to it, or choose another file"
    )
    assert trouble(OSError(errno.EIO, "Input/output error")) == "Input/output error"
    assert trouble(OSError("broken")) == "broken"
