"""A small HTTP server that keeps prompts as LangSmith's hub does, for the real client.

The endpoints are those that `langsmith.Client` calls: settings, repos and commits.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

KEY = "the-key"
NOW = "2026-01-05T10:15:00Z"


class Hub(ThreadingHTTPServer):
    """What was asked, and what is kept: commits by prompt, the oldest first."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []
        self.private: dict[str, bool] = {}
        self.commits: dict[str, list[dict[str, Any]]] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        asked = f"{method} {path}"
        if asked == "GET /settings":
            return 200, {"id": "t", "display_name": "T", "created_at": NOW}
        if asked == "POST /repos":
            self.private[body["repo_handle"]] = not body["is_public"]
            self.commits[body["repo_handle"]] = []
            return 200, {"repo": self._repo(body["repo_handle"])}
        repo = re.fullmatch(r"(GET|PATCH) /repos/-/([a-z0-9_-]+)", asked)
        if repo and repo[2] in self.commits:
            return 200, {"repo": self._repo(repo[2])}
        commits = re.fullmatch(r"(GET|POST) /commits/-/([a-z0-9_-]+)(?:/(\w+))?", asked)
        if commits and commits[2] in self.commits:
            kept = self.commits[commits[2]]
            if commits[1] == "POST":
                return self._commit(kept, body)
            if commits[3] is None:
                return 200, {"commits": kept[::-1], "total": len(kept)}
            found = [c for c in kept if c["commit_hash"] == commits[3]]
            found += kept[-1:] if commits[3] == "latest" else []
            if found:
                return 200, found[0]
        return 404, {"detail": "not found"}

    def _commit(self, kept: list[dict[str, Any]], body: Any) -> tuple[int, Any]:
        parent = kept[-1]["commit_hash"] if kept else None
        if body["parent_commit"] != parent:
            return 409, {"detail": "not the latest commit"}
        if kept and kept[-1]["manifest"] == body["manifest"]:
            return 409, {"detail": "nothing to commit"}
        text = json.dumps([parent, body["manifest"]])
        name = hashlib.sha256(text.encode()).hexdigest()
        commit = {"id": name, "commit_hash": name, "examples": [], **body}
        kept.append(commit)
        return 200, {"commit": commit}

    def _repo(self, name: str) -> dict[str, Any]:
        counts = dict.fromkeys(("num_likes", "num_downloads", "num_views", "num_commits"), 0)
        return {
            **counts,
            "repo_handle": name,
            "id": name,
            "tenant_id": "t",
            "created_at": NOW,
            "updated_at": NOW,
            "is_public": not self.private[name],
            "is_archived": False,
            "tags": [],
            "owner": None,
            "full_name": name,
        }


class _Handler(BaseHTTPRequestHandler):
    def _answer(self) -> None:
        hub: Any = self.server
        length = int(self.headers.get("content-length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        path = self.path.partition("?")[0].rstrip("/")
        hub.asked.append(f"{self.command} {path}")
        if self.headers.get("x-api-key") == KEY:
            status, data = hub.answer(self.command, path, body)
        else:
            status, data = 401, {"detail": "invalid key"}
        content = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PATCH = _answer

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The hub, which the environment names."""
    with Hub() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("LANGSMITH_ENDPOINT", server.url)
        monkeypatch.setenv("LANGSMITH_API_KEY", KEY)
        yield server
        server.shutdown()
        thread.join()
