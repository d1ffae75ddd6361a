"""The live pages in a real Chromium, on a run that goes on meanwhile."""

from __future__ import annotations

import asyncio
import threading
from typing import Any
from urllib.parse import urlencode

import pytest

import agl_adapters as agl

pytestmark = pytest.mark.asyncio(loop_scope="session")

TASKS = [{"id": f"task {n}", "n": n} for n in range(8)]


@agl.rollout
def agent(task: Any, prompt: agl.PromptTemplate) -> float:
    return float(task["n"] < len(prompt.format()))


async def test_runs_are_listed_opened_and_compared(
    open_page: Any, ui: str, hostile_run: Any
) -> None:
    store = agl.SQLiteStore(hostile_run.path)

    @agl.algorithm
    async def search(session: agl.Session) -> None:
        for text in ("ab", "abcd"):
            await session.evaluate({"prompt": text}, session.val)
            session.report({"prompt": text})

    trainer = agl.Trainer(search, store=store, run="plain", initial_resources={"prompt": "ab"})
    await asyncio.to_thread(trainer.fit, agent, TASKS)
    store.close()

    page = (await open_page(ui)).page
    row = page.locator("#runs tr", has_text="plain")
    assert "+0.250" in await row.inner_text()
    compare = page.get_by_role("button", name="Compare two runs")
    assert await compare.is_disabled()
    boxes = page.get_by_role("checkbox")
    for box in (await boxes.all())[:2]:
        await box.check()
    await compare.click()
    await page.locator("h1", has_text="Two runs compared").wait_for()
    await page.locator("[data-chart=intervals] svg").wait_for()
    assert "not comparable" in await page.locator(".note").inner_text()
    await page.locator("header a", has_text="plain").click()
    await page.locator("h1", has_text="plain").wait_for()
    await page.locator("[data-cell]").first.click()
    await page.locator("#trace .waterfall").wait_for()
    await page.keyboard.press("Escape")
    await page.locator("header a", has_text="All runs").click()
    await page.locator("#runs tbody tr").nth(1).wait_for()


async def test_hostile_text_stays_text(open_page: Any, ui: str, hostile_run: Any) -> None:
    page = (await open_page(f"{ui}run?{urlencode({'name': hostile_run.name})}")).page
    await page.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")
    await page.locator("#rollouts-table tbody a").first.click()
    await page.locator("#trace .waterfall").wait_for()
    await page.get_by_role("button", name="Open all").click()
    assert "<img src=x" in await page.locator(".message.user pre").first.inner_text()
    assert await page.locator("img, [onerror], [onfocus], [href^=javascript]").count() == 0


async def test_a_run_is_followed_while_it_goes_on(
    open_page: Any, ui: str, hostile_run: Any
) -> None:
    """Without loading the page anew, and leaving alone what the reader has opened."""
    store = agl.SQLiteStore(hostile_run.path)
    reported, go_on = threading.Event(), threading.Event()

    @agl.algorithm
    async def search(session: agl.Session) -> None:
        await session.evaluate(session.initial, session.val)
        seed = session.report(agl.Candidate(session.initial))
        reported.set()
        await asyncio.to_thread(go_on.wait)
        better = {"prompt": agl.PromptTemplate("a" * 8)}
        await session.evaluate(better, session.val)
        session.report(agl.Candidate(better, seed.id, "why", 1))

    trainer = agl.Trainer(search, store=store, run="live", initial_resources={"prompt": "a"})
    running = asyncio.create_task(asyncio.to_thread(trainer.fit, agent, TASKS))
    try:
        await asyncio.to_thread(reported.wait)
        page = (await open_page(f"{ui}run?name=live")).page
        headline = page.locator("#verdict h2")
        assert "Running" in await headline.inner_text()
        assert await page.locator("#rollouts-count").inner_text() == "8 rollouts"
        await page.evaluate("window.same = true")
        await page.locator("#candidate-0 summary").click()
        await page.locator("#filters").get_by_label("Split").select_option("val")
        await page.locator("#live", has_text="live").wait_for()
        go_on.set()
        await page.locator("#live", has_text="ended").wait_for()
        await page.locator("#verdict h2", has_text="Improved").wait_for()
    finally:
        go_on.set()
        await running
        store.close()
    assert await page.evaluate("window.same")
    assert await page.locator("#rollouts-count").inner_text() == "16 rollouts"
    assert await page.locator("#candidate-0").get_attribute("open") == ""
    assert await page.evaluate("document.activeElement.parentElement.id") != "candidate-1"
    assert await page.locator("#filters [name=split]").input_value() == "val"
    assert await page.locator("[data-chart=tree] a").count() == 2
    assert "Improved" in await page.title()


async def test_a_new_run_comes_into_the_list_by_itself(
    open_page: Any, ui: str, hostile_run: Any
) -> None:
    page = (await open_page(ui)).page
    await page.locator("#live", has_text="live").wait_for()
    store = agl.SQLiteStore(hostile_run.path)
    store.begin_run("just begun", {"agent": "a", "algorithm": {"name": "APO"}})
    store.close()
    await page.locator("#runs a", has_text="just begun").wait_for()
    box = page.get_by_role("checkbox", name="compare just begun")
    await box.check()
    assert await box.is_checked()


async def test_on_a_phone_nothing_is_wider_than_the_page(
    open_page: Any, ui: str, hostile_run: Any
) -> None:
    store = agl.SQLiteStore(hostile_run.path)
    names = [run.name for run in store.runs()]
    store.close()
    comparison = urlencode([("run", names[0]), ("run", names[-1])])
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    for address in (ui, f"{ui}compare?{comparison}"):
        page = (await open_page(address, 360, 740, color_scheme="dark")).page
        assert await page.evaluate(wide) == 0, address
