"""Each fault as the real client meets it, and which calls are hit."""

import json
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import openai
import pytest

from agl_adapters.testing import Fault, FaultKind, SimulatedModel
from agl_adapters.testing.faults import Faults, faults_from_json, faults_to_json
from agl_core.errors import ConfigurationError

pytest_plugins = ["agl_adapters.testing.fixtures"]


def ask(text: str = "Hello", *, max_retries: int = 0, timeout: float = 5) -> str | None:
    with openai.OpenAI(max_retries=max_retries, timeout=timeout) as client:
        completion = client.chat.completions.create(
            model="gpt-4o",
            messages=[{"role": "system", "content": "Porter"}, {"role": "user", "content": text}],
        )
    return completion.choices[0].message.content if completion.choices else None


def stream() -> str:
    with (
        openai.OpenAI(max_retries=0) as client,
        client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "system", "content": "Porter"}], stream=True
        ) as chunks,
    ):
        return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("429", openai.RateLimitError),
        ("429-retry-after", openai.RateLimitError),
        ("429-quota", openai.RateLimitError),
        ("500", openai.InternalServerError),
        ("503", openai.InternalServerError),
        ("401", openai.AuthenticationError),
        ("reset", openai.APIConnectionError),
        ("reset-midway", openai.APIConnectionError),
        ("truncated", (openai.APIConnectionError, httpx.RemoteProtocolError)),
        ("invalid-json", (json.JSONDecodeError, openai.APIResponseValidationError)),
    ],
)
def test_fault(
    simulated_model: SimulatedModel, kind: str, error: type[Exception] | tuple[type[Exception], ...]
) -> None:
    simulated_model.configure(faults=[Fault(kind, calls=1, seconds=7)])
    with pytest.raises(error) as caught:
        ask()
    if isinstance(caught.value, openai.APIStatusError):
        headers = caught.value.response.headers
        assert headers["x-simulated"] == "1"
        assert headers.get("retry-after") == ("7" if kind == "429-retry-after" else None)
    assert ask() == "ECHO[Porter]"  # the server is well


def test_empty(simulated_model: SimulatedModel) -> None:
    simulated_model.configure(faults=[Fault("empty")])
    assert ask() is None
    with openai.OpenAI(max_retries=0) as client:
        assert client.responses.create(model="gpt-4o", input="Hello").output == []


def test_a_quota_says_what_it_is(simulated_model: SimulatedModel) -> None:
    simulated_model.configure(faults=[Fault("429-quota")])
    with pytest.raises(openai.RateLimitError) as caught:
        ask()
    assert caught.value.code == "insufficient_quota"


def test_busy_answers_so_many_at_once(simulated_model: SimulatedModel) -> None:
    simulated_model.configure(faults=[Fault("429-busy", calls=3)], latency=0.5)
    with openai.OpenAI(max_retries=0) as client, ThreadPoolExecutor(8) as threads:

        def outcome(number: int) -> str | None:
            try:
                return client.responses.create(model="gpt-4o", input=f"Hello {number}").status
            except openai.RateLimitError as error:
                return error.code

        outcomes = Counter(threads.map(outcome, range(8)))
        assert outcomes == {"completed": 3, "rate_limit_exceeded": 5}
        assert outcome(8) == "completed"


def test_slow(simulated_model: SimulatedModel) -> None:
    simulated_model.configure(faults=[Fault("slow", seconds=0.2)])
    start = time.monotonic()
    assert ask() == "ECHO[Porter]"
    assert stream() == "ECHO[Porter]"
    assert time.monotonic() - start >= 0.4


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("truncated", (httpx.RemoteProtocolError, openai.APIError, json.JSONDecodeError)),
        ("invalid-json", json.JSONDecodeError),
        ("reset", openai.APIConnectionError),
        ("reset-midway", (httpx.ReadError, openai.APIError)),
    ],
)
def test_fault_in_a_stream(
    simulated_model: SimulatedModel, kind: str, error: type[Exception] | tuple[type[Exception], ...]
) -> None:
    simulated_model.configure(faults=[Fault(kind, calls=1)])
    with pytest.raises(error):
        stream()
    assert stream() == "ECHO[Porter]"


def test_empty_stream(simulated_model: SimulatedModel) -> None:
    simulated_model.configure(faults=[Fault("empty")])
    assert stream() == ""


def test_only_marked_calls_are_hit(simulated_model: SimulatedModel) -> None:
    simulated_model.configure(faults=[Fault("500", marker="POISON")])
    assert ask() == "ECHO[Porter]"
    with pytest.raises(openai.InternalServerError):
        ask("A POISON in the text")


def test_a_retry_gets_the_reply_of_a_world_without_faults(simulated_model: SimulatedModel) -> None:
    def ids() -> list[str]:
        with openai.OpenAI(max_retries=8) as client:
            return [
                client.responses.create(model="gpt-4o", input=f"Hello {number % 3}").id
                for number in range(9)
            ]

    calm = ids()
    simulated_model.reset()
    simulated_model.configure(faults=[Fault("429-retry-after", rate=0.3, seconds=0.01)])
    assert ids() == calm
    assert len(simulated_model.log()) > 9


def test_how_often_each_kind_hit_is_counted(simulated_model: SimulatedModel) -> None:
    simulated_model.configure(faults=[Fault("500", calls=2), Fault("slow", calls=1, seconds=0.01)])
    with openai.OpenAI(max_retries=3) as client:
        client.responses.create(model="gpt-4o", input="Hello")
    assert simulated_model.hits() == {"500": 2, "slow": 1}
    simulated_model.reset()
    assert simulated_model.hits() == {}


def hits(faults: Faults) -> list[str | None]:
    found = (faults.hit(bytes([number]), 0, []) for number in range(200))
    return [fault.kind if fault else None for fault in found]


def test_rates_are_kept_and_drawn_from_the_seed() -> None:
    wanted = [Fault("429", rate=0.2), Fault("500", rate=0.5)]
    drawn = hits(Faults(wanted, seed=0))
    assert 25 <= drawn.count("429") <= 55
    assert 60 <= drawn.count("500") <= 100  # half of what is left
    assert drawn == hits(Faults(wanted, seed=0))
    assert drawn != hits(Faults(wanted, seed=1))


def test_limited_faults_end_and_later_ones_take_over() -> None:
    drawn = hits(Faults([Fault("429", calls=2), Fault("500", calls=1)], seed=0))
    assert drawn[:4] == ["429", "429", "500", None]
    assert set(drawn[4:]) == {None}


def test_attempts_of_one_call_are_drawn_apart() -> None:
    faults = Faults([Fault("500", rate=0.5)], seed=0)
    assert {faults.hit(b"same", attempt, []) is None for attempt in range(20)} == {True, False}


def test_faults_survive_json() -> None:
    faults = (Fault("slow", rate=0.5, calls=2, marker="x", seconds=3.0), Fault(FaultKind.EMPTY))
    assert faults_from_json(faults_to_json(faults)) == faults


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Fault("418"), "no fault '418'"),
        (lambda: Fault("500", rate=1.5), "from 0.0 to 1.0"),
        (lambda: faults_from_json('[{"rate": 1}]'), "JSON array"),
        (lambda: faults_from_json("{"), "JSON array"),
    ],
)
def test_wrong_faults_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()
