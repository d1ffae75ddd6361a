import asyncio
import contextlib
import contextvars
import gc
import json
import logging
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    ParentBased,
    Sampler,
    TraceIdRatioBased,
)

from agl_core.tracing.recording import UNFINISHED
from agl_core.tracing.tracing import Recording, Tracing, in_slot


@pytest.fixture
def tracing() -> Iterator[Tracing]:
    tracing = Tracing()
    yield tracing
    tracing.shutdown()


@pytest.fixture
def exported() -> InMemorySpanExporter:
    return InMemorySpanExporter()


def provider_of_user(exporter: SpanExporter, **options: Any) -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False, **options)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


def names(recording: Recording) -> list[str]:
    return [span.name for span in recording.spans]


def test_a_rollout_is_a_trace_of_its_own_with_the_root_first(tracing: Tracing) -> None:
    with tracing.rollout("invoke_agent a", {"agl.task": 3}) as recording:
        with tracing.tracer.start_as_current_span("one"):
            tracing.tracer.start_span("two").end()
        assert trace.get_current_span() is recording.span

    root, one, two = recording.spans
    assert (root.name, root.parent_id) == ("invoke_agent a", None)
    assert root.attributes == {"gen_ai.operation.name": "invoke_agent", "agl.task": 3}
    assert (one.parent_id, two.parent_id) == (root.span_id, one.span_id)
    assert {span.trace_id for span in recording.spans} == {recording.trace_id}
    assert not trace.get_current_span().is_recording()


def test_the_root_is_first_even_where_a_span_says_it_started_before(tracing: Tracing) -> None:
    with tracing.rollout("a") as recording:
        tracing.tracer.start_span("early", start_time=1).end()

    assert names(recording) == ["a", "early"]


def test_the_spans_so_far_can_be_read_during_the_rollout(tracing: Tracing) -> None:
    with tracing.rollout("a") as recording:
        tracing.tracer.start_span("one").end()
        assert names(recording) == ["one"]
    assert names(recording) == ["a", "one"]


def test_a_rollout_within_the_users_span_is_still_a_trace_of_its_own(tracing: Tracing) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    with provider.get_tracer("user").start_as_current_span("mine") as mine:
        with tracing.rollout("a") as recording:
            pass
        assert trace.get_current_span() is mine

    assert recording.spans[0].parent_id is None
    assert int(recording.trace_id, 16) != mine.get_span_context().trace_id


def test_rollouts_side_by_side_in_threads_keep_their_spans_apart(tracing: Tracing) -> None:
    barrier = threading.Barrier(8)

    def rollout(number: int) -> Recording:
        with tracing.rollout(str(number)) as recording:
            barrier.wait(10)
            with ThreadPoolExecutor(2) as pool:
                for step in range(5):
                    context = contextvars.copy_context()
                    pool.submit(context.run, work, f"{number}.{step}")
        return recording

    def work(name: str) -> None:
        tracing.tracer.start_span(name).end()

    with ThreadPoolExecutor(8) as pool:
        recordings = list(pool.map(rollout, range(8)))

    for number, recording in enumerate(recordings):
        assert set(names(recording)) == {str(number), *(f"{number}.{i}" for i in range(5))}
        assert len(recording.spans) == 6


async def test_rollouts_side_by_side_on_one_event_loop_keep_their_spans_apart(
    tracing: Tracing,
) -> None:
    async def rollout(number: int) -> Recording:
        with tracing.rollout(str(number)) as recording:
            for step in range(3):
                with tracing.tracer.start_as_current_span(f"{number}.{step}"):
                    await asyncio.sleep(0)
        return recording

    recordings = await asyncio.gather(*map(rollout, range(8)))

    for number, recording in enumerate(recordings):
        assert names(recording) == [str(number)] + [f"{number}.{i}" for i in range(3)]


def test_outside_of_rollouts_nothing_is_recorded_and_the_current_span_stays(
    tracing: Tracing, exported: InMemorySpanExporter
) -> None:
    user = provider_of_user(exported)
    shared = Tracing(user)
    instrumentor = shared.provider.get_tracer("instrumentor")
    with shared.rollout("a"):
        pass
    exported.clear()

    with user.get_tracer("user").start_as_current_span("mine") as mine:
        assert not shared.active()
        for tracer in (shared.tracer, instrumentor):
            with tracer.start_as_current_span("hook") as span:
                assert not span.is_recording()
                assert trace.get_current_span() is mine
            hook = tracer.start_span("hook")
            assert hook.get_span_context() == mine.get_span_context()
            hook.end()

    assert [span.name for span in exported.get_finished_spans()] == ["mine"]


