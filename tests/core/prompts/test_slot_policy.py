"""Which slots are optimized: by pattern, and never by a misunderstanding."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from agl_core.algorithms import APO, algorithm
from agl_core.errors import ConfigurationError, RolloutError
from agl_core.execution.agents import FunctionAgent
from agl_core.prompts.binding import current_binding
from agl_core.prompts.constraints import Constraint
from agl_core.prompts.slot_policy import SlotPolicy
from agl_core.prompts.slots import Role, SlotRecord
from agl_core.prompts.templates import PromptTemplate
from agl_core.session import Session
from agl_core.storage.sqlite import MemoryStore
from agl_core.trainer import Trainer

PLAN, DO, ASK = "langgraph:planner#system", "langgraph:doer#system", "langgraph:planner#user"
LOST = "langgraph:lost#system"


def record(name: str, text: str | None = "Be brief.", role: Role = "system") -> SlotRecord:
    reason = "is sent as a user message" if role == "user" else ""
    if text is None:
        return SlotRecord(name, role, None, None, default=False, reason="is left alone")
    prompt = PromptTemplate(text, "literal")
    return SlotRecord(name, role, prompt, "text", default=not reason, reason=reason)


RECORDS = [record(PLAN), record(DO), record(ASK, role="user"), record(LOST, None)]


def states(records: Any = RECORDS, given: Any = None, **policy: Any) -> dict[str, str]:
    choices = SlotPolicy.of(**policy).choose(records, given or {})
    return {choice.record.name: choice.state for choice in choices}


def test_by_default_all_system_messages_whose_text_is_known() -> None:
    assert states() == {PLAN: "optimized", DO: "optimized", ASK: "off", LOST: "off"}


@pytest.mark.parametrize(
    ("optimize", "chosen"),
    [
        (["langgraph:planner*"], {PLAN, ASK}),
        (["*#system"], {PLAN, DO}),
        ("*#user", {ASK}),
        ([DO], {DO}),
        (["langgraph:d?er*", "*:planner#system"], {PLAN, DO}),
    ],
)
def test_patterns_name_what_is_optimized(optimize: Any, chosen: set[str]) -> None:
    found = states(optimize=optimize)
    assert {name for name, state in found.items() if state == "optimized"} == chosen


def test_a_name_is_a_pattern_whatever_is_in_it() -> None:
    name = "openai:app.<locals>[0]#system"
    assert states([record(name), record(DO)], optimize=[name])[name] == "optimized"


def test_what_is_frozen_stays() -> None:
    found = states(freeze=["langgraph:planner*"])
    assert found == {PLAN: "frozen", DO: "optimized", ASK: "frozen", LOST: "off"}


@pytest.mark.parametrize("role", ["optimize", "freeze", "constraints"])
def test_a_pattern_that_matches_nothing_says_what_there_is(role: str) -> None:
    value = {"nobody*": Constraint(9)} if role == "constraints" else ["nobody*"]
    with pytest.raises(ConfigurationError) as error:
        states(**{role: value})
    assert str(error.value) == (
        f"{role} has 'nobody*', which matches no slot; there are: {PLAN}, {DO}, {ASK}, {LOST}"
    )


def test_a_slot_that_is_optimized_and_frozen_names_both_patterns() -> None:
    with pytest.raises(
        ConfigurationError,
        match=rf"{PLAN} is both .* optimize has '\*#system', freeze has 'langgraph:pl\*'",
    ):
        states(optimize=["*#system"], freeze=["langgraph:pl*"])
    with pytest.raises(ConfigurationError, match=r"'a\*' is both in optimize and in freeze"):
        SlotPolicy.of(optimize=["a*"], freeze=["a*"])


def test_what_is_asked_for_and_cannot_be_is_no_silence() -> None:
    with pytest.raises(ConfigurationError, match=rf"'{LOST}', and {LOST} is left alone"):
        states(optimize=[PLAN, LOST])
    # A pattern that names others too is met by them.
    assert states(optimize=["*#system"])[LOST] == "off"
    # A prompt to start from is all that it lacks.
    found = states(optimize=[LOST], given={LOST: PromptTemplate("Find it.", "literal")})
    assert found[LOST] == "optimized"


def test_something_has_to_be_left() -> None:
    with pytest.raises(ConfigurationError, match=f"nothing is left to optimize: {PLAN} is frozen"):
        states([record(PLAN)], freeze="*")
    with pytest.raises(ConfigurationError, match=f"{ASK} is sent as a user message"):
        states([record(ASK, role="user")])
    with pytest.raises(ConfigurationError, match="optimize is empty"):
        SlotPolicy.of(optimize=[])


class TestConstraints:
    def test_hold_by_pattern_and_together(self) -> None:
        policy = SlotPolicy.of(
            constraints={"*": Constraint(max_chars=100), "*planner*": Constraint(keep="brief")}
        )
        found = {choice.record.name: choice.constraint for choice in policy.choose(RECORDS, {})}
        assert found[PLAN] == Constraint(100, ("brief",))
        assert found[DO] == Constraint(100)

    def test_a_text_to_keep_has_to_be_there(self) -> None:
        with pytest.raises(ConfigurationError, match=r"does not have: it loses 'kind'.*'Be brief"):
            states(constraints={PLAN: Constraint(keep="kind")})
        # Of a slot that is not optimized nothing is asked.
        assert states(constraints={PLAN: Constraint(keep="kind")}, freeze=PLAN)[PLAN] == "frozen"

    def test_a_prompt_that_is_too_long_may_become_shorter(self) -> None:
        assert states(constraints={PLAN: Constraint(max_chars=3)})[PLAN] == "optimized"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"optimize": 3}, "optimize is int; give a list"),
        ({"freeze": [3]}, "freeze has 3; a pattern is text"),
        ({"freeze": [" "]}, "a pattern is text"),
        ({"constraints": {"*": {"max_chars": 3}}}, "constraints map patterns to constraints"),
        ({"constraints": [3]}, "constraints map patterns to constraints"),
        ({"max_unmatched": 20}, "max_unmatched is 20; it is a share"),
        ({"max_unmatched": float("nan")}, "max_unmatched is nan"),
        ({"max_unmatched": True}, "max_unmatched is True"),
        ({"templates": ["x"]}, "resources map names to prompts"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        SlotPolicy.of(**arguments)


def test_settings_are_what_a_run_is_resumed_with() -> None:
    policy = SlotPolicy.of(["b", "a"], "c", {"*": Constraint(9)}, {"s": "Hi {name}."}, 0.5)
    assert policy.to_json() == {
        "optimize": ["a", "b"],
        "freeze": ["c"],
        "constraints": {"*": {"max_chars": 9, "keep": [], "language": None}},
        "templates": {"s": PromptTemplate("Hi {name}.").to_json()},
    }


class Program(FunctionAgent):
    """A program that sends two prompts of its own, and does well the longer they are."""

    discovers = True

    def __init__(self, plan: Callable[[Any], str] = lambda task: "Plan.") -> None:
        super().__init__(self.answer)
        self.plan = plan
        self.sent: list[dict[str, str]] = []

    def check(self, resources: Any) -> None:
        """Accept any names."""

    def answer(self, task: Any) -> float:
        binding = current_binding()
        assert binding is not None
        sent = {
            "a#system": binding.inject("a#system", self.plan(task)),
            "b#system": binding.inject("b#system", "Do."),
        }
        self.sent.append(sent)
        return min(1.0, len("".join(sent.values())) / 500)


def shout(request: str) -> str:
    """Answer as an optimizer would that finds all prompts too quiet."""
    if not request.startswith("Rewrite a prompt"):
        return "Say it louder."
    (prompt,) = re.findall(r"<prompt name=[^>]*>\n(.*?)\n</prompt>", request, re.DOTALL)
    return f"{prompt} LOUDER!"


@pytest.mark.usefixtures("few_resamples")
class TestRuns:
    def fit(
        self, engine: SimpleNamespace, program: Program, **options: Any
    ) -> tuple[Any, SimpleNamespace]:
        client, watcher = engine.ScriptedModel(shout), engine.Watcher()
        options = {"client": client, "callbacks": [watcher], "n_runners": 4, **options}
        trainer = Trainer(APO("m", beam_rounds=2, val_batch_size=8), **options)
        result = trainer.fit(program, range(8), range(100, 108))
        return result, SimpleNamespace(
            plan=watcher.plan,
            requests=[r for r in client.requests if r.startswith("Rewrite")],
            rejected=[c.rejected for c, _ in watcher.candidates if c.rejected],
        )

    def test_a_frozen_prompt_is_never_replaced(self, engine: SimpleNamespace) -> None:
        program = Program()
        result, told = self.fit(engine, program, freeze=["b*"])
        assert list(result.best) == ["a#system"]
        assert "LOUDER" in result.best["a#system"].raw
        assert {sent["b#system"] for sent in program.sent} == {"Do."}
        assert len({sent["a#system"] for sent in program.sent}) > 1
        assert [(c.record.name, c.state) for c in told.plan.slots] == [
            ("a#system", "optimized"),
            ("b#system", "frozen"),
        ]
        assert told.plan.to_json()["slots"]["b#system"]["state"] == "frozen"

    def test_constraints_are_told_and_checked_before_a_rollout(
        self, engine: SimpleNamespace
    ) -> None:
        program = Program()
        _, told = self.fit(
            engine,
            program,
            constraints={"a*": Constraint(max_chars=10), "b*": Constraint(keep="Do.")},
        )
        longest = max(len(sent["a#system"]) for sent in program.sent)
        assert longest <= 10
        of_a = [request for request in told.requests if 'name="a#system"' in request]
        of_b = [request for request in told.requests if 'name="b#system"' in request]
        assert all("- It has at most 10 characters.\n" in request for request in of_a)
        assert all("exactly as it is here: Do.\n" in request for request in of_b)
        assert of_a
        assert of_b
        assert not any("at most" in request for request in of_b)

    def test_a_rewrite_that_breaks_its_constraint_is_rejected_with_the_reason(
        self, engine: SimpleNamespace
    ) -> None:
        _, told = self.fit(
            engine, Program(), freeze="b*", constraints={"a*": Constraint(max_chars=10)}
        )
        assert told.rejected
        assert all("the limit is 10" in reason for reason in told.rejected)

    def test_an_algorithm_of_ones_own_is_held_to_them_too(self) -> None:
        @algorithm
        async def careless(session: Session) -> None:
            await session.evaluate({"a#system": "Plan it all very well."}, session.val)

        trainer = Trainer(careless, constraints={"a*": Constraint(max_chars=10)})
        with pytest.raises(ConfigurationError, match=r"a#system: .* the limit is 10"):
            trainer.fit(Program(), range(4))

    def test_too_many_texts_that_do_not_match_stop_the_run(self, engine: SimpleNamespace) -> None:
        # As discovery sees it, it is always the same.
        program = Program(lambda task: "Plan." if task < 103 else f"Never mind {task}.")
        with pytest.raises(RolloutError, match=r"5 of the .* One of them: 'Never mind 10\d.'"):
            self.fit(engine, program)
        assert len(program.sent) <= 16
        result, _ = self.fit(engine, Program(program.plan), max_unmatched=1.0)
        assert result.best["a#system"].raw.startswith("Plan.")

    def test_a_run_is_resumed_with_the_same_policy(self, engine: SimpleNamespace) -> None:
        store = MemoryStore()
        options: dict[str, Any] = {"store": store, "run": "r", "freeze": ["b*"]}
        self.fit(engine, Program(), **options)
        trainer = Trainer(APO("m"), client=engine.ScriptedModel(shout), store=store, run="r")
        with pytest.raises(ConfigurationError, match=r"another .*prompts \(freeze\)"):
            trainer.fit(Program(), range(8), range(100, 108), resume=True)
