"""The optimizer's model: one chat call at a time."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from agl_core.errors import ConfigurationError, ModelError
from agl_core.faults.failures import is_refusal
from agl_core.faults.troubles import Trouble, trouble
from agl_core.privacy.redaction import clean_error
from agl_core.rollouts import ModelUsage
from agl_core.spans.span import clean_text

if TYPE_CHECKING:
    import openai

__all__ = [
    "Completion",
    "ModelClient",
    "OpenAIClient",
    "RefusedError",
    "UnavailableError",
    "secrets_of",
]

_PRIVATE_HEADER = re.compile("auth|key|token|secret|cookie", re.IGNORECASE)

ChatMessage = Mapping[str, str]
"""A message with ``role`` and ``content``."""


class RefusedError(ModelError):
    """The model service rejected the credentials, or has no such model; no further call can do."""


class UnavailableError(ModelError):
    """The world failed a call: a rate limit, a server error, a broken connection, no sense.

    Attributes:
        trouble: What the service did.
    """

    def __init__(self, message: str, trouble: Trouble) -> None:
        super().__init__(message)
        self.trouble = trouble


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model answered."""

    text: str
    usage: ModelUsage
    """What it took. Where it says no dollars, the run's prices do."""
    id: str = ""
    """The service's id of the answer, if it gave one."""
    cached_tokens: int = 0
    """Those of the input tokens that the service had in its cache."""


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
        """Make one call, once: the run tries again, with what it knows of the service.

        Raises:
            RefusedError: If the service rejects the credentials, or has no such model.
            UnavailableError: If the world failed it and another attempt may do.
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

    Raises:
        ConfigurationError: If there is no client and no API key.
    """

    def __init__(self, client: openai.AsyncOpenAI | None = None) -> None:
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
        # Not by itself: it knows nothing of what the service told others.
        self._client = client.with_options(max_retries=0)

    @property
    def service(self) -> str:
        """The host and port of the service."""
        return self._client.base_url.netloc.decode()

    async def check(self, models: Sequence[str]) -> None:
        """Ask for the models' descriptions. Only a refusal counts: not all services have them."""
        import openai

        client = self._client.with_options(max_retries=0, timeout=5.0)
        for model in dict.fromkeys(models):
            try:
                await client.models.retrieve(model)
            except openai.OpenAIError as error:
                if is_refusal(error):
                    raise RefusedError(_refusal(model, error)) from clean_error(error)

    async def complete(
        self, model: str, messages: Sequence[ChatMessage], temperature: float
    ) -> Completion:
        """Make one call; see `ModelClient`."""
        import openai

        try:
            return await self._complete(model, messages, temperature)
        except openai.OpenAIError as error:
            clean_error(error)
            if is_refusal(error):
                raise RefusedError(_refusal(model, error)) from error
            if isinstance(error, openai.NotFoundError):
                raise RefusedError(f"the model service has no {model}: {error}") from error
            message, found = f"the call to {model} failed: {error}", trouble(error)
            if found is None:
                raise ModelError(message) from error
            raise UnavailableError(message, found) from error
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            message = f"the call to {model} failed: the answer makes no sense: {error!r}"
            raise UnavailableError(message, Trouble(message, self.service)) from error

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
        details = getattr(spent, "prompt_tokens_details", None)
        cached = getattr(details, "cached_tokens", None) or 0
        return Completion(text or "", usage, str(getattr(response, "id", None) or ""), cached)

    async def close(self) -> None:
        """Close the connections of a client of our own."""
        if self._owned:
            await self._client.close()


def secrets_of(client: Any) -> list[str]:
    """Return what a client shows to its service and nobody else may see."""
    headers = cast("Mapping[str, Any]", getattr(client, "_custom_headers", None) or {})
    values = [getattr(client, "api_key", None)]
    values += [value for name, value in headers.items() if _PRIVATE_HEADER.search(str(name))]
    # Of "Bearer abc", the last word.
    return [value.rsplit(" ", 1)[-1] for value in values if isinstance(value, str) and value]


def _refusal(model: str, error: BaseException) -> str:
    return f"the model service refused the credentials for {model}: {error}"
