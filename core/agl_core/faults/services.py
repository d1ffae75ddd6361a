"""Services: what all rollouts and model calls of a run know of the services that they call.

One rollout's trouble is everybody's: who is about to call waits as long as the service asked
anybody to, and a service that was overloaded is come back to in small numbers.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from agl_core.callbacks import Callback
from agl_core.errors import ModelError
from agl_core.faults.backoff import Backoff
from agl_core.faults.troubles import Trouble
from agl_core.spending.ledger import Ledger

__all__ = ["Call", "Lane", "Services"]

_DOWN = 3
"""So many cool-downs without an answer in between: the service is down."""
_SURE = 2
"""So many failures without an answer in between that are not about what was asked show that it is
the service."""
_MANY = 8
"""So many of any kind suggest it, or as many as there are calls under way, if those are more: one
lost connection may be all of theirs."""
_LOST = 4
"""So many times that, given up without an answer in between, end the run; and of many runners so
many times the most calls that there were at once."""
_PATIENT = 4
"""What is down is tried again after this part of the time that it has been."""
_STEPS = 8
"""In so many steps the number of calls goes from what is enough to twice that."""


class Services:
    """The services of a run. Used on one event loop.

    Args:
        backoff: How long to wait.
        ledger: What ends the run when a service stays down; who waits here goes when it ends.
        callback: Who is told that a service is down, and that it is back.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        backoff: Backoff,
        ledger: Ledger,
        callback: Callback,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.backoff = backoff
        self.ledger = ledger
        self.clock = clock
        self.lanes: list[Lane] = []
        self._callback = callback
        self._hosts: dict[str, _Host] = {}
        self._answered: float | None = None
        self._lost = 0

    def lane(self, *services: str) -> Lane:
        """Return a lane for calls of one kind, to services of which some may be known already."""
        lane = Lane(self, [self.host(name) for name in services])
        self.lanes.append(lane)
        return lane

    def host(self, name: str) -> _Host:
        """Return what is known of a service, by host and port; empty for one that is not named."""
        if name not in self._hosts:
            self._hosts[name] = _Host(name)
        return self._hosts[name]

    def answered(self, hosts: set[_Host]) -> None:
        """Take note that services did their part."""
        self._answered, self._lost = self.clock(), 0
        for host in hosts:
            if self._is_down(host):
                self._callback.on_warning(f"{host.title} is back: the run goes on")
            host.answered()

    def failed(self, host: _Host, trouble: Trouble, began: float, first: float) -> bool:
        """Take note of a failed attempt, and when the first of its kind began.

        What was begun before the last answer tells nothing of the service: others that were under
        way with it were answered. Those with trouble are the last of a batch, since they are tried
        again.

        Returns:
            Whether to count it against whoever met it.
        """
        if trouble.final:
            self._end(f"the quota is used up: {trouble.text}")
        now, was_down = self.clock(), self._is_down(host)
        many = max(_MANY, sum(lane.inside for lane in self._lanes_to(host)))
        telling = trouble.overall or self._is_new(first)
        cooling = telling and host.failed(trouble, began, now, self.backoff, many)
        if cooling and host.is_sure:
            for lane in self._lanes_to(host):
                lane.narrow(now, alone=host.cool_downs >= _DOWN)
        if not self._is_down(host):
            return True
        outage = now - host.since
        if outage >= self.backoff.outage:
            self._end(f"{host.title} has been down for {outage:.0f} seconds: {trouble.text}")
        elif not was_down:
            self._callback.on_warning(
                f"{host.title} is down ({trouble.text}): the run waits for it, for up to "
                f"{self.backoff.outage:g} seconds"
            )
        # Where it may be what was asked all the same, others are to have their turn.
        return not trouble.overall

    def lost(self, trouble: Trouble, first: float, needed: bool = False) -> None:
        """Take note that something was given up.

        It ends the run if the service has never answered anybody, or nobody for very many.

        Args:
            trouble: What it was.
            first: When its first attempt began.
            needed: Whether the run cannot do without it, as it can without a rollout.
        """
        host = self.host(trouble.service)
        self._lost += self._is_new(first)
        most = max(_MANY, sum(lane.most for lane in self._lanes_to(host)))
        many = self._lost >= most * (1 if needed else _LOST)
        if self._answered is None and (trouble.overall or many):
            self._end(
                f"{host.title} cannot be used: {trouble.text.rstrip('.')}. "
                "Is it up, and the one that you mean (OPENAI_BASE_URL, or what the program sets)?"
            )
        elif many:
            self._end(
                f"{self._lost} rollouts and model calls were begun since the last answer, and all "
                f"failed for reasons that are not theirs; the last one: {trouble.text}"
            )

    def _end(self, message: str) -> None:
        """End the run: with the best so far, if there can be any."""
        if self._answered is not None:
            self.ledger.stop("unavailable", message)
        else:
            self.ledger.refuse(ModelError(message))

    def _is_down(self, host: _Host) -> bool:
        # One that has never answered may just have a wrong address: nothing to wait for.
        return self._answered is not None and host.is_sure and host.cool_downs >= _DOWN

    def _is_new(self, first: float) -> bool:
        return self._answered is None or first >= self._answered

    def _lanes_to(self, host: _Host) -> list[Lane]:
        return [lane for lane in self.lanes if host in lane.hosts]


