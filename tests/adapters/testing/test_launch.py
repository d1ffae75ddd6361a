"""The life of the server's process."""

import http.client
import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import agl_adapters.testing.launch as launch
from agl_adapters.testing import serve, simulated_model
from agl_core.errors import AglError, ConfigurationError, MissingDependencyError


def is_up(base_url: str) -> bool:
    connection = http.client.HTTPConnection(urlsplit(base_url).netloc, timeout=5)
    try:
        connection.request("GET", "/v1/models")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def test_it_serves_within_the_block_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://elsewhere")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with simulated_model("echo") as model:
        assert model.base_url.startswith("http://127.0.0.1:")
        assert model.base_url.endswith("/v1")
        assert is_up(model.base_url)
        assert os.environ["OPENAI_BASE_URL"] == model.base_url
        assert os.environ["OPENAI_API_KEY"] == "simulated"
        assert launch.SimulatedModel(int(model.base_url.split(":")[2][:-3])).log() == []
    assert os.environ["OPENAI_BASE_URL"] == "https://elsewhere"
    assert "OPENAI_API_KEY" not in os.environ
    assert not is_up(model.base_url)


def test_the_environment_can_be_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://elsewhere")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", "internal")
    with simulated_model("echo", set_environment=False) as model:
        assert os.environ["OPENAI_BASE_URL"] == "https://elsewhere"
        assert model.environment()["NO_PROXY"] == "internal,127.0.0.1"


def test_it_ends_with_a_parent_that_is_killed() -> None:
    program = (
        "import time\n"
        "from agl_adapters.testing import simulated_model\n"
        "with simulated_model('echo') as model:\n"
        "    print(model.base_url, flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        base_url = parent.stdout.readline().strip()
        assert is_up(base_url)
        parent.kill()
    deadline = time.monotonic() + 5
    while is_up(base_url) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_up(base_url)


def test_a_wrong_scenario_is_an_error_before_the_start() -> None:
    with pytest.raises(ConfigurationError, match="no scenario 'bingo'"), simulated_model("bingo"):
        pass


def test_a_server_that_does_not_start_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/true")
    with pytest.raises(AglError, match="did not start"), simulated_model("echo"):
        pass


def test_a_missing_extra_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "find_spec", lambda name: None if name == "uvicorn" else name)
    with (
        pytest.raises(MissingDependencyError, match=r"pip install 'agl-adapters\[simulate\]'"),
        simulated_model("echo"),
    ):
        pass


def test_serve_refuses_the_outside_world_and_a_taken_port() -> None:
    with pytest.raises(ConfigurationError, match="only loopback"):
        serve("0.0.0.0")
    with simulated_model("echo", set_environment=False) as model:
        port = urlsplit(model.base_url).port
        assert port is not None
        with pytest.raises(ConfigurationError, match=f"port {port}"):
            serve(port=port)


def test_it_runs_as_a_module(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "agl_adapters.testing", "--port", "0", "--scenario", "echo"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("simulated model: OPENAI_BASE_URL=http://127.0.0.1:")
        assert is_up(line.split("OPENAI_BASE_URL=")[1].split()[0])
        process.terminate()
    wrong = subprocess.run([*command, "--faults", "{"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("Faults are a JSON array")


def test_importing_it_is_light() -> None:
    program = "import agl_adapters.testing, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"openai", "pytest", "starlette", "uvicorn"} & set(loaded)
