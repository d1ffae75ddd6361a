"""Programs that are run with prompts in place: real processes, beside the same ones without.

They use a small framework with its integration, as installed packages that child processes find.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import agl_adapters as agl
from agl_adapters.running import process
from agl_adapters.running.variables import Launch

LAUNCH = """
import sys
from pathlib import Path
from agl_adapters.running.launch import run_program
run_program(Path("prompts.json"), sys.argv[1], sys.argv[2:])
"""
STARTUP = str(Path(process.__file__).parent / "startup")

FRAMEWORK = """
def send(system):
    print("sent", system, flush=True)
"""

PLUGIN = """
from contextlib import contextmanager

from agl_adapters.injection import inject

class Toys:
    name = "toys"
    packages = ("toys",)

    def recognizes(self, target):
        return False

    def adapt(self, target):
        raise NotImplementedError

    @contextmanager
    def hooks(self, tracing):
        import toys
        from agl_core.errors import UnsupportedVersionError
        if getattr(toys, "TOO_NEW", False):
            raise UnsupportedVersionError("toys 9 is too new")
        found = toys.send
        toys.send = lambda system, name="toy": found(inject(f"toys:{name}#system", system))
        yield
        toys.send = found
"""


@dataclass
class Programs:
    """Programs in a folder, with the framework `toys` to import."""

    folder: Path
    site: Path
    variables: dict[str, str] = field(default_factory=dict[str, str])

    def write(self, files: Mapping[str, str]) -> None:
        """Write files, by their paths in the folder."""
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def prompts(self, **prompts: str) -> Path:
        """Write a prompt file: prompts by the names of toys, replacing ``Own.``."""
        slots = {f"toys:{name}#system": prompt for name, prompt in prompts.items()}
        return agl.save_prompts(
            slots, self.folder / "prompts.json", replaces=dict.fromkeys(slots, "Own.")
        )

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(self.site), **self.variables}

    def start(self, *command: str | Path) -> subprocess.Popen[str]:
        """Start a command in the folder."""
        return subprocess.Popen(
            list(map(str, command)),
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command in the folder to its end."""
        with self.start(*command) as process:
            output, errors = process.communicate(timeout=60)
        return subprocess.CompletedProcess(command, process.returncode, output, errors)

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a program as ever."""
        return self.run(sys.executable, *arguments)

    def with_prompts(
        self, *arguments: str, on_drift: str = "warn"
    ) -> subprocess.CompletedProcess[str]:
        """Run a program with the prompts in the folder."""
        return self.python("-c", LAUNCH, on_drift, *arguments)


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    """A folder for programs. The prompt file in it has one for the slot of `toys.send`."""
    site = tmp_path / "site"
    info = site / "toys_plugin-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toys-plugin\nVersion: 1.0")
    (info / "entry_points.txt").write_text("[agl_adapters.integrations]\ntoys = toys_plugin:Toys\n")
    (site / "toys.py").write_text(FRAMEWORK)
    (site / "toys_plugin.py").write_text(PLUGIN)
    folder = tmp_path / "work"
    folder.mkdir()
    made = Programs(folder, site)
    made.prompts(toy="New.")
    return made


UNUSED = "agl: the program never used toys:toy#system of prompts.json; it used no other slot\n"

# the same as with python


SHOW = """
SEEN = True
import __main__, json, os, sys
spec = __main__.__spec__
print(json.dumps({
    "argv": sys.argv,
    "orig_argv": sys.orig_argv,
    "path": sys.path,
    "name": __name__,
    "file": globals().get("__file__"),
    "package": __package__,
    "spec": spec and (spec.name, spec.origin),
    "main": sys.modules["__main__"] is __main__ and "SEEN" in vars(__main__),
    "hooks": [sys.excepthook is sys.__excepthook__, sys.gettrace(), sys.getprofile()],
    "cwd": os.getcwd(),
    "flags": str(sys.flags),
}))
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["show.py"],
        ["show.py", "a b", "--help", "-m", "--", "--prompts", "x"],
        ["-m", "show", "--on-drift"],
        ["-m", "package.show", "x"],
        ["folder", "x"],
        ["-c", SHOW, "-h"],
        ["-X", "dev", "-uB", "show.py"],
    ],
)
def test_a_program_sees_what_it_sees_with_python(programs: Programs, arguments: list[str]) -> None:
    programs.write(
        {
            "show.py": SHOW,
            "package/__init__.py": "",
            "package/show.py": SHOW,
            "folder/__main__.py": SHOW,
        }
    )
    plain, result = programs.python(*arguments), programs.with_prompts(*arguments)
    assert plain.stderr == ""
    assert (result.returncode, result.stdout) == (plain.returncode, plain.stdout)
    assert result.stderr == UNUSED


