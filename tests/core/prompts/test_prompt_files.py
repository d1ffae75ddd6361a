"""The format of prompt files: what is written fits the schema, and older files are read."""

from __future__ import annotations

import difflib
import hashlib
import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, ValidationError

from agl_core.errors import ConfigurationError
from agl_core.prompts.prompt_files import (
    PromptFile,
    json_schema,
    read_prompt_file,
    text_hash,
    write_prompt_file,
)
from agl_core.prompts.templates import Engine, PromptTemplate
from agl_core.versions import installed_versions

SLOT = "langgraph:planner#system"
OWN = PromptTemplate("You plan.\nToday is {date}.", "literal", ["date"])
NEW = PromptTemplate("You plan well.\nBe brief.\nToday is {date}.", "literal", ["date"])
SCORES = {"seed_validation": 0.5, "best_validation": 0.75, "test_tasks": 29, "best_test": None}
FULL = PromptFile(
    {SLOT: NEW, "tone": PromptTemplate("Kind.")}, {SLOT: OWN}, "r1", "improved", SCORES
)

VERSION_1 = {
    "schema": "agl-adapters/prompts",
    "version": 1,
    "run": "old",
    "verdict": "improved",
    "scores": {
        "seed_validation": 0.5,
        "best_validation": 0.9,
        "seed_test": None,
        "best_test": None,
    },
    "prompts": {SLOT: {**NEW.to_json(), "replaces": OWN.to_json()}},
}


def validator() -> Draft202012Validator:
    Draft202012Validator.check_schema(json_schema())
    return Draft202012Validator(json_schema())


def written(file: PromptFile, folder: Path) -> dict[str, Any]:
    path = write_prompt_file(file, folder / "prompts.json")
    return json.loads(path.read_text(encoding="utf-8"))


def test_what_is_written_is_read_and_fits_the_schema(tmp_path: Path) -> None:
    data = written(FULL, tmp_path)
    validator().validate(data)
    file = read_prompt_file(tmp_path / "prompts.json")
    assert (file.prompts, file.replaces, file.scores) == (FULL.prompts, FULL.replaces, SCORES)
    assert (file.run, file.verdict) == ("r1", "improved")
    assert file.versions == installed_versions(["langgraph"])


def test_the_schema_names_every_key_that_is_written(tmp_path: Path) -> None:
    """Unknown keys are allowed by it, so that it does not hold by itself."""
    schema, data = json_schema(), written(FULL, tmp_path)
    assert list(data) == list(schema["properties"])
    assert list(data["prompts"]) == sorted(FULL.prompts)
    prompt = schema["properties"]["prompts"]["additionalProperties"]
    assert list(data["prompts"][SLOT]) == [
        *schema["$defs"]["prompt"]["properties"],
        *prompt["properties"],
    ]
    replaced = prompt["properties"]["replaces"]["oneOf"][1]["properties"]
    assert set(data["prompts"][SLOT]["replaces"]) == {
        *schema["$defs"]["prompt"]["properties"],
        *replaced,
    }


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "other"},
        {"version": 3},
        {"verdict": "great"},
        {"scores": {"best_test": "high"}},
        {"versions": {"openai": 3}},
        {"prompts": {SLOT: {}}},
        {"prompts": {SLOT: {**NEW.to_json(), "template": ["a\nb"]}}},
        {"prompts": {SLOT: {**NEW.to_json(), "engine": "mustache"}}},
        {"prompts": {SLOT: {**NEW.to_json(), "replaces": {**OWN.to_json(), "sha256": "0"}}}},
        {"prompts": {" ": NEW.to_json()}},
    ],
)
def test_the_schema_refuses_what_is_wrong(tmp_path: Path, change: dict[str, Any]) -> None:
    data = written(FULL, tmp_path)
    with pytest.raises(ValidationError):
        validator().validate({**data, **change})


