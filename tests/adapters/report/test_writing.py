"""The file that is written: complete, small, and closed to what the texts in it may say."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import agl_adapters as agl
from agl_adapters.report import packing
from agl_adapters.report.packing import pack_traces
from agl_adapters.report.pages import ASSETS, embedded_json, linked_assets, render
from agl_adapters.report.reading import RunReader
from agl_adapters.report.writing import report_html
from agl_adapters.ui.comparing import outcome
from agl_core.errors import ConfigurationError, StoreError


class Page(HTMLParser):
    """A page's elements, with what is in its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "script":
            self.scripts[-1] += data


@pytest.fixture(scope="module")
def page(hostile_run: Any) -> Page:
    store = agl.SQLiteStore(hostile_run.path)
    text = report_html(store, hostile_run.name)
    store.close()
    return Page(text)


def traces(text: str) -> dict[str, Any]:
    return json.loads(gzip.decompress(base64.b64decode(text)))


def test_nothing_in_it_comes_from_elsewhere(page: Page) -> None:
    sources = [a.get(name) or "" for _, a in page.tags for name in ("src", "href", "action")]
    assert [s for s in sources if s and not s.startswith(("#", "data:,"))] == []


def test_only_our_scripts_may_run_and_nothing_may_be_loaded(page: Page) -> None:
    metas = [a for tag, a in page.tags if tag == "meta"]
    (policy,) = [m["content"] or "" for m in metas if "http-equiv" in m]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    kinds = [a.get("type") for tag, a in page.tags if tag == "script"]
    ours = [s for s, kind in zip(page.scripts, kinds, strict=True) if kind is None]
    hashes = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in ours]
    assert re.findall(r"'sha256-([^']+)'", policy) == hashes
    assert len(ours) == 8
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)


def test_its_data_is_json_that_says_what_the_store_says(page: Page, hostile_run: Any) -> None:
    data, packed = page.scripts[:2]
    read = json.loads(data)
    assert [c["label"] for c in read["candidates"]] == ["seed", "1", "2", "3", "4"]
    assert len(traces(packed)["rollouts"]) == len(read["rollouts"])
    assert "\x1b" not in data
    assert "\u202e" not in data


def test_libraries_bring_their_license(page: Page) -> None:
    for script in page.scripts[2:4]:
        assert "Permission to use, copy, modify, and/or distribute" in script


def test_vendored_files_are_the_published_ones() -> None:
    table = (ASSETS / "vendor" / "README.md").read_text()
    rows = re.findall(r"^\| `(\S+\.js)` .*`([0-9a-f]{64})` \|$", table, re.MULTILINE)
    assert len(rows) == 2
    for name, digest in rows:
        content = (ASSETS / "vendor" / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == digest
        assert (ASSETS / "vendor" / f"{name.split('.')[0]}.LICENSE").is_file()


def test_embedded_json_ends_no_element() -> None:
    value = ["</script><!--", "a & b", "\u2028\u2029"]
    text = embedded_json(value)
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == value


def test_what_is_put_into_a_template_is_text() -> None:
    text = render("problem.html.j2", assets=linked_assets(), title="<b>", text="{{ 1 }}<i>")
    assert "&lt;b&gt;" in text
    assert "{{ 1 }}&lt;i&gt;" in text


class TestPacking:
    def test_texts_are_cut_as_far_as_is_needed(
        self, hostile_run: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = agl.SQLiteStore(hostile_run.path)
        facts = RunReader(store, hostile_run.name).read()
        whole = pack_traces(store, facts, 10_000_000)
        assert whole.notes == []
        monkeypatch.setattr(packing, "_SHORTEST", 20)
        cut = pack_traces(store, facts, len(whole.base64) - 100)
        assert re.match(r"\d+ long texts of traces are cut to \d+ characters", cut.notes[0])
        assert len(cut.base64) < len(whole.base64)
        assert traces(cut.base64)["rollouts"].keys() == traces(whole.base64)["rollouts"].keys()
        store.close()

    def test_then_the_traces_that_say_least_are_left_out(self, hostile_run: Any) -> None:
        store = agl.SQLiteStore(hostile_run.path)
        facts = RunReader(store, hostile_run.name).read()
        most = len(pack_traces(store, facts, 10_000_000).base64) // 3
        packed = pack_traces(store, facts, most)
        kept = traces(packed.base64)["rollouts"]
        assert 0 < len(packed.base64) <= most
        assert f"of {len(facts.rollouts)} rollouts are left out" in packed.notes[-1]
        assert facts.seed is not None
        assert facts.finalist is not None
        telling = {facts.seed.bound, facts.finalist.bound}
        assert {key.split("/")[0] for key in kept} <= telling
        assert {key.split("/")[1] for key in kept} == {"test"}
        assert pack_traces(store, facts, 10).notes != []
        store.close()


def test_a_run_without_a_single_rollout_has_a_report(tmp_path: Path) -> None:
    store = agl.SQLiteStore(tmp_path / "runs.db")
    store.begin_run("r", {"agent": "a", "algorithm": {"name": "APO"}})
    text = agl.write_report(store, "r", tmp_path / "out" / "r.html").read_text()
    assert "There is no verdict before the run ends." in text
    assert "0 rollouts so far" in text
    store.close()


def test_a_run_that_searched_for_nothing_is_called_an_evaluation(tmp_path: Path) -> None:
    store = agl.SQLiteStore(tmp_path / "runs.db")

    @agl.rollout
    def agent(task: int, prompt: agl.PromptTemplate) -> float:
        return float(bool(prompt.format()) and task % 2)

    prompts = {"prompt": "Answer."}
    trainer = agl.Trainer(agl.Baseline(), store=store, run="r", initial_resources=prompts)
    trainer.fit(agent, range(4))
    text = agl.write_report(store, "r", tmp_path / "r.html").read_text()
    assert "Scores 0.500" in text
    assert "The mean score on 4 tasks." in text
    assert "optimized by" not in text
    assert "No gain" not in text
    assert outcome(RunReader(store, "r").read())["outcome"] == "evaluated"
    store.close()


def test_no_store_and_no_run_are_errors_and_nothing_is_made(tmp_path: Path) -> None:
    missing = tmp_path / "none.db"
    with pytest.raises(ConfigurationError, match=r"there is no store .*none\.db"):
        agl.write_report(missing, "r", tmp_path / "r.html")
    agl.SQLiteStore(tmp_path / "runs.db").close()
    with pytest.raises(ConfigurationError, match="has no run 'r'"):
        agl.write_report(tmp_path / "runs.db", "r", tmp_path / "r.html")
    (tmp_path / "notes.db").write_text("notes " * 1000)
    with pytest.raises(StoreError, match="not a database"):
        agl.write_report(tmp_path / "notes.db", "r", tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()
    assert not missing.exists()
