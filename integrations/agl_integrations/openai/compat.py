"""The start-up check of what the prompt hook stands on, most of which the client does not promise.

What stands on the instrumentor is checked by `agl_integrations.openai.instrumentor`.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

from agl_core.errors import MissingDependencyError, UnsupportedVersionError

__all__ = ["SUPPORTED", "check"]

SUPPORTED = ">=3.0,<4"
"""The versions of `openai` that the hook was tested with."""

_CHAT = "openai.resources.chat.completions"
_RESPONSES = "openai.resources.responses"

_NEEDED = (
    *((_CHAT, f"Completions.{name}") for name in ("create", "parse", "stream")),
    *((_CHAT, f"AsyncCompletions.{name}") for name in ("create", "parse", "stream")),
    *((_RESPONSES, f"Responses.{name}") for name in ("create", "parse", "stream")),
    *((_RESPONSES, f"AsyncResponses.{name}") for name in ("create", "parse", "stream")),
    ("openai._base_client", "SyncAPIClient.request"),
    ("openai._base_client", "AsyncAPIClient.request"),
    ("openai._constants", "RAW_RESPONSE_HEADER"),
    ("openai._legacy_response", "LegacyAPIResponse.parse"),
    ("openai._models", "FinalRequestOptions.model_copy"),
)


def check() -> None:
    """Check that every name that the hook uses exists.

    Raises:
        MissingDependencyError: If the client is not installed.
        UnsupportedVersionError: If a name is gone. The message has the version found, the versions
            supported, and the name.
    """
    try:
        found = version("openai")
    except PackageNotFoundError:
        raise MissingDependencyError(
            f"openai is not installed: pip install 'openai{SUPPORTED}'"
        ) from None
    for module, path in _NEEDED:
        if not _exists(module, path):
            raise UnsupportedVersionError(
                f"openai {found} is not supported: it has no {module}.{path}; "
                f"run: pip install 'openai{SUPPORTED}'"
            )


def _exists(module: str, path: str) -> bool:
    try:
        value: object = import_module(module)
        for name in path.split("."):
            value = getattr(value, name)
    except (ImportError, AttributeError):
        return False
    return True
