"""The start-up check of what AutoGen's hooks stand on, and what importing the module costs."""

import subprocess
import sys
from importlib import metadata

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.teams._group_chat._magentic_one import _magentic_one_orchestrator
from autogen_core import SingleThreadedAgentRuntime
from autogen_core.tools import BaseTool

from agl_adapters.requirements import check_all
from agl_core.errors import MissingDependencyError, UnsupportedVersionError
from agl_integrations.autogen._compat import REQUIREMENTS


def test_another_version_is_refused_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    check_all(REQUIREMENTS)
    monkeypatch.setattr("agl_adapters.requirements.version", lambda _: "0.8.0")
    with pytest.raises(UnsupportedVersionError, match=r"autogen-agentchat 0\.8\.0 is .*==0\.7\.5"):
        check_all(REQUIREMENTS)


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (_magentic_one_orchestrator.MagenticOneOrchestrator, "_get_progress_ledger_prompt"),
        (SingleThreadedAgentRuntime, "_process_send"),
        (BaseTool, "run_json"),
    ],
)
def test_a_name_that_is_gone_is_refused(
    owner: type, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(owner, name)
    with pytest.raises(UnsupportedVersionError, match=rf"0\.7\.5 is not supported: .*{name}"):
        check_all(REQUIREMENTS)


def test_an_attribute_that_is_no_longer_kept_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def changed(self: AssistantAgent, system_message: str) -> None:
        self._name = system_message

    changed.__module__ = AssistantAgent.__module__
    monkeypatch.setattr(AssistantAgent, "__init__", changed)
    with pytest.raises(UnsupportedVersionError, match=r"AssistantAgent\.__init__/_system"):
        check_all(REQUIREMENTS)


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr("agl_adapters.requirements.version", missing)
    with pytest.raises(MissingDependencyError, match=r"pip install 'agl-adapters\[autogen\]'"):
        check_all(REQUIREMENTS)


def test_the_module_imports_no_framework() -> None:
    code = (
        "import sys, agl_integrations.autogen as a\n"
        "assert not a.AutoGenIntegration().recognizes(object())\n"
        "assert not [m for m in sys.modules if m.startswith(('autogen_', 'opentelemetry'))]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