@given(
    prompts=st.dictionaries(
        st.text(st.characters(exclude_categories=()), min_size=1).filter(str.strip),
        st.tuples(
            st.text(st.characters(exclude_categories=())),
            st.sampled_from(["f-string", "literal"]),
            st.text(st.characters(exclude_categories=())),
        ),
    )
)
def test_any_texts_come_back_and_fit_the_schema(
    prompts: dict[str, tuple[str, Engine, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = PromptFile(
        {name: PromptTemplate(text, engine) for name, (text, engine, _) in prompts.items()},
        {name: PromptTemplate(own, engine) for name, (_, engine, own) in prompts.items()},
    )
    folder = tmp_path_factory.getbasetemp()
    validator().validate(written(file, folder))
    found = read_prompt_file(folder / "prompts.json")
    assert (found.prompts, found.replaces) == (file.prompts, file.replaces)


def test_files_of_version_1_are_read(tmp_path: Path) -> None:
    path = tmp_path / "prompts.json"
    path.write_text(json.dumps(VERSION_1))
    file = read_prompt_file(path)
    assert (file.prompts, file.replaces) == ({SLOT: NEW}, {SLOT: OWN})
    assert (file.run, file.verdict, file.versions) == ("old", "improved", {})
    assert file.scores["best_validation"] == 0.9
    write_prompt_file(file, path)
    assert read_prompt_file(path).replaces == {SLOT: OWN}


def test_a_changed_line_is_one_line_of_a_diff(tmp_path: Path) -> None:
    before = write_prompt_file(FULL, tmp_path / "a.json").read_text().splitlines()
    changed = PromptFile(
        {**FULL.prompts, SLOT: NEW.with_text(NEW.raw.replace("brief", "very brief"))},
        FULL.replaces,
        FULL.run,
        FULL.verdict,
        FULL.scores,
    )
    after = write_prompt_file(changed, tmp_path / "b.json").read_text().splitlines()
    marks = [line for line in difflib.ndiff(before, after) if line[0] in "+-"]
    assert marks == ['-         "Be brief.",', '+         "Be very brief.",']


def test_the_hash_is_sha_256_of_the_text_in_utf_8(tmp_path: Path) -> None:
    own = PromptTemplate("Größe {x}\nzwei", "literal", ["x"])
    data = written(PromptFile({SLOT: NEW}, {SLOT: own}), tmp_path)
    expected = hashlib.sha256("Größe {x}\nzwei".encode()).hexdigest()
    assert data["prompts"][SLOT]["replaces"]["sha256"] == expected == text_hash(own)
    assert len(text_hash(PromptTemplate("\ud83d"))) == 64


def test_a_replaced_text_that_was_edited_is_told(tmp_path: Path) -> None:
    data = written(FULL, tmp_path)
    data["prompts"][SLOT]["replaces"]["template"][0] = "You plot."
    (tmp_path / "prompts.json").write_text(json.dumps(data))
    with pytest.raises(ConfigurationError, match='not the text of its "sha256": restore the text'):
        read_prompt_file(tmp_path / "prompts.json")
    del data["prompts"][SLOT]["replaces"]["sha256"]
    (tmp_path / "prompts.json").write_text(json.dumps(data))
    assert read_prompt_file(tmp_path / "prompts.json").replaces[SLOT].raw.startswith("You plot.")


def test_no_hidden_character_stands_in_a_file_as_it_is(tmp_path: Path) -> None:
    """What a reviewer sees is what is sent: nothing moves the cursor or turns the text around."""
    hidden = "a\u202eb\u2066c\u200bd\x1be\x85f\u2028g\ufeffh\U000e0041i\rj\x00k\x7fl"
    path = write_prompt_file(PromptFile({SLOT: PromptTemplate(hidden)}), tmp_path / "p.json")
    text = path.read_bytes().decode()
    assert "\\u202e" in text
    assert {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp")} == {"\n"}
    assert read_prompt_file(path).prompts[SLOT].raw == hidden


def test_letters_of_all_languages_stay_readable(tmp_path: Path) -> None:
    text = "Größe 漢字 क्\u200dष 👩\u200d💻"
    path = write_prompt_file(PromptFile({SLOT: PromptTemplate(text)}), tmp_path / "p.json")
    assert text in path.read_text(encoding="utf-8")