@pytest.mark.parametrize(
    "ending",
    [
        "",
        "import os; os._exit(3)",
        "1 / 0",
        "raise KeyboardInterrupt",
        "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
        "import os, signal; os.kill(os.getpid(), signal.SIGINT)",
        "import atexit, sys; atexit.register(print, 'at exit'); sys.exit(2)",
        "import threading; threading.Timer(0.05, print, ['a thread']).start()",
        "import sys; sys.stderr.close(); sys.exit(4)",
    ],
)
def test_a_program_ends_as_with_python(programs: Programs, ending: str) -> None:
    programs.write({"app.py": f"print('begun', flush=True)\n{ending}\n"})
    plain, result = programs.python("app.py"), programs.with_prompts("app.py")
    assert (result.returncode, result.stdout) == (plain.returncode, plain.stdout)
    assert result.stderr.removesuffix(UNUSED) == plain.stderr


def test_ctrl_c_is_for_the_program(programs: Programs) -> None:
    programs.write(
        {
            "app.py": "import time\ntry:\n    print('begun', flush=True)\n    time.sleep(30)\n"
            "except KeyboardInterrupt:\n    print('tidied up')\n    raise SystemExit(9)\n"
        }
    )
    with programs.start(sys.executable, "-c", LAUNCH, "warn", "app.py") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=20)
    assert (process.returncode, output, errors) == (9, "tidied up\n", UNUSED)


def test_a_start_up_module_of_the_environment_is_imported_as_well(programs: Programs) -> None:
    (programs.site / "sitecustomize.py").write_text("import sys\nsys.customized = __file__\n")
    program = "import sys, sitecustomize; print(sys.customized == sitecustomize.__file__)"
    result = programs.with_prompts("-c", program)
    assert (result.stdout, result.stderr) == ("True\n", UNUSED)


# prompts


def test_the_prompts_are_in_force_where_the_framework_is_imported_late(programs: Programs) -> None:
    programs.write(
        {
            "app.py": """
import sys
assert "toys" not in sys.modules
def work():
    from toys import send
    send("Own.")
work()
"""
        }
    )
    assert programs.python("app.py").stdout == "sent Own.\n"
    result = programs.with_prompts("app.py")
    assert (result.returncode, result.stdout, result.stderr) == (0, "sent New.\n", "")


def test_prompts_that_were_never_used_are_told_with_the_slots_that_were(programs: Programs) -> None:
    programs.prompts(toy="New.", gone="New.", lost="New.")
    programs.write({"app.py": "import toys; toys.send('Own.'); toys.send('Own.', name='renamed')"})
    result = programs.with_prompts("app.py")
    assert result.stdout == "sent New.\nsent Own.\n"
    assert result.stderr == (
        "agl: the program never used toys:gone#system, toys:lost#system of prompts.json; "
        "it used toys:toy#system, toys:renamed#system\n"
    )


DRIFTED = """
import toys
for _ in range(2):
    toys.send("Mine.")
"""


def test_a_text_that_was_changed_is_sent_with_one_line_of_warning(programs: Programs) -> None:
    programs.write({"app.py": DRIFTED})
    result = programs.with_prompts("app.py")
    assert (result.returncode, result.stdout) == (0, "sent Mine.\nsent Mine.\n")
    assert result.stderr == (
        "agl: the prompt for toys:toy#system is not used, the program's own is sent: "
        "the program now has 'Mine.' where 'Own.' was replaced\n"
    )


def test_a_text_that_was_changed_can_be_sent_without_a_word(programs: Programs) -> None:
    programs.write({"app.py": DRIFTED})
    result = programs.with_prompts("app.py", on_drift="ignore")
    assert (result.returncode, result.stdout, result.stderr) == (0, "sent Mine.\n" * 2, "")


def test_a_text_that_was_changed_can_be_an_error_in_the_program(programs: Programs) -> None:
    programs.write({"app.py": DRIFTED})
    result = programs.with_prompts("app.py", on_drift="error")
    assert (result.returncode, result.stdout) == (1, "")
    assert "PromptDriftError: the prompt for toys:toy#system cannot be used" in result.stderr
    assert f'File "{programs.folder / "app.py"}", line 4, in <module>' in result.stderr


