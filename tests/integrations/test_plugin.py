"""A plugin in a package of its own: installed, it passes the suite; broken, the suite says how."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "plugin"
DOCUMENTATION = Path(__file__).parents[2] / "docs" / "integrations.md"
TESTS = "conformance_toyagents.py"


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the plugin is installed into, as its wheel."""
    folder = tmp_path_factory.mktemp("plugin")
    source = shutil.copytree(SOURCE, folder / "source")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    target = ["--target", str(folder / "site")]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, *target, str(source)], check=True
    )
    return folder / "site"


def failing_properties(site: Path, folder: Path) -> tuple[set[str], str]:
    """Run the plugin's own test where it is installed; return what fails, and the output."""
    shutil.copy(SOURCE / TESTS, folder)
    command = [sys.executable, "-m", "agl_adapters.testing.conformance", "--tb=no", "-rfE"]
    options = ["-p", "no:cacheprovider", "-W", "error", f"--rootdir={folder}"]
    environment = {
        **os.environ,
        "PYTHONPATH": str(site),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    done = subprocess.run(
        [*command, *options, TESTS],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    found = set(re.findall(r"^(?:FAILED|ERROR) \S+::test_(\w+)", done.stdout, re.MULTILINE))
    assert done.returncode == bool(found), done.stdout + done.stderr
    return found, done.stdout


def test_a_plugin_that_is_installed_passes(site: Path, tmp_path: Path) -> None:
    failing, output = failing_properties(site, tmp_path)
    assert failing == set()
    assert re.search(r"slots are found with the programs own text +4/4", output)
    assert re.search(r"objects are recognized +3/3", output)


@pytest.mark.parametrize(
    "name", ["agl_toyagents.py", "_agl_toyagents_hooks.py", "conformance_toyagents.py"]
)
def test_the_documentation_shows_the_plugin_as_it_is(name: str) -> None:
    assert (SOURCE / name).read_text() in DOCUMENTATION.read_text()


# What is replaced in which file, by what, and the properties that this breaks.
HOOKS, PLUGIN = "_agl_toyagents_hooks.py", "agl_toyagents.py"
SLOTS = "slots_are_found_with_the_programs_own_text"
PROMPTS = "concurrent_rollouts_send_each_its_own_prompts"
SENT = "model_calls_say_what_was_sent"
FAILURE = "a_failure_is_recorded_and_harms_no_other"

WRONG_SLOT = (
    HOOKS,
    'slot_name("toyagents", agent.name, "instructions")',
    'slot_name("toyagents", f"my_{agent.name}", "instructions")',
    {SLOTS, PROMPTS},
)
CLASS_NOT_RESTORED = (
    HOOKS,
    "setattr(Agent, name, found)",
    "setattr(Agent, name, lambda agent, argument: found(agent, argument))",
    {"classes_are_as_found_after_the_hooks"},
)
FRAMEWORK_IMPORTED = (
    PLUGIN,
    "import sys\n",
    "import sys\nimport toyagents\n",
    {"it_imports_without_its_framework"},
)
TOOL_CALL_ID_FORGOTTEN = (
    HOOKS,
    "genai.tool_attributes(name, call_id=call.id)",
    "genai.tool_attributes(name)",
    {"tool_calls_say_what_was_run"},
)
SPAN_DOUBLED = (
    HOOKS,
    "with suppress_instrumentation():",
    "with in_slot(slot):",
    {"each_model_call_is_one_span"},
)
ANY_INPUT_RUN = (
    PLUGIN,
    "if not isinstance(input, str):",
    "if input is None:",
    {"an_input_of_the_wrong_shape_is_refused"},
)
ACTIVE_OUTSIDE = (
    HOOKS,
    "if not active():",
    "messages = [{**m, 'hooked': 1} for m in messages]\n        if not active():",
    {"outside_of_rollouts_the_wire_is_as_without_hooks"},
)
PROMPTS_OF_ANOTHER_ROLLOUT = (
    HOOKS,
    'inject(slot, system["content"])',
    'vars(self).setdefault("first", binding()).inject(slot, system["content"])',
    {PROMPTS, SENT},
)
SPAN_NOT_ENDED = (
    HOOKS,
    'with self._span(f"invoke_agent {agent.name}", attributes):',
    "if self._tracing.tracer.start_span(agent.name, attributes=attributes):",
    {"spans_are_one_tree"},
)
ERROR_NOT_RECORDED = (
    HOOKS,
    "start_as_current_span(name, attributes=attributes)",
    "start_as_current_span(name, attributes=attributes, set_status_on_exception=False)",
    {FAILURE},
)
IMPORT = "from agl_core.prompts.binding import current_binding as binding"
BREAKAGES = {
    "slots, classes, imports, tools": (
        WRONG_SLOT,
        CLASS_NOT_RESTORED,
        FRAMEWORK_IMPORTED,
        TOOL_CALL_ID_FORGOTTEN,
    ),
    "model calls, inputs, the wire": (SPAN_DOUBLED, ANY_INPUT_RUN, ACTIVE_OUTSIDE),
    "contexts, trees": (PROMPTS_OF_ANOTHER_ROLLOUT, SPAN_NOT_ENDED),
    "errors": (ERROR_NOT_RECORDED,),
}


@pytest.mark.parametrize("name", BREAKAGES)
def test_the_suite_tells_how_a_plugin_is_broken(name: str, site: Path, tmp_path: Path) -> None:
    broken_site = shutil.copytree(site, tmp_path / "site")
    for file, found, broken, _ in BREAKAGES[name]:
        source = (broken_site / file).read_text()
        assert source.count(found) == 1
        source = source.replace(found, broken)
        (broken_site / file).write_text(source.replace("\n\n\n", f"\n{IMPORT}\n\n\n", 1))
    failing, output = failing_properties(broken_site, tmp_path)
    assert failing == set().union(*(properties for *_, properties in BREAKAGES[name])), output
