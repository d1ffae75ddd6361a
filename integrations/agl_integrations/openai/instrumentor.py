"""OpenTelemetry's instrumentor of the client, kept from changing the program that it is used in.

`opentelemetry-instrumentation-openai` knows the client's API. What it does besides, and what is
done about it here (facts of version 0.62.4):

* It keeps every call of the Responses API in a module-global dictionary. Here the newest are kept.
* A synchronous call runs an event loop of its own, or a thread where one is running, and leaves its
  thread without a current loop. Here its coroutine, which never waits, is run without a loop.
* It adds trace headers to requests, copies images into spans, and writes metrics, wherever those
  go. Here it does neither.
* An unusual chunk of a stream can make it raise in the caller's loop. Here that is logged.
* It writes into the caller's input items of the Responses API, takes a tool call's item id for its
  call id, and warns about every parsed completion. Here it works on copies made for it.

All of it is undone afterwards.
"""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Callable, Coroutine, Generator
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib import import_module
from importlib.metadata import version
from typing import Any

from agl_core.errors import MissingDependencyError, UnsupportedVersionError
from agl_core.tracing.tracing import Tracing
from agl_integrations.openai.beta_apis import import_without_beta_apis

__all__ = [
    "bounded_history",
    "check_instrumentor",
    "good_manners",
    "instrumented_by_user",
    "make_instrumentor",
    "unsupported",
]

_PACKAGE = "opentelemetry.instrumentation.openai"
_SUPPORTED = ">=0.62.4,<0.63"

_INSTRUMENTORS = (
    _PACKAGE,
    "opentelemetry.instrumentation.openai_v2",
    "opentelemetry.instrumentation.genai.openai",
    "openinference.instrumentation.openai",
)

_NEEDED = (
    ("shared.chat_wrappers", "run_async"),
    ("shared.chat_wrappers", "model_as_dict"),
    ("shared.chat_wrappers", "ChatStream._process_item"),
    ("shared.config", "Config.enable_trace_context_propagation"),
    ("utils", "dont_throw"),
    ("utils", "should_send_prompts"),
    ("v1", "is_metrics_enabled"),
    ("v1", "OpenAIV1Instrumentor._try_wrap"),
    ("v1.responses_wrappers", "model_as_dict"),
    ("v1.responses_wrappers", "ResponseStream._process_chunk"),
    ("v1.responses_wrappers", "responses"),
)

_HISTORY = 256


def check_instrumentor() -> None:
    """Make sure that the instrumentor is there and has what this module stands on.

    Raises:
        MissingDependencyError: If it cannot be imported.
        UnsupportedVersionError: If a part is missing.
    """
    for module_name, path in _NEEDED:
        try:
            with warnings.catch_warnings():
                # Its use of a deprecated pydantic feature is no news to the user.
                warnings.simplefilter("ignore")
                import_without_beta_apis()
                value: Any = import_module(f"{_PACKAGE}.{module_name}")
        except ImportError as error:
            raise MissingDependencyError(
                f"opentelemetry-instrumentation-openai cannot be imported ({error}): "
                f"pip install 'opentelemetry-instrumentation-openai{_SUPPORTED}'"
            ) from error
        for name in path.split("."):
            if not hasattr(value, name):
                raise unsupported(f"it has no {module_name}.{path}")
            value = getattr(value, name)


def unsupported(reason: str) -> UnsupportedVersionError:
    """Return the error that names the version found and those supported."""
    return UnsupportedVersionError(
        f"opentelemetry-instrumentation-openai {version('opentelemetry-instrumentation-openai')} "
        f"is not supported ({reason}): pip install "
        f"'opentelemetry-instrumentation-openai{_SUPPORTED}'"
    )


def instrumented_by_user() -> bool:
    """Tell whether the user has an instrumentor of the client installed, this one or another."""
    for name in _INSTRUMENTORS:
        kind = getattr(sys.modules.get(name), "OpenAIInstrumentor", None)
        instance = getattr(kind, "_instance", None)
        if instance is not None and instance.is_instrumented_by_opentelemetry:
            return True
    return False


def make_instrumentor() -> Any:
    """Return the instrumentor, set not to touch requests.

    Its settings are global to the process: call this within `good_manners`.
    """
    return import_module(_PACKAGE).OpenAIInstrumentor(
        enable_trace_context_propagation=False, upload_base64_image=_omit_image
    )


@contextmanager
def bounded_history() -> Generator[None]:
    """Keep the newest calls of the Responses API in the block, in place of all of them."""
    wrappers = import_module(f"{_PACKAGE}.v1.responses_wrappers")
    with _replaced(wrappers, "responses", _Recent()):
        yield


@contextmanager
def good_manners(tracing: Tracing) -> Generator[None]:
    """Apply in the block what the module says, and leave content out where `tracing` says so."""
    chat = import_module(f"{_PACKAGE}.shared.chat_wrappers")
    responses = import_module(f"{_PACKAGE}.v1.responses_wrappers")
    logged = import_module(f"{_PACKAGE}.utils").dont_throw
    changes: list[tuple[Any, str, Any]] = [
        (import_module(f"{_PACKAGE}.v1"), "is_metrics_enabled", _no),
        (chat, "run_async", _run_without_loop),
        (chat, "model_as_dict", partial(_copy, chat.model_as_dict)),
        (responses, "model_as_dict", partial(_copy, responses.model_as_dict)),
        (chat.ChatStream, "_process_item", logged(chat.ChatStream._process_item)),
        (
            responses.ResponseStream,
            "_process_chunk",
            logged(responses.ResponseStream._process_chunk),
        ),
    ]
    for name, module in list(sys.modules.items()):
        if name.startswith(f"{_PACKAGE}.") and hasattr(module, "should_send_prompts"):
            sends = partial(_sends_content, module.should_send_prompts, tracing)
            changes.append((module, "should_send_prompts", sends))
    config = import_module(f"{_PACKAGE}.shared.config").Config
    changes += [(config, name, value) for name, value in vars(config).items() if name[0] != "_"]
    with ExitStack() as stack:
        for change in changes:
            stack.enter_context(_replaced(*change))
        yield


class _Recent(dict[str, Any]):
    """A dictionary that keeps the newest entries."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()

    def __setitem__(self, key: str, value: Any) -> None:
        with self._lock:
            super().__setitem__(key, value)
            while len(self) > _HISTORY:
                del self[next(iter(self))]


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Generator[None]:
    found = vars(owner)[name]
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, found)


def _run_without_loop(coroutine: Coroutine[Any, Any, None]) -> None:
    try:
        coroutine.send(None)
    except StopIteration:
        return
    coroutine.close()


def _copy(as_dict: Callable[[Any], Any], model: Any) -> Any:
    """Return a message, an item or a response as a dictionary of its own."""
    if hasattr(model, "model_dump"):
        # Without the None of missing parts, on which the instrumentor raises, slowly.
        data = model.model_dump(exclude_none=True, warnings=False)
    elif hasattr(model, "parse"):
        return _copy(as_dict, model.parse())
    else:
        data = as_dict(model)
        if not isinstance(data, dict):
            return data
    if data.get("type") == "function_call" and data.get("call_id"):
        return {**data, "id": data["call_id"]}
    return dict(data)


def _sends_content(allowed: Callable[[], bool], tracing: Tracing) -> bool:
    return tracing.capture_content and allowed()


def _no() -> bool:
    return False


async def _omit_image(*_: str) -> str:
    """Stand in for an image that was sent in the request: spans do not hold megabytes."""
    return "omitted"
