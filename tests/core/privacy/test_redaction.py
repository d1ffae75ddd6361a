"""What must not be written is written nowhere, and a run is none the worse for it."""

from __future__ import annotations

import json
import logging
import re
import sqlite3
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import openai
import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import agl_adapters as agl
from agl_adapters.testing import SimulatedModel, simulated_model
from agl_core.datasets import load_dataset
from agl_core.privacy.redaction import Redaction
from agl_core.spans.span import Span

KEY = "sk-proj-Abc123_def456-Ghi789"
OWN_KEY = "zq81-internal-token-77aa"
CLIENTS_KEY = "kk93-service-token-11bb"
NAME = "Ada Lovelace"
ACCOUNT = 4711471147
PATTERNS = [r"Ada \w+", re.compile("lovelace@", re.IGNORECASE), r"471\d+"]


class TestTexts:
    @pytest.mark.parametrize(
        ("given", "written"),
        [
            (f"Dear {NAME}, account {ACCOUNT}", "Dear [redacted], account [redacted]"),
            ([{"id": ACCOUNT, "n": 7}], [{"id": "[redacted]", "n": 7}]),
            ({NAME: {"role": "user"}}, {"[redacted]": {"role": "user"}}),
            # In JSON, also where the text is spelled otherwise there.
            (json.dumps({"a": f"{NAME}é"}), '{"a": "[redacted]"}'),
            (f'[{{"content": "{{\\"who\\": \\"{NAME}\\"}}"}}]', None),
            ({"api_key": "abcdef123", "x": "abcdef123"}, {"api_key": "[secret]", "x": "abcdef123"}),
            ({"Authorization": f"Bearer {OWN_KEY}"}, {"Authorization": "Bearer [secret]"}),
            ("nothing of the kind", "nothing of the kind"),
        ],
    )
    def test_are_redacted_wherever_they_stand(self, given: Any, written: Any) -> None:
        redaction = Redaction(PATTERNS)
        redacted = redaction.data(given)
        assert NAME not in str(redacted)
        if written is not None:
            assert redacted == written
        assert redaction.data(redacted) == redacted

    def test_by_a_function(self) -> None:
        redaction = Redaction(lambda text: text.replace(NAME, "A.L."))
        assert redaction.data({"a": [f"by {NAME}"]}) == {"a": ["by A.L."]}
        assert Redaction(lambda text: "").text("all of it") == "[redacted]"

    def test_what_json_in_a_longer_text_escapes(self) -> None:
        redaction = Redaction(["Möllemann", "🎂"])
        inner = json.dumps({"n": "Möllemann", "cake": "🎂"})
        for text in (f"Context: {inner}", f"Context: {json.dumps(inner)}"):
            written = redaction.text(text)
            assert "llemann" not in written
            assert "ud83c" not in written
            assert written.count("[redacted]") == 2
            assert redaction.text(written) == written
        for kept in (
            r"C:\users \u00fc",
            r"half of one: \ud83c",
            f"Context: {json.dumps('Müller')}",
        ):
            assert redaction.text(kept) == kept
        by_function = Redaction(lambda text: text.replace("Möllemann", "M."))
        assert by_function.text(f"Context: {inner}").startswith('Context: {"n": "M."')

    def test_tells_functions_apart(self) -> None:
        one = Redaction(lambda text: text).fingerprint
        assert Redaction(lambda text: text.replace(NAME, "A.L.")).fingerprint != one

    def test_of_spans_what_they_are_stays(self) -> None:
        attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.usage.input_tokens": 12,
            "gen_ai.response.id": "chatcmpl-1",
            "agl.task.key": "a1b2c3",
            "gen_ai.output.messages": '[{"role":"assistant","content":"x"}]',
            "user": 12,
        }
        event = agl_event("exception", {"exception.type": "ValueError", "exception.message": "m"})
        span = Span("chat", "client", "t", "s", None, 0, 1, attributes, (event,), "error", "m")
        written = Redaction(lambda text: "[x]").span(span)
        kept = {**attributes, "user": "[x]"}
        kept["gen_ai.output.messages"] = '[{"role": "assistant", "content": "[x]"}]'
        assert written.attributes == kept
        assert written.status_message == "[x]"
        assert written.events[0].attributes == {
            "exception.type": "ValueError",
            "exception.message": "[x]",
        }


