from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import openai
import pytest

from agl_adapters.testing import Fault, SimulatedModel
from agl_core.errors import ConfigurationError
from agl_core.models.chat import Completion, OpenAIClient, RefusedError, UnavailableError

HELLO = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello"}]


@asynccontextmanager
async def opened(**options: Any) -> AsyncGenerator[OpenAIClient]:
    client = OpenAIClient(**options)
    try:
        yield client
    finally:
        await client.close()


async def completed(faults: Sequence[Fault], model: SimulatedModel, **options: Any) -> Completion:
    model.configure(faults=faults)
    async with opened(**options) as client:
        return await client.complete("gpt", HELLO, 1.0)


class TestComplete:
    async def test_returns_the_text_and_what_it_took(self, served_model: SimulatedModel) -> None:
        done = await completed((), served_model)
        assert done.text == "ECHO[Be kind.]"
        assert done.usage.model_calls == 1
        assert done.usage.input_tokens > 0
        assert done.usage.output_tokens > 0
        (seen,) = served_model.log()
        assert (seen.model, seen.systems, seen.users) == ("gpt", ["Be kind."], ["Hello"])

    async def test_sends_only_a_temperature_that_is_not_the_default(
        self, served_model: SimulatedModel
    ) -> None:
        async with opened() as client:
            await client.complete("gpt", HELLO, 1.0)
            await client.complete("gpt", HELLO, 0.25)
        default, cooler = served_model.log()
        assert "temperature" not in default.body
        assert cooler.body["temperature"] == 0.25

    async def test_text_that_is_no_unicode_is_sent_mended(
        self, served_model: SimulatedModel
    ) -> None:
        async with opened() as client:
            await client.complete("gpt", [{"role": "user", "content": "a\ud800b"}], 1.0)
        assert served_model.log()[0].users == ["a?b"]


class TestFaults:
    @pytest.mark.parametrize(
        ("kind", "overall"),
        [
            ("429", True),
            ("429-retry-after", True),
            ("503", True),
            ("500", False),
            ("reset", False),
            ("truncated", False),
            ("invalid-json", False),
            ("empty", False),
        ],
    )
    async def test_of_the_service_are_told_apart_and_not_tried_again_here(
        self, served_model: SimulatedModel, kind: str, overall: bool
    ) -> None:
        with pytest.raises(UnavailableError, match="the call to gpt failed: ") as caught:
            await completed([Fault(kind, seconds=0.25)], served_model)
        found = caught.value.trouble
        assert found.overall == overall
        assert f"http://{found.service}/v1" == served_model.base_url
        assert found.retry_after == (0.25 if kind == "429-retry-after" else None)
        assert len(served_model.log()) == 1

    async def test_a_quota_that_is_used_up(self, served_model: SimulatedModel) -> None:
        with pytest.raises(UnavailableError, match="exceeded your current quota") as caught:
            await completed([Fault("429-quota")], served_model)
        assert caught.value.trouble.final

    async def test_nobody_there(self) -> None:
        nobody = openai.AsyncOpenAI(base_url="http://127.0.0.1:9/v1", api_key="x")
        async with opened(client=nobody) as client:
            with pytest.raises(UnavailableError) as caught:
                await client.complete("gpt", HELLO, 1.0)
        assert (caught.value.trouble.service, caught.value.trouble.overall) == ("127.0.0.1:9", True)

    async def test_refused_credentials(self, served_model: SimulatedModel) -> None:
        with pytest.raises(RefusedError, match="refused the credentials for gpt"):
            await completed([Fault("401")], served_model)
        assert len(served_model.log()) == 1


def answering(status: int, asked: list[str]) -> openai.AsyncOpenAI:
    """Return a client of a service that answers everything with a status."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(f"{request.method} {request.url.path}")
        return httpx2.Response(status, json={"error": {"message": "no"}})

    return openai.AsyncOpenAI(
        api_key="x",
        base_url="http://service/v1",
        http_client=httpx2.AsyncClient(transport=httpx2.MockTransport(answer)),
    )


class TestCheck:
    async def test_asks_once_for_each_model_and_calls_none(self) -> None:
        asked: list[str] = []
        async with opened(client=answering(200, asked)) as client:
            await client.check(["a", "b", "a"])
        assert asked == ["GET /v1/models/a", "GET /v1/models/b"]

    @pytest.mark.parametrize("status", [401, 403])
    async def test_a_refusal_counts(self, status: int) -> None:
        asked: list[str] = []
        async with opened(client=answering(status, asked)) as client:
            with pytest.raises(RefusedError, match="refused the credentials for a"):
                await client.check(["a", "b"])
        assert len(asked) == 1

    async def test_a_model_that_the_service_does_not_have_is_not_asked_for_again(self) -> None:
        asked: list[str] = []
        async with opened(client=answering(404, asked)) as client:
            with pytest.raises(RefusedError, match="the model service has no gpt"):
                await client.complete("gpt", HELLO, 1.0)
        assert asked == ["POST /v1/chat/completions"]

    @pytest.mark.parametrize("status", [404, 429, 500])
    async def test_nothing_else_does_nor_is_tried_again(self, status: int) -> None:
        asked: list[str] = []
        async with opened(client=answering(status, asked)) as client:
            await client.check(["a"])
        assert len(asked) == 1


class TestClient:
    async def test_one_of_the_users_stays_open(self, served_model: SimulatedModel) -> None:
        async with openai.AsyncOpenAI() as own:
            async with opened(client=own) as client:
                await client.complete("gpt", HELLO, 1.0)
            assert not own.is_closed()

    async def test_one_of_our_own_is_closed(self, served_model: SimulatedModel) -> None:
        async with opened() as client:
            await client.complete("gpt", HELLO, 1.0)
        assert client._client.is_closed()

    def test_without_a_key_says_what_to_do(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("OPENAI_API_KEY", raising=False)
        with pytest.raises(ConfigurationError, match=r"no API key: set OPENAI_API_KEY.*or pass"):
            OpenAIClient()

    @pytest.mark.parametrize("client", ["gpt", openai.OpenAI(api_key="x")])
    def test_has_to_be_an_async_one(self, client: Any) -> None:
        with pytest.raises(ConfigurationError, match=r"give an openai\.AsyncOpenAI"):
            OpenAIClient(client)
