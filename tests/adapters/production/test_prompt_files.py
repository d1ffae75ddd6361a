"""Prompt files: what is written is read, what is damaged is told, and nothing is half written."""

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import agl_adapters as agl
from agl_core.prompts.prompt_files import read_prompt_file
from agl_core.prompts.templates import Engine, PromptTemplate

SLOT = "langgraph:planner#system"
RECORD = {"template": "Answer {question}.", "engine": "f-string", "variables": ["question"]}
FILE = {"schema": "agl-adapters/prompts", "version": 1, "run": None, "prompts": {SLOT: RECORD}}


def write(path: Path, data: Any) -> Path:
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "prompts.json"


# round trip


def test_what_is_saved_is_loaded(path: Path) -> None:
    prompts = {
        SLOT: PromptTemplate("Answer {question}.", variables=["question"]),
        "plain": "As {it} is.",
        "openai_agents:billing#instructions": PromptTemplate("{{ x }} {y}", "jinja"),
        "autogen:writer#system": PromptTemplate("{literal} }{", "literal"),
    }
    assert agl.save_prompts(prompts, path) == path
    loaded = agl.load_prompts(path)
    assert loaded == {**prompts, "plain": PromptTemplate("As {it} is.")}
    assert loaded[SLOT].format(question="x") == "Answer x."


