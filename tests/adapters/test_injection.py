"""Slots: what is sent where a prompt is used, and what the place is called."""

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from agl_adapters.injection import active, call_site, inject, model_call, slot_name
from agl_core.prompts.binding import Binding, bound
from agl_core.prompts.templates import PromptTemplate

SLOT = "toys:toy#system"


def binding(text: str, own: str | None = None) -> Binding:
    originals = {} if own is None else {SLOT: PromptTemplate(own, "literal")}
    return Binding({SLOT: PromptTemplate(text, "literal")}, originals)


def test_a_slot_is_named_after_framework_path_and_role() -> None:
    assert slot_name("langgraph", "team/planner") == "langgraph:team/planner#system"
    assert slot_name("openai_agents", "billing", "instructions") == (
        "openai_agents:billing#instructions"
    )


def test_outside_of_a_bound_context_the_program_sends_its_own_text() -> None:
    assert not active()
    assert inject(SLOT, "Own.") == "Own."


def test_in_a_bound_context_the_candidates_text_is_sent_and_the_use_recorded() -> None:
    with bound(binding("New.")) as bindings:
        assert active()
        assert inject(SLOT, "Own.") == "New."
        assert inject("toys:other#system", "Other.") == "Other."
    assert not active()
    use = bindings.slots[SLOT]
    assert (use.original, use.sent, use.calls) == ("Own.", "New.", 1)
    assert list(bindings.slots) == [SLOT, "toys:other#system"]
    assert bindings.reads == {SLOT}


def test_a_text_that_is_not_the_known_one_is_left_alone_and_counted() -> None:
    with bound(binding("New.", own="Own.")) as bindings:
        assert inject(SLOT, "Another.") == "Another."
        assert inject(SLOT, "Own.") == "New."
    assert bindings.unmatched == {SLOT: 1}


def test_within_a_model_call_hooks_of_layers_below_are_not_active() -> None:
    with bound(binding("New.")):
        with model_call():
            assert not active()
            with model_call():
                assert not active()
            assert not active()
        assert active()
        with pytest.raises(ZeroDivisionError), model_call():
            _ = 1 / 0
        assert active()


def test_a_binding_is_seen_by_its_own_context_only() -> None:
    seen: list[str] = []
    with bound(binding("New.")):
        thread = threading.Thread(target=lambda: seen.append(inject(SLOT, "Own.")))
        thread.start()
        thread.join()
    assert seen == ["Own."]


class Asker:
    def ask(self) -> str:
        return call_site(())


def test_a_call_is_named_after_the_code_that_makes_it() -> None:
    assert Asker().ask() == f"{__name__}.Asker.ask"
    assert (lambda: call_site(()))().endswith(".<locals>.<lambda>")


def test_frames_of_machinery_are_passed_over() -> None:
    machinery: Any = {"__name__": "machinery.deep", "call_site": call_site}
    exec("def call(): return call_site(('machinery',))", machinery)
    assert machinery["call"]() == f"{__name__}.test_frames_of_machinery_are_passed_over"
    exec("def call(): return call_site(())", machinery)
    assert machinery["call"]() == "machinery.deep.call"


def test_a_call_that_no_code_of_the_user_makes_is_unknown() -> None:
    machinery: Any = {"__name__": "machinery", "call_site": call_site, "names": []}
    exec("def call(): names.append(call_site(('machinery', 'threading')))", machinery)
    thread = threading.Thread(target=machinery["call"])
    thread.start()
    thread.join()
    assert machinery["names"] == ["unknown"]


@pytest.mark.parametrize("command", [["my_app.py"], ["-m", "my_app"], ["-c", "import my_app"]])
def test_a_program_that_is_run_has_the_slots_of_one_that_is_imported(
    tmp_path: Path, command: list[str]
) -> None:
    (tmp_path / "my_app.py").write_text(
        "from agl_adapters.injection import call_site\n"
        "def answer(): return call_site(())\n"
        "print(answer())\n"
    )
    run = [sys.executable, *command]
    result = subprocess.run(run, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert result.stdout == "my_app.answer\n"
