from __future__ import annotations

import email.utils
import socket
import time
from typing import Any

import httpx2
import openai
import pytest

from agl_core.faults.troubles import retry_after, trouble, trouble_in
from agl_core.spans.span import Span

URL = "http://models.example:8080/v1/chat/completions"


def status_error(
    status: int, headers: dict[str, str] | None = None, body: Any = None
) -> openai.APIStatusError:
    """Return what the openai client raises for a status."""
    response = httpx2.Response(status, request=httpx2.Request("POST", URL), headers=headers)
    return openai.APIStatusError("no\x1b[2J", response=response, body=body)


def wrapped(cause: BaseException) -> BaseException:
    """Return an error of a framework that was caused by another one."""
    try:
        raise ValueError("the node failed") from cause
    except ValueError as error:
        return error


class TestTrouble:
    def test_is_none_where_the_agent_failed(self) -> None:
        assert trouble(ValueError("no")) is None
        assert trouble(status_error(400)) is None

    def test_names_the_service_and_says_it_in_a_line_that_is_safe_to_print(self) -> None:
        found = trouble(wrapped(status_error(500)))
        assert found is not None
        assert found.service == "models.example:8080"
        assert "\n" not in found.text
        found = trouble(status_error(500))
        assert found is not None
        assert found.text == "APIStatusError: no\ufffd[2J"

    @pytest.mark.parametrize(
        ("status", "overall"),
        [(429, True), (502, True), (503, True), (504, True), (529, True), (500, False)],
    )
    def test_of_some_statuses_is_everybodys(self, status: int, overall: bool) -> None:
        found = trouble(wrapped(status_error(status)))
        assert found is not None
        assert (found.overall, found.final) == (overall, False)

    @pytest.mark.parametrize(
        ("cause", "overall"),
        [
            (httpx2.ConnectError("nobody", request=httpx2.Request("POST", URL)), True),
            (httpx2.ReadError("reset", request=httpx2.Request("POST", URL)), False),
        ],
    )
    def test_of_a_connection_is_everybodys_if_nobody_is_there(
        self, cause: httpx2.TransportError, overall: bool
    ) -> None:
        error = openai.APIConnectionError(request=httpx2.Request("POST", URL))
        error.__cause__ = cause
        found = trouble(error)
        assert found is not None
        assert (found.overall, found.service) == (overall, "models.example:8080")

    @pytest.mark.parametrize("error", [ConnectionRefusedError("no"), ConnectionResetError("no")])
    def test_without_a_request_has_a_service_without_a_name(self, error: OSError) -> None:
        found = trouble(error)
        assert found is not None
        assert found.service == ""
        assert found.overall == isinstance(error, ConnectionRefusedError)

    def test_of_a_name_that_nobody_has(self) -> None:
        error = openai.APIConnectionError(request=httpx2.Request("POST", URL))
        error.__cause__ = socket.gaierror(-2, "Name or service not known")
        found = trouble(error)
        assert found is not None
        assert found.overall

    def test_that_only_money_ends(self) -> None:
        found = trouble(status_error(429, body={"code": "insufficient_quota"}))
        assert found is not None
        assert found.final


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "1.5"}, 1.5),
        ({"Retry-After": "-3"}, 0.0),
        ({"Retry-After-Ms": "250", "Retry-After": "1"}, 0.25),
        ({"Retry-After": "soon"}, None),
        ({}, None),
    ],
)
def test_how_long_the_service_asks_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(wrapped(status_error(429, headers))) == seconds


def test_until_when_the_service_asks_to_wait() -> None:
    date = email.utils.formatdate(time.time() + 100, usegmt=True)
    wait = retry_after(status_error(503, {"Retry-After": date}))
    assert wait is not None
    assert 90 < wait <= 100


def test_an_error_that_knows_no_response_asks_for_no_wait() -> None:
    assert retry_after(ValueError()) is None