def agl_event(name: str, attributes: dict[str, Any]) -> Any:
    from agl_core.spans.span import SpanEvent

    return SpanEvent(name, 0, attributes)


class TestWhatIsGiven:
    @pytest.mark.parametrize(
        ("redact", "says"),
        [
            ("(", "no regular expression"),
            ("a*", "where nothing is"),
            (7, "redact is int"),
            ([b"x"], "redact has bytes"),
            (lambda text: None, "returned NoneType"),
            (lambda text: f"{text}!", "changes again"),
            (lambda text: 1 / 0, "raised ZeroDivisionError"),
        ],
    )
    def test_is_refused_at_once_if_it_cannot_work(self, redact: Any, says: str) -> None:
        with pytest.raises(agl.RedactionError, match=says):
            agl.Trainer(redact=redact)

    @pytest.mark.parametrize("prompt", [f"You are {NAME}.", f"Call with {KEY}."])
    def test_hits_no_prompt_to_start_from(self, prompt: str) -> None:
        with pytest.raises(agl.RedactionError, match="the prompt p holds") as refused:
            agl.Trainer(initial_resources={"p": prompt}, redact=PATTERNS)
        assert prompt not in str(refused.value)

    def test_may_fail_on_one_text_and_that_is_not_written(self, tmp_path: Path) -> None:
        def fails(text: str) -> str:
            if NAME in text:
                raise ValueError(f"cannot do {text}")
            return text

        agent = agl.rollout(lambda task, prompt: agl.Reward(float(bool(prompt.format())), NAME))
        trainer = agl.Trainer(
            agl.Baseline(), initial_resources={"prompt": "Hi."}, store=tmp_path / "r", redact=fails
        )
        with pytest.raises(agl.RedactionError, match="raised ValueError") as failed:
            trainer.fit(agent, [1, 2])
        assert NAME not in "".join(traceback.format_exception(failed.value))
        assert not list(trainer.store.rollouts(trainer.store.runs()[0].name))
        trainer.store.close()

    def test_has_to_be_the_same_when_a_run_is_resumed(self) -> None:
        store = agl.MemoryStore()

        def fit(redact: Any, capture_content: bool = True) -> agl.TrainResult:
            trainer = agl.Trainer(
                agl.Baseline(),
                initial_resources={"prompt": "Hi."},
                store=store,
                run="r",
                redact=redact,
                capture_content=capture_content,
            )
            agent = agl.rollout(lambda task, prompt: float(bool(prompt.format())))
            return trainer.fit(agent, [1], resume=True)

        assert fit("abc").seed_score == 1.0
        assert fit(["abc"]).usage.rollouts == 1
        with pytest.raises(agl.ConfigurationError, match="another redact:"):
            fit("abcd")
        with pytest.raises(agl.ConfigurationError, match="another capture_content"):
            fit("abc", capture_content=False)


def test_errors_keep_nothing_whatever_they_make_their_text_of() -> None:
    class Odd(Exception):
        def __str__(self) -> str:
            return f"odd {NAME}"

    def raised() -> None:
        try:
            try:
                raise Odd from KeyError(NAME)
            except Odd as odd:
                odd.add_note(f"for {NAME}")
                raise ExceptionGroup("all", [ValueError(f"in {NAME}")]) from odd
        except ExceptionGroup as group:
            raise agl.ModelError(f"{NAME} failed") from group

    with pytest.raises(agl.ModelError) as caught, Redaction(PATTERNS).errors():
        raised()
    text = "".join(traceback.format_exception(caught.value))
    assert NAME not in text
    assert "Odd: odd [redacted]\nfor [redacted]" in text
    assert "ValueError: in [redacted]" in text


