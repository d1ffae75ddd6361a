"""Prompts in production: as a block and as a decorator, of sync and async programs."""

import asyncio
import inspect
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import agl_adapters as agl
from agl_adapters import instrumentation
from agl_adapters.injection import inject
from agl_adapters.testing import SimulatedModel
from agl_core.prompts.binding import current_binding

pytest_plugins = ["agl_adapters.testing.fixtures"]

SLOT = "my:program#system"
OTHER = "my:other#system"


def program() -> str:
    return inject(SLOT, "Own.")


def both() -> tuple[str, str]:
    return inject(SLOT, "Own."), inject(OTHER, "Other.")


async def async_program() -> str:
    await asyncio.sleep(0)
    return program()


# a block


def test_the_prompts_are_in_force_in_the_block_only() -> None:
    with agl.use_prompts({SLOT: "New."}) as binding:
        assert program() == "New."
    assert program() == "Own."
    assert binding.slots[SLOT].calls == 1
    with pytest.raises(ZeroDivisionError), agl.use_prompts({SLOT: "New."}):
        _ = 1 / 0
    assert program() == "Own."
    assert current_binding() is None


def test_a_block_within_a_block_adds_to_it_and_takes_precedence() -> None:
    with agl.use_prompts({SLOT: "Outer.", OTHER: "Outer other."}):
        with agl.use_prompts({SLOT: "Inner."}):
            assert both() == ("Inner.", "Outer other.")
        assert both() == ("Outer.", "Outer other.")


def test_an_inner_prompt_is_not_held_to_the_text_that_the_outer_one_replaces(
    tmp_path: Path,
) -> None:
    path = save(tmp_path, "Outer.", replaces="Some other text.")
    with agl.use_prompts(path, on_drift="ignore"):
        assert program() == "Own."
        with agl.use_prompts({SLOT: "Inner."}):
            assert program() == "Inner."
        with agl.use_prompts({OTHER: "Inner."}):
            assert both() == ("Own.", "Inner.")


def test_each_prompt_has_the_drift_rule_of_its_own_block(tmp_path: Path) -> None:
    path = save(tmp_path, "New.", replaces="Own, as it was.")
    inner = agl.use_prompts({OTHER: "Other."}, on_drift="ignore")
    with agl.use_prompts(path, on_drift="error"):
        with inner, pytest.raises(agl.PromptDriftError):
            program()
        with agl.use_prompts(path, on_drift="ignore"):
            assert program() == "Own."


def test_it_knows_what_was_used_and_what_has_drifted(tmp_path: Path) -> None:
    path = agl.save_prompts(
        {SLOT: "New.", OTHER: "New.", "my:third#system": "New."},
        tmp_path / "prompts.json",
        replaces={OTHER: "Other, as it was."},
    )
    prompts = agl.use_prompts(path, on_drift="ignore")
    assert prompts.unused == ("my:other#system", "my:program#system", "my:third#system")
    with prompts as binding:
        assert both() == ("New.", "Other.")
    assert (prompts.unused, prompts.drifted) == (("my:third#system",), (OTHER,))
    assert binding.unmatched == {OTHER: 1}


def test_one_object_serves_many_blocks_at_once_in_threads_and_within_itself() -> None:
    block = agl.use_prompts({SLOT: "New."})
    inside, out = threading.Barrier(8), threading.Barrier(8)

    def use(number: int) -> list[str]:
        seen = [program()]
        with block:
            inside.wait(10)
            seen.append(program())
            with block:
                seen.append(program())
        seen.append(program())
        out.wait(10)
        return seen

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(use, range(8))) == [["Own.", "New.", "New.", "Own."]] * 8


async def test_a_block_in_one_task_is_not_seen_by_another() -> None:
    block = agl.use_prompts({SLOT: "New."})
    entered, looked = asyncio.Event(), asyncio.Event()

    async def use() -> str:
        with block:
            entered.set()
            await looked.wait()
            return await async_program()

    task = asyncio.create_task(use())
    await entered.wait()
    assert await async_program() == "Own."
    looked.set()
    assert await task == "New."


async def test_tasks_and_threads_that_a_block_starts_see_its_prompts() -> None:
    with agl.use_prompts({SLOT: "New."}):
        assert await asyncio.gather(async_program(), asyncio.to_thread(program)) == ["New."] * 2


# the whole process


@pytest.fixture
def installed() -> Iterator[Callable[..., agl.PromptsInUse]]:
    """Installs prompts until the end of the test."""
    everything: list[agl.PromptsInUse] = []

    def install(prompts: Any, **options: Any) -> agl.PromptsInUse:
        everything.append(agl.use_prompts(prompts, **options).install())
        return everything[-1]

    yield install
    for prompts in everything:
        prompts.uninstall()
    assert current_binding() is None
    assert instrumentation._installations == {}


