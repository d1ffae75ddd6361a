"""Kill a run with SIGKILL before and after each write to its journal, resume it, and compare.

A resumed run has to end with the same candidates, scores and verdict as one that was not killed,
and may start nothing that the journal held when it was killed. Agent and model are functions of
what they are given, so that the runs can be compared; everything else is the real thing. The agent
is a function that is handed its prompt, or a LangGraph program of two nodes whose prompts are found
by running it. With `--twice` each run is killed a second time, somewhere in what is left.

    .venv/bin/python benchmarks/kill_points.py --points 100
    .venv/bin/python benchmarks/kill_points.py --points 100 --agent langgraph --twice
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import sqlite3
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import agl_adapters as agl
from agl_core.execution.agents import RolloutContext
from agl_core.models.chat import Completion
from agl_core.prompts.binding import current_binding
from agl_core.rollouts import ModelUsage

TRAIN, VAL, TEST = list(range(12)), list(range(100, 112)), list(range(200, 212))


def digest_of(text: str) -> str:
    """Return a short digest."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


class Model:
    """Answers critiques and rewrites; notes what it was asked."""

    def __init__(self, started: list[str]) -> None:
        self._started = started

    async def check(self, models: Sequence[str]) -> None:
        """Accept all."""

    async def complete(
        self, model: str, messages: Sequence[Mapping[str, str]], temperature: float
    ) -> Completion:
        """Answer by a digest of the request."""
        request = messages[-1]["content"]
        digest = digest_of(request)
        self._started.append(f"call {digest}")
        return Completion(f"You book. Say {digest}.", ModelUsage(1, 100, 10))

    async def close(self) -> None:
        """Do nothing."""


class KilledStore(agl.SQLiteStore):
    """A store whose process is killed at one of its writes: even numbers before, odd ones after."""

    point = -1
    writes = 0

    def _write(self, statement: str, *values: Any) -> int:
        self._pass()
        written = super()._write(statement, *values)
        self._pass()
        return written

    def _pass(self) -> None:
        if self.writes == self.point:
            os.kill(os.getpid(), signal.SIGKILL)
        self.writes += 1


def reward_of(task: Any, text: str) -> float:
    """Return the reward of an answer that a prompt has led to."""
    return float(random.Random(f"{task}{text}").random() < 0.3 + 0.1 * text.count("Say"))


def function_agent(started: list[str]) -> Any:
    """Return an agent that is handed its prompt."""

    @agl.rollout
    async def agent(task: Any, prompt_template: agl.PromptTemplate, rollout: Any) -> float:
        started.append(rollout.id)
        return reward_of(task, prompt_template.format())

    return agent


def langgraph_agent(started: list[str]) -> Any:
    """Return a graph of two nodes, whose model answers with what it was sent."""
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage
    from langchain_core.outputs import ChatGeneration, ChatResult
    from langgraph.graph import MessagesState, StateGraph

    class Echo(BaseChatModel):
        """A model that repeats the system prompt."""

        @property
        def _llm_type(self) -> str:
            return "echo"

        def _generate(self, messages: Any, *_: Any, **__: Any) -> ChatResult:
            message = AIMessage(str(messages[0].content))
            return ChatResult(generations=[ChatGeneration(message=message)])

    model = Echo()

    def plan(state: Any) -> Any:
        return {"messages": [model.invoke([("system", "You plan."), *state["messages"]])]}

    def check(state: Any) -> Any:
        return {"messages": [model.invoke([("system", "You check."), *state["messages"]])]}

    graph = StateGraph(MessagesState)
    graph.add_node("plan", plan)
    graph.add_node("check", check)
    graph.add_edge("__start__", "plan")
    graph.add_edge("plan", "check")

    def given(task: Any) -> Any:
        rollout = current_binding()
        assert isinstance(rollout, RolloutContext)
        started.append(rollout.id)
        return {"messages": [("user", str(task))]}

    def reward(task: Any, output: Any) -> float:
        return reward_of(task, "".join(str(m.content) for m in output["messages"][1:]))

    return agl.wrap(graph.compile(), input=given, reward=reward)


AGENTS = {"function": function_agent, "langgraph": langgraph_agent}


def run(path: Path, point: int, resume: bool, kind: str) -> dict[str, Any]:
    """Make the run; return what it came to, what it started, and how often it wrote."""
    started: list[str] = []
    agent = AGENTS[kind](started)
    store = KilledStore(path)
    store.point = point
    algorithm = agl.APO("m", gradient_batch_size=2, val_batch_size=4, beam_width=2, beam_rounds=2)
    trainer = agl.Trainer(
        algorithm,
        n_runners=4,
        initial_resources={"prompt_template": "You book."} if kind == "function" else None,
        callbacks=[agl.Callback()],
        client=Model(started),
        store=store,
        run="r",
    )
    result = trainer.fit(agent, TRAIN, VAL, test_dataset=TEST, resume=resume)
    store.close()
    outcome = {k: v for k, v in result.to_json().items() if k != "usage"}
    history = [(r.id, r.validation, r.score, r.candidate.rejected) for r in result.history]
    return {
        "outcome": json.dumps([outcome, history], sort_keys=True, default=str),
        "started": started,
        "writes": store.writes,
    }


def in_child(work: Callable[[], dict[str, Any]], out: Path) -> dict[str, Any] | None:
    """Do it in a forked process; return what it returned, None if it was killed."""
    child = os.fork()
    if not child:
        try:
            out.write_text(json.dumps(work()))
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status not in (0, -signal.SIGKILL):
        raise SystemExit(f"a run ended with {status}")
    return json.loads(out.read_text()) if status == 0 else None


def journal(path: Path) -> set[str]:
    """Return what a run has to start no more: its rollouts and its model calls."""
    file = sqlite3.connect(path)
    rows = file.execute("SELECT candidate, split, task, repeat FROM rollouts").fetchall()
    calls = file.execute("SELECT record FROM calls").fetchall()
    file.close()
    requests = [json.loads(record)["messages"][-1]["content"] for (record,) in calls]
    return {"/".join(row) for row in rows} | {f"call {digest_of(text)}" for text in requests}


def main() -> None:
    """Print how many points were tried, and how many resumed runs differ or repeat something."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=100)
    parser.add_argument("--agent", choices=list(AGENTS), default="function")
    parser.add_argument("--twice", action="store_true")
    arguments = parser.parse_args()
    points, kind = arguments.points, arguments.agent
    AGENTS[kind]([])  # so that what it imports is there in each process
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.json"
        path = Path(folder) / "runs.db"
        whole = in_child(lambda: run(path, -1, False, kind), out)
        assert whole is not None
        last, killed, different, repeated = whole["writes"], 0, 0, 0
        for number in range(points):
            for file in Path(folder).glob("runs.db*"):
                file.unlink()
            point = number * last // points
            kills = [(point, False)]
            if arguments.twice:
                kills.append((random.Random(number).randrange(last - point), True))
            for at, resume in kills:
                killed += in_child(lambda at=at, r=resume: run(path, at, r, kind), out) is None
            held = journal(path) if path.exists() else set[str]()
            rest = in_child(lambda: run(path, -1, True, kind), out)
            assert rest is not None
            different += rest["outcome"] != whole["outcome"]
            repeated += bool(held & set(rest["started"]))
    print(f"{last} places before and after writes; {len(whole['started'])} rollouts and calls")
    print(f"points {points}, killed {killed}, different {different}, repeated {repeated}")


if __name__ == "__main__":
    main()