class Keeper(SpanProcessor):
    """Keeps hold of the spans that it is given when they start."""

    def __init__(self) -> None:
        self.spans: list[Any] = []

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self.spans.append(span)


@pytest.fixture(scope="module")
def model() -> Iterator[SimulatedModel]:
    with simulated_model("echo", set_environment=False) as model:
        yield model


TASKS: list[dict[str, Any]] = [
    {"id": f"Ada {surname}", "account": ACCOUNT + n, "question": f"Who is Ada {surname}? {KEY}"}
    for n, surname in enumerate(
        ["Lovelace", "Byron", "King", "Yonath", "Limón", "Falk", "Ng", "Po"]
    )
]


def program_of(model: SimulatedModel, key: str) -> Callable[[Any], str]:
    """Return a program that lets slip what it knows; its prompt changes from task to task."""

    def program(task: Any) -> str:
        with openai.OpenAI(
            api_key=key, base_url=model.base_url, default_headers={"x-auth": f"Bearer {OWN_KEY}"}
        ) as client:
            answer = client.chat.completions.create(
                model="gpt-4o",
                messages=[
                    {
                        "role": "system",
                        "content": f"You help {task['id']} with their account. Be brief.",
                    },
                    {"role": "user", "content": task["question"]},
                    {"role": "assistant", "content": f"looking for {task['account']}"},
                    {"role": "user", "content": f"the tool said: {task['id']}, {OWN_KEY}"},
                ],
            )
        logging.getLogger("agl_adapters").info("asked")
        if task["account"] % 3 == 0:
            raise ValueError(f"{task['id']} has no account {task['account']}: {OWN_KEY}")
        return f"{answer.choices[0].message.content} {task['id']} {OWN_KEY}"

    return program


SLOT = "openai:tests.core.test_redaction.program_of.program#system"


def trainer_of(model: SimulatedModel, store: Any, **options: Any) -> tuple[Any, Any]:
    """Return a trainer whose algorithm repeats what it sees, and an agent."""
    seen: list[Any] = []

    @agl.algorithm(models=["gpt-4o"])
    async def search(session: agl.Session) -> None:
        first = await session.evaluate(session.initial, session.train)
        seen.extend(first)
        said = await session.ask(
            "gpt-4o", f"{first[0].task} {first[0].output} {NAME} {CLIENTS_KEY}"
        )
        seen.append(said)
        ((name, prompt),) = session.initial.items()
        better = {name: prompt.with_text(f"{prompt.raw} Be kind. {said[:0]}")}
        with pytest.raises(agl.ConfigurationError, match="holds what must not be written"):
            await session.evaluate({name: f"{prompt.raw} {NAME}"}, session.val)
        await session.evaluate(session.initial, session.val)
        await session.evaluate(better, [*session.val][:1])
        await session.evaluate(better, [session.val[1].data, *session.val[2:]])
        session.say(f"{NAME} and {KEY}")
        session.report(agl.Candidate(better, edit=said, metadata={"said": said}))

    client = openai.AsyncOpenAI(api_key=CLIENTS_KEY, base_url=model.base_url)
    trainer = agl.Trainer(search, store=store, run="r", client=client, n_runners=2, **options)
    agent = agl.wrap(
        program_of(model, KEY),
        input=lambda task: task,
        reward=lambda task, output: agl.Reward(
            0.25 + 0.5 * (task["id"] in output), f"{task['id']} was told {output}"
        ),
    )
    return trainer, SimpleNamespace(agent=agent, seen=seen)


def bytes_in(folder: Path) -> str:
    return "\n".join(path.read_bytes().decode("latin-1") for path in sorted(folder.iterdir()))


