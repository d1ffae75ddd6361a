"""The optimizer's model: one chat call at a time, retried and counted."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from agl_core.backoff import Backoff
from agl_core.errors import ConfigurationError, ModelError
from agl_core.failures import is_refusal
from agl_core.rollouts import ModelUsage
from agl_core.spans import clean_text

if TYPE_CHECKING:
    import openai

__all__ = ["Completion", "ModelClient", "OpenAIClient", "RefusedError"]

ChatMessage = Mapping[str, str]
"""A message with ``role`` and ``content``."""


class RefusedError(ModelError):
    """The model service rejected the credentials, or has no such model; no further call can do."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model answered."""

    text: str
    usage: ModelUsage
    id: str = ""
    """The service's id of the answer, if it gave one."""


class ModelClient(Protocol):
    """Where the optimizer's calls go. Used concurrently on one event loop."""

    async def check(self, models: Sequence[str]) -> None:
        """Find out, without spending, whether calls can work at all.

        Raises:
            ModelError: If the service rejects the credentials.
        """
        ...

    async def complete(
        self, model: str, messages: Sequence[ChatMessage], temperature: float
    ) -> Completion:
        """Make one call, with retries.

        Raises:
            RefusedError: If the service rejects the credentials, or has no such model.
            ModelError: If it fails for good.
        """
        ...

    async def close(self) -> None:
        """Close connections."""
        ...


class OpenAIClient:
    """Calls an OpenAI-compatible service through the ``openai`` package.

    Args:
        client: The client to use; it is not closed. Without one, a client is made from
            ``OPENAI_API_KEY`` and ``OPENAI_BASE_URL``.
        max_retries: How often the client tries again after rate limits, server errors and broken
            connections, with backoff, honoring ``Retry-After``.
        backoff: How answers that make no sense (no JSON, no choice) are asked for again.

    Raises:
        ConfigurationError: If there is no client and no API key.
    """

    def __init__(
        self,
        client: openai.AsyncOpenAI | None = None,
        max_retries: int = 6,
        backoff: Backoff | None = None,
    ) -> None:
        import openai

        self._owned = client is None
        if client is None:
            try:
                client = openai.AsyncOpenAI()
            except openai.OpenAIError as error:
                raise ConfigurationError(
                    "the algorithm calls a model and there is no API key: set OPENAI_API_KEY "
                    "(and OPENAI_BASE_URL for another service), or pass "
                    "Trainer(client=openai.AsyncOpenAI(...))"
                ) from error
        if not isinstance(client, openai.AsyncOpenAI):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(
                f"client is {type(client).__name__}; give an openai.AsyncOpenAI"
            )
        self._client = client.with_options(max_retries=max_retries)
        self._backoff = backoff or Backoff()

    async def check(self, models: Sequence[str]) -> None:
        """Ask for the models' descriptions. Only a refusal counts: not all services have them."""
        import openai

        client = self._client.with_options(max_retries=0, timeout=5.0)
        for model in dict.fromkeys(models):
            try:
                await client.models.retrieve(model)
            except openai.OpenAIError as error:
                if is_refusal(error):
                    raise RefusedError(_refusal(model, error)) from error

    async def complete(
        self, model: str, messages: Sequence[ChatMessage], temperature: float
    ) -> Completion:
        """Make one call; see `ModelClient`."""
        import openai

        attempt = 1
        while True:
            try:
                return await self._complete(model, messages, temperature)
            except openai.OpenAIError as error:
                if is_refusal(error):
                    raise RefusedError(_refusal(model, error)) from error
                if isinstance(error, openai.NotFoundError):
                    raise RefusedError(f"the model service has no {model}: {error}") from error
                raise ModelError(f"the call to {model} failed: {error}") from error
            except (ValueError, LookupError, TypeError, AttributeError) as error:
                if attempt >= self._backoff.attempts:
                    raise ModelError(
                        f"the call to {model} failed: the answer makes no sense: {error!r}"
                    ) from error
            await asyncio.sleep(self._backoff.seconds(attempt, None))
            attempt += 1

    async def _complete(
        self, model: str, messages: Sequence[ChatMessage], temperature: float
    ) -> Completion:
        # 1.0 is the service's default, and some models take no other value.
        options: dict[str, Any] = {} if temperature == 1.0 else {"temperature": temperature}
        sent = [{k: clean_text(v) for k, v in message.items()} for message in messages]
        response = await self._client.chat.completions.create(
            model=model,
            messages=cast("Any", sent),
            **options,
        )
        text = response.choices[0].message.content
        spent = response.usage
        usage = (
            ModelUsage(1)
            if spent is None
            else ModelUsage(1, spent.prompt_tokens, spent.completion_tokens)
        )
        return Completion(text or "", usage, str(getattr(response, "id", None) or ""))

    async def close(self) -> None:
        """Close the connections of a client of our own."""
        if self._owned:
            await self._client.close()


def _refusal(model: str, error: BaseException) -> str:
    return f"the model service refused the credentials for {model}: {error}"