Install = Callable[..., agl.PromptsInUse]


def in_a_new_thread(function: Callable[[], Any]) -> Any:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


def test_installed_prompts_are_in_force_in_every_thread_and_task(installed: Install) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def started_before() -> str:
        begun.set()
        assert go_on.wait(10)
        return program()

    async def tasks() -> list[str]:
        looking = asyncio.Event()

        async def waiting() -> str:
            await looking.wait()
            return program()

        task = asyncio.create_task(waiting())
        await asyncio.sleep(0)
        installed({SLOT: "New."})
        looking.set()
        go_on.set()
        return [await task, await async_program(), await asyncio.to_thread(program)]

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(started_before)
        assert begun.wait(10)
        assert asyncio.run(tasks()) == ["New."] * 3
        assert future.result() == "New."
    assert in_a_new_thread(program) == "New."


def test_what_is_uninstalled_is_gone() -> None:
    prompts = agl.use_prompts({SLOT: "New."})
    prompts.uninstall()  # it is not there yet
    assert prompts.install() is prompts
    assert prompts.install() is prompts  # it is there already
    assert program() == "New."
    prompts.uninstall()
    assert program() == in_a_new_thread(program) == "Own."
    assert current_binding() is None
    assert instrumentation._installations == {}


def test_what_is_installed_later_takes_precedence(installed: Install) -> None:
    first = installed({SLOT: "First.", OTHER: "First other."})
    second = installed({SLOT: "Second."})
    assert both() == ("Second.", "First other.")
    first.uninstall()
    assert both() == ("Second.", "Other.")
    first.install()
    assert both() == ("First.", "First other.")
    second.uninstall()
    assert both() == ("First.", "First other.")


def test_a_block_takes_precedence_over_what_is_installed(installed: Install) -> None:
    installed({SLOT: "Installed.", OTHER: "Installed other."})
    with agl.use_prompts({SLOT: "Block."}):
        assert both() == ("Block.", "Installed other.")
        assert in_a_new_thread(both) == ("Installed.", "Installed other.")
    assert both() == ("Installed.", "Installed other.")


def test_a_rollout_takes_precedence_over_what_is_installed(installed: Install) -> None:
    installed({SLOT: "Installed.", OTHER: "Installed other."})
    agent = agl.wrap(lambda task: both(), reward=lambda task, output: 1.0)
    (rollout,) = agl.Trainer(agl.Baseline(), initial_resources={SLOT: "Seed."}).dev(agent, ["a"])
    assert rollout.output == ["Seed.", "Other."]


def test_installed_prompts_leave_the_context_of_pools_alone(installed: Install) -> None:
    """A pool's threads see the process's prompts anyway; a program's own variables stay out."""
    variable: ContextVar[str] = ContextVar("variable", default="default")
    installed({SLOT: "New."})
    variable.set("mine")
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(variable.get).result() == "default"
        assert pool.submit(program).result() == "New."


def test_values_of_templates_are_known_where_prompts_are_installed(installed: Install) -> None:
    installed({SLOT: agl.PromptTemplate("Be kind to {name}.")})
    text = agl.PromptTemplate("You help {name}.").format(name="Ada")
    assert inject(SLOT, text) == "Be kind to Ada."


def test_what_cannot_be_hooked_into_is_not_installed(
    plugin: Callable[[str, str], Any], toys: Any
) -> None:
    plugin("toys", PLUGIN)
    integration = __import__("toys_plugin").integration
    integration.fails_with = agl.UnsupportedVersionError("toys 9 is too new")
    prompts = agl.use_prompts({"toys:toy#system": "Win."})
    with pytest.raises(agl.UnsupportedVersionError):
        prompts.install()
    assert current_binding() is None
    integration.fails_with = None
    prompts.install()
    assert toys.Toy().run("a") == "Win. a"
    prompts.uninstall()
    assert toys.Toy().run("a") == "Play. a"


# a decorator


def test_it_decorates_functions() -> None:
    @agl.use_prompts({SLOT: "New."})
    def answer(question: str, *, loudly: bool = False) -> str:
        """Answer it."""
        return f"{program()} {question}" + "!" * loudly

    assert answer("a", loudly=True) == "New. a!"
    assert answer("b") == "New. b"
    assert program() == "Own."
    assert (answer.__name__, answer.__doc__) == ("answer", "Answer it.")
    assert list(inspect.signature(answer).parameters) == ["question", "loudly"]


