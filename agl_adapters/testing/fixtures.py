"""Pytest fixtures of the simulated model: `pytest_plugins = ["agl_adapters.testing.fixtures"]`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agl_adapters.testing import launch

__all__ = ["simulated_model", "simulated_model_process"]


@pytest.fixture(scope="session")
def simulated_model_process() -> Iterator[launch.SimulatedModel]:
    """The server's process, one for the whole session; ask for `simulated_model` instead."""
    with launch.simulated_model("echo", set_environment=False) as model:
        yield model


@pytest.fixture
def simulated_model(
    simulated_model_process: launch.SimulatedModel, monkeypatch: pytest.MonkeyPatch
) -> launch.SimulatedModel:
    """The simulated model for one test: scenario `echo`, seed 0, no latency or faults, empty log.

    The test may `configure` it. `OPENAI_BASE_URL` and `OPENAI_API_KEY` are set for the test.
    """
    simulated_model_process.configure(scenario="echo", seed=0, latency=0.0, faults=())
    simulated_model_process.reset()
    for name, value in simulated_model_process.environment().items():
        monkeypatch.setenv(name, value)
    return simulated_model_process
