from __future__ import annotations

import socket
from typing import Any

import pytest

from agl_core.errors import ConfigurationError
from agl_core.spans.genai import TokenUsage, request_attributes, response_attributes
from agl_core.spans.span import Span
from agl_core.spending.prices import Price, PriceList, checked_prices

MILLION = TokenUsage(1_000_000, 1_000_000)


def call(model: str, id: str = "chatcmpl-1", usage: TokenUsage = MILLION) -> Span:
    return Span(
        name="chat",
        trace_id="1",
        span_id=id,
        parent_id=None,
        kind="client",
        start_ns=0,
        end_ns=1,
        attributes={
            **request_attributes(model),
            **response_attributes(model=f"{model}-2026", response_id=id, usage=usage),
        },
    )


@pytest.fixture(autouse=True)
def real_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-real")


class TestPrice:
    def test_counts_cached_tokens_apart(self) -> None:
        tokens = TokenUsage(3_000_000, 2_000_000, 1_000_000)
        assert Price(1.0, 10.0, 0.25).cost(tokens) == 2.0 + 0.25 + 20.0
        assert Price(1.0, 10.0).cost(tokens) == 3.0 + 20.0

    @pytest.mark.parametrize("wrong", [-1, float("nan"), float("inf"), "2", True])
    def test_is_a_number_of_dollars(self, wrong: Any) -> None:
        for values in ((wrong, 1.0), (1.0, wrong), (1.0, 1.0, wrong)):
            with pytest.raises(ConfigurationError, match="a price is a number of dollars"):
                Price(*values)

    def test_is_given_by_the_name_of_the_model(self) -> None:
        assert checked_prices({"m": Price(1, 2)}) == {"m": Price(1, 2)}
        for wrong, message in (([1], "prices is list"), ({"m": 2}, "the price of m is int")):
            with pytest.raises(ConfigurationError, match=message):
                checked_prices(wrong)  # pyright: ignore[reportArgumentType]


class TestPriceList:
    def test_has_those_of_known_models_and_asks_no_network(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def connect(*_: Any) -> None:
            raise AssertionError("the network was asked")

        monkeypatch.setattr(socket.socket, "connect", connect)
        said: list[str] = []
        prices = PriceList(say=said.append)
        assert prices.of_spans([call("gpt-4o")]) == pytest.approx(12.5)
        cached = TokenUsage(1_000_000, 0, 1_000_000)
        assert prices.of_call("gpt-4o", cached, "chatcmpl-2") == pytest.approx(1.25)
        assert (said, prices.unpriced) == ([], ())

    def test_has_the_users_first(self) -> None:
        prices = PriceList({"gpt-4o": Price(1, 1), "mine-2026": Price(2, 2)})
        assert prices.of_spans([call("gpt-4o")]) == 2.0
        assert prices.of_spans([call("mine"), call("gpt-4o", "chatcmpl-2")]) == 4.0 + 2.0

    def test_tells_of_an_unknown_model_once_and_does_not_guess(self) -> None:
        said: list[str] = []
        prices = PriceList(say=said.append)
        assert prices.of_spans([call("gpt-4o-of-our-own"), call("gpt-4o-of-our-own", "b")]) == 0.0
        assert prices.unpriced == ("gpt-4o-of-our-own",)
        assert len(said) == 1
        assert "no price is known of gpt-4o-of-our-own" in said[0]
        assert "Trainer(prices={'gpt-4o-of-our-own': agl.Price(" in said[0]

    def test_has_none_of_the_simulated_model_but_the_users(self) -> None:
        said: list[str] = []
        simulated = call("gpt-4o", "chatcmpl-simulated-1")
        prices = PriceList(say=said.append)
        assert prices.of_spans([simulated]) == 0.0
        assert (said, prices.unpriced) == ([], ("gpt-4o (simulated)",))
        assert PriceList({"gpt-4o": Price(1, 1)}).of_spans([simulated]) == 2.0

    def test_is_required_for_a_budget(self, monkeypatch: pytest.MonkeyPatch) -> None:
        PriceList().require(["gpt-4o"])
        PriceList({"m": Price(0, 0)}).require(["m"])
        with pytest.raises(
            ConfigurationError, match=r"needs a price of m, and none is known: give"
        ):
            PriceList().require(["gpt-4o", "m"])
        monkeypatch.setenv("OPENAI_API_KEY", "simulated")
        with pytest.raises(ConfigurationError, match="gpt-4o, and the simulated model has none"):
            PriceList().require(["gpt-4o"])