def test_a_framework_that_cannot_be_hooked_into_fails_the_import(programs: Programs) -> None:
    (programs.site / "toys.py").write_text("TOO_NEW = True\n")
    programs.write({"app.py": "print('begun')\nimport toys\nprint('never')"})
    result = programs.with_prompts("app.py")
    assert (result.returncode, result.stdout) == (1, "begun\n")
    assert "UnsupportedVersionError: toys 9 is too new" in result.stderr


def test_the_programs_own_use_of_prompts_takes_precedence(programs: Programs) -> None:
    programs.write(
        {
            "app.py": """
import agl_adapters as agl, toys
with agl.use_prompts({"toys:toy#system": "Block."}):
    toys.send("Own.")
toys.send("Own.")
agl.use_prompts({"toys:toy#system": "Installed."}).install()
toys.send("Own.")
"""
        }
    )
    result = programs.with_prompts("app.py")
    assert (result.stdout, result.stderr) == ("sent Block.\nsent New.\nsent Installed.\n", "")


# processes that the program starts


CHILDREN = """
import multiprocessing, os, subprocess, sys

def work():
    import toys
    toys.send("Own.")

if __name__ == "__main__":
    kind = sys.argv[1]
    if kind == "subprocess":
        subprocess.run([sys.executable, "-c", "import toys; toys.send('Own.')"], check=True)
    elif kind == "os.fork":
        if os.fork() == 0:
            work()
            sys.exit(0)
        os.wait()
    else:
        process = multiprocessing.get_context(kind).Process(target=work)
        process.start()
        process.join()
"""


@pytest.mark.parametrize("kind", ["fork", "spawn", "forkserver", "os.fork", "subprocess"])
def test_python_processes_that_the_program_starts_have_the_prompts(
    programs: Programs, kind: str, tmp_path: Path
) -> None:
    programs.variables["TMPDIR"] = str(tmp_path)
    programs.write({"app.py": CHILDREN})
    result = programs.with_prompts("app.py", kind)
    # Nothing is said to be unused, for a child has used it; and nothing is left behind.
    assert (result.returncode, result.stdout, result.stderr) == (0, "sent New.\n", "")
    assert [path.name for path in tmp_path.glob("agl-run-*")] == []


def test_another_python_without_the_package_is_left_alone(programs: Programs) -> None:
    """As one of another environment that the program starts."""
    broken = programs.folder / "broken"
    programs.write({"broken/agl_adapters/__init__.py": "raise ImportError('not here')"})
    programs.write(
        {
            "app.py": f"""
import os, subprocess, sys
path = os.pathsep.join([{str(broken)!r}, os.environ["PYTHONPATH"]])
environment = {{**os.environ, "PYTHONPATH": path}}
subprocess.run([sys.executable, "-c", "print('alone')"], env=environment, check=True)
"""
        }
    )
    result = programs.with_prompts("app.py")
    assert (result.returncode, result.stdout, result.stderr) == (0, "alone\n", UNUSED)


# start-up that fails


def test_a_program_is_not_started_without_its_prompts(programs: Programs) -> None:
    begun = Launch(str(programs.folder / "none.json"), "warn", "record")
    programs.variables |= {
        "AGL_RUN": begun.to_variable(),
        "AGL_RUN_IS_MAIN": "1",
        "PYTHONPATH": os.pathsep.join([STARTUP, str(programs.site)]),
    }
    for value in (begun.to_variable(), "{}", "nonsense"):
        programs.variables["AGL_RUN"] = value
        result = programs.python("-c", "print('begun')")
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr.startswith("agl: the prompts cannot be put in place: ")
        assert len(result.stderr.splitlines()) == 1
    del programs.variables["AGL_RUN_IS_MAIN"]  # a process that the program starts
    result = programs.python("-c", "print('begun')")
    assert (result.returncode, result.stdout) == (0, "begun\n")
    assert result.stderr.startswith("agl: the prompts cannot be put in place: ")


def test_a_program_is_not_started_where_the_package_cannot_be_imported(programs: Programs) -> None:
    programs.write({"agl_adapters/__init__.py": "raise ImportError('not here')"})
    programs.variables |= {
        "AGL_RUN_IS_MAIN": "1",
        "PYTHONPATH": os.pathsep.join([STARTUP, str(programs.folder)]),
    }
    result = programs.python("-c", "print('begun')")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "agl: the prompts cannot be put in place: not here\n"


def test_the_start_up_module_does_nothing_by_itself(programs: Programs) -> None:
    programs.variables["PYTHONPATH"] = os.pathsep.join([STARTUP, str(programs.site)])
    result = programs.python("-c", "import toys; toys.send('Own.')")
    assert (result.returncode, result.stdout, result.stderr) == (0, "sent Own.\n", "")
