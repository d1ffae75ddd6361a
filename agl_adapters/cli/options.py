"""Groups of options that several commands have in common, and how a command takes them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

__all__ = [
    "AgentOptions",
    "BudgetOptions",
    "JsonOption",
    "KeepingOptions",
    "PrivacyOptions",
    "RunOptions",
    "SearchOptions",
    "SlotOptions",
    "TaskOptions",
    "with_groups",
]

JsonOption = Annotated[
    bool, typer.Option("--json", help="Print the result as JSON and nothing else.")
]


@dataclass(frozen=True, kw_only=True)
class AgentOptions:
    """Which program, and how it is run and scored."""

    agent: Annotated[
        str,
        typer.Argument(
            metavar="MODULE:NAME",
            help="The program: a graph, an agent, a team, a function, or what @agl.rollout made.",
        ),
    ]
    input: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE:NAME",
            help="The function that makes the program's input of a task; by default the task is.",
        ),
    ] = None
    reward: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE:NAME",
            help="The function reward(task, output) that scores an output; not for @agl.rollout.",
        ),
    ] = None
    prompts: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Prompts to start from, instead of the program's own ones."
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class TaskOptions:
    """The tasks to learn from, to compare on, and to give the verdict on."""

    train: Annotated[
        Path, typer.Option(metavar="FILE", help="Tasks that critiques are drawn from, JSONL.")
    ]
    val: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Tasks that candidates are compared on; by default --train's."
        ),
    ] = None
    test: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Tasks that the search never sees, for the verdict."),
    ] = None


class Accepted(StrEnum):
    """Which verdict gives the new prompts back."""

    GAIN = "gain"
    IMPROVED = "improved"


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """What searches, and what is made of what it finds."""

    algorithm: Annotated[
        str,
        typer.Option(help="What searches: apo, published, gepa, baseline, or MODULE:NAME."),
    ] = "apo"
    model: Annotated[str, typer.Option(help="The model that writes critiques and rewrites.")] = (
        "gpt-4o"
    )
    parameters: Annotated[
        list[str],
        typer.Option("--set", metavar="NAME=VALUE", help="A parameter of the algorithm."),
    ] = field(default_factory=list[str])
    demonstrations: Annotated[
        int | None,
        typer.Option(min=0, help="Examples of the agent's own that APO may add to each prompt."),
    ] = None
    accept: Annotated[
        Accepted, typer.Option(help="Give new prompts back on any gain, or only if improved.")
    ] = Accepted.GAIN

    @property
    def settings(self) -> list[str]:
        """The algorithm's parameters, those with an option of their own among them."""
        own = {"demonstrations": self.demonstrations}
        given = [f"{name}={value}" for name, value in own.items() if value is not None]
        return [*given, *self.parameters]


_Slots = partial(typer.Option, rich_help_panel="Which prompts")


@dataclass(frozen=True, kw_only=True)
class SlotOptions:
    """Which of the program's prompts are optimized."""

    optimize: Annotated[
        list[str],
        _Slots(
            metavar="PATTERN",
            help="Slots to optimize, such as 'langgraph:plan*'; by default all system prompts.",
        ),
    ] = field(default_factory=list[str])
    freeze: Annotated[list[str], _Slots(metavar="PATTERN", help="Slots that stay as they are.")] = (
        field(default_factory=list[str])
    )
    template: Annotated[
        list[str],
        _Slots(
            metavar="SLOT=TEXT",
            help="The program's own template, where its text changes: 'You are {role}.'",
        ),
    ] = field(default_factory=list[str])


