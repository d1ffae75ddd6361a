"""Optimize the prompts of an agent that already exists, in whichever framework.

    import agl_adapters as agl

Names are loaded when they are first used: importing the package loads no framework, no client and
no telemetry SDK.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agl_adapters.agents import rollout as rollout
    from agl_adapters.agents import wrap as wrap
    from agl_adapters.discovery import Discovery as Discovery
    from agl_adapters.discovery import adiscover as adiscover
    from agl_adapters.discovery import discover as discover
    from agl_adapters.exports import export as export
    from agl_adapters.processes import ProcessExecutor as ProcessExecutor
    from agl_adapters.production.prompt_files import load_prompts as load_prompts
    from agl_adapters.production.prompt_files import save_prompts as save_prompts
    from agl_adapters.production.prompts_in_use import PromptsInUse as PromptsInUse
    from agl_adapters.production.prompts_in_use import use_prompts as use_prompts
    from agl_adapters.report import write_report as write_report
    from agl_core.algorithms import APO as APO
    from agl_core.algorithms import GEPA as GEPA
    from agl_core.algorithms import Algorithm as Algorithm
    from agl_core.algorithms import Baseline as Baseline
    from agl_core.algorithms import algorithm as algorithm
    from agl_core.callbacks import Callback as Callback
    from agl_core.candidates import Candidate as Candidate
    from agl_core.errors import AglError as AglError
    from agl_core.errors import ConfigurationError as ConfigurationError
    from agl_core.errors import DatasetError as DatasetError
    from agl_core.errors import IntegrationError as IntegrationError
    from agl_core.errors import JudgeError as JudgeError
    from agl_core.errors import MissingDependencyError as MissingDependencyError
    from agl_core.errors import ModelError as ModelError
    from agl_core.errors import PlaceholderError as PlaceholderError
    from agl_core.errors import PromptDriftError as PromptDriftError
    from agl_core.errors import RedactionError as RedactionError
    from agl_core.errors import RewardError as RewardError
    from agl_core.errors import RolloutError as RolloutError
    from agl_core.errors import RunInUseError as RunInUseError
    from agl_core.errors import StoreError as StoreError
    from agl_core.errors import UnknownAgentError as UnknownAgentError
    from agl_core.errors import UnsupportedVersionError as UnsupportedVersionError
    from agl_core.execution.agents import RolloutContext as RolloutContext
    from agl_core.execution.agents import apart as apart
    from agl_core.execution.agents import emit_reward as emit_reward
    from agl_core.faults.backoff import Backoff as Backoff
    from agl_core.judges.judge import judge as judge
    from agl_core.prompts.constraints import Constraint as Constraint
    from agl_core.prompts.templates import PromptTemplate as PromptTemplate
    from agl_core.result import TrainResult as TrainResult
    from agl_core.rewards.functions import weighted as weighted
    from agl_core.rewards.reward import Reward as Reward
    from agl_core.rollouts import Evaluation as Evaluation
    from agl_core.rollouts import Rollout as Rollout
    from agl_core.session import Session as Session
    from agl_core.spans.span import Span as Span
    from agl_core.spending.budgets import Budget as Budget
    from agl_core.spending.budgets import Usage as Usage
    from agl_core.spending.prices import Price as Price
    from agl_core.storage.sqlite import MemoryStore as MemoryStore
    from agl_core.storage.sqlite import SQLiteStore as SQLiteStore
    from agl_core.storage.store import Store as Store
    from agl_core.tracing.traces import TraceToMessages as TraceToMessages
    from agl_core.tracing.traces import TraceToTriplets as TraceToTriplets
    from agl_core.trainer import Trainer as Trainer

_HOMES = {
    "agl_adapters.agents": ("rollout", "wrap"),
    "agl_adapters.exports": ("export",),
    "agl_adapters.processes": ("ProcessExecutor",),
    "agl_adapters.discovery": ("Discovery", "adiscover", "discover"),
    "agl_adapters.production.prompts_in_use": ("PromptsInUse", "use_prompts"),
    "agl_adapters.production.prompt_files": ("load_prompts", "save_prompts"),
    "agl_adapters.report": ("write_report",),
    "agl_core.execution.agents": ("RolloutContext", "apart", "emit_reward"),
    "agl_core.algorithms": ("APO", "GEPA", "Algorithm", "Baseline", "algorithm"),
    "agl_core.spending.budgets": ("Budget", "Usage"),
    "agl_core.callbacks": ("Callback",),
    "agl_core.candidates": ("Candidate",),
    "agl_core.prompts.constraints": ("Constraint",),
    "agl_core.errors": (
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
    ),
    "agl_core.faults.backoff": ("Backoff",),
    "agl_core.judges.judge": ("judge",),
    "agl_core.spending.prices": ("Price",),
    "agl_core.prompts.templates": ("PromptTemplate",),
    "agl_core.result": ("TrainResult",),
    "agl_core.rewards.functions": ("weighted",),
    "agl_core.rewards.reward": ("Reward",),
    "agl_core.rollouts": ("Evaluation", "Rollout"),
    "agl_core.session": ("Session",),
    "agl_core.spans.span": ("Span",),
    "agl_core.storage.sqlite": ("MemoryStore", "SQLiteStore"),
    "agl_core.storage.store": ("Store",),
    "agl_core.tracing.traces": ("TraceToMessages", "TraceToTriplets"),
    "agl_core.trainer": ("Trainer",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__version__ = "0.1.0"
__all__ = [*sorted(_HOME_OF), "__version__"]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    """Load a public name from its module when it is first used."""
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *_HOME_OF})