class Killed(agl.Callback):
    """Ends the run as a crash would, after so many paid rollouts."""

    def __init__(self, after: int) -> None:
        self.left = after
        self.ran = 0

    def on_rollout(self, rollout: Any, cached: bool) -> None:
        self.ran += not cached
        self.left -= not cached
        if self.left == 0:
            raise KeyError("killed")


class TestRun:
    """A whole run over real HTTP: found prompts, spans, an optimizer, a store, a report."""

    @pytest.mark.parametrize("capture_content", [True, False])
    def test_writes_nothing_of_it_anywhere(
        self,
        model: SimulatedModel,
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
        capture_content: bool,
    ) -> None:
        monkeypatch.setenv("MY_SERVICE_TOKEN", OWN_KEY)
        for name in ("agl_core", "agl_adapters", "agl_integrations"):
            caplog.set_level(logging.DEBUG, name)
        exported, keeper = InMemorySpanExporter(), Keeper()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(exported))
        provider.add_span_processor(keeper)
        trainer, run = trainer_of(
            model,
            tmp_path / "runs.db",
            redact=PATTERNS,
            tracer_provider=provider,
            capture_content=capture_content,
        )
        result = trainer.fit(run.agent, TASKS[:4], TASKS)
        (slot,) = result.seed
        assert result.seed[slot].variables
        assert "with their account. Be brief." in result.seed[slot].raw
        failed = sum(task["account"] % 3 == 0 for task in TASKS)
        # Rewards are of what was really said.
        assert result.seed_score == pytest.approx(0.75 * (8 - failed) / 8)
        assert any(TASKS[1]["id"] in str(request.users) for request in model.log())
        agl.write_report(trainer.store, "r", tmp_path / "report.html")
        if capture_content:
            agl.export(trainer.store, "r", tmp_path / "e.jsonl", format="chat-sft", min_reward=0)
        result.save(tmp_path / "prompts.json")
        private = {path.name for path in tmp_path.iterdir() if not path.stat().st_mode & 0o077}
        assert private >= {"runs.db", "report.html"} | ({"e.jsonl"} if capture_content else set())
        trainer.store.close()
        spans = exported.get_finished_spans()
        assert len(spans) > 20
        said = "\n".join(
            [
                bytes_in(tmp_path),
                dump(tmp_path / "runs.db"),
                caplog.text,
                encode_spans(spans).SerializeToString().decode("latin-1"),
                *(span.to_json() for span in (*spans, *keeper.spans)),
                repr(run.seen),
                result.report(),
            ]
        )
        for secret in (KEY, OWN_KEY, CLIENTS_KEY, str(ACCOUNT), *(task["id"] for task in TASKS)):
            assert secret not in said
        assert ("has no account [redacted]: [secret]" in said) == capture_content
        assert ("looking for" in said) == capture_content
        assert ("was told" in said) == capture_content
        assert "with their account" in said

    @pytest.mark.parametrize(("after", "capture_content"), [(2, True), (11, True), (11, False)])
    def test_goes_on_as_one_that_was_not_interrupted(
        self, model: SimulatedModel, tmp_path: Path, after: int, capture_content: bool
    ) -> None:
        options: Any = {"redact": PATTERNS, "capture_content": capture_content}
        whole, of_whole = trainer_of(model, None, **options)
        expected = whole.fit(of_whole.agent, TASKS[:4], TASKS)
        first, of_first = trainer_of(
            model, tmp_path / "r.db", callbacks=[killed := Killed(after)], **options
        )
        with pytest.raises(KeyError):
            first.fit(of_first.agent, TASKS[:4], TASKS)
        first.store.close()
        second, of_second = trainer_of(
            model, tmp_path / "r.db", callbacks=[counted := Killed(-1)], **options
        )
        result = second.fit(of_second.agent, TASKS[:4], TASKS, resume=True)
        assert result.best == expected.best
        assert (result.seed_score, result.best_score) == (expected.seed_score, expected.best_score)
        assert [record.score for record in result.history] == [
            record.score for record in expected.history
        ]
        assert texts(of_second.seen) == texts(of_whole.seen)
        # Once the prompts are known nothing is run twice.
        if after > 8:
            assert killed.ran + counted.ran <= expected.usage.rollouts + 1
        second.store.close()

    def test_shows_nothing_of_it_where_nothing_is_optimized(self, model: SimulatedModel) -> None:
        agent = agl.wrap(program_of(model, KEY), input=lambda task: task, reward=lambda *_: 1.0)
        found = agl.discover(agent, TASKS, redact=PATTERNS)
        rollouts = agl.Trainer(agl.Baseline(), redact=PATTERNS).dev(agent, TASKS)
        shown = f"{found} {json.dumps(found.to_json())} {found.survey!r} {list(rollouts)!r}"
        assert "with their account" in shown
        for secret in (KEY, str(ACCOUNT), *(task["id"] for task in TASKS)):
            assert secret not in shown

    def test_leaves_a_prompt_alone_that_could_not_be_written_back(
        self, model: SimulatedModel
    ) -> None:
        def program(task: Any) -> str:
            with openai.OpenAI(api_key="x", base_url=model.base_url) as client:
                system = {"role": "system", "content": f"You work for {NAME}."}
                client.chat.completions.create(model="gpt-4o", messages=[system])  # pyright: ignore[reportArgumentType]
            return "done"

        agent = agl.wrap(program, input=lambda task: task, reward=lambda *_: 1.0)
        trainer = agl.Trainer(agl.Baseline(), redact=PATTERNS)
        with pytest.raises(agl.ConfigurationError, match="holds what must not be written") as told:
            trainer.fit(agent, [1, 2, 3])
        assert NAME not in str(told.value)