_Running = partial(typer.Option, rich_help_panel="Running")
_Budget = partial(typer.Option, rich_help_panel="Budget: all that is spent, at most")


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How rollouts are run."""

    runners: Annotated[int, _Running(help="How many rollouts run at once.", min=1)] = 8
    timeout: Annotated[
        float, _Running(help="Seconds after which a rollout is given up.", min=0.001)
    ] = 600.0
    repeats: Annotated[
        int, _Running(help="Runs per task for its score, where rewards are noisy.", min=1)
    ] = 1
    seed: Annotated[int, _Running(help="Seed of everything random.")] = 0


@dataclass(frozen=True, kw_only=True)
class BudgetOptions:
    """Hard caps on what is spent."""

    budget_rollouts: Annotated[int | None, _Budget(min=1, help="Runs of the program.")] = None
    budget_model_calls: Annotated[
        int | None, _Budget(min=1, help="Model calls, of program and optimizer.")
    ] = None
    budget_tokens: Annotated[
        int | None, _Budget(min=1, help="Tokens, of program and optimizer.")
    ] = None
    budget_dollars: Annotated[
        float | None, _Budget(min=0.0, help="Money, of program and optimizer.")
    ] = None
    budget_seconds: Annotated[float | None, _Budget(min=0.0, help="Wall time.")] = None
    patience: Annotated[
        int | None, _Budget(min=1, help="End when so many rounds in a row find nothing better.")
    ] = None
    price: Annotated[
        list[str],
        _Budget(
            metavar="MODEL=IN/OUT[/CACHED]",
            help="Dollars per million tokens, where they are not known: my-model=0.5/1.5",
        ),
    ] = field(default_factory=list[str])
    target: Annotated[float | None, _Budget(help="End when a validation score reaches this.")] = (
        None
    )


@dataclass(frozen=True, kw_only=True)
class KeepingOptions:
    """Where the run and its prompts are kept."""

    store: Annotated[Path, typer.Option(metavar="FILE", help="The file that runs are kept in.")] = (
        Path("runs.db")
    )
    run: Annotated[str | None, typer.Option(help="The run's name; made up by default.")] = None
    resume: Annotated[
        str | None, typer.Option(metavar="RUN", help="Go on with this run, with its options.")
    ] = None
    changed: Annotated[
        bool,
        typer.Option(
            "--changed",
            help="With --resume: go on though the program has changed, if that changes no score.",
        ),
    ] = False
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="Where the best prompts go.")
    ] = Path("prompts.json")


@dataclass(frozen=True, kw_only=True)
class PrivacyOptions:
    """What is kept of what was said."""

    redact: Annotated[
        list[str],
        typer.Option(
            metavar="REGEX", help="What is taken out of all that is written or shown; repeatable."
        ),
    ] = field(default_factory=list[str])
    content: Annotated[
        bool,
        typer.Option(help="Keep tasks, messages, outputs and feedback; else only scores."),
    ] = True


def with_groups(function: Callable[..., None]) -> Callable[..., None]:
    """Make a command of a function with parameters that are groups: dataclasses of options.

    The command has the options of all groups, one by one, as typer expects them; the function is
    given the groups.
    """
    hints = get_type_hints(function, include_extras=True)
    groups: dict[str, type[Any]] = {}
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(function).parameters.items():
        if is_dataclass(hints[name]):
            groups[name] = hints[name]
            parameters += _options(hints[name])
        else:
            parameters.append(
                parameter.replace(annotation=hints[name], kind=parameter.KEYWORD_ONLY)
            )

    @functools.wraps(function)
    def command(**values: Any) -> None:
        given: dict[str, Any] = {}
        for name, group in groups.items():
            given[name] = group(
                **{option.name: values.pop(option.name) for option in fields(group)}
            )
        function(**given, **values)

    spread: Any = command  # typer reads these two
    spread.__signature__ = inspect.Signature(parameters)
    spread.__annotations__ = {p.name: p.annotation for p in parameters}
    return spread


def _options(group: type[Any]) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            option.name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=hints[option.name],
            default=_default(option),
        )
        for option in fields(group)
    ]


def _default(option: Any) -> Any:
    if option.default_factory is not MISSING:
        return option.default_factory()
    return inspect.Parameter.empty if option.default is MISSING else option.default
