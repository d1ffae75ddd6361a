"""The report in a real Chromium: it opens, works by pointer and by keys, and runs no text."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

import agl_adapters as agl

pytestmark = pytest.mark.asyncio(loop_scope="session")

REPLACED = "\N{REPLACEMENT CHARACTER}"


@pytest.fixture(scope="session")
def report(hostile_run: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "a report.html"
    return agl.write_report(hostile_run.path, hostile_run.name, path)


async def test_it_opens_with_everything_in_it_and_asks_nothing_of_a_network(
    open_page: Any, report: Path
) -> None:
    window = await open_page(report.as_uri())
    page = window.page
    assert await page.locator("#verdict h2").inner_text() == "▲ Improved SIMULATED"
    for chart in ("interval", "rounds", "heat", "tree"):
        assert await page.locator(f"[data-chart={chart}] svg").count() == 1, chart
    assert await page.locator("#rollouts-table tbody tr").count() == 20
    assert window.requests == []
    assert window.problems == []
    blocked = await page.evaluate("fetch('http://127.0.0.1:9/').then(() => '', String)")
    assert "Failed to fetch" in blocked
    # What the browser said of that attempt, and nothing else.
    assert [p for p in window.problems if "Content Security Policy" not in p] == []
    assert window.requests == []
    window.problems.clear()


async def test_hostile_text_stays_text(open_page: Any, report: Path, hostile_run: Any) -> None:
    window = await open_page(report.as_uri())
    page = window.page
    await page.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")
    shown = "".join(c if c not in "\x1b\x00\u202e\u202c" else REPLACED for c in hostile_run.text)
    for place in ("h1", "#prompts .line.ins", "#prompts .whole pre", "#candidate-1 .edit"):
        text = await page.locator(place).first.text_content()
        # The run's name goes through a command line, which takes no NUL.
        assert shown.split("<!--")[0] in text, place
    rejected = page.locator("#rejected p", has_text="Rejected before")
    assert shown in await rejected.text_content()
    await page.locator("#rollouts-table tbody a").first.click()
    await page.locator("#trace-body .waterfall").wait_for()
    await page.get_by_role("button", name="Open all").click()
    for place in ("#trace-title", ".block.failure pre", ".message.system pre", ".message.user pre"):
        text = await page.locator(place).first.text_content()
        # Titles and rows say the start of a text only.
        assert shown[:40] in text, place
    assert await page.locator("main img, main [onerror], main [onfocus], dialog img").count() == 0
    assert await page.locator("[href^=javascript]").count() == 0
    whole = await page.locator("body").inner_text()
    assert not {"\x1b", "\x00", "\u202e", "\u202c"} & set(whole)
    assert await page.locator("head title").text_content() != ""


async def test_rollouts_are_filtered_sorted_and_shown_a_page_at_a_time(
    open_page: Any, report: Path
) -> None:
    page = (await open_page(report.as_uri())).page
    rows, count = page.locator("#rollouts-table tbody tr"), page.locator("#rollouts-count")
    form = page.locator("#filters")
    # 8 validation tasks by 4 candidates, and 8 test tasks by the seed and the finalists.
    total = int((await count.inner_text()).split()[0])
    assert total in (48, 56)
    await page.locator("#rollouts-more").click()
    assert await rows.count() == 40
    assert await page.evaluate("document.activeElement.closest('tr').sectionRowIndex") == 20

    await form.get_by_label("Status").select_option("failed")
    failed = int((await count.inner_text()).split()[0])
    assert 0 < failed < 10
    assert await rows.count() == failed
    await form.get_by_label("Text").fill("TASK-0 </script>")
    assert await count.inner_text() == f"{failed} of {total} rollouts"
    await form.get_by_label("Text").fill("task-1 </script>")
    assert await count.inner_text() == f"0 of {total} rollouts"
    await form.get_by_role("button", name="Clear").click()
    await expect(page.locator("#rollouts-count")).not_to_contain_text(" of ")
    await form.get_by_label("Candidate").select_option("2")
    await form.get_by_label("Split").select_option("val")
    assert await count.inner_text() == f"8 of {total} rollouts"
    assert {await row.locator("td").nth(1).inner_text() for row in await rows.all()} == {"2"}

    await form.get_by_label("Candidate").select_option("1")
    score = page.get_by_role("columnheader", name="score")
    for direction, first in (("ascending", "0.000"), ("descending", "1.000")):
        await score.get_by_role("button").click()
        assert await score.get_attribute("aria-sort") == direction
        assert await rows.first.locator(".chip").inner_text() == first


async def test_links_lead_from_a_task_to_its_trace_and_from_the_tree_to_a_candidate(
    open_page: Any, report: Path
) -> None:
    page = (await open_page(report.as_uri())).page
    dialog = page.locator("#trace")
    link = page.locator(".changes tbody a").first
    await link.click()
    await dialog.locator(".waterfall").wait_for()
    address = await page.evaluate("location.href")
    assert "#rollout=" in address
    assert "the seed" in await page.locator("#trace-eyebrow").inner_text()
    await dialog.locator(".others a", has_text="2 1.000").first.click()
    await expect(page.locator("#trace-eyebrow")).to_contain_text("candidate 2")
    await page.keyboard.press("Escape")
    await dialog.wait_for(state="hidden")
    await expect(page).to_have_url(re.compile("^[^#]*#?$"))

    await page.locator("[data-cell]").first.click()
    await dialog.locator(".waterfall").wait_for()
    await page.locator("#trace-close").click()

    await page.locator("[data-chart=tree] a[*|href='#candidate-1']").first.click()
    await page.locator("#candidate-1[open]").wait_for()
    await page.locator("#candidate-1").get_by_role("link", name="Its rollouts").click()
    await expect(page.locator("#filters [name=candidate]")).to_have_value("1")
    # The one that was rejected is folded away: the link opens what it is in.
    await page.locator("[data-chart=tree] a[*|href='#candidate-4']").first.click()
    await page.locator("#candidate-4 .edit").wait_for()

    again = (await open_page(address)).page
    await again.locator("#trace .waterfall").wait_for()


async def test_it_can_be_used_by_keys_alone(open_page: Any, report: Path) -> None:
    page = (await open_page(report.as_uri())).page
    focused = "document.activeElement"
    await page.keyboard.press("Tab")
    assert await page.evaluate(f"{focused}.textContent") == "Skip to the content"
    await page.keyboard.press("Enter")
    assert await page.evaluate(f"{focused}.id") == "main"

    await page.locator("#heat .plot").focus()
    readout = page.locator("#heat-readout strong")
    seen = set()
    for key in ("Home", "ArrowRight", "ArrowDown", "ArrowDown"):
        await page.keyboard.press(key)
        seen.add(await readout.inner_text())
    assert len(seen) == 4
    assert "candidate 2: 1.000" in await readout.inner_text()
    await page.keyboard.press("Enter")
    await page.locator("#trace .waterfall").wait_for()
    # The focus is in the dialog, and goes on to its spans.
    assert await page.evaluate(f"{focused}.id") == "trace-title"
    for _ in range(30):
        await page.keyboard.press("Tab")
        if await page.evaluate(f"{focused}.classList.contains('span')"):
            break
    assert await page.evaluate(f"{focused}.getAttribute('aria-expanded')") == "false"
    await page.keyboard.press("Enter")
    assert await page.evaluate(f"{focused}.getAttribute('aria-expanded')") == "true"
    await page.keyboard.press("Escape")
    # Back to where it was opened.
    assert await page.evaluate(f"{focused}.classList.contains('plot')")


async def test_everything_that_can_be_used_has_a_name(open_page: Any, report: Path) -> None:
    page = (await open_page(report.as_uri())).page
    await page.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")
    session = await page.context.new_cdp_session(page)
    tree = await session.send("Accessibility.getFullAXTree")
    roles = {"button", "link", "combobox", "searchbox", "dialog", "navigation", "application"}
    nodes = [n for n in tree["nodes"] if n.get("role", {}).get("value") in roles]
    assert len(nodes) > 40
    assert [n for n in nodes if not n.get("name", {}).get("value", "").strip()] == []
    headings = await page.eval_on_selector_all("h1, main > section h2", "(all) => all.length")
    assert headings == 8


CONTRASTS = """() => {
  const light = (color) => {
    const [r, g, b, a] = color.match(/[\\d.]+/g).map(Number);
    const part = (v) => ((v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return { a: a ?? 1, l: 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b) };
  };
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const background = light(getComputedStyle(e).backgroundColor);
      if (background.a === 1) return background.l;
    }
    return 1;
  };
  const texts = [...document.querySelectorAll("body *")].filter((e) =>
    e.checkVisibility() && !e.disabled && !e.closest("svg, .unseen, .skip") &&
    [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()));
  return texts.map((e) => {
    const [a, b] = [light(getComputedStyle(e).color).l, behind(e)];
    return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), `${e.tagName}.${e.className}`];
  });
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_is_readable_in_light_and_in_dark(
    open_page: Any, report: Path, scheme: str
) -> None:
    page = (await open_page(report.as_uri(), color_scheme=scheme)).page
    await page.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")
    background = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, background[4:-1].split(","))) < 300) is (scheme == "dark")
    contrasts = await page.evaluate(CONTRASTS)
    assert len(contrasts) > 200
    assert [(round(ratio, 2), what) for ratio, what in contrasts if ratio < 4.5] == []