async def test_it_decorates_coroutine_functions() -> None:
    @agl.use_prompts({SLOT: "New."})
    async def answer(question: str) -> str:
        return f"{await async_program()} {question}"

    assert inspect.iscoroutinefunction(answer)
    coroutine = answer("a")
    assert program() == "Own."
    assert await coroutine == "New. a"
    assert await asyncio.gather(*map(answer, "bcd")) == ["New. b", "New. c", "New. d"]
    assert await async_program() == "Own."


async def test_it_decorates_what_gives_a_coroutine_without_looking_like_it() -> None:
    class Program:
        async def __call__(self) -> str:
            return await async_program()

        @agl.use_prompts({SLOT: "Method."})
        async def method(self) -> str:
            return await async_program()

    decorate = agl.use_prompts({SLOT: "New."})
    assert await decorate(lambda: async_program())() == "New."
    assert await decorate(partial(async_program))() == "New."
    assert await decorate(Program().__call__)() == "New."
    assert await Program().method() == "Method."
    assert await async_program() == "Own."


def test_an_error_goes_through_the_decorator() -> None:
    @agl.use_prompts({SLOT: "New."})
    def fail() -> None:
        raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            fail()
        assert program() == "Own."


def test_a_decorated_function_may_call_itself_and_another() -> None:
    @agl.use_prompts({SLOT: "Outer."})
    def outer(depth: int) -> list[tuple[str, str]]:
        if depth:
            return [both(), *outer(depth - 1)]
        return [both(), inner(), both()]

    @agl.use_prompts({OTHER: "Inner."})
    def inner() -> tuple[str, str]:
        return both()

    assert outer(1) == [
        ("Outer.", "Other."),
        ("Outer.", "Other."),
        ("Outer.", "Inner."),
        ("Outer.", "Other."),
    ]


def test_the_file_is_read_when_the_function_is_decorated(tmp_path: Path) -> None:
    path = save(tmp_path, "New.")

    @agl.use_prompts(path)
    def answer() -> str:
        return program()

    path.unlink()
    assert [answer(), answer()] == ["New.", "New."]
    with pytest.raises(agl.ConfigurationError, match="cannot read"):

        @agl.use_prompts(path)
        def late() -> None: ...


def test_what_runs_while_it_is_read_cannot_be_decorated() -> None:
    def stream() -> Any:
        yield 1

    async def async_stream() -> Any:
        yield 1

    for generator in (stream, async_stream):
        with pytest.raises(agl.ConfigurationError, match="around the loop that reads it"):
            agl.use_prompts({SLOT: "x"})(generator)
    wrong: Any
    for wrong in (3, str):
        with pytest.raises(agl.ConfigurationError, match="use_prompts decorates functions, not"):
            agl.use_prompts({SLOT: "x"})(wrong)


# prompts that cannot have an effect


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ({}, "there are no prompts to use"),
        (["x"], "resources map names to prompts"),
        ({SLOT: 3}, "a resource is text or a PromptTemplate"),
        ({"prompt_template": "x"}, r"'prompt_template' is no slot .*load_prompts\(path\)\['prom"),
    ],
)
def test_prompts_that_cannot_be_used_are_refused(prompts: Any, message: str) -> None:
    with pytest.raises(agl.ConfigurationError, match=message):
        agl.use_prompts(prompts)


def test_a_placeholder_that_the_program_does_not_fill_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path, "Answer {name} on {date}.", replaces="You help {name}.")
    with pytest.raises(
        agl.ConfigurationError,
        match=r"asks for \{date\}, which the program does not fill in there .*\{name\}",
    ):
        agl.use_prompts(path)


def test_values_are_lifted_out_of_the_programs_own_text(tmp_path: Path) -> None:
    path = save(tmp_path, "Be kind to {name}.", replaces="You help {name}.")
    with agl.use_prompts(path):
        assert inject(SLOT, "You help Ada.") == "Be kind to Ada."


# hooks


PLUGIN = """
from toys import ToyIntegration
integration = ToyIntegration()

def make():
    return integration
"""


def test_hooks_are_installed_for_the_block_only(
    plugin: Callable[[str, str], Any], toys: Any
) -> None:
    plugin("toys", PLUGIN)
    send = toys.Toy.send
    with agl.use_prompts({"toys:toy#system": "Win."}):
        assert toys.Toy().run("a") == "Win. a"
    assert toys.Toy.send is send
    assert instrumentation._installations == {}


def test_the_framework_of_a_slot_is_hooked_into_before_the_program_imports_it(
    plugin: Callable[[str, str], Any], toys: Any
) -> None:
    plugin("toys", PLUGIN.replace("make():", "make():\n    integration.packages = ('not_yet',)"))
    with agl.use_prompts({"toys:toy#system": "Win."}):
        assert toys.Toy().run("a") == "Win. a"


