from __future__ import annotations

import enum
import functools
import importlib.util
import json
import operator
import os
import re
import string
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agl_core.code_identity import code_identity, code_parts, parts_of

PROGRAM = """
PROMPT = "You plan trips."
URL = "http://127.0.0.1:1234"
calls = 0


def helper(text):
    return text.upper()


def agent(task):
    global calls
    calls += 1
    return helper(PROMPT + URL), {"a", "b"}


ask = lambda task: helper("Be kind.")
"""


def program(folder: Path, source: str) -> Any:
    path = folder / "its_program.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location("its_program", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    exec(compile(source, str(path), "exec"), module.__dict__)
    return module


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("You plan trips.", "You plan flights."),
        ("text.upper()", "text.lower()"),
        ("calls += 1", "calls += 2"),
    ],
)
def test_tells_a_changed_program(tmp_path: Path, before: str, after: str) -> None:
    one = code_identity(program(tmp_path, PROGRAM).agent)
    assert code_identity(program(tmp_path, PROGRAM.replace(before, after)).agent) != one


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("calls = 0", "calls = 5"),
        ("1234", "4321"),
        ("    global calls\n", "    # It counts.\n    global calls\n"),
        ("def helper", "def other():\n    pass\n\n\ndef helper"),
    ],
)
def test_passes_over_what_does_not_matter(tmp_path: Path, before: str, after: str) -> None:
    one = code_identity(program(tmp_path, PROGRAM).agent)
    assert code_identity(program(tmp_path, PROGRAM.replace(before, after)).agent) == one


