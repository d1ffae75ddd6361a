"""The registry: integrations come from entry points, and a broken one stops nothing else."""

import warnings
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

import agl_adapters as agl
from agl_adapters import registry

Plugin = Callable[[str, str], Path]

WORKING = """
class make:
    name = "{name}"
    packages = ("json",)

    def recognizes(self, target):
        {recognizes}

    def adapt(self, target): ...
    def hooks(self, tracing): ...
"""


def working(name: str, recognizes: str = "return False") -> str:
    return WORKING.format(name=name, recognizes=recognizes)


def names() -> list[str]:
    return [integration.name for integration in registry.integrations()]


def test_our_own_integrations_are_found_by_their_entry_points() -> None:
    registry.integrations.cache_clear()
    assert {"langgraph", "openai"} <= set(names())
    assert names() == sorted(names())


def test_a_plugin_is_found_like_our_own(plugin: Plugin) -> None:
    plugin("dolls", working("dolls"))
    assert {"dolls", "langgraph"} <= set(names())


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("def make(", "SyntaxError"),
        ("", "AttributeError"),
        ("make = 3", "TypeError: 'int' object is not callable"),
        ("def make(): raise RuntimeError('no license')", "RuntimeError: no license"),
        ("import sys; sys.exit('bye')", "SystemExit: bye"),
        ("make = dict", "a dict lacks some of its attributes"),
        (working("other"), "its name is 'other', not that of its entry point"),
        (
            working("broken").replace('("json",)', '"json"'),
            "its packages are 'json', not a tuple of import names",
        ),
    ],
)
def test_a_broken_plugin_is_warned_about_once_and_stops_nothing(
    plugin: Plugin, source: str, reason: str
) -> None:
    plugin("broken", source)
    with pytest.warns(RuntimeWarning) as caught:
        found = names()
    (warning,) = caught
    assert "broken_plugin:make" in str(warning.message)
    assert reason in str(warning.message)
    assert "langgraph" in found
    assert "broken" not in found
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert names() == found


def test_of_two_plugins_of_one_name_the_second_is_left_out(plugin: Plugin) -> None:
    plugin("dolls", working("dolls"))
    # Another distribution whose entry point has the same name.
    info = plugin("puppets", working("dolls")).parent / "puppets_plugin-1.0.dist-info"
    (info / "entry_points.txt").write_text(f"[{registry.GROUP}]\ndolls = puppets_plugin:make\n")
    with pytest.warns(RuntimeWarning, match=r"left out: \w+_plugin provides one of that name"):
        assert names().count("dolls") == 1


def test_loading_one_says_what_provides_it(plugin: Plugin) -> None:
    plugin("broken", "make = None")
    entry = EntryPoint("broken", "broken_plugin:make", registry.GROUP)
    with pytest.raises(agl.IntegrationError, match="update or uninstall the package") as caught:
        registry.load_integration(entry)
    assert isinstance(caught.value.__cause__, TypeError)


def test_an_object_goes_to_the_integration_that_recognizes_it(toys: Any) -> None:
    first, second = toys.ToyIntegration("first"), toys.ToyIntegration("second")
    first.recognizes = lambda target: False
    assert registry.find_integration(toys.Toy(), [first, second]) is second


def test_an_integration_whose_framework_is_not_imported_is_not_asked(toys: Any) -> None:
    absent = toys.ToyIntegration()
    absent.packages = ("a_framework_that_is_not_imported",)
    with pytest.raises(agl.UnknownAgentError):
        registry.find_integration(toys.Toy(), [absent])


def test_a_plugin_that_fails_to_tell_is_passed_over(plugin: Plugin, toys: Any) -> None:
    plugin("broken", working("broken", "raise KeyError('kind')"))
    with pytest.warns(RuntimeWarning, match="'broken' is passed over: KeyError") as caught:
        agent = agl.wrap(lambda question: question, reward=lambda task, output: 1.0)
    assert agent.name == "<lambda>"
    assert len(caught) == 1


def test_what_nobody_recognizes_is_told_what_would_be(toys: Any) -> None:
    with pytest.raises(agl.UnknownAgentError) as caught:
        registry.find_integration(3.5, [toys.ToyIntegration()])
    message = str(caught.value)
    assert message.startswith("cannot wrap a builtins.float: no integration recognizes")
    assert "(there are: toys)" in message
    assert "a function that takes an input and returns an output" in message
    assert "pip install 'agl-adapters[langgraph]'" in message
    assert "\n" not in message


def test_a_class_is_told_to_be_instantiated(toys: Any) -> None:
    with pytest.raises(agl.UnknownAgentError, match=r"the class \S+\.Toy \(give an instance"):
        registry.find_integration(toys.Toy, [toys.ToyIntegration()])
