"""The model calls of a run's algorithm: journaled, counted, each paid for once."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from agl_core.callbacks import Callback
from agl_core.concurrency.canaries import Canary
from agl_core.concurrency.single_flight import SingleFlight
from agl_core.damage import undamaged
from agl_core.errors import ConfigurationError, ModelError, RedactionError, StoreError
from agl_core.models.chat import ChatMessage, Completion, ModelClient, RefusedError
from agl_core.privacy.redaction import Redaction
from agl_core.rollouts import ModelUsage
from agl_core.spans.genai import TokenUsage
from agl_core.spending.budgets import BudgetExhaustedError
from agl_core.spending.ledger import Ledger
from agl_core.spending.metering import Demand
from agl_core.storage.store import Journal

__all__ = ["ModelCalls"]


class ModelCalls:
    """Makes the model calls of an algorithm. What the journal holds is read, not asked again.

    Used on one event loop. Before the first call of a run has been answered, no other one is made;
    after the service has refused one, none is: a wrong key costs one call, not as many as the
    algorithm wants to make at once.

    Args:
        client: Where the calls go; None if the algorithm declares no model.
        journal: Where they are written down.
        ledger: Where they are counted.
        callback: Who is told.
        redaction: What is taken out of answers, before they are written down and handed on.
    """

    def __init__(
        self,
        client: ModelClient | None,
        journal: Journal,
        ledger: Ledger,
        callback: Callback,
        redaction: Redaction | None = None,
    ) -> None:
        self._redaction = redaction or Redaction()
        self._client = client
        self._journal = journal
        self._ledger = ledger
        self._callback = callback
        self._asked: Counter[str] = Counter()
        self._running = SingleFlight[str, str]()
        self._canary = Canary()
        self._answered = 0
        self._failures: list[ModelError] = []

    async def ask(
        self, model: str, messages: Sequence[ChatMessage], temperature: float, key: str
    ) -> str:
        """Make a model call; see `Session.ask`."""
        try:
            sent = [
                {name: self._redaction.text(text) for name, text in message.items()}
                for message in messages
            ]
        except RedactionError as error:
            self._ledger.refuse(error)
            raise
        content = json.dumps([model, sent, temperature, key], sort_keys=True)
        digest = hashlib.sha256(content.encode()).hexdigest()[:24]
        if not key:
            self._asked[digest] += 1
            digest = f"{digest}.{self._asked[digest]}"
        known = self._journal.store.call(self._journal.run, digest)
        if known is not None:
            self._answered += 1
            self._callback.on_call(model, True)
            with undamaged("the record of a model call"):
                return known["text"]
        request = {"model": model, "messages": sent, "temperature": temperature, "key": key}
        return await self._running.result(
            digest, lambda: self._paid(digest, request, model, sent, temperature)
        )

    def raise_if_none_answered(self) -> None:
        """Stop a run whose algorithm asked in vain: that it found nothing would say nothing.

        Raises:
            ModelError: If model calls were made and every one failed; with the first reason.
        """
        if self._failures and not self._answered:
            raise ModelError(
                f"all {len(self._failures)} model calls of the algorithm failed, so there was no "
                f"search; the first one: {self._failures[0]}"
            ) from self._failures[0]

    async def _paid(
        self,
        digest: str,
        request: Mapping[str, Any],
        model: str,
        messages: Sequence[ChatMessage],
        temperature: float,
    ) -> str:
        if self._client is None:
            raise ConfigurationError(
                "the algorithm calls a model but declares none: list it in `models`, "
                "so that its credentials are checked before anything is spent"
            )
        demand = Demand.of_request({"model": model, "messages": request["messages"]})
        async with self._canary.sent(), self._ledger.call(demand):
            limit = asyncio.timeout(self._ledger.seconds_left)
            try:
                async with limit:
                    completion = await self._client.complete(model, messages, temperature)
            except TimeoutError:
                if not limit.expired():
                    raise
                raise BudgetExhaustedError("seconds") from None
            except ModelError as error:
                self._failures.append(error)
                if isinstance(error, RefusedError):
                    self._ledger.refuse(error)
                raise
            self._answered += 1
            usage = self._priced(model, completion)
            self._ledger.spend_call(usage, model)
            try:
                text = self._redaction.text(completion.text)
            except RedactionError as error:
                self._ledger.refuse(error)
                raise
            record = {
                **request,
                "text": text,
                "usage": usage.to_json(),
                "response_id": completion.id,
                "unpriced": self._ledger.prices.unpriced,
            }
            try:
                self._journal.store.add_call(self._journal.run, digest, record)
            except StoreError as error:
                self._ledger.refuse(error)  # what cannot be kept is not to be paid for
                raise
        self._callback.on_spent(self._ledger.usage)
        self._callback.on_call(model, False)
        return text

    def _priced(self, model: str, completion: Completion) -> ModelUsage:
        """Return what a call took, with what it cost."""
        used = completion.usage
        if used.dollars:
            return used
        tokens = TokenUsage(used.input_tokens, used.output_tokens, completion.cached_tokens)
        return replace(used, dollars=self._ledger.prices.of_call(model, tokens, completion.id))