def test_a_framework_that_is_not_there_is_an_error_where_a_slot_needs_it(
    plugin: Callable[[str, str], Any], toys: Any
) -> None:
    plugin("toys", PLUGIN)
    integration = __import__("toys_plugin").integration
    integration.fails_with = agl.MissingDependencyError("pip install 'agl-adapters[toys]'")
    with (
        pytest.raises(agl.MissingDependencyError, match="pip install"),
        agl.use_prompts({"toys:toy#system": "Win."}),
    ):
        pytest.fail("the block must not run")
    assert current_binding() is None
    with pytest.warns(RuntimeWarning, match="toys is left out"), agl.use_prompts({SLOT: "New."}):
        assert program() == "New."


# rollouts


def test_in_a_rollout_the_candidate_is_in_force_and_rewards_arrive() -> None:
    @agl.use_prompts({SLOT: "In production."})
    def in_production(task: str) -> str:
        agl.emit_reward(0.5)
        return program()

    agent = agl.wrap(in_production, reward=lambda task, output: None)
    (rollout,) = agl.Trainer(agl.Baseline()).dev(agent, ["a"])
    assert (rollout.output, rollout.score) == ("Own.", 0.5)
    (rollout,) = agl.Trainer(agl.Baseline(), initial_resources={SLOT: "New."}).dev(agent, ["a"])
    assert rollout.output == "New."
    assert in_production("a") == "In production."


def test_what_a_run_started_from_replaces_the_programs_own_text(tmp_path: Path) -> None:
    agent = agl.wrap(lambda task: program(), reward=lambda task, output: 1.0)
    trainer = agl.Trainer(agl.Baseline(), initial_resources={SLOT: "Given."})
    path = trainer.fit(agent, ["a"]).save(tmp_path / "prompts.json")
    with agl.use_prompts(path):
        assert program() == "Given."


def save(folder: Path, template: str, replaces: str | None = None) -> Path:
    """Write a prompt file with one slot, and what it replaces."""
    own = None if replaces is None else {SLOT: replaces}
    return agl.save_prompts({SLOT: template}, folder / "prompts.json", replaces=own)


# an untouched LangGraph program, over HTTP


PLANNER, DECIDER = "langgraph:planner#system", "langgraph:decider#system"


@pytest.fixture
def booking(simulated_model: SimulatedModel, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The example's program, talking to the simulated model."""
    simulated_model.configure(scenario="room_booking")
    monkeypatch.syspath_prepend(Path(__file__).parents[3] / "examples")
    return import_module("langgraph_room_booking")


def request(booking: Any) -> dict[str, Any]:
    return {"messages": [("user", booking.rooms.load_tasks("val")[0]["input"])]}


def sent(simulated_model: SimulatedModel) -> list[str]:
    """The system prompts that the server has received since the last time."""
    systems = [seen.system for seen in simulated_model.log()]
    simulated_model.reset()
    return systems


def test_the_server_receives_the_prompts_in_the_block_and_only_there(
    booking: Any, simulated_model: SimulatedModel, tmp_path: Path
) -> None:
    own = [booking.PLANNER_PROMPT, booking.DECIDER_PROMPT]
    path = agl.save_prompts({DECIDER: "Decide well.", PLANNER: "Plan well."}, tmp_path / "p.json")
    graph = booking.build_graph()
    graph.invoke(request(booking))
    before = simulated_model.log()
    assert sent(simulated_model) == own
    with agl.use_prompts(path):
        graph.invoke(request(booking))
        assert sent(simulated_model) == ["Plan well.", "Decide well."]
        with agl.use_prompts({DECIDER: "Decide better."}):
            graph.invoke(request(booking))
        assert sent(simulated_model) == ["Plan well.", "Decide better."]
    graph.invoke(request(booking))
    after = simulated_model.log()
    assert after[0].raw == before[0].raw  # byte for byte
    assert sent(simulated_model) == own


async def test_the_server_receives_the_prompts_of_a_decorated_coroutine(
    booking: Any, simulated_model: SimulatedModel
) -> None:
    graph = booking.build_graph()

    def answering(prompt: str) -> Callable[[], Any]:
        @agl.use_prompts({DECIDER: prompt})
        async def answer() -> Any:
            return await graph.ainvoke(request(booking))

        return answer

    # Three at once, each with its own.
    await asyncio.gather(*(answering(f"Decide {n}.")() for n in range(3)))
    await graph.ainvoke(request(booking))
    systems = sorted(sent(simulated_model))
    own = [booking.DECIDER_PROMPT, *[booking.PLANNER_PROMPT] * 4]
    assert systems == ["Decide 0.", "Decide 1.", "Decide 2.", *own]
