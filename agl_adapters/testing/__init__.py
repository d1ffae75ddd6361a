"""A simulated OpenAI-compatible model for tests, demos and benchmarks: no key, no network.

Start it with `simulated_model`, or in pytest with `pytest_plugins =
["agl_adapters.testing.fixtures"]` and the fixture of the same name. Whatever comes from it says
that it is simulated. The server needs the extra `simulate`.
"""

from agl_adapters.testing.calls import Call, Message, Reply, Tool, ToolCall
from agl_adapters.testing.critic import Critic
from agl_adapters.testing.editor import Editor
from agl_adapters.testing.faults import Fault, FaultKind
from agl_adapters.testing.launch import SeenRequest, SimulatedModel, serve, simulated_model
from agl_adapters.testing.rules import Breach, Rule, all_of, any_of, either, obeyed
from agl_adapters.testing.scenario import Scenario, load_scenario

__all__ = [
    "Breach",
    "Call",
    "Critic",
    "Editor",
    "Fault",
    "FaultKind",
    "Message",
    "Reply",
    "Rule",
    "Scenario",
    "SeenRequest",
    "SimulatedModel",
    "Tool",
    "ToolCall",
    "all_of",
    "any_of",
    "either",
    "load_scenario",
    "obeyed",
    "serve",
    "simulated_model",
]
