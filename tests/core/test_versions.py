from importlib import metadata

import pytest

from agl_core.versions import installed_versions


def test_a_framework_is_the_distributions_of_its_extra() -> None:
    assert installed_versions(["langgraph"]) == {
        name: metadata.version(name) for name in ("agl-adapters", "langchain-core", "langgraph")
    }
    assert list(installed_versions(["openai_agents", "autogen"])) == [
        "agl-adapters",
        "autogen-agentchat",
        "autogen-core",
        "autogen-ext",
        "openai-agents",
    ]


def test_a_framework_without_an_extra_is_the_distribution_of_its_name() -> None:
    assert list(installed_versions(["openai"])) == ["agl-adapters", "openai"]


def test_what_is_not_installed_is_left_out() -> None:
    assert list(installed_versions(["no_such_framework", "", "../x", "a\nb"])) == ["agl-adapters"]


def test_a_copy_of_the_source_has_no_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", missing)
    monkeypatch.setattr(metadata, "version", missing)
    assert installed_versions(["langgraph"]) == {}
