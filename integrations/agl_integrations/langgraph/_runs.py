"""The tree of LangChain runs in progress, and the path of a model call in it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID
from weakref import WeakKeyDictionary

from langchain_core.runnables.config import var_child_runnable_config

from agl_core.prompts.binding import Binding, current_binding

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig
    from opentelemetry.trace import Span

__all__ = ["UNNAMED_CHAIN", "Run", "RunTree", "Site", "checkpoint_path", "structural_site"]


UNNAMED_CHAIN = "chain"
"""Stands for the path in a chain without a name that is started by no code of the user's."""


class Site(NamedTuple):
    """Where in a run something is started: in user code, or as a step of a chain."""

    code: str = ""
    """See `CallSites.inner_site`; or the key of a branch."""
    step: str = ""
    """The tag of a step of a sequence."""


_NOWHERE = Site()


@dataclass(eq=False, slots=True)
class Run:
    """A run in progress: of a graph, a node, a tool, a chain or a model."""

    parent: Run | None
    element: str = ""
    """Its part of the path of what runs inside: the name of a node, tool or named agent."""
    site: Site = _NOWHERE
    """Where in the enclosing run it was started."""
    origin: str = ""
    """What stands for the path if there is no element in it: a chain's name or call site."""
    span: Span | None = None
    """Its own span, or the innermost one around it."""
    records: bool = False
    """Whether the span is its own."""
    steps: list[str] = field(default_factory=list[str])
    """The steps of a sequence that hold model calls, in the order in which they were reached."""


class RunTree:
    """The runs in progress, apart for each binding: what a rollout leaves open goes with it."""

    def __init__(self) -> None:
        self._runs: WeakKeyDictionary[Binding, dict[UUID, Run]] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def add(self, run_id: UUID, run: Run) -> None:
        """Add a run that started."""
        binding = current_binding()
        if binding is None:
            return
        runs = self._runs.get(binding)
        if runs is None:
            with self._lock:
                runs = self._runs.setdefault(binding, {})
        runs[run_id] = run

    def get(self, run_id: UUID | None) -> Run | None:
        """Return a run in progress."""
        binding = current_binding()
        if binding is None or run_id is None:
            return None
        return self._runs.get(binding, {}).get(run_id)

    def pop(self, run_id: UUID) -> Run | None:
        """Remove a run that ended, and return it."""
        binding = current_binding()
        return None if binding is None else self._runs.get(binding, {}).pop(run_id, None)

    def __len__(self) -> int:
        """Return the number of runs in progress."""
        return sum(len(runs) for runs in self._runs.values())

    def enclosing(self, config: Mapping[str, Any] | None) -> Run | None:
        """Return the run that a call with this config is part of.

        The config that was given explicitly knows best: the steps of a chain after the first see
        no ambient one. Callbacks of the user's own in it say nothing about the parent.
        """
        for source in (config, var_child_runnable_config.get()):
            manager = (source or {}).get("callbacks")
            run = self.get(getattr(manager, "parent_run_id", None))
            if run is not None:
                return run
        return None

    def paths(self, parent: Run, site: Site) -> list[str]:
        """Return the path of a model call, and what it may be called for short.

        The path joins nodes, tools and named agents by ``/``. For short, the sites within them are
        left out. A chain without a name has that of the code that starts it; for short, and where
        no code of the user's does, it is `UNNAMED_CHAIN`.

        Args:
            parent: The run that the call is part of.
            site: Where in that run the call is made.
        """
        full: list[str] = []
        plain: list[str] = []
        origin = ""
        for run in _from_root(parent):
            origin = origin or run.origin
            _append(full, _site_name(run.site, run.parent))
            if run.element:
                full.append(run.element)
                plain.append(run.element)
        if origin and not plain:
            full, plain = [origin, *full], [UNNAMED_CHAIN]
        _append(full, _site_name(site, parent))
        return ["/".join(full), "/".join(plain)] if full != plain else ["/".join(full)]


def checkpoint_path(config: RunnableConfig | Mapping[str, Any] | None) -> str:
    """Return the path of nodes that LangGraph itself gives in a config, or nothing."""
    for source in (config, var_child_runnable_config.get()):
        if not source:
            continue
        namespace = (source.get("configurable") or {}).get("checkpoint_ns") or (
            source.get("metadata") or {}
        ).get("langgraph_checkpoint_ns")
        if namespace:
            return "/".join(part.partition(":")[0] for part in str(namespace).split("|"))
    return ""


def structural_site(tags: Sequence[str] | None) -> Site:
    """Return the site of a step of a chain, which its tags give.

    A branch of a parallel step is named by its key.
    """
    for tag in tags or ():
        kind, _, rest = tag.partition(":")
        if kind == "seq":
            return Site(step=rest)
        if kind == "map":
            return Site(rest.removeprefix("key:"))
        if kind in ("branch", "condition"):
            return Site(tag.replace(":", ""))
    return Site()


def _site_name(site: Site, run: Run | None) -> str:
    """Name a site of a run. To be asked only for what holds a model call.

    Of the steps of a sequence that hold one, the first has no name and the second is ``step2``:
    they always run in the same order.
    """
    if not site.step or run is None:
        return site.code
    if site.step not in run.steps:
        run.steps.append(site.step)
    number = run.steps.index(site.step) + 1
    return f"step{number}" if number > 1 else ""


def _from_root(run: Run | None) -> Iterator[Run]:
    chain: list[Run] = []
    while run is not None:
        chain.append(run)
        run = run.parent
    return reversed(chain)


def _append(elements: list[str], site: str) -> None:
    """Add a site to what it is within."""
    if site and elements:
        elements[-1] = f"{elements[-1]}.{site}"
    elif site:
        elements.append(site)