def call(end: int = 1, status: Any = "unset", **attributes: Any) -> Span:
    """Return the span of a model call."""
    named = {name.replace("__", "."): value for name, value in attributes.items()}
    return Span(
        trace_id="t",
        span_id=str(end),
        parent_id=None,
        name="chat m",
        kind="client",
        start_ns=0,
        end_ns=end,
        attributes={"gen_ai.operation.name": "chat", **named},
        status=status,
    )


class TestTroubleIn:
    ANSWER = '[{"role": "assistant", "parts": [{"type": "text", "content": "Hi"}]}]'

    def test_there_is_none_without_calls_or_with_an_answer(self) -> None:
        assert trouble_in([]) is None
        assert trouble_in([], IndexError()) is None
        answered = call(gen_ai__output__messages=self.ANSWER)
        assert trouble_in([answered]) is None
        assert trouble_in([answered], IndexError()) is None

    @pytest.mark.parametrize("kind", ["RateLimitError", "openai.InternalServerError", "IndexError"])
    def test_a_rollout_that_failed_after_a_call_that_the_world_failed(self, kind: str) -> None:
        """As where a framework lost the error, or stumbled over an empty answer by itself."""
        spans = [call(1, gen_ai__output__messages=self.ANSWER), call(2, "error", error__type=kind)]
        found = trouble_in(spans, RuntimeError("the team failed"))
        assert found is not None
        assert not found.overall
        # Who gets over it has not failed for it.
        assert trouble_in(spans) is None
        assert (
            trouble_in([*spans, call(3, gen_ai__output__messages=self.ANSWER)], KeyError()) is None
        )

    def test_an_answered_judge_does_not_make_up_for_an_agent_that_was_not(self) -> None:
        empty = call(1, gen_ai__output__messages="[]")
        judged = call(2, gen_ai__output__messages=self.ANSWER, agl__apart=True)
        assert trouble_in([judged]) is None
        assert trouble_in([empty, judged]) is not None
        answered = call(1, gen_ai__output__messages=self.ANSWER)
        assert trouble_in([answered, judged]) is None
        silent = call(2, gen_ai__output__messages="[]", agl__apart=True)
        assert trouble_in([answered, silent]) is not None

    @pytest.mark.parametrize("kind", ["BadRequestError", "ValidationError", None])
    def test_a_call_that_failed_for_what_was_asked_is_none(self, kind: str | None) -> None:
        assert trouble_in([call(status="error", error__type=kind)], ValueError()) is None

    def test_an_answer_without_a_choice_is_one_even_if_the_agent_took_it(self) -> None:
        empty = call(gen_ai__output__messages="[]")
        for error in (None, IndexError(), ValueError()):
            found = trouble_in([empty], error)
            assert found is not None
            assert found.text == "a model call was answered without a choice"

    def test_a_stream_that_was_not_read_is_not(self) -> None:
        stream = call(gen_ai__output__messages="[]", gen_ai__is_streaming=True)
        assert trouble_in([stream]) is None

    def test_one_that_was_read_and_had_no_choice_is(self) -> None:
        read: dict[str, Any] = {"gen_ai__is_streaming": True, "gen_ai__response__id": "x"}
        assert trouble_in([call(gen_ai__output__messages="[]", **read)]) is not None
        begun = '[{"role": "assistant", "parts": [{"type": "text", "content": ""}]}]'
        assert trouble_in([call(gen_ai__output__messages=begun, **read)]) is None

    def test_an_answer_of_which_nothing_is_known_is_one_if_the_agent_stumbled(self) -> None:
        """Without content in spans: the agent asked an empty list for its first choice."""
        unknown = call(gen_ai__response__id="x")
        assert trouble_in([unknown], wrapped(IndexError())) is not None
        assert trouble_in([unknown], ValueError()) is None
        assert trouble_in([unknown]) is None
        finished = call(gen_ai__response__finish_reasons=["stop"])
        assert trouble_in([finished], IndexError()) is None
