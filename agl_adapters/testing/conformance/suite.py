"""The suite: what every integration must do, as tests that a plugin's test class inherits."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import pytest

from agl_adapters.integration import Integration, Target
from agl_adapters.registry import GROUP, integrations
from agl_adapters.testing.conformance.programs import Program
from agl_adapters.testing.conformance.snapshots import differences, snapshot
from agl_adapters.testing.conformance.trials import CONCURRENT, Trial, marks, text_of
from agl_adapters.testing.launch import SeenRequest, SimulatedModel, simulated_model
from agl_core.errors import ConfigurationError
from agl_core.rollouts import Rollout
from agl_core.spans import genai
from agl_core.spans.span import Span
from agl_core.tracing.recording import UNFINISHED
from agl_core.tracing.tracing import Tracing

__all__ = ["IntegrationConformance", "properties"]

_WITHOUT_FRAMEWORK = """
import importlib, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {packages!r}:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)

sys.meta_path.insert(0, Missing())
integration = importlib.import_module({module!r}).{cls}()
assert not integration.recognizes(object()), "recognizes() takes a plain object"
"""


class IntegrationConformance:
    """What an integration must do, as tests. Subclass it, and give the integration and programs.

    Each test is a property. Those that take a `program` are run for each of `programs`. A program
    is run eight times at once by a `Trainer`, each time with prompts of its own, beside a ninth
    run that fails; and outside of rollouts. See `agl_adapters.testing.conformance` for an example.
    """

    integration: ClassVar[type[Any]]
    """The integration's class: an `agl_adapters.integration.Integration`."""
    wrong_input: ClassVar[Any] = object()
    """An input that none of the framework's objects can take."""
    patched: ClassVar[Sequence[str]] = ()
    """Import names of further top-level packages whose classes or functions the hooks change."""
    not_applicable: ClassVar[Mapping[str, str]] = {}
    """Properties that this framework cannot have, each with the reason."""

    @classmethod
    def programs(cls) -> Sequence[Program]:
        """Return the programs. They are built later, when the model is there."""
        raise NotImplementedError(f"{cls.__name__} must say which programs it is run on")

    # -------------------------------------------------------------------------------- fixtures

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run the tests that take a program once for each."""
        programs = self.programs()
        _check_names(self.not_applicable, *(program.not_applicable for program in programs))
        if "program" in metafunc.fixturenames:
            names = [program.name for program in programs]
            metafunc.parametrize("program", programs, ids=names)

    @pytest.fixture(scope="class")
    @classmethod
    def _model(cls) -> Iterator[SimulatedModel]:
        with simulated_model("echo") as model:
            yield model

    # Not closed before all tests have run: frameworks keep clients, with connections of this loop.
    @pytest.fixture(scope="session")
    @classmethod
    def _run(cls) -> Iterator[Callable[[Coroutine[Any, Any, Any]], Any]]:
        with asyncio.Runner() as runner:
            yield runner.run

    @pytest.fixture(scope="class")
    @classmethod
    def _trials(cls) -> dict[str, Trial]:
        return {}

    @pytest.fixture
    def trial(
        self, program: Program, _trials: dict[str, Trial], _model: SimulatedModel, _run: Any
    ) -> Trial:
        """The program on trial; what the properties of one program look at is run once."""
        return _trials.setdefault(program.name, Trial(program, _model, _run))

    @pytest.fixture(autouse=True)
    def _skip_what_does_not_apply(self, request: pytest.FixtureRequest) -> None:
        call = getattr(request.node, "callspec", None)
        program = None if call is None else call.params.get("program")
        reasons = {**self.not_applicable, **(program.not_applicable if program else {})}
        name = request.function.__name__.removeprefix("test_")
        if name in reasons:
            pytest.skip(reasons[name])

    # --------------------------------------------------------------------------------- prompts

    def test_slots_are_found_with_the_programs_own_text(self, trial: Trial) -> None:
        """Discovery finds each slot under its name, with exactly the text that the program has."""
        found = {slot: prompt.raw for slot, prompt in trial.own.items()}
        assert found == dict(trial.program.prompts)

    def test_concurrent_rollouts_send_each_its_own_prompts(self, trial: Trial) -> None:
        """Eight rollouts at once send eight sets of prompts, and none the program's own text."""
        slots = set(trial.program.prompts)
        for number, requests in trial.requests.items():
            sent = {mark for request in requests for mark in marks(text_of(request))}
            assert {slot for slot, _ in sent} == slots, f"rollout {number} sent other prompts"
            _check_no_own_text(trial, number)
            _check_literal_prompts_are_whole(trial, number)
        assert [dict(rollout.unmatched) for rollout in trial.rollouts] == [{}] * CONCURRENT
        assert [set(rollout.reads) for rollout in trial.rollouts] == [slots] * CONCURRENT

    # ----------------------------------------------------------------------------------- spans

    def test_spans_are_one_tree(self, trial: Trial) -> None:
        """The spans of a rollout hang together under its root, and all have ended."""
        for rollout in trial.rollouts:
            _check_tree(rollout)

    def test_each_model_call_is_one_span(self, trial: Trial) -> None:
        """A rollout has as many spans of model calls as it made calls, whoever records them."""
        for number, rollout in enumerate(trial.rollouts):
            made = trial.program.model_calls or len(trial.requests[number])
            assert len(_model_calls(rollout)) == made
            assert rollout.usage.model_calls == made

    def test_model_calls_say_what_was_sent(self, trial: Trial) -> None:
        """Their spans have model, slot, tokens, answer, and the prompts that were injected."""
        for number, rollout in enumerate(trial.rollouts):
            calls, requests = _model_calls(rollout), trial.requests[number]
            sent = Counter((r.model, _stripped(r.systems)) for r in requests)
            recorded = Counter((str(genai.request_model(call)), _systems(call)) for call in calls)
            assert not sent - recorded, "what the model received is not what the spans say"
            for call in calls:
                _check_slot(trial, number, call)
            answered = [call for call in calls if genai.output_messages(call)]
            assert len(answered) >= len(requests), "answers are missing from spans"
            counted = [call for call in calls if min(genai.usage(call)[:2]) > 0]
            assert len(counted) >= sum(map(_has_usage, requests)), "tokens are missing from spans"

    def test_tool_calls_say_what_was_run(self, trial: Trial) -> None:
        """Their spans have the tool's name, the id by which the model called it, and values."""
        for rollout in trial.rollouts:
            tools = [span for span in rollout.spans if genai.is_tool_call(span)]
            names = sorted(genai.tool_name(span) for span in tools)
            assert names == sorted(trial.program.tools)
            asked = {
                (call["id"], call["name"])
                for span in _model_calls(rollout)
                for message in genai.output_messages(span)
                for call in message.get("tool_calls", ())
            }
            for span in tools:
                assert (genai.tool_call_id(span), genai.tool_name(span)) in asked
                assert genai.tool_arguments(span), "a tool's arguments are missing"
                assert genai.tool_result(span), "a tool's result is missing"

    def test_a_failure_is_recorded_and_harms_no_other(self, trial: Trial) -> None:
        """A program that raises is a failed rollout with its traceback; the others succeed."""
        failed = trial.failed
        assert failed.status == "failed"
        assert trial.program.error in str(failed.error)
        assert "Traceback" in str(failed.error)
        assert failed.spans[0].status == "error"
        if trial.program.failure.startswith("FAIL"):
            errors = [call for call in _model_calls(failed) if call.status == "error"]
            assert errors, "the span of the model call that failed has no error status"
        # What ran beside the part that failed may not have come to its end.
        _check_tree(failed, finished=False)
        assert [rollout.status for rollout in trial.rollouts] == ["succeeded"] * CONCURRENT

    # -------------------------------------------------------------------- outside of rollouts

    def test_outside_of_rollouts_the_wire_is_as_without_hooks(self, trial: Trial) -> None:
        """Bodies and headers are byte for byte the same while the hooks are installed."""
        assert trial.wire_before, "the program sent nothing"
        assert trial.wire_inside == trial.wire_before

    @pytest.mark.usefixtures("_model")
    def test_classes_are_as_found_after_the_hooks(self) -> None:
        """The framework's modules and classes hold what they held, also after an error."""
        self.programs()[0].build()  # this imports the framework, if nothing has
        integration, tracing = self.integration(), Tracing()
        packages = {*integration.packages, *self.patched}
        before = snapshot(packages)
        with integration.hooks(tracing):
            pass
        assert differences(before, snapshot(packages)) == []
        with pytest.raises(ZeroDivisionError), integration.hooks(tracing):
            raise ZeroDivisionError
        assert differences(before, snapshot(packages)) == []
        tracing.shutdown()

    # ---------------------------------------------------------------------------- the contract

    def test_objects_are_recognized(self, trial: Trial) -> None:
        """The framework's objects are taken, as something that can be run."""
        target, integration = trial.target
        if integration is None:
            pytest.skip("a plain function, which no integration has to recognize")
        assert isinstance(target, Target)
        assert target.name
        assert type(integration) is self.integration
        assert not integration.recognizes(type(trial.built)), "recognizes a class"

    def test_an_input_of_the_wrong_shape_is_refused(self, trial: Trial) -> None:
        """It is a ConfigurationError, wherever the integration knows what the program takes."""
        if trial.target[1] is None:
            pytest.skip("a plain function, which takes what its author says")
        with pytest.raises(ConfigurationError):
            trial.attempt(self.wrong_input)

    def test_foreign_objects_are_not_recognized(self) -> None:
        """Objects of nobody are left to others."""
        integration = self.integration()
        for foreign in (object(), None, 3, "text", [], {}, print, lambda: None, int, integration):
            assert not integration.recognizes(foreign), f"recognizes {foreign!r}"

    def test_it_imports_without_its_framework(self) -> None:
        """Its module is loaded, and asked, where the framework is not installed."""
        cls = self.integration
        code = _WITHOUT_FRAMEWORK.format(
            packages=set(cls.packages), module=cls.__module__, cls=cls.__qualname__
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def test_it_is_registered(self) -> None:
        """It is found by an entry point of its name, and is what the protocol asks for."""
        assert isinstance(self.integration(), Integration)
        found = [known for known in integrations() if type(known) is self.integration]
        assert found, f"no entry point of the group {GROUP!r} gives {self.integration.__qualname__}"


def properties() -> list[str]:
    """Return the names of the suite's properties, in order."""
    return [
        name.removeprefix("test_")
        for name in vars(IntegrationConformance)
        if name.startswith("test_")
    ]


# ------------------------------------------------------------------------------------------ checks


def _check_names(*mappings: Mapping[str, str]) -> None:
    unknown = {name for mapping in mappings for name in mapping} - {*properties()}
    if unknown:
        raise pytest.UsageError(
            f"not_applicable names {', '.join(sorted(unknown))}; the properties are: "
            f"{', '.join(properties())}"
        )


def _check_no_own_text(trial: Trial, number: int) -> None:
    """Check that no request has the program's text without the mark of its rollout."""
    for request in trial.requests[number]:
        text = text_of(request)
        for slot, prompt in trial.own.items():
            start = prompt.raw.partition("{")[0]
            marked = rf"NEW \S+ {number}\. {re.escape(start)}"  # another slot may have the same
            assert not start or start not in re.sub(marked, "", text), (
                f"rollout {number} sent the program's own text in {slot}"
            )


def _check_literal_prompts_are_whole(trial: Trial, number: int) -> None:
    text = "\n".join(text_of(request) for request in trial.requests[number])
    for slot, prompt in trial.candidate(number).items():
        if not prompt.variables:
            assert prompt.render({}) in text, f"the prompt of {slot} was not sent as it is"


def _check_tree(rollout: Rollout, finished: bool = True) -> None:
    root, *spans = rollout.spans
    assert root.parent_id is None
    assert spans, "there is no span but the rollout's own"
    ids = {span.span_id for span in rollout.spans}
    assert len(ids) == len(rollout.spans), "a span was recorded twice"
    assert {span.trace_id for span in spans} == {root.trace_id}
    strays = [span.name for span in spans if span.parent_id not in ids]
    assert not strays, f"spans without a parent in the rollout: {strays}"
    unfinished = [span.name for span in spans if UNFINISHED in span.attributes]
    assert not (finished and unfinished), f"spans that did not end: {unfinished}"


def _check_slot(trial: Trial, number: int, call: Span) -> None:
    slot = genai.slot(call)
    assert slot in trial.own, f"the span of a model call names the slot {slot!r}"
    texts = "\n".join(str(message.get("content")) for message in genai.input_messages(call))
    assert f"NEW {slot} {number}. " in texts, f"the span in {slot} has another prompt"


# ----------------------------------------------------------------------------------------- readers


def _model_calls(rollout: Rollout) -> list[Span]:
    return [span for span in rollout.spans if genai.is_model_call(span)]


def _systems(call: Span) -> tuple[str, ...]:
    messages = genai.input_messages(call)
    return _stripped(m["content"] for m in messages if m["role"] in ("system", "developer"))


def _stripped(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(text.strip() for text in texts))


def _has_usage(request: SeenRequest) -> bool:
    """Tell whether the service counts the tokens: in streams of chats only if it is asked to."""
    options = request.body.get("stream_options") or {}
    return request.api != "chat" or not request.stream or bool(options.get("include_usage"))
