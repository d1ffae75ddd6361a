"""What the prompt hook stands on, most of which the client does not promise to keep.

What stands on the instrumentor is checked by `agl_integrations.openai.instrumentor`.
"""

from __future__ import annotations

from agl_adapters.requirements import Requirement

__all__ = ["REQUIREMENTS"]

_RESOURCES = (
    "openai.resources.chat.completions:Completions",
    "openai.resources.chat.completions:AsyncCompletions",
    "openai.resources.responses:Responses",
    "openai.resources.responses:AsyncResponses",
)

REQUIREMENTS = (
    Requirement(
        "openai",
        supported=">=3.0,<4",
        install="openai>=3.0,<4",
        names=(
            *(f"{owner}.{name}" for owner in _RESOURCES for name in ("create", "parse", "stream")),
            "openai._base_client:SyncAPIClient.request",
            "openai._base_client:AsyncAPIClient.request",
            "openai._constants:RAW_RESPONSE_HEADER",
            "openai._legacy_response:LegacyAPIResponse.parse",
            "openai._models:FinalRequestOptions.model_copy",
        ),
    ),
)