def test_inside_of_rollouts_instrumentors_record(tracing: Tracing) -> None:
    tracer = tracing.provider.get_tracer("instrumentor", "1.0")
    with tracing.rollout("a") as recording:
        assert tracing.active()
        with tracer.start_as_current_span("call"):
            pass

    assert names(recording) == ["a", "call"]


def test_a_failure_inside_a_span_is_recorded_in_it(tracing: Tracing) -> None:
    with tracing.rollout("a") as recording, pytest.raises(KeyError):  # noqa: SIM117
        with tracing.tracer.start_as_current_span("call"):
            raise KeyError("x")

    assert [span.status for span in recording.spans] == ["unset", "error"]


@pytest.mark.parametrize("error", [ValueError("no room"), asyncio.CancelledError("late")])
def test_a_failure_that_ends_the_rollout_is_recorded_and_goes_on(
    tracing: Tracing, error: BaseException
) -> None:
    with pytest.raises(type(error)) as raised, tracing.rollout("a") as recording:
        raise error

    assert raised.value is error
    (root,) = recording.spans
    assert root.status == "error"
    assert root.status_message == f"{type(error).__name__}: {error}"
    assert "raise error" in root.events[0].attributes["exception.stacktrace"]


def test_a_failure_that_cannot_be_written_down_still_goes_on(tracing: Tracing) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    with pytest.raises(Mute), tracing.rollout("a") as recording:
        raise Mute

    assert names(recording) == ["a"]


def test_spans_that_come_late_are_dropped(tracing: Tracing) -> None:
    with tracing.rollout("a") as recording:
        context = contextvars.copy_context()

    late = context.run(tracing.tracer.start_span, "late")

    assert not late.is_recording()
    late.end()
    assert names(recording) == ["a"]


def test_a_span_that_is_open_at_the_end_is_kept_as_far_as_it_got(tracing: Tracing) -> None:
    with tracing.rollout("a") as recording:
        hanging = tracing.tracer.start_span("hanging", attributes={"n": 1})
    hanging.end()

    root, kept = recording.spans
    assert kept.name == "hanging"
    assert kept.attributes == {"n": 1, UNFINISHED: True}
    assert kept.end_ns == root.end_ns
    assert kept.status_message == "not finished when the rollout ended"


def test_a_rollout_within_a_rollout_has_its_own_trace(tracing: Tracing) -> None:
    with tracing.rollout("outer") as outer:
        with tracing.rollout("inner") as inner:
            tracing.tracer.start_span("below").end()
        tracing.tracer.start_span("beside").end()

    assert names(outer) == ["outer", "beside"]
    assert names(inner) == ["inner", "below"]


def test_spans_in_a_slot_say_so(tracing: Tracing) -> None:
    with tracing.rollout("a") as recording:
        with in_slot("langgraph:planner#system"):
            tracing.tracer.start_span("one").end()
        tracing.tracer.start_span("two").end()

    assert [span.attributes.get("agl.slot") for span in recording.spans] == [
        None,
        "langgraph:planner#system",
        None,
    ]


def test_a_program_that_seeds_random_gets_its_numbers_and_traces_stay_apart(
    tracing: Tracing,
) -> None:
    recordings: list[Recording] = []
    drawn: list[float] = []
    for _ in range(2):
        random.seed(7)
        with tracing.rollout("a") as recording:
            tracing.tracer.start_span("one").end()
            drawn.append(random.random())
        recordings.append(recording)

    random.seed(7)
    assert drawn == [random.random()] * 2
    assert recordings[0].trace_id != recordings[1].trace_id


def test_the_users_processors_get_the_same_spans_with_the_users_resource(
    exported: InMemorySpanExporter,
) -> None:
    user = provider_of_user(exported, resource=Resource({"service.name": "shop"}))
    tracing = Tracing(user)
    with tracing.rollout("a") as recording:
        tracing.tracer.start_span("one").end()

    spans = exported.get_finished_spans()
    assert [span.name for span in spans] == ["one", "a"]
    assert [span.resource.attributes["service.name"] for span in spans] == ["shop", "shop"]
    assert {f"{span.context.trace_id:032x}" for span in spans if span.context} == {
        recording.trace_id
    }


