"""From options to objects: the agent, the algorithm, the budget."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from typing import Any

import agl_adapters as agl
from agl_adapters.cli.options import AgentOptions, BudgetOptions
from agl_adapters.references import load_reference
from agl_core.errors import ConfigurationError
from agl_core.execution.agents import Agent
from agl_core.prompts.templates import Resources

__all__ = [
    "ALGORITHMS",
    "make_agent",
    "make_algorithm",
    "make_budget",
    "make_prices",
    "make_templates",
    "seed_prompts",
]

ALGORITHMS = {
    "apo": "agl_core.algorithms.apo:APO",
    "published": "agl_core.algorithms.apo:APO.published",
    "gepa": "agl_core.algorithms.gepa:GEPA",
    "baseline": "agl_core.algorithms.baseline:Baseline",
}
"""By the names that ``--algorithm`` takes; anything else is a reference to one's own."""

_OPTIONS = frozenset({"demonstrations"})
"""Parameters of algorithms that have an option of their own."""


def make_agent(options: AgentOptions) -> Agent:
    """Load the program and make an agent of it, unless it is one.

    Raises:
        ConfigurationError: If a reference cannot be loaded, or they do not fit together.
        UnknownAgentError: If it is nothing that can be wrapped.
    """
    program = load_reference(options.agent, "the program")
    if isinstance(program, Agent):
        for name in ("input", "reward"):
            if getattr(options, name) is not None:
                raise ConfigurationError(
                    f"{options.agent} is an agent that gives its own reward: leave out --{name}"
                )
        return program
    if options.reward is None:
        raise ConfigurationError(
            f"how is {options.agent} scored? Name a function reward(task, output): "
            "--reward my_app:score"
        )
    make_input = None
    if options.input is not None:
        make_input = load_reference(options.input, "--input")
    return agl.wrap(program, input=make_input, reward=load_reference(options.reward, "--reward"))


def seed_prompts(options: AgentOptions) -> Resources:
    """Return the prompts to start from; none, if the program's own are to be used.

    Raises:
        ConfigurationError: If the file cannot be used.
    """
    return {} if options.prompts is None else agl.load_prompts(options.prompts)


def make_budget(options: BudgetOptions) -> agl.Budget:
    """Make the budget."""
    return agl.Budget(
        rollouts=options.budget_rollouts,
        model_calls=options.budget_model_calls,
        tokens=options.budget_tokens,
        dollars=options.budget_dollars,
        seconds=options.budget_seconds,
        target=options.target,
        patience=options.patience,
    )


def make_prices(options: BudgetOptions) -> dict[str, agl.Price]:
    """Make the prices of models from MODEL=IN/OUT or MODEL=IN/OUT/CACHED.

    Raises:
        ConfigurationError: If one is no such thing.
    """
    prices: dict[str, agl.Price] = {}
    for text in options.price:
        model, _, numbers = text.rpartition("=")
        try:
            prices[model] = agl.Price(*map(float, numbers.split("/")))
        except (TypeError, ValueError):
            model = ""
        if not model:
            raise ConfigurationError(
                f"--price {text}: write MODEL=IN/OUT or MODEL=IN/OUT/CACHED, in dollars per "
                "million tokens, such as gpt-4o=2.5/10"
            )
    return prices


def make_templates(given: Sequence[str]) -> Mapping[str, str]:
    """Read templates, each as SLOT=TEXT.

    Raises:
        ConfigurationError: If one is written otherwise.
    """
    templates: dict[str, str] = {}
    for text in given:
        slot, separator, template = text.partition("=")
        if not separator or ":" not in slot:
            raise ConfigurationError(
                f"--template {text}: write SLOT=TEXT, such as "
                "'openai:my_app.answer#system=Be {how}.'"
            )
        templates[slot] = template
    return templates


def make_algorithm(
    name: str, settings: Sequence[str], defaults: Mapping[str, Any]
) -> agl.Algorithm:
    """Make the algorithm.

    Args:
        name: One of `ALGORITHMS`, or a reference to an algorithm or what makes one.
        settings: Its parameters as NAME=VALUE; a value is JSON, or else text.
        defaults: Parameters that are given if it has them, and the settings lack them.

    Raises:
        ConfigurationError: If there is no such algorithm or parameter, or a value is out of range.
    """
    maker = load_reference(ALGORITHMS.get(name, name), "--algorithm")
    if isinstance(maker, agl.Algorithm) and not isinstance(maker, type):
        if settings:
            raise ConfigurationError(f"{name} is made already: it takes no --set")
        return maker
    if not callable(maker):
        raise ConfigurationError(f"--algorithm {name} is no algorithm and makes none")
    accepted = inspect.signature(maker).parameters
    values = {key: value for key, value in defaults.items() if key in accepted}
    values |= dict(_setting(text) for text in settings)
    passes_on = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in accepted.values())
    for key in values:
        own = key in _OPTIONS
        if key not in accepted and (own or not passes_on):
            raise ConfigurationError(
                f"--{key if own else f'set {key}'}: the algorithm {name} has no such parameter; "
                f"it has: {', '.join(accepted) or 'none'}"
            )
    try:
        made: Any = maker(**values)
    except TypeError as error:
        given = ", ".join(values) or "nothing"
        raise ConfigurationError(
            f"--algorithm {name} cannot be made with {given}: {error}"
        ) from error
    return made


def _setting(text: str) -> tuple[str, Any]:
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise ConfigurationError(f"--set {text}: write NAME=VALUE, such as beam_rounds=3")
    try:
        return key.strip().replace("-", "_"), json.loads(value)
    except ValueError:
        return key.strip().replace("-", "_"), value
