"""The errors of the project, one tree.

AglError
├── ConfigurationError          wrong input; raised before anything is spent
│   ├── DatasetError            an empty, unreadable or malformed dataset
│   ├── PlaceholderError        a template asks for a value that it was not given
│   ├── RedactionError          what the user gave as redact= fails, or hits a prompt
│   └── RewardError             a reward that is not a finite number
├── IntegrationError            a framework adapter cannot be used
│   ├── UnknownAgentError       no integration recognizes the object
│   ├── MissingDependencyError  the framework's extra is not installed
│   └── UnsupportedVersionError the installed framework is outside the tested range
├── PromptDriftError            a program's text is not the one that its prompt replaces
├── RolloutError                the agent fails on every task, or ignores its prompts
├── ModelError                  the optimizer's model refused or failed for good
│   └── JudgeError              a judge's model gave no grade
└── StoreError                  the store cannot be read or written
    └── RunInUseError           somebody else works on the run
"""

from __future__ import annotations

from typing import Any

from agl_core.credentials import without_credentials
from agl_core.text import printable

__all__ = [
    "AglError",
    "ConfigurationError",
    "DatasetError",
    "IntegrationError",
    "JudgeError",
    "MissingDependencyError",
    "ModelError",
    "PlaceholderError",
    "PromptDriftError",
    "RedactionError",
    "RewardError",
    "RolloutError",
    "RunInUseError",
    "StoreError",
    "UnknownAgentError",
    "UnsupportedVersionError",
]


class AglError(Exception):
    """Base of every error that this project raises on purpose.

    As text it is safe to print and holds no credentials, whatever it quotes: tasks, prompts, what
    models answered, what clients said of a refusal.
    """

    result: Any = None
    """The `TrainResult` of what a run had found when this error ended it; None if that was before
    its prompts were known, or in no run."""

    def __str__(self) -> str:
        return printable(without_credentials(super().__str__()))


class ConfigurationError(AglError):
    """The input cannot work. Raised before rollouts or model calls are spent."""


class DatasetError(ConfigurationError):
    """A dataset is empty, unreadable, or holds a task that is not JSON-able."""


class PlaceholderError(ConfigurationError):
    """A prompt template was formatted without a value for one of its placeholders."""


class RedactionError(ConfigurationError):
    """What is to be taken out of all that is written cannot be, or would take a prompt apart."""


class RewardError(ConfigurationError):
    """A reward is not a finite number, or an agent gave none."""


class IntegrationError(AglError):
    """An integration cannot be loaded or does not fit what it was given."""


class UnknownAgentError(IntegrationError):
    """No installed integration recognizes the object that was to be wrapped."""


class MissingDependencyError(IntegrationError):
    """A package that an integration needs is not installed."""


class UnsupportedVersionError(IntegrationError):
    """The installed framework lacks what the hooks stand on."""


class PromptDriftError(AglError):
    """A program sends a text that is not the one that the prompt in use was made to replace."""


class RolloutError(AglError):
    """The agent cannot be optimized as it stands: it always fails, or reads no prompt."""


class ModelError(AglError):
    """A model service refused a call for good, or kept failing after retries."""


class JudgeError(ModelError):
    """A judge gave no grade that can be read. The world's failure: it is never scored."""


class StoreError(AglError):
    """The store cannot be opened, read or written."""


class RunInUseError(StoreError):
    """Another process, or another trainer of this one, works on the run."""
