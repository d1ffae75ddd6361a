"""Fuzzing of what reads text that others wrote: templates, prompt files, JSON Lines, spans.

Each target is given many inputs, made at random and from pieces that mean something to it. Anything
but a result or an error of ours is a crash, and is printed with the smallest input that shows it.

    .venv/bin/python benchmarks/fuzz.py --examples 20000
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import agl_adapters as agl
from agl_adapters.production.prompt_files import load_prompts
from agl_core.datasets import load_dataset
from agl_core.errors import AglError
from agl_core.prompts.binding import SlotUse
from agl_core.prompts.matching import lift
from agl_core.prompts.rewrites import check_rewrite
from agl_core.prompts.templates import PromptTemplate
from agl_core.resuming import earlier_spent, kept_result
from agl_core.rollouts import Rollout
from agl_core.spans import genai
from agl_core.spans.messages import parse_messages, to_parts
from agl_core.spans.model_calls import model_calls
from agl_core.spans.span import Span
from agl_core.storage.runs import begin_or_resume
from agl_core.tracing.traces import TraceToMessages, TraceToTriplets

TEXT = st.text(st.characters(), max_size=60)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
PIECES = st.lists(
    st.sampled_from(
        [
            "{",
            "}",
            "{{",
            "}}",
            "{a}",
            "{b}",
            "{a.b}",
            "{a[0]}",
            "{a!r:>9}",
            "{ a }",
            "{% if a %}",
            "{% endif %}",
            "{% for x in a %}",
            "{% endfor %}",
            "{{ a }}",
            "{{ a|upper }}",
            "{# ",
            " #}",
            "{% raw %}",
            "{% endraw %}",
            "{{ a ~ a }}",
            "{{ a * 9 }}",
            "{% set b = a %}",
            "```",
            "\n",
        ]
    )
    | TEXT,
    max_size=12,
).map("".join)
DEEP = st.sampled_from(["[", '{"a":', '[{"role":']).flatmap(
    lambda piece: st.integers(1, 5_000).map(lambda times: piece * times)
)
KEYS = st.sampled_from(
    [
        "role",
        "content",
        "parts",
        "type",
        "message",
        "tool_calls",
        "function",
        "name",
        "arguments",
        "id",
        "output",
        "response",
        "text",
        "input",
        "call_id",
        "tool_call_id",
        "message_content",
    ]
)
WORDS = st.sampled_from(
    [
        "user",
        "system",
        "tool",
        "assistant",
        "text",
        "tool_call",
        "tool_call_response",
        "reasoning",
        "function_call",
        "function_call_output",
        "image_url",
        "output_text",
        "message",
    ]
)
MESSAGE = st.recursive(
    JSON | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=15,
)
WRITTEN = MESSAGE.map(lambda value: json.dumps(value)) | DEEP | TEXT
NAMES = st.sampled_from(
    [
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
        "gen_ai.operation.name",
        "gen_ai.prompt.0.content",
        "gen_ai.prompt.0.tool_calls.0.name",
        "gen_ai.prompt.0",
        "gen_ai.completion.1.role",
        "gen_ai.usage.input_tokens",
        "agl.slot",
        "llm.input_messages.0.message.content",
        "llm.input_messages.x.y",
        "gen_ai.response.id",
        "gen_ai.prompt.٣.content",
        "gen_ai.prompt.².content",
        "gen_ai.tool.call.id",
    ]
)
ATTRIBUTES = st.dictionaries(
    NAMES, WRITTEN | MESSAGE | st.sampled_from(["chat", "execute_tool"]), max_size=6
)
SPANS = st.lists(
    st.builds(
        Span,
        name=TEXT,
        kind=st.just("internal"),
        trace_id=st.just("1" * 32),
        span_id=st.sampled_from(["a", "b", "c"]),
        parent_id=st.sampled_from(["a", "b", "c", None]),
        start_ns=st.integers(0, 9),
        end_ns=st.integers(0, 9),
        attributes=ATTRIBUTES,
        status=st.sampled_from(["unset", "error"]),
    ),
    max_size=5,
)
ROLLOUT = Rollout(
    id="c/val/t/0",
    task=None,
    task_key="t",
    task_name="val[0]",
    split="val",
    status="succeeded",
    score=0.5,
    reward=agl.Reward(0.5, "so so"),
    spans=(Span("s", "internal", "1" * 32, "2" * 16, None, 1, 2, {"agl.slot": "s"}),),
    slots={"a#system": SlotUse("one", "two")},
).to_json()
FIELDS = "best seed best_score seed_score test comparison verdict stop_reason usage kept"
RESULT: dict[str, Any] = dict.fromkeys(FIELDS.split())
KEPT = st.fixed_dictionaries(
    {"budget": MESSAGE, "accept": st.just("best"), "history": MESSAGE, "replaces": MESSAGE}
)


def records(valid: dict[str, Any], value: Any) -> Any:
    """Return what may stand in a row: a record of which some fields are something else, or text."""
    changed = st.dictionaries(st.sampled_from(list(valid)), value, max_size=4)
    text = WRITTEN.map(lambda text: text.encode("utf-8", "replace").decode())
    return changed.map(lambda some: json.dumps({**valid, **some})) | text


FILES = (
    st.binary(max_size=80)
    | WRITTEN.map(lambda text: text.encode("utf-8", "surrogatepass"))
    | st.dictionaries(
        st.sampled_from(["schema", "version", "prompts", "format", "run", "slots"]),
        MESSAGE | st.sampled_from(["agl-adapters/prompts", 1, 2]) | st.dictionaries(TEXT, JSON),
        max_size=5,
    ).map(lambda data: json.dumps(data).encode())
)


def template(text: str, values: dict[str, Any]) -> None:
    """Parse and fill templates of each engine; match what was filled."""
    for engine in ("f-string", "literal", "jinja"):
        with contextlib.suppress(AglError):
            prompt = PromptTemplate(text, engine)
            filled = _filled(prompt, values)
            if engine == "f-string" and filled is not None:
                found = lift(prompt, filled)
                assert found is None or prompt.render(found) == filled
            assert PromptTemplate.from_json(prompt.to_json()) == prompt


def _filled(prompt: PromptTemplate, values: dict[str, Any]) -> str | None:
    from jinja2 import TemplateError

    try:
        return prompt.format(**values)
    except (AglError, TemplateError, TypeError, ValueError, AttributeError, ArithmeticError):
        if prompt.engine == "jinja":
            return None  # the template's own code, on values that it is not made for
        if prompt.variables - values.keys():
            return None
        raise


def rewrite(parent: str, answer: str) -> None:
    """Check what a model answered as a rewrite."""
    for engine in ("f-string", "literal", "jinja"):
        with contextlib.suppress(AglError):
            check_rewrite(PromptTemplate(parent, engine), answer)


def prompts_file(content: bytes) -> None:
    """Read a prompt file."""
    path = Path(_FOLDER.name, "prompts.json")
    path.write_bytes(content)
    with contextlib.suppress(AglError):
        load_prompts(path)


def json_lines(content: bytes) -> None:
    """Read a dataset."""
    path = Path(_FOLDER.name, "tasks.jsonl")
    path.write_bytes(content)
    with contextlib.suppress(AglError):
        assert len(load_dataset(path, "val")) > 0


def messages(value: Any) -> None:
    """Read messages in whatever form."""
    for message in parse_messages(value, "user"):
        assert isinstance(message["content"], str)
        to_parts(message)


def spans(found: list[Span]) -> None:
    """Read spans as a conversation and as triplets."""
    text = TraceToMessages.to_text(TraceToMessages()(found))
    assert isinstance(text, str)
    TraceToTriplets()(found, 1.0)
    for call in model_calls(found):
        genai.usage(call)
    for span in found:
        assert Span.from_json(json.loads(json.dumps(span.to_json()))).name == span.name


class Rows(agl.MemoryStore):
    """A store that somebody else wrote to."""

    def put(self, rollout: str, call: str, result: str) -> None:
        """Write records of the run ``r`` as they are."""
        values = ("r", "c", "val", "t", "0", 1.0, "succeeded", 0.5, rollout)
        self._db.execute("INSERT INTO rollouts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
        self._db.execute("INSERT INTO calls VALUES (?, ?, ?, ?)", ("r", "k", 1.0, call))
        self._db.execute("UPDATE runs SET result=?, plan=?", (result, call))


def store_rows(rollout: str, call: str, result: str) -> None:
    """Go on with a run whose store somebody else wrote to."""
    store = Rows()
    with contextlib.suppress(AglError):
        store.begin_run("r", {"seed": 0})
        store.put(rollout, call, result)
        begin_or_resume(store, "r", {"seed": 0}, resume=True)
        kept_result(store.run("r"), agl.Budget(), "best", "")
        earlier_spent(store, "r")
        for _, record in store.rollouts("r"):
            Rollout.from_json(record, None)
    store.close()


_FOLDER = tempfile.TemporaryDirectory()

VALUES = st.dictionaries(st.sampled_from(["a", "b"]), TEXT | st.lists(st.integers(), max_size=3))
TARGETS: dict[str, tuple[Callable[..., None], tuple[Any, ...]]] = {
    "templates": (template, (PIECES, VALUES)),
    "rewrites": (rewrite, (PIECES, PIECES)),
    "prompt files": (prompts_file, (FILES,)),
    "JSON Lines": (json_lines, (FILES,)),
    "messages": (messages, (MESSAGE | WRITTEN,)),
    "spans": (spans, (SPANS,)),
    "store rows": (
        store_rows,
        (
            records(ROLLOUT, MESSAGE),
            records({"text": "", "usage": [1, 2, 3, 0.0], "started": 1.0}, MESSAGE),
            records(RESULT, KEPT | MESSAGE | st.just("completed")),
        ),
    ),
}


def fuzz(name: str, examples: int) -> tuple[int, BaseException | None]:
    """Return how many inputs a target was given, and what it crashed with, if it did."""
    target, strategies = TARGETS[name]
    count = 0

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large),
    )
    @given(st.tuples(*strategies))
    def run(arguments: tuple[Any, ...]) -> None:
        nonlocal count
        count += 1
        target(*arguments)

    try:
        run()
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        return count, error
    return count, None


def main() -> None:
    """Print a row for each target; exit with 1 if one crashed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=2_000)
    parser.add_argument("--target", choices=TARGETS, action="append")
    arguments = parser.parse_args()
    crashes: dict[str, BaseException] = {}
    print(f"{'target':14} {'examples':>9} {'seconds':>8}  crash")
    for name in arguments.target or TARGETS:
        start = time.perf_counter()
        count, error = fuzz(name, arguments.examples)
        crash = "none" if error is None else type(error).__name__
        print(f"{name:14} {count:9,} {time.perf_counter() - start:8.1f}  {crash}")
        if error is not None:
            crashes[name] = error
    for name, error in crashes.items():
        print(f"\n{name}: {error!r:.500}\n" + "\n".join(getattr(error, "__notes__", ())))
    sys.exit(bool(crashes))


if __name__ == "__main__":
    main()
