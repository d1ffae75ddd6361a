"""The pages' server: lists runs, shows one, follows it, compares two. It only ever reads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agl_adapters.report.data import page_data
from agl_adapters.report.pages import ASSETS, REPORT_SCRIPTS, linked_assets, render
from agl_adapters.report.views import moment, run_view
from agl_adapters.report.writing import report_html
from agl_adapters.ui.comparing import comparison_view, outcome
from agl_adapters.ui.library import Library
from agl_core.errors import AglError, ConfigurationError
from agl_core.storage.runs import known_run
from agl_core.storage.store import RolloutKey, Store
from agl_core.text import printable

__all__ = ["ui_application"]

_HOSTS = ["127.0.0.1", "localhost"]
_SECONDS_BETWEEN_LOOKS = 1.0

_RUN = (*REPORT_SCRIPTS, "live.js")
_COMPARISON = (*REPORT_SCRIPTS, "runs.js")
_LISTS = ("page.js", "runs.js", "live.js")

_HEADERS = {
    # The charts bring styles along; nothing else may come from the page itself.
    "content-security-policy": "default-src 'none'; script-src 'self'; connect-src 'self'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


def ui_application(store: Store) -> Starlette:
    """Return the application that shows a store's runs.

    Only requests that name this machine as their host are answered, so that no page on the web can
    have its own name point here and read what is shown.
    """
    pages = _Pages(Library(store))
    return Starlette(
        routes=[
            Route("/", pages.runs),
            Route("/run", pages.run),
            Route("/compare", pages.compare),
            Route("/trace", pages.trace),
            Route("/report", pages.report),
            Route("/events", pages.events),
            Mount("/assets", StaticFiles(directory=ASSETS)),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=_HOSTS, www_redirect=False),
            Middleware(_Headers),
        ],
        exception_handlers={HTTPException: _problem, AglError: _problem},
    )


class _Headers:
    """Adds our headers to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                ours = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
                message = {**message, "headers": [*message.get("headers", []), *ours]}
            await send(message)

        await self._app(scope, receive, with_headers)


class _Pages:
    """The endpoints. Those that are no coroutines run in threads."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._store = library.store

    def runs(self, request: Request) -> Response:
        """List the runs, newest first."""
        rows: list[dict[str, Any]] = []
        for record in reversed(self._store.runs()):
            settings = record.settings
            result = record.result or {}
            activity = self._store.activity(record.name)
            rows.append(
                {
                    "raw": record.name,
                    "name": printable(record.name),
                    "agent": printable(str(settings.get("agent", ""))),
                    "algorithm": printable(str(settings.get("algorithm", {}).get("name", ""))),
                    "created": moment(record.created),
                    "simulated": self._library.is_simulated(record),
                    "rollouts": f"{result.get('usage', {}).get('rollouts') or activity.rollouts:,}",
                    **outcome(self._library.run(record.name)),
                }
            )
        return _page("runs.html.j2", _LISTS, runs=rows, store=printable(self._store.location))

    def run(self, request: Request) -> Response:
        """Show a run."""
        facts = self._library.run(_asked(request, "name"))
        view = run_view(facts, time.time())
        return _page("run.html.j2", _RUN, live=True, data=page_data(facts), traces="", **view)

    def compare(self, request: Request) -> Response:
        """Compare two runs."""
        names = request.query_params.getlist("run")
        if len(names) != 2:
            raise ConfigurationError("choose two runs to compare")
        view = comparison_view(*(self._library.run(name) for name in names))
        return _page("compare.html.j2", _COMPARISON, **view)

    def trace(self, request: Request) -> Response:
        """Give the trace of a rollout."""
        parts = _asked(request, "key").split("/", 3)
        trace = None
        if len(parts) == 4:
            trace = self._library.trace(_asked(request, "name"), RolloutKey(*parts))
        if trace is None:
            raise HTTPException(404, "there is no such rollout")
        return JSONResponse(trace)

    def report(self, request: Request) -> Response:
        """Give the report of a run, to be saved."""
        name = _asked(request, "name")
        page = report_html(self._store, name)
        plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in name)
        disposition = f'attachment; filename="{plain}.html"'
        return HTMLResponse(page, headers={"content-disposition": disposition})

    async def events(self, request: Request) -> Response:
        """Tell when there is something new to show, of one run or of all."""
        name = request.query_params.get("name")
        if name is not None:
            await run_in_threadpool(known_run, self._store, name)
        return StreamingResponse(self._changes(name), media_type="text/event-stream")

    async def _changes(self, name: str | None) -> AsyncGenerator[str]:
        # The page may be older than the first look.
        seen: Any = None
        yield ": hello\n\n"
        while True:
            now = await run_in_threadpool(self._look, name)
            if now != seen:
                seen = now
                yield "event: changed\ndata: \n\n"
            if name is not None and all(activity.ended for _, activity in now):
                yield "event: ended\ndata: \n\n"
                return
            await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)

    def _look(self, name: str | None) -> list[tuple[str, Any]]:
        names = [record.name for record in self._store.runs()] if name is None else [name]
        return [(each, self._store.activity(each)) for each in names]


def _page(template: str, scripts: Sequence[str], **context: Any) -> Response:
    return HTMLResponse(render(template, assets=linked_assets(*scripts), **context))


def _asked(request: Request, name: str) -> str:
    value = request.query_params.get(name)
    if not value:
        raise HTTPException(400, f"the address lacks {name}=")
    return value


async def _problem(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    text = error.detail if isinstance(error, HTTPException) else str(error)
    title = "Not found" if status == 404 else "This does not work"
    assets = linked_assets()
    page = render("problem.html.j2", assets=assets, title=title, text=printable(text))
    return HTMLResponse(page, status)
