from __future__ import annotations

from typing import Any

import pytest

from agl_core.errors import ConfigurationError
from agl_core.spending.budgets import Budget


class TestBudget:
    @pytest.mark.parametrize(
        "cap", ["rollouts", "model_calls", "tokens", "dollars", "seconds", "patience"]
    )
    @pytest.mark.parametrize("value", [0, -1, "5", True, float("nan")])
    def test_a_cap_is_a_positive_number(self, cap: str, value: Any) -> None:
        with pytest.raises(ConfigurationError, match=rf"Budget\({cap}=.*a cap is"):
            Budget(**{cap: value})

    @pytest.mark.parametrize("cap", ["rollouts", "model_calls", "tokens", "patience"])
    def test_what_is_counted_is_a_whole_number(self, cap: str) -> None:
        with pytest.raises(ConfigurationError, match=rf"Budget\({cap}=2.5\): a cap is a whole"):
            Budget(**{cap: 2.5})  # pyright: ignore[reportArgumentType]

    def test_a_target_may_be_any_number(self) -> None:
        assert Budget(target=-1.0).target == -1.0
        with pytest.raises(ConfigurationError, match="target"):
            Budget(target="high")  # pyright: ignore[reportArgumentType]
