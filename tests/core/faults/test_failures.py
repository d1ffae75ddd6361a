from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx2
import openai
import pytest

from agl_adapters.testing import SimulatedModel
from agl_core.faults.failures import is_refusal, is_transient, traceback_text
from agl_core.rewards.reward import coerce_reward


def status_error(status: int, headers: dict[str, str] | None = None) -> openai.APIStatusError:
    """Return what the openai client raises for a status."""
    request = httpx2.Request("POST", "http://localhost/v1/chat/completions")
    response = httpx2.Response(status, request=request, headers=headers)
    kinds: dict[int, Any] = {401: openai.AuthenticationError, 403: openai.PermissionDeniedError}
    kind: Any = kinds.get(status, openai.APIStatusError)
    return kind("no", response=response, body=None)


def caused_by(cause: BaseException) -> BaseException:
    """Return an error of a framework that wraps another one."""
    try:
        raise ValueError("the node failed") from cause
    except ValueError as error:
        return error


def raised_by(function: Callable[[], Any]) -> BaseException:
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - whatever it is
        function()
    return caught.value


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
def test_some_statuses_are_the_worlds_failure(status: int) -> None:
    assert is_transient(status_error(status))
    assert is_transient(caused_by(status_error(status)))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_others_are_not(status: int) -> None:
    assert not is_transient(status_error(status))


@pytest.mark.parametrize(
    "error",
    [
        openai.APIConnectionError(request=httpx2.Request("POST", "http://localhost")),
        openai.APITimeoutError(request=httpx2.Request("POST", "http://localhost")),
        httpx2.ReadTimeout("slow"),
        httpx2.RemoteProtocolError("closed"),
        ConnectionResetError(),
        ConnectionRefusedError(),
        ExceptionGroup("nodes", [ValueError(), httpx2.ConnectError("no")]),
    ],
)
def test_broken_connections_are_the_worlds_failure(error: BaseException) -> None:
    assert is_transient(error)
    assert not is_refusal(error)


def test_an_answer_that_is_no_json_is_the_worlds_failure_and_text_that_is_none_is_the_agents() -> (
    None
):
    garbled = raised_by(lambda: httpx2.Response(200, text='{"choices": [').json())
    assert is_transient(garbled)
    assert not is_transient(raised_by(lambda: json.loads('{"choices": [')))


def test_a_pooled_connection_of_another_event_loop_is_the_worlds_failure(
    served_model: SimulatedModel,
) -> None:
    client = httpx2.AsyncClient()

    async def get() -> int:
        return (await client.get(served_model.base_url)).status_code

    asyncio.run(get())
    error = raised_by(lambda: asyncio.run(get()))
    assert isinstance(error, RuntimeError)
    assert is_transient(error)
    assert not is_transient(RuntimeError("this event loop is the agent's own affair"))


class ReadTimeout(Exception):
    """Named like an error of an HTTP client, and none."""


@pytest.mark.parametrize(
    "error", [ValueError("x"), TimeoutError(), KeyError("x"), ReadTimeout(), SystemExit(1)]
)
def test_everything_else_is_the_agents_own(error: BaseException) -> None:
    assert not is_transient(error)
    assert not is_refusal(error)


def test_what_was_being_handled_is_not_what_happened() -> None:
    def slip() -> None:
        try:
            raise status_error(429)
        except openai.APIStatusError:
            raise KeyError("the agent's own mistake")  # noqa: B904 - that is the point

    assert not is_transient(raised_by(slip))


@pytest.mark.parametrize("status", [401, 403])
def test_a_model_service_can_refuse_the_credentials(status: int) -> None:
    assert is_refusal(status_error(status))
    assert is_refusal(caused_by(status_error(status)))
    assert not is_refusal(status_error(429))


def test_a_web_page_that_refuses_a_tool_says_nothing_about_the_credentials() -> None:
    page = httpx2.Response(403, request=httpx2.Request("GET", "http://localhost"))
    error = raised_by(page.raise_for_status)
    assert not is_refusal(error)
    assert not is_transient(error)


def fail_deeply(depth: int) -> None:
    if not depth:
        raise ValueError("too deep")
    fail_deeply(depth - 1)


class TestTraceback:
    def test_shows_where_the_agent_failed(self) -> None:
        text = traceback_text(raised_by(lambda: fail_deeply(1)))
        assert text.startswith("Traceback (most recent call last):")
        assert "in fail_deeply" in text
        assert text.rstrip().endswith("ValueError: too deep")

    def test_leaves_out_the_frames_of_the_machinery(self) -> None:
        error = raised_by(lambda: coerce_reward("good"))
        outermost = error.__traceback__
        while outermost is not None and outermost.tb_frame.f_code.co_name != "coerce_reward":
            outermost = outermost.tb_next
        assert outermost is not None
        error.__traceback__ = outermost
        assert traceback_text(error) == f"agl_core.errors.RewardError: {error}\n"

    def test_long_ones_are_cut_in_the_middle(self) -> None:
        text = traceback_text(ValueError("a" * 50_000 + "END"), limit=1_000)
        assert len(text) < 1_100
        assert "characters left out" in text
        assert text.rstrip().endswith("END")

    def test_deep_ones_keep_the_frames_next_to_the_failure(self) -> None:
        text = traceback_text(raised_by(lambda: fail_deeply(500)))
        assert text.rstrip().endswith("ValueError: too deep")
        assert len(text) < 5_000

    def test_an_error_that_cannot_be_shown_is_still_shown(self) -> None:
        class Unshowable(Exception):
            def __str__(self) -> str:
                raise RuntimeError

        assert "Unshowable" in traceback_text(Unshowable())


def test_a_traceback_is_safe_to_print() -> None:
    for text in ("\x1b[2J", "\x1b[2J" + "a" * 50_000):
        shown = traceback_text(ValueError(text))
        assert "\ufffd[2J" in shown
        assert "\x1b" not in shown