def test_is_the_same_in_another_process(tmp_path: Path) -> None:
    path = tmp_path / "its_program.py"
    path.write_text(PROGRAM)
    script = (
        "import its_program; from agl_core.code_identity import code_identity as i; "
        "print(i(its_program.agent), i(its_program.ask))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    }
    assert len(told) == 1


class Rated:
    """An object that is called like a function, and holds texts and functions."""

    def __init__(self, rubric: str, functions: Any = ()) -> None:
        self.rubrics = {"score": rubric}
        self.functions = functions

    def __call__(self, task: Any, output: Any) -> float:
        return 1.0


def test_looks_into_what_is_called_like_a_function() -> None:
    def other(text: str) -> Any:
        return lambda task, output: len(text)

    one = code_identity(Rated("Is it kind?", [other("Be brief.")]))
    assert code_identity(Rated("Is it kind?", [other("Be brief.")])) == one
    assert code_identity(Rated("Is it true?", [other("Be brief.")])) != one
    assert code_identity(Rated("Is it kind?", [other("Be long, then.")])) != one
    assert code_identity(functools.partial(Rated, "Is it kind?")) != code_identity(
        functools.partial(Rated, "Is it true?")
    )
    rated = Rated("Is it kind?")
    assert code_identity(rated.__call__) != one


def test_a_function_need_not_be_of_a_module() -> None:
    variables: dict[str, Any] = {"code_identity": code_identity, "__name__": None}
    exec("def other(): return 1\ndef agent(): return other()", variables)
    assert code_identity(variables["agent"]) != code_identity(variables["other"])


def test_parts_are_those_that_an_agent_tells() -> None:
    class Told:
        def parts(self) -> dict[str, str]:
            return {"function": "1"}

    assert parts_of(Told()) == {"function": "1"}
    assert parts_of(object()) == {}


class Planner:
    def __init__(self, prompt: str) -> None:
        self.prompt = prompt
        self.last = ""

    def run(self, task: str) -> str:
        self.last = self.ask(task)
        return self.last

    def ask(self, task: str) -> str:
        return self.prompt + task


class Message:
    def __init__(self, content: str) -> None:
        self.content = content


def test_tells_prompts_wherever_they_are_held() -> None:
    def closing(held: Any) -> Any:
        return lambda task: held

    for hold in (
        lambda text: Planner(text).run,
        lambda text: closing({"plan": [text]}),
        lambda text: closing(Message(text)),
    ):
        assert code_identity(hold("You are kind.")) == code_identity(hold("You are kind."))
        assert code_identity(hold("You are kind.")) != code_identity(hold("You are rude."))
    assert code_identity(operator.itemgetter("a")) != code_identity(operator.itemgetter("b"))
    assert code_identity(str.strip) != code_identity(str.rstrip)


said_globally = ""


def test_what_it_leaves_behind_is_no_code() -> None:
    said = ""

    def closes(task: str) -> None:
        nonlocal said
        said = f"the answer {task}"

    def writes(task: str) -> None:
        global said_globally
        said_globally = f"the answer {task}"

    for function in (closes, writes, Planner("You are kind.").run):
        one = code_identity(function)
        function("of today")
        assert code_identity(function) == one


def test_the_source_of_what_is_installed_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(function: Any) -> str:
        raise AssertionError("read")

    monkeypatch.setattr("inspect.getsource", read)
    monkeypatch.setattr("linecache.getlines", read)
    assert code_identity(json.dumps) != code_identity(json.dump)


PROMPTS = """
import pathlib

PLANNER = "You plan trips."
UNUSED = "Nobody asks."
REVIEWER = pathlib.Path(__file__).with_name("reviewer.txt").read_text()
"""

DEPENDING = """
import datetime
import itertools
import os
import random
import time
import uuid
from random import random as chance

import its_prompts
from its_prompts import REVIEWER as reviewing

STARTED = time.ctime()
RUN = uuid.uuid4().hex
PROCESS = os.getpid()
LUCK = random.random()
CHANCE = chance()
TODAY = f"It is {datetime.datetime.now()} now."
COUNTER = itertools.count()
LOG = open(os.devnull)
FOUND = {"start of": time.time()}
MODEL = os.environ["ITS_MODEL"]
API_KEY = os.environ["ITS_API_KEY"]
STEPS = []


class Model:
    def __init__(self, name, temperature, api_key):
        self.name = name
        self.temperature = temperature
        self.api_key = api_key
        self.calls = 0
        self.answers = {}

    def ask(self, text):
        self.calls += 1
        self.answers[text] = f"an answer to {text}"
        return self.answers[text]


model = Model(MODEL, temperature=0.5, api_key=API_KEY)
STEPS.append(lambda text: text + "!")


def made_up():
    return f"made at {time.time()} seconds"


MADE_UP = made_up()


def agent(task):
    FOUND[task] = next(COUNTER)
    told = (STARTED, RUN, PROCESS, LUCK, CHANCE, TODAY, LOG, MADE_UP, os.getenv("ITS_STYLE"))
    return model.ask(its_prompts.PLANNER + task), reviewing, STEPS[0](task), told


def importing(task):
    from its_prompts import PLANNER
    import its_prompts as prompts

    return PLANNER, prompts.UNUSED
"""


def parts_in_another_process(
    folder: Path, name: str = "agent", **environment: str
) -> dict[str, str]:
    """Return the parts of a function of the program, told after it has run."""
    script = (
        "import json, its_program as p; from agl_core.code_identity import code_parts; "
        f"f = p.{name}; f('a'); print(json.dumps(code_parts({{'function': f}})))"
    )
    variables = {"ITS_MODEL": "small", "ITS_API_KEY": "sk-aaaaaaaa1111", **environment}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.fixture
def depending(tmp_path: Path) -> Path:
    (tmp_path / "its_prompts.py").write_text(PROMPTS)
    (tmp_path / "its_program.py").write_text(DEPENDING)
    (tmp_path / "reviewer.txt").write_text("You review.")
    return tmp_path


def test_a_program_is_the_same_in_each_process_and_with_another_key(depending: Path) -> None:
    one = parts_in_another_process(depending)
    other = parts_in_another_process(
        depending, ITS_API_KEY="sk-bbbbbbbb2222", OPENAI_API_KEY="sk-cccccccc3333"
    )
    assert other == one
    assert {"its_program.STARTED", "its_program.model.temperature"} <= one.keys()


@pytest.mark.parametrize(
    ("file", "before", "after", "name"),
    [
        ("its_prompts.py", "You plan trips.", "Be brief.", "its_prompts.PLANNER"),
        ("reviewer.txt", "You review.", "You approve.", "its_prompts.REVIEWER"),
        ("its_program.py", "temperature=0.5", "temperature=0.7", "its_program.model"),
        ("its_program.py", 'text + "!"', 'text + "?"', "its_program.STEPS"),
        ("its_program.py", "made at", "done at", "its_program.made_up"),
        ("its_program.py", "an answer", "no answer", "its_program.Model"),
    ],
)
def test_names_what_of_a_program_has_changed(
    depending: Path, file: str, before: str, after: str, name: str
) -> None:
    one = parts_in_another_process(depending)
    path = depending / file
    path.write_text(path.read_text().replace(before, after))
    other = parts_in_another_process(depending)
    changed = {part for part in one if one[part] != other.get(part)}
    assert name in changed
    assert all(part.startswith(name) for part in changed)


def test_the_environment_counts_where_it_is_read(depending: Path) -> None:
    one = parts_in_another_process(depending)
    for variable, names in (
        ("ITS_STYLE", {"environment ITS_STYLE"}),
        ("ITS_MODEL", {"environment ITS_MODEL", "its_program.MODEL", "its_program.model.name"}),
        ("NOT_ITS_OWN", set[str]()),
    ):
        other = parts_in_another_process(depending, **{variable: "large"})
        assert {part for part in one if one[part] != other.get(part)} == names


def test_what_is_imported_within_a_function_counts(depending: Path) -> None:
    told = parts_in_another_process(depending, "importing")
    assert {"its_prompts.PLANNER", "its_prompts.UNUSED"} <= told.keys()
    assert "its_prompts.REVIEWER" not in told


def test_ports_of_this_machine_and_credentials_are_left_out() -> None:
    def asking(url: str, key: str, named: str) -> dict[str, str]:
        held = {"url": url, "header": key, "password": named}
        return code_parts({"function": lambda task: held})

    one = asking("http://localhost:1234/v1", "Bearer abcdef123456", "one")
    assert asking("http://localhost:4321/v1", "Bearer abcdef654321", "two") == one
    assert asking("http://localhost:1234/v2", "Bearer abcdef123456", "one") != one


def test_of_a_variable_that_is_not_known_by_its_source_the_value_counts() -> None:
    def told(model: str, made: str) -> dict[str, str]:
        variables = {"MODEL": model, "MADE": made, "__name__": "typed"}
        exec("def agent(task): return MODEL, MADE", variables)
        return code_parts({"function": variables["agent"]})

    one = told("small", "0b87fa7e-5b4c-4f8e-9f3a-0a3e4b1c2d3e")
    assert told("small", "1c98fa7e-5b4c-4f8e-9f3a-0a3e4b1c2d3f") == one
    other = told("large", "0b87fa7e-5b4c-4f8e-9f3a-0a3e4b1c2d3e")
    assert {part for part in one if one[part] != other[part]} == {"typed.MODEL"}


class Proxy:
    """As those that stand for what is only there while a request is handled."""

    def __init__(self, named: str = "") -> None:
        vars(self)["named"] = named

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("there is no request")


def test_an_object_that_cannot_be_looked_at_stops_nothing() -> None:
    def holding(*held: Any) -> dict[str, str]:
        return code_parts({"function": lambda task: held})

    endless: list[Any] = []
    endless.append(endless)
    one = holding("You plan.", Proxy(), endless)
    assert one == holding("You plan.", Proxy(), endless)
    assert one != holding("You file.", Proxy(), endless)


def test_of_a_deep_program_all_counts_however_deep_the_stack_is(tmp_path: Path) -> None:
    chain = [f"def f{n}(x):\n    return f{n + 1}(x)\n" for n in range(400)]
    added = " + ".join(f"x{n}()" for n in range(400))  # nested as deep as it is long
    source = "\n".join([*chain, f"def f400(x):\n    return 'PROMPT' + {added}\n"])

    def told(text: str, stack: int) -> dict[str, str]:
        if stack:
            return told(text, stack - 1)
        return code_parts({"function": program(tmp_path, text).f0})

    parts = told(source, 0)
    assert len(parts) == 402
    assert told(source, 300) == parts
    assert told(source.replace("PROMPT", "OTHER"), 0) != parts


class Client:
    def __init__(self, number: int) -> None:
        self.number = number


def test_a_key_that_is_no_name_calls_no_part() -> None:
    def parts(other: str) -> dict[str, str]:
        keys = ("sk-abcdefghijklmnop1234", "bob@example.com", "\x1b[31mred", "a" * 41, other)
        return code_parts({"held": {key: Client(1) for key in (*keys, "planner")}})

    told = parts("two words")
    mine = {label for label in told if label.startswith("held")}
    assert mine == {"held", "held.number", "held.planner", "held.planner.number"}
    assert parts("other words")["held"] != told["held"]


MADE_FOR_THE_PROCESS = """
import secrets
import tempfile
import time
from dataclasses import dataclass, field


class Bot:
    def __init__(self, prompt, id):
        self.prompt = prompt
        self.folder = tempfile.gettempdir() + "/" + secrets.token_hex(3)
        self.born = time.monotonic()
        name = "a-" + secrets.token_hex(3)
        self.name = name
        self.id = id

    def run(self, task):
        return self.prompt


@dataclass
class Held:
    name: str = field(default_factory=lambda: secrets.token_hex(3))


def make(prompt):
    number = time.monotonic()

    def run(task):
        return prompt, number, text, Held()

    text = secrets.token_hex(8)
    return run


bot = Bot("You are x.", 7)
run = make("You are y.")
"""


def imported_anew(name: str) -> Any:
    sys.modules.pop(name, None)
    importlib.invalidate_caches()
    return importlib.import_module(name)


def test_what_is_made_for_the_process_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "made_for_it.py").write_text(MADE_FOR_THE_PROCESS)
    monkeypatch.syspath_prepend(tmp_path)

    def told() -> dict[str, str]:
        module = imported_anew("made_for_it")
        return code_parts({"bot": module.bot.run, "run": module.run, "held": module.Held()})

    parts = told()
    assert told() == parts
    assert {"bot.prompt", "bot.id", "run: prompt"} <= set(parts)