def test_the_users_own_spans_are_part_of_the_rollout(exported: InMemorySpanExporter) -> None:
    user = provider_of_user(exported)
    tracing = Tracing(user)
    tracer = user.get_tracer("user")
    with tracing.rollout("a") as recording:
        random.seed(1)
        with tracer.start_as_current_span("mine"):
            tracing.tracer.start_span("ours").end()
        random.seed(1)
        tracer.start_span("mine again").end()
    tracer.start_span("outside").end()

    assert names(recording) == ["a", "mine", "ours", "mine again"]
    assert recording.spans[2].parent_id == recording.spans[1].span_id
    assert len(exported.get_finished_spans()) == 5


def test_the_global_provider_is_the_users_provider(
    exported: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider_of_user(exported))
    tracing = Tracing()
    with tracing.rollout("a"):
        pass
    tracing.shutdown()

    assert [span.name for span in exported.get_finished_spans()] == ["a"]


def test_our_provider_is_not_made_global(tracing: Tracing) -> None:
    before = trace.get_tracer_provider()
    with tracing.rollout("a"):
        assert not trace.get_tracer("user").start_span("mine").is_recording()
    assert trace.get_tracer_provider() is before


class Broken(Sampler):
    def should_sample(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("broken sampler")

    def get_description(self) -> str:
        return "broken"


@pytest.mark.parametrize(
    ("sampler", "exports"),
    [
        (ALWAYS_ON, 2),
        (ALWAYS_OFF, 0),
        (Broken(), 0),
        (TraceIdRatioBased(0.0), 0),
        # Those that follow the parent see a sampled one: the rollout arrives whole.
        (ParentBased(ALWAYS_OFF), 2),
        (ParentBased(TraceIdRatioBased(0.0)), 2),
    ],
)
def test_what_is_collected_is_complete_whatever_the_user_samples(
    exported: InMemorySpanExporter, sampler: Sampler, exports: int
) -> None:
    tracing = Tracing(provider_of_user(exported, sampler=sampler))
    with tracing.rollout("a") as recording:
        tracing.tracer.start_span("one").end()

    assert names(recording) == ["a", "one"]
    assert len(exported.get_finished_spans()) == exports


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_a_sampler_by_trace_id_forwards_whole_trees(
    exported: InMemorySpanExporter, share: float
) -> None:
    user = provider_of_user(exported, sampler=TraceIdRatioBased(share))
    tracing = Tracing(user)
    for _ in range(200):
        with tracing.rollout("a"), user.get_tracer("user").start_as_current_span("mine"):
            tracing.tracer.start_span("ours").end()

    by_trace: dict[int, list[str]] = {}
    for span in exported.get_finished_spans():
        by_trace.setdefault(span.context.trace_id if span.context else 0, []).append(span.name)
    assert all(tree == ["ours", "mine", "a"] for tree in by_trace.values())
    assert abs(len(by_trace) / 200 - share) < 0.15


class Raising(SpanProcessor):
    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        raise RuntimeError("broken processor")

    def on_end(self, span: ReadableSpan) -> None:
        raise RuntimeError("broken processor")


def test_a_processor_that_raises_disturbs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    user = TracerProvider(shutdown_on_exit=False)
    user.add_span_processor(Raising())
    tracing = Tracing(user)
    with caplog.at_level(logging.CRITICAL), tracing.rollout("a") as recording:
        tracing.tracer.start_span("one").end()

    assert names(recording) == ["a", "one"]


def test_a_rollout_that_cannot_be_recorded_runs(caplog: pytest.LogCaptureFixture) -> None:
    class NoIds(RandomIdGenerator):
        def generate_trace_id(self) -> int:
            raise RuntimeError("no ids")

    tracing = Tracing(TracerProvider(id_generator=NoIds(), shutdown_on_exit=False))
    ran = False
    with tracing.rollout("a") as recording:
        recording.span.set_attribute("a", 1)
        tracing.tracer.start_span("one").end()
        ran = True

    assert ran
    assert recording.spans == ()
    assert len(recording.trace_id) == 32
    assert "not recorded" in caplog.text


def test_a_span_that_cannot_be_started_is_left_out(
    tracing: Tracing, caplog: pytest.LogCaptureFixture
) -> None:
    class Mute:
        def __str__(self) -> str:
            raise RuntimeError("no words")

    attributes: dict[str, Any] = {"a": Mute()}
    with (
        caplog.at_level(logging.CRITICAL),
        tracing.rollout("a") as recording,
        tracing.tracer.start_as_current_span("one", attributes=attributes) as span,
    ):
        assert not span.is_recording()

    assert names(recording) == ["a"]


def test_limits_and_switches_for_what_is_sent_do_not_cut_what_is_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "10")
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "10")
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "3")
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    tracing = Tracing()
    with tracing.rollout("a", {f"k{n}": "x" * 1000 for n in range(300)}) as recording:
        pass

    assert len(recording.spans[0].attributes) == 301
    assert recording.spans[0].attributes["k0"] == "x" * 1000


