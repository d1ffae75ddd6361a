"""Progress: a moving line in a terminal, a line per event elsewhere, and nothing left behind."""

import asyncio
import io
import re
import sys
import threading
import time
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
from rich.console import Console

import agl_adapters as agl
from agl_adapters.injection import inject
from agl_adapters.progress import Progress
from agl_adapters.progress.standing import Standing
from agl_adapters.testing import simulated_model
from agl_core.candidates import Candidate
from agl_core.prompts.templates import PromptTemplate
from agl_core.session import Session

SLOT = "my:program#system"
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


class Screen:
    """A terminal, or a pipe, that keeps what is written to it."""

    def __init__(self, is_terminal: bool = False, width: int = 80) -> None:
        self._stream = io.StringIO()
        self.console = Console(
            file=self._stream, force_terminal=is_terminal, width=width, highlight=False
        )

    @property
    def raw(self) -> str:
        return self._stream.getvalue()

    @property
    def text(self) -> str:
        """What was written, without the commands to the terminal."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.raw)

    def lines(self) -> list[str]:
        """The timed lines, without their times."""
        return re.findall(r"^ *\d+\.\d s  (.*)$", self.text, re.MULTILINE)


@agl.algorithm
async def search(session: Session) -> None:
    """Two candidates: one is better, and one is rejected."""
    seed = session.report(Candidate(session.initial))
    await session.evaluate(seed.resources, session.val)
    session.report(seed)
    better = Candidate({SLOT: PromptTemplate("Best.", "literal")}, seed.id, round=1)
    session.report(better)
    await session.evaluate(better.resources, session.val)
    session.report(better)
    session.report(better)
    session.report(Candidate(session.initial, seed.id, round=1, rejected="it is empty"))
    session.say("that was all")


def program(task: str) -> str:
    text = inject(SLOT, "Own.")
    if task == "fail":
        raise ValueError("no")
    return text


def reward(task: str, output: str) -> float:
    return 1.0 if output == "Best." else 0.5


def run(progress: Progress, tasks: list[str] | None = None, **options: Any) -> agl.TrainResult:
    agent = agl.wrap(program, reward=reward)
    trainer = agl.Trainer(search, callbacks=[progress], **options)
    tasks = tasks or ["a", "b", "c", "d", "e", "f"]
    return trainer.fit(agent, tasks, tasks)


def nothing_is_left(screen: Screen) -> bool:
    """Whether the cursor is shown again, and what redraws the line has ended."""
    for thread in threading.enumerate():
        if type(thread).__module__ == "rich.live":
            thread.join(5)
            if thread.is_alive():
                return False
    return screen.raw.count(HIDE) == screen.raw.count(SHOW)


def test_off_a_terminal_there_is_a_plain_line_per_event() -> None:
    screen = Screen()
    run(Progress(screen.console, "simulated"))
    assert screen.raw == screen.text
    assert screen.text.startswith("search on program with 8 runners\n")
    assert "6 training, 6 validation tasks; 1 prompt to optimize:" in screen.text
    assert "│ Own." in screen.text
    assert "\nPlan: 6 validation tasks show a gain of about 0.57 or more (four times in five)," in (
        screen.text
    )
    assert screen.lines() == [
        "the seed scores 0.500 on all validation tasks",
        screen.lines()[1],
        "round 1: rewrite rejected: it is empty",
        "that was all",
    ]
    assert re.fullmatch(
        r"round 1: candidate \w{6} scores 1\.000 on all validation tasks, the best so far",
        screen.lines()[1],
    )


def test_a_score_that_a_confirmation_changes_is_told_again() -> None:
    screen = Screen()
    progress = Progress(screen.console)
    lucky = Candidate({SLOT: PromptTemplate("Lucky.")}, "p", round=1)
    other = Candidate({SLOT: PromptTemplate("Other.")}, "p", round=1)
    for candidate, score in ((other, 0.6), (lucky, 0.9), (lucky, 0.9), (lucky, 0.5)):
        progress.on_candidate(candidate, score)
    assert [line.split(" scores ")[1] for line in screen.lines()] == [
        "0.600 on all validation tasks",
        "0.900 on all validation tasks, the best so far",
        "0.500 on all validation tasks",
    ]


def test_only_the_seed_is_called_so_whatever_has_no_parent() -> None:
    @agl.algorithm
    async def orphans(session: Session) -> None:
        for resources in (session.initial, {SLOT: "Best."}):
            await session.evaluate(resources, session.val)
            session.report(resources)

    screen = Screen()
    agl.Trainer(orphans, callbacks=[Progress(screen.console)]).fit(
        agl.wrap(program, reward=reward), ["a", "b", "c", "d"], ["e", "f"]
    )
    first, second = [line for line in screen.lines() if " scores " in line]
    assert first == "the seed scores 0.500 on all validation tasks"
    assert second.startswith("round 0: candidate ")


def test_off_a_terminal_a_long_line_stays_one_line() -> None:
    screen = Screen(width=40)
    Progress(screen.console).on_message("word " * 40)
    assert len(screen.text.splitlines()) == 1


def test_in_a_terminal_a_long_line_goes_on_below_itself() -> None:
    screen = Screen(is_terminal=True, width=40)
    progress = Progress(screen.console)
    progress.on_open()
    progress.on_message("word " * 20)
    progress.on_close()
    rows = [line for line in screen.text.splitlines() if "word" in line]
    assert len(rows) > 2
    assert all(row.startswith(" " * 10 + "word") for row in rows[1:])


def test_in_a_terminal_lines_move_and_are_gone_in_the_end() -> None:
    screen = Screen(is_terminal=True)
    run(Progress(screen.console, "simulated"))
    assert re.search(r"simulated · \d+ s · 3 reused\s", screen.text)
    assert "round 1 · 2 scored, 1 rejected · best 1.000, seed 0.500" in screen.text
    assert "12 rollouts · 0 optimizer calls" in screen.text
    assert all(len(line) <= 80 for line in re.split("[\r\n]", screen.text))
    assert HIDE in screen.raw
    assert nothing_is_left(screen)


def test_a_run_that_fails_leaves_the_cursor_and_no_thread() -> None:
    screen = Screen(is_terminal=True)
    with pytest.raises(agl.RolloutError):
        run(Progress(screen.console), ["fail"])
    assert nothing_is_left(screen)


def test_a_dry_pass_leaves_the_cursor_and_no_thread() -> None:
    screen = Screen(is_terminal=True)
    trainer = agl.Trainer(agl.Baseline(), callbacks=[Progress(screen.console)])
    trainer.dev(agl.wrap(program, reward=reward), ["a"])
    assert HIDE in screen.raw
    assert nothing_is_left(screen)


def test_failures_and_what_was_read_from_the_journal_are_counted() -> None:
    screen = Screen(is_terminal=True, width=120)
    run(Progress(screen.console), ["a", "b", "c", "fail"], budget=agl.Budget(rollouts=50))
    # The first three tasks are run to find the prompt, and not again for the seed.
    assert re.search(r"\d s · 2 failed · 3 reused", screen.text)
    assert "8 rollouts · 0 optimizer calls" in screen.text
    assert re.search(r"rollouts  [━╸╺ ]+  8 of 50, 42 left", screen.text)


def test_the_last_word_on_what_is_spent_is_that_of_the_result() -> None:
    class Spent(agl.Callback):
        usage = agl.Usage()

        def on_spent(self, usage: agl.Usage) -> None:
            self.usage = usage

    @agl.algorithm(models=["gpt-4o"])
    async def asking(session: Session) -> None:
        await session.evaluate(session.initial, session.val)
        await session.ask("gpt-4o", [{"role": "user", "content": "What is wrong?"}])

    spent = Spent()
    with simulated_model("echo"):
        trainer = agl.Trainer(asking, callbacks=[spent])
        result = trainer.fit(agl.wrap(program, reward=reward), ["a", "b", "c", "d"])
    assert spent.usage.model_calls == 1
    assert replace(spent.usage, seconds=0.0) == replace(result.usage, seconds=0.0)


def test_what_is_spent_and_left_is_what_the_ledger_says() -> None:
    budget = agl.Budget(rollouts=10, model_calls=1000, tokens=5000, dollars=2.0, seconds=60)
    usage = agl.Usage(4, 12, 3000, 500, 0.25, unpriced=("own\x1b[2J",))
    standing = Standing(budget=budget, usage=usage, start=time.monotonic())
    when, spent, *caps = standing.lines()
    assert when == "0 s"
    assert spent.startswith("4 rollouts · 0 optimizer calls · 3,500 tokens · $0.25")
    assert "\x1b" not in spent
    assert caps == [
        "rollouts: 4 of 10, 6 left",
        "model calls: 12 of 1,000, 988 left",
        "tokens: 3,500 of 5,000, 1,500 left",
        "dollars: $0.25 of $2.00, $1.75 left",
        "seconds: 0 of 60, 60 left",
    ]


def test_one_object_can_watch_one_run_after_another() -> None:
    screen = Screen()
    progress = Progress(screen.console)
    run(progress)
    first = screen.lines()
    run(progress)
    assert screen.lines() == first * 2


@pytest.mark.parametrize("is_terminal", [False, True])
def test_hostile_text_does_nothing_in_the_terminal(is_terminal: bool) -> None:
    text = "\x1b[2J\x1b]0;owned\x07[red]x[/nothing] :warning:"
    screen = Screen(is_terminal, width=200)
    progress = Progress(screen.console)

    def hostile(task: Any) -> str:
        return inject(f"my:{text}#system", text)

    agent = agl.wrap(hostile, reward=lambda task, output: 1.0, name=text)
    agl.Trainer(agl.Baseline(), callbacks=[progress]).fit(agent, ["a"])
    progress.on_message(text)
    progress.on_candidate(Candidate({}, "p", round=1, rejected=text), None)
    progress.on_close()
    assert "\x1b[2J" not in screen.raw
    assert "\x1b]" not in screen.raw
    assert "\x07" not in screen.raw
    assert screen.text.count("[red]x[/nothing] :warning:") == 5


def test_the_moving_line_goes_on_while_nothing_happens() -> None:
    screen = Screen(is_terminal=True)

    async def slow(task: str) -> str:
        await asyncio.sleep(0.6 if task == "b" else 0)
        return program(task)

    agent = agl.wrap(slow, reward=reward)
    agl.Trainer(agl.Baseline(), callbacks=[Progress(screen.console)]).dev(agent, ["a", "b"])
    frames = {frame for frame in screen.text if frame in "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"}
    assert len(frames) > 2


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def test_how_long_it_will_take_is_told_once_it_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter(range(0, 10_000, 10))
    monkeypatch.setattr(
        "agl_adapters.progress.standing.time.monotonic", lambda: float(next(seconds))
    )
    standing = Standing(start=0.0, expected=100)
    assert "to go" not in standing.when()
    standing.rollouts = 25
    assert re.fullmatch(r"\d+ s, about \d+ s to go", standing.when())
    standing.rollouts = 100  # all that was expected: nobody knows how much more there is
    assert "to go" not in standing.when()


def test_in_a_notebook_the_lines_are_written_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    class Handle:
        def __init__(self, shown: Any) -> None:
            self.texts = [shown["text/plain"]]

        def update(self, data: Any, raw: bool) -> None:
            assert raw
            self.texts.append(data["text/plain"])

    handles: list[Handle] = []

    def display(data: Any, raw: bool, display_id: bool) -> Handle:
        assert raw
        assert display_id
        handles.append(Handle(data))
        return handles[-1]

    notebook = ModuleType("IPython.display")
    setattr(notebook, "display", display)  # noqa: B010
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", notebook)
    console = Console(file=io.StringIO(), force_jupyter=True)
    monkeypatch.setattr(console, "print", lambda *args, **kwargs: None)
    run(Progress(console, "simulated"))
    (handle,) = handles
    assert handle.texts[0] == "getting ready"
    assert re.match(r"(?s)simulated · \d+ s.*\n\d+ rollouts", handle.texts[-1])