@given(
    prompts=st.dictionaries(
        # Half a surrogate pair is text to Python, and what a cut-off answer of a model may end in.
        st.text(st.characters(exclude_categories=()), min_size=1).filter(str.strip),
        st.tuples(
            st.text(st.characters(exclude_categories=())), st.sampled_from(["f-string", "literal"])
        ),
        min_size=1,
    )
)
def test_any_names_and_texts_come_back(
    prompts: dict[str, tuple[str, Engine]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    templates = {name: PromptTemplate(*made) for name, made in prompts.items()}
    agl.save_prompts(templates, path)
    assert agl.load_prompts(path) == templates


@pytest.mark.parametrize(
    "name", ["__class__", "../../etc/passwd", "a\nb", "\x1b[2J", "a" * 5000, "{x}", "schema", "😀"]
)
def test_hostile_names_are_names(path: Path, name: str) -> None:
    agl.save_prompts({name: "Answer."}, path)
    assert agl.load_prompts(path) == {name: PromptTemplate("Answer.")}
    assert [file.name for file in path.parent.iterdir()] == ["prompts.json"]


def test_the_order_is_stable_and_text_is_readable(path: Path) -> None:
    agl.save_prompts({"b": "Größe\nzwei", "a": "x"}, path)
    first = path.read_bytes()
    agl.save_prompts({"a": "x", "b": "Größe\nzwei"}, path)
    assert path.read_bytes() == first
    text = first.decode()
    assert text.startswith('{\n  "schema": "agl-adapters/prompts",\n  "version": 2,\n')
    assert '"template": [\n        "Größe",\n        "zwei"\n      ],' in text


def test_what_they_replace_is_saved_as_well(path: Path) -> None:
    agl.save_prompts({SLOT: "New.", "b": "x"}, path, replaces={SLOT: "Own."})
    assert read_prompt_file(path).replaces == {SLOT: PromptTemplate("Own.")}
    with pytest.raises(agl.ConfigurationError, match="replaces names 'c', for which there is no"):
        agl.save_prompts({SLOT: "New."}, path, replaces={"c": "Own."})


def test_the_result_of_a_run_is_a_prompt_file(path: Path) -> None:
    @agl.rollout
    def agent(task: Any, prompt_template: agl.PromptTemplate) -> float:
        return float(prompt_template.format(**task) == "Answer a.")

    prompts = {"prompt_template": "Answer {question}."}
    trainer = agl.Trainer(agl.Baseline(), initial_resources=prompts, run="first")
    result = trainer.fit(agent, [{"question": "a"}])
    assert result.save(path) == path
    file = read_prompt_file(path)
    assert file.prompts == file.replaces == {k: PromptTemplate(v) for k, v in prompts.items()}
    data = json.loads(path.read_text())
    assert (data["run"], data["verdict"]) == ("first", "no_gain")
    assert data["scores"]["best_validation"] == 1.0


def test_a_file_as_editors_on_windows_save_it_is_read(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(FILE, indent=1).replace("\n", "\r\n").encode())
    assert agl.load_prompts(path) == {SLOT: PromptTemplate.from_json(RECORD)}


# files that cannot be used


def changed(**changes: Any) -> dict[str, Any]:
    return {**FILE, **changes}


def record(**changes: Any) -> dict[str, Any]:
    return {**FILE, "prompts": {SLOT: {**RECORD, **changes}}}


def lacking(key: str) -> dict[str, Any]:
    return {**FILE, "prompts": {SLOT: {k: v for k, v in RECORD.items() if k != key}}}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "is damaged, or no prompt file"),
        (json.dumps(FILE)[:-30], "is damaged, or no prompt file"),
        ("[" * 100_000, "is damaged, or no prompt file"),
        ("{}", 'is no prompt file: it lacks "schema"'),
        ("[]", "is no prompt file"),
        ("null", "is no prompt file"),
        (changed(schema="something/else"), "is no prompt file"),
        (changed(version=3), "has version 3; this release reads up to 2: pip install --upgrade"),
        (changed(version="1"), "is damaged: its version is '1'"),
        (changed(version=True), "is damaged: its version is True"),
        (changed(version=0), "is damaged: its version is 0"),
        (changed(version=None), "is damaged: its version is None"),
        (changed(prompts=None), '"prompts" is no object'),
        (changed(prompts=[RECORD]), '"prompts" is no object'),
        (changed(prompts={SLOT: "Answer."}), f"prompt '{SLOT}': it is str, no object"),
        (changed(prompts={SLOT: None}), "it is NoneType, no object"),
        (changed(prompts={" ": RECORD}), "a resource's name is non-empty text"),
        (lacking("template"), "it lacks template"),
        (lacking("engine"), "it lacks engine"),
        (lacking("variables"), "it lacks variables"),
        (record(template=3), "a prompt is text or a PromptTemplate, not int"),
        (record(template=["a", 1]), 'its "template" is no list of lines'),
        (record(template=["a\nb"]), 'a line of its "template" is several'),
        (record(replaces={**RECORD, "sha256": "0" * 64}), 'not the text of its "sha256": restore'),
        (changed(run=3), 'is damaged: "run" is no text'),
        (changed(scores=[1]), '"scores" is no object'),
        (changed(scores={"best_test": "high"}), 'its "scores" are no numbers'),
        (changed(versions={"openai": 3}), 'its "versions" are no texts'),
        (record(engine="mustache"), "unknown template engine 'mustache'"),
        (record(engine=["f-string"]), "unknown template engine"),
        (record(engine="jinja", template="{% if %}"), "the Jinja template does not parse"),
        (record(variables="question"), 'its "variables" are no list of names'),
        (record(variables=[1]), 'its "variables" are no list of names'),
        (record(variables=[["a"]]), 'its "variables" are no list of names'),
        (record(replaces="Answer."), "it is str, no object"),
        (record(replaces={"template": "x"}), "it lacks engine, variables"),
        (json.dumps(FILE).replace('"run"', '"version"'), "'version' stands there twice"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_with_its_name(
    path: Path, data: Any, message: str
) -> None:
    write(path, data)
    for use in (agl.load_prompts, agl.use_prompts):
        with pytest.raises(agl.ConfigurationError) as caught:
            use(path)
        assert str(path) in str(caught.value)
        assert message in str(caught.value)


def test_bytes_that_are_no_text_are_told(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00{")
    with pytest.raises(agl.ConfigurationError, match="is damaged, or no prompt file"):
        agl.load_prompts(path)


@pytest.mark.parametrize("use", [agl.load_prompts, agl.use_prompts])
def test_a_file_that_is_not_there_is_told(tmp_path: Path, use: Callable[[Path], Any]) -> None:
    with pytest.raises(agl.ConfigurationError, match=r"cannot read .*none.json: No such file"):
        use(tmp_path / "none.json")
    with pytest.raises(
        agl.ConfigurationError, match=r"cannot read .*: Is a directory; give the file in it"
    ):
        use(tmp_path)


def test_what_are_no_prompts_is_not_saved(path: Path) -> None:
    wrong: Any
    for wrong in ({"a": 3}, {"": "x"}, ["x"], "x"):
        with pytest.raises(agl.ConfigurationError):
            agl.save_prompts(wrong, path)
    assert not path.exists()


# writing


def files(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_a_new_file_gets_the_usual_mode_and_an_old_one_keeps_its_own(path: Path) -> None:
    mask = os.umask(0o027)
    try:
        agl.save_prompts({"a": "x"}, path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o604)
        agl.save_prompts({"a": "y"}, path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o604
    finally:
        os.umask(mask)


def test_a_link_stays_a_link(path: Path) -> None:
    real = path.parent / "deployed" / "v1.json"
    agl.save_prompts({"a": "x"}, real)  # makes the folder
    path.symlink_to(real)
    agl.save_prompts({"a": "y"}, path)
    assert path.is_symlink()
    assert agl.load_prompts(real) == {"a": PromptTemplate("y")}
    assert files(real.parent) == ["v1.json"]


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path, reason in (
        (tmp_path / "file" / "prompts.json", "File exists"),
        (tmp_path, "Is a directory"),
        (Path("/proc/none/prompts.json"), "No such file or directory"),
        (tmp_path / ("x" * 300), "File name too long"),
    ):
        with pytest.raises(agl.ConfigurationError, match=f"cannot write .*: {reason}"):
            agl.save_prompts({"a": "x"}, path)
    assert files(tmp_path) == ["file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(agl.ConfigurationError, match="Permission denied"):
        agl.save_prompts({"a": "x"}, tmp_path / "prompts.json")


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(
    path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    agl.save_prompts({"a": "old"}, path)

    def fail(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(agl.ConfigurationError, match=r"cannot write .*: No space left on device"):
        agl.save_prompts({"a": "new"}, path)
    assert agl.load_prompts(path) == {"a": PromptTemplate("old")}
    assert files(path.parent) == ["prompts.json"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_writer_that_is_killed_leaves_the_old_file(path: Path, step: str) -> None:
    agl.save_prompts({"a": "old"}, path)
    program = f"""
import os, signal, sys
import agl_adapters as agl
os.{step} = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)
agl.save_prompts({{"a": "new " * 100_000}}, sys.argv[1])
"""
    killed = subprocess.run([sys.executable, "-c", program, path], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert agl.load_prompts(path) == {"a": PromptTemplate("old")}


def test_readers_see_the_old_file_or_the_new_one(path: Path) -> None:
    """A reader in another process while the file is replaced again and again."""
    agl.save_prompts({"a": "0" * 50_000}, path)
    program = """
import sys
import agl_adapters as agl
for _ in range(200):
    text = agl.load_prompts(sys.argv[1])["a"].raw
    assert len(text) == 50_000 and len(set(text)) == 1, text[:9]
"""
    with subprocess.Popen([sys.executable, "-c", program, path]) as reader:
        number = 0
        while reader.poll() is None:
            number += 1
            agl.save_prompts({"a": str(number % 10) * 50_000}, path)
    assert reader.returncode == 0
    assert number > 10
