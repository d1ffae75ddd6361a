"""The meter of the client: each of its model calls asks first whether the budget has room for it.

It stands where the client sends requests, under all of its methods and so under the frameworks that
use it: LangChain's OpenAI models, the OpenAI Agents SDK, AutoGen's clients for OpenAI, and judges.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import openai
from openai._base_client import AsyncAPIClient
from openai._legacy_response import LegacyAPIResponse
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from agl_core.spans.genai import TokenUsage
from agl_core.spending.metering import MeteredCall, metered_call
from agl_integrations.openai.requests import wrapped_requests

__all__ = ["metered_requests", "tokens_used"]

_URLS = frozenset({"/chat/completions", "/completions", "/responses"})


def metered_requests() -> AbstractContextManager[None]:
    """Meter the requests of all clients in the block."""
    return wrapped_requests(_request)


def tokens_used(result: Any) -> TokenUsage | None:
    """Return what an answer says that it took; None if it does not, such as a stream."""
    if isinstance(result, LegacyAPIResponse):
        result = result.parse()
    if isinstance(result, ChatCompletion) and result.usage is not None:
        details = result.usage.prompt_tokens_details
        cached = (details.cached_tokens if details else None) or 0
        return TokenUsage(result.usage.prompt_tokens, result.usage.completion_tokens, cached)
    if isinstance(result, Response) and result.usage is not None:
        cached = result.usage.input_tokens_details.cached_tokens
        return TokenUsage(result.usage.input_tokens, result.usage.output_tokens, cached)
    return None


def _request(
    wrapped: Callable[..., Any], client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    call = _call(args[1]) if len(args) > 1 else None
    if call is None:
        return wrapped(*args, **kwargs)
    if isinstance(client, AsyncAPIClient):
        return _sent_async(call, wrapped, args, kwargs)
    call.begin()
    result: Any = None
    failed = False
    try:
        result = wrapped(*args, **kwargs)
    except openai.APIStatusError:
        failed = True
        raise
    finally:
        _end(call, result, failed)
    return result


async def _sent_async(
    call: MeteredCall, wrapped: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    await call.abegin()
    result: Any = None
    failed = False
    try:
        result = await wrapped(*args, **kwargs)
    except openai.APIStatusError:
        failed = True
        raise
    finally:
        _end(call, result, failed)
    return result


def _call(options: Any) -> MeteredCall | None:
    body = options.json_data
    if options.url.partition("?")[0] not in _URLS or not isinstance(body, Mapping):
        return None
    return metered_call(body)


def _end(call: MeteredCall, result: Any, failed: bool) -> None:
    try:
        tokens = tokens_used(result)
    except Exception:  # noqa: BLE001 - an answer that cannot be read says nothing of its tokens
        tokens = None
    call.end(tokens, failed)