def texts(seen: list[Any]) -> list[str]:
    return [
        repr((r.task, r.output, r.error, r.feedback, r.score)) if isinstance(r, agl.Rollout) else r
        for r in seen
    ]


def dump(path: Path) -> str:
    """Return all rows; and the file after it was written anew."""
    with sqlite3.connect(path) as db:
        rows = "\n".join(db.iterdump())
        db.execute("VACUUM")
    db.close()
    return rows + path.read_bytes().decode("latin-1")


async def test_nothing_is_cut_in_two_before_it_is_redacted() -> None:
    @agl.rollout
    async def agent(task: Any, prompt: agl.PromptTemplate) -> agl.Reward:
        return agl.Reward(float(bool(prompt.format())), f"{'a' * task} {NAME} {'b' * 20_000}")

    trainer = agl.Trainer(
        agl.Baseline(), initial_resources={"prompt": "Hi."}, redact="Ada Lovelace"
    )
    result = await trainer.afit(agent, [20_000 - left for left in range(16)])
    for _, record in trainer.store.rollouts(result.run):
        assert "Ada" not in str(record)
        assert "characters in all" in str(record)


async def test_algorithms_are_handed_tasks_as_they_are_kept() -> None:
    seen: list[Any] = []

    @agl.algorithm
    async def look(session: agl.Session) -> None:
        seen.extend(task.data for task in (*session.train, *session.val))
        evaluation = await session.evaluate(session.initial, session.val)
        seen.extend(rollout.task for rollout in evaluation)

    given: list[Any] = []

    @agl.rollout
    async def agent(task: Any, prompt: agl.PromptTemplate) -> float:
        given.append(task)
        return float(bool(prompt.format()))

    trainer = agl.Trainer(look, initial_resources={"prompt": "Hi."}, redact=PATTERNS)
    await trainer.afit(agent, [{"who": NAME}])
    assert given == [{"who": NAME}]
    assert seen == [{"who": "[redacted]"}] * 3
    assert load_dataset([{"who": NAME}], "val")[0].key in repr(
        trainer.store.tasks(trainer.store.runs()[0].name)
    )
