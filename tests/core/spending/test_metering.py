from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agl_core.prompts.binding import Binding, bound
from agl_core.rollouts import ModelUsage
from agl_core.spans.genai import TokenUsage
from agl_core.spending.budgets import BudgetExhaustedError
from agl_core.spending.metering import Demand, Reserved, metered_call

REQUEST = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


class Meter:
    """Lets a call wait twice, and notes how it ended."""

    def __init__(self) -> None:
        self.asked: list[Demand] = []
        self.ended: list[Any] = []

    def begin(self, demand: Demand) -> Reserved | None:
        self.asked.append(demand)
        return None if len(self.asked) < 3 else Reserved(demand.model, ModelUsage(1, 9, 9))

    def end(self, reserved: Reserved, tokens: TokenUsage | None, failed: bool) -> None:
        self.ended.append((reserved, tokens, failed))


class TestDemand:
    def test_is_at_most_the_bytes_of_the_request(self) -> None:
        for text in ("hello", "größer", "你好" * 100, "\U0001f600", "\n\n"):
            demand = Demand.of_request({**REQUEST, "messages": [{"content": text}]})
            assert len(text.encode()) < demand.input_tokens < len(text.encode()) + 100

    def test_is_not_the_bytes_of_an_image(self) -> None:
        image = {"image_url": {"url": "data:image/png;base64," + "A" * 1_000_000}}
        demand = Demand.of_request({"model": "m", "messages": [{"content": [image]}]})
        assert 10_000 < demand.input_tokens < 10_200

    @pytest.mark.parametrize(
        ("request_", "output", "answers"),
        [
            ({}, None, 1),
            ({"max_tokens": 5}, 5, 1),
            ({"max_completion_tokens": 7, "n": 3}, 7, 3),
            ({"max_output_tokens": 9, "n": None}, 9, 1),
        ],
    )
    def test_has_the_limits_of_the_request(
        self, request_: dict[str, Any], output: int | None, answers: int
    ) -> None:
        demand = Demand.of_request({**REQUEST, **request_})
        assert (demand.model, demand.output_tokens, demand.answers) == ("m", output, answers)


class TestMeteredCall:
    def test_is_none_where_nothing_is_metered(self) -> None:
        assert metered_call(REQUEST) is None
        with bound(Binding({})):
            assert metered_call(REQUEST) is None

    @pytest.mark.parametrize("is_async", [False, True])
    async def test_waits_for_room(self, is_async: bool) -> None:
        meter = Meter()
        with bound(Binding({}, meter=meter)):
            call = metered_call(REQUEST)
        assert call is not None
        await (call.abegin() if is_async else asyncio.to_thread(call.begin))
        assert meter.asked == [Demand.of_request(REQUEST)] * 3
        for _ in range(2):  # once is enough
            call.end(TokenUsage(1, 2))
        assert meter.ended == [(Reserved("m", ModelUsage(1, 9, 9)), TokenUsage(1, 2), False)]

    def test_that_was_refused_gives_nothing_back(self) -> None:
        class Full(Meter):
            def begin(self, demand: Demand) -> Reserved | None:
                raise BudgetExhaustedError("tokens")

        meter = Full()
        with bound(Binding({}, meter=meter)):
            call = metered_call(REQUEST)
        assert call is not None
        with pytest.raises(BudgetExhaustedError):
            call.begin()
        call.end(None)
        assert meter.ended == []