async def test_on_a_phone_nothing_is_wider_than_the_page(open_page: Any, report: Path) -> None:
    page = (await open_page(report.as_uri(), 360, 740)).page
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    await page.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")
    assert await page.evaluate(wide) == 0
    await page.locator(".changes tbody a").first.click()
    await page.get_by_role("button", name="Open all").click()
    assert await page.evaluate(wide) == 0
    dialog = "document.querySelector('#trace')"
    assert await page.evaluate(f"{dialog}.scrollWidth - {dialog}.clientWidth") == 0


async def test_in_print_it_is_light_and_without_controls(open_page: Any, report: Path) -> None:
    page = (await open_page(report.as_uri(), color_scheme="dark")).page
    await page.emulate_media(media="print", color_scheme="dark")
    ink = await page.evaluate("getComputedStyle(document.body).color")
    assert sum(map(int, ink[4:-1].split(","))) < 200
    for hidden in (".sections", ".controls", "#rollouts", ".skip"):
        assert not await page.locator(hidden).first.is_visible(), hidden
    for shown in ("#verdict", "#prompts .diff", "#changes table", "[data-chart=heat] svg"):
        assert await page.locator(shown).first.is_visible(), shown
    assert (await page.pdf()).startswith(b"%PDF")
    assert await page.locator("#scores details").get_attribute("open") is None