def test_of_much_data_all_counts() -> None:
    def told(last: str) -> dict[str, str]:
        return code_parts({"data": [*("a" for _ in range(20_000)), last]})

    assert told("b") != told("c")


def test_of_more_data_than_is_read_the_length_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agl_core.identity.values._MOST", 3)
    assert code_parts({"data": [1, 2, 3, "four"]}) != code_parts({"data": [1, 2, 3, "three"]})


TIMED = """
import time
from pathlib import Path


class Bot:
    def __init__(self, prompt):
        self.prompt = prompt

    def run(self, task):
        return time.time(), self.prompt


BOT = Bot((Path(__file__).parent / "prompt.txt").read_text())


def agent(task):
    return BOT.run(task)
"""


def test_a_clock_in_a_method_hides_no_prompt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "timed_bots.py").write_text(TIMED)
    monkeypatch.syspath_prepend(tmp_path)

    def told(prompt: str) -> dict[str, str]:
        (tmp_path / "prompt.txt").write_text(prompt)
        return code_parts({"agent": imported_anew("timed_bots").agent})

    one = told("You plan trips.")
    other = told("You plan flights.")
    assert {label for label in one if one[label] != other[label]} == {"timed_bots.BOT.prompt"}


class Slotted:
    __slots__ = ("prompt",)

    def __init__(self, prompt: str) -> None:
        self.prompt = prompt


