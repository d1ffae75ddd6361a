"""The pages' server over HTTP: what it answers, to whom, and what it never does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

import agl_adapters as agl
from agl_core.errors import MissingDependencyError


@pytest.fixture
def client(ui: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=ui, trust_env=False) as client:
        yield client


def keys(hostile_run: Any) -> list[str]:
    store = agl.SQLiteStore(hostile_run.path)
    found = [str(key) for key, _ in store.rollouts(hostile_run.name)]
    store.close()
    return found


def test_the_runs_are_listed_as_text(client: httpx.Client, hostile_run: Any) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "&lt;/script&gt;&lt;script&gt;window.taken=1" in page.text
    assert "<img" not in page.text
    assert ">improved<" in page.text
    assert ">simulated<" in page.text


def test_a_run_has_a_page_of_its_own(client: httpx.Client, hostile_run: Any) -> None:
    page = client.get("/run", params={"name": hostile_run.name})
    assert page.status_code == 200
    assert "Improved" in page.text
    assert "<img" not in page.text
    # Small: its scripts are linked, its traces come one by one.
    assert len(page.content) < 200_000


def test_a_trace_is_given_by_its_key(client: httpx.Client, hostile_run: Any) -> None:
    for key in keys(hostile_run)[:3]:
        trace = client.get("/trace", params={"name": hostile_run.name, "key": key}).json()
        assert "window.taken" in trace["texts"][trace["trace"]["task"]]
        assert "\x1b" not in str(trace)
        assert len(trace["trace"]["spans"]) == 2


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/run?name=nothing", 404, "has no run &#39;nothing&#39;"),
        ("/run?name=%3Cimg%3E%1b", 404, "&lt;img&gt;"),
        ("/run", 400, "the address lacks name="),
        ("/trace?name=nothing&key=a/b/c/d", 404, "there is no such rollout"),
        ("/trace?name=nothing&key=a", 404, "there is no such rollout"),
        ("/events?name=nothing", 404, "has no run"),
        ("/compare?run=a", 404, "choose two runs"),
        ("/compare?run=a&run=b", 404, "has no run"),
        ("/report?name=nothing", 404, "has no run"),
        ("/nothing", 404, "Not found"),
        ("/assets/../application.py", 404, "Not found"),
        ("/assets/%2e%2e/pages.py", 404, "Not found"),
        ("/assets/..%2fpages.py", 404, "Not found"),
    ],
)
def test_what_is_not_there_is_told(client: httpx.Client, path: str, status: int, says: str) -> None:
    page = client.get(path)
    assert page.status_code == status
    assert says in page.text
    assert "\x1b" not in page.text


def test_the_report_can_be_saved(client: httpx.Client, hostile_run: Any) -> None:
    answer = client.get("/report", params={"name": hostile_run.name})
    assert answer.headers["content-disposition"].startswith('attachment; filename="run---script--')
    assert 'id="traces"' in answer.text
    assert "/assets/" not in answer.text


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "evil.example:80", ""])
def test_only_requests_for_this_machine_are_answered(client: httpx.Client, host: str) -> None:
    """A name on the web that points here would let its pages read what is shown."""
    answer = client.get("/", headers={"host": host})
    assert answer.status_code == 400
    assert "window.taken" not in answer.text


def test_by_its_other_name_the_machine_is_the_same(client: httpx.Client, ui: str) -> None:
    port = urlsplit(ui).port
    assert client.get("/", headers={"host": f"localhost:{port}"}).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", ["/", "/run?name=r", "/trace?name=r", "/assets/page.css"])
def test_nothing_can_be_changed(client: httpx.Client, method: str, path: str) -> None:
    headers = {"origin": "https://evil.example", "access-control-request-method": "GET"}
    answer = client.request(method, path, headers=headers)
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("path", ["/", "/assets/page.js", "/nothing"])
def test_no_other_site_may_read_or_frame_an_answer(client: httpx.Client, path: str) -> None:
    headers = client.get(path, headers={"origin": "https://evil.example"}).headers
    assert not [name for name in headers if name.startswith("access-control")]
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["x-content-type-options"] == "nosniff"
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; connect-src 'self'; ")
    assert "frame-ancestors 'none'" in policy


def test_of_a_run_that_has_ended_the_events_end(client: httpx.Client, hostile_run: Any) -> None:
    answer = client.get("/events", params={"name": hostile_run.name})
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.split("\n\n")[1:] == ["event: changed\ndata: ", "event: ended\ndata: ", ""]


def test_without_its_extra_it_is_a_pip_command(monkeypatch: pytest.MonkeyPatch) -> None:
    from agl_adapters.ui import serving

    monkeypatch.setattr(serving, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'agl-adapters\[ui\]'"):
        serving.serve_ui(agl.MemoryStore())