class Lane:
    """Calls of one kind, such as the rollouts: how many of them may go at once.

    Any number, until a service that they call is overloaded. Then half as many as there were, and
    more each time that all of them were answered; one alone, while it is down.
    """

    def __init__(self, services: Services, hosts: list[_Host]) -> None:
        self.hosts = set(hosts)
        self._services = services
        self.inside = 0
        self.most = 0
        self._limit = math.inf
        self._enough = 0.0
        self._narrowed = 0.0
        self._widened = True
        self._changed = asyncio.Event()

    @asynccontextmanager
    async def entered(self) -> AsyncGenerator[Call]:
        """Wait until one more may call, and hold the place for the block.

        Raises:
            AglError: If further work is refused meanwhile.
        """
        ledger, clock = self._services.ledger, self._services.clock
        ledger.raise_if_refused()
        while (wait := self._until - clock()) > 0 or self.inside + 1 > self._limit:
            await ledger.unless_refused(self._waited(wait))
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            yield Call(self._services, self, clock())
        finally:
            self.inside -= 1
            self._wake()

    def narrow(self, now: float, alone: bool) -> None:
        """Let fewer in. What is thought to be enough is halved once, until there are answers."""
        self._narrowed = now
        half = max(1.0, self.inside / 2)
        if self._widened:
            self._enough, self._widened = half, False
        self._limit = 1.0 if alone else half

    def widen(self, began: float) -> None:
        """Let more in, for an answer to what began since it was narrowed.

        Twice as many each time that all were answered, up to what was thought to be enough, and an
        eighth of that more from there on.
        """
        if began > self._narrowed and self._limit < math.inf:
            self._widened = True
            fewer = self._limit < self._enough
            self._limit += 1.0 if fewer else max(1.0, self._enough / _STEPS) / self._limit
            if self._limit >= self.most:
                self._limit = math.inf
            self._wake()

    @property
    def _until(self) -> float:
        return max((host.until for host in self.hosts), default=0.0)

    async def _waited(self, wait: float) -> None:
        if wait > 0:
            await asyncio.sleep(wait * random.uniform(1.0, 1.25))  # not all in the same moment
        else:
            await self._changed.wait()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class Call:
    """One attempt at calling services; how it ended is to be told."""

    def __init__(self, services: Services, lane: Lane, began: float) -> None:
        self._services = services
        self._lane = lane
        self.began = began

    def answered(self) -> None:
        """Take note that the services did their part."""
        self._services.answered(self._lane.hosts)
        self._lane.widen(self.began)

    def failed(self, trouble: Trouble, first: float) -> bool:
        """Take note of a failure of the world.

        Args:
            trouble: What it was.
            first: When the first attempt at the same thing began.

        Returns:
            Whether it is one of the attempts that whoever called has. While the service is down for
            everybody it is not.
        """
        host = self._services.host(trouble.service)
        self._lane.hosts.add(host)
        return self._services.failed(host, trouble, self.began, first)


class _Host:
    """One service: until when nobody calls it.

    Two failures without an answer in between that are not about what was asked (rate limits, nobody
    there) start a cool-down, longer each time until there is an answer; as many of any kind as
    there are calls under way start a short one. What began before a cool-down starts no other one.
    """

    def __init__(self, name: str) -> None:
        self.title = f"the service at {name}" if name else "the model service"
        self.until = 0.0
        self.since = 0.0
        """When it first failed after its last answer."""
        self.cool_downs = 0
        self._failures = 0
        self._overall = 0
        self._cooled = 0.0

    @property
    def is_sure(self) -> bool:
        """Whether it is the service that fails, not some of what it is asked."""
        return self._overall >= _SURE

    def answered(self) -> None:
        self._failures = self._overall = self.cool_downs = 0

    def failed(
        self, trouble: Trouble, began: float, now: float, backoff: Backoff, many: int
    ) -> bool:
        """Take note of a failure; return whether it starts a cool-down."""
        if trouble.retry_after is not None:
            self.until = max(self.until, now + backoff.at_most(trouble.retry_after))
        self._failures += 1
        self._overall += trouble.overall
        if self._failures == 1:
            self.since = now
        if not (self.is_sure or self._failures >= many) or began <= self._cooled:
            return False
        self.cool_downs += 1
        self._cooled = now
        if not self.is_sure:
            self.until = max(self.until, now + backoff.seconds(1, None))
            return True
        wait = backoff.seconds(self.cool_downs, None)
        if self.cool_downs > _DOWN:
            # One alone tries it: that is no stampede, and a long wait would outlast the outage.
            wait = min(wait, max(backoff.seconds(1, None), (now - self.since) / _PATIENT))
        self.until = max(self.until, now + wait)
        return True