class Mode(enum.Enum):
    BRIEF = "brief"
    LONG = "long"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Slotted("You plan trips."), Slotted("You plan flights.")),
        (re.compile("a+"), re.compile("b+")),
        (re.compile("a+"), re.compile("a+", re.IGNORECASE)),
        (string.Template("Plan $it."), string.Template("Book $it.")),
        (Mode.BRIEF, Mode.LONG),
    ],
)
def test_tells_what_objects_without_a_dictionary_hold(one: object, other: object) -> None:
    assert code_parts({"it": one}) == code_parts({"it": one})
    assert code_parts({"it": one}) != code_parts({"it": other})


LYING_SOMEWHERE = """
import os
from pathlib import Path

HERE = Path(__file__).parent
SAID = f"Read {HERE}/a.txt, not {HERE}-old."


def agent(task):
    return HERE / "a.txt", SAID, os.environ.get("SOME_JOB_ID"), os.environ.get("SOME_MODEL_ID")
"""


def test_where_a_program_lies_and_in_which_job_it_runs_does_not_count(tmp_path: Path) -> None:
    folders = tmp_path / "one", tmp_path / "other"
    for folder in folders:
        folder.mkdir()
        (folder / "its_program.py").write_text(LYING_SOMEWHERE)
    one, other = (parts_in_another_process(folder, SOME_JOB_ID=folder.name) for folder in folders)
    assert {part for part in one if one[part] != other.get(part)} == {"its_program.SAID"}
    assert one["its_program.HERE"] == other["its_program.HERE"]
    assert "environment SOME_MODEL_ID" in one


class Endless:
    """Looks for what it lacks in itself."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self, f"{name}_")


def test_an_object_that_looks_in_itself_without_end_stops_nothing() -> None:
    assert "it" in code_parts({"it": Rated("Is it kind?", [Endless()])})
    assert "it" in code_parts({"it": Endless()})