def test_shutdown_leaves_the_users_provider_as_it_was(exported: InMemorySpanExporter) -> None:
    user = provider_of_user(exported)
    before = user._active_span_processor._span_processors
    tracing = Tracing(user)
    for _ in range(2):
        with tracing.rollout("a") as recording:
            user.get_tracer("user").start_span("mine").end()
        assert names(recording) == ["a", "mine"]
        tracing.shutdown()
        assert user._active_span_processor._span_processors == before

    tracing.shutdown()
    user.get_tracer("user").start_span("after").end()
    assert [span.name for span in exported.get_finished_spans()] == ["mine", "a"] * 2 + ["after"]


def test_nothing_stays_behind_after_rollouts(tracing: Tracing) -> None:
    def rollouts(count: int) -> None:
        for _ in range(count):
            with tracing.rollout("a"):
                tracing.tracer.start_span("one").end()
                tracing.tracer.start_span("never ended")

    rollouts(50)
    gc.collect()
    before = len(gc.get_objects())
    rollouts(500)
    gc.collect()

    assert len(gc.get_objects()) - before < 50
    assert not tracing._recordings


def test_a_finished_recording_holds_no_spans_of_the_sdk_but_its_root(tracing: Tracing) -> None:
    with tracing.rollout("a") as recording:
        tracing.tracer.start_span("held if ended").end()
        tracing.tracer.start_span("held if open")
    gc.collect()

    alive = [found.name for found in gc.get_objects() if isinstance(found, ReadableSpan)]
    assert names(recording) == ["a", "held if ended", "held if open"]
    assert not [name for name in alive if name.startswith("held")]


def test_importing_loads_no_opentelemetry_and_making_a_tracing_no_sdk() -> None:
    program = """
import sys
import agl_core.spans.genai, agl_core.tracing.tracing, agl_core.tracing.traces
assert not any(name.startswith("opentelemetry") for name in sys.modules)
tracing = agl_core.tracing.tracing.Tracing()
tracing.tracer.start_span("a").end()
assert "opentelemetry.sdk" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


class TestWithoutContent:
    """Each run decides for itself, whatever others of the process do, before or beside it."""

    SAID: ClassVar[dict[str, Any]] = {
        "gen_ai.input.messages": "SAID",
        "gen_ai.prompt.0.content": "SAID",
        "gen_ai.tool.call.arguments": "SAID",
        "input.value": "SAID",
        "gen_ai.usage.input_tokens": 7,
    }

    def record(self, tracing: Tracing, user: TracerProvider) -> str:
        """Run an agent that says and raises things, traced by us and by the user's own tracer."""
        with contextlib.suppress(ValueError), tracing.rollout("agent") as recording:
            for tracer in (tracing.tracer, user.get_tracer("user")):
                with (
                    contextlib.suppress(KeyError),
                    tracer.start_as_current_span("call", attributes=self.SAID),
                ):
                    raise KeyError("SAID")
            raise ValueError("SAID")
        assert [span.name for span in recording.spans] == ["agent", "call", "call"]
        assert [span.status for span in recording.spans] == ["error"] * 3
        kinds = [span.events[0].attributes["exception.type"] for span in recording.spans]
        assert kinds == ["ValueError", "KeyError", "KeyError"]
        assert recording.spans[1].attributes["gen_ai.usage.input_tokens"] == 7
        return json.dumps([span.to_json() for span in recording.spans])

    def test_nothing_that_was_said_is_in_the_spans(self) -> None:
        user = TracerProvider()
        for first in (True, False):
            one, two = Tracing(user, first), Tracing(user, not first)
            told = {first: self.record(one, user), not first: self.record(two, user)}
            told[first] += self.record(one, user)
            one.shutdown()
            two.shutdown()
            assert "SAID" not in told[False]
            assert told[True].count("SAID") >= 8

    @pytest.mark.parametrize("allowed", [True, False])
    def test_what_ended_a_rollout_is_exported_without_its_message(self, allowed: bool) -> None:
        exporter, user = InMemorySpanExporter(), TracerProvider()
        user.add_span_processor(SimpleSpanProcessor(exporter))
        tracing = Tracing(user, allowed)
        with contextlib.suppress(ValueError), tracing.rollout("agent"):
            raise ValueError("SAID")
        tracing.shutdown()
        (root,) = exporter.get_finished_spans()
        assert ("SAID" in root.to_json()) is allowed
        assert "ValueError" in root.to_json()
