"""A LangGraph program of two agents that send somebody to a report: a team, then a worker of it.

    python examples/langgraph_dispatch.py

It needs OPENAI_API_KEY, and takes OPENAI_BASE_URL and OPENAI_MODEL from the environment.
"""

import json
import os
import re
from pathlib import Path
from typing import TypedDict

from langchain_core.messages import SystemMessage
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

TASK = Path(__file__).parent / "data" / "dispatch" / "task.json"

ROUTER_PROMPT = "You pick the team that takes a report.\nEnd with a line `Team: <its name>`."
SCHEDULER_PROMPT = "You pick the worker who makes a visit.\nEnd with a line `Worker: <the name>`."


class State(TypedDict):
    """A report, the crew of each team, and who is sent."""

    report: str
    crews: dict[str, str]
    team: str
    answer: str


def build_graph() -> CompiledStateGraph:
    """Router, scheduler."""
    llm = ChatOpenAI(model=os.environ.get("OPENAI_MODEL", "gpt-4o-mini"))

    def router(state: State) -> dict[str, str]:
        reply = llm.invoke([SystemMessage(ROUTER_PROMPT), ("user", state["report"])])
        named = re.findall(r"Team:\W*(\w+)", reply.text)
        return {"team": named[-1] if named else ""}

    def scheduler(state: State) -> dict[str, str]:
        crew = state["crews"].get(state["team"], "There is nobody to send.")
        reply = llm.invoke([SystemMessage(SCHEDULER_PROMPT), ("user", crew)])
        return {"answer": reply.text}

    builder = StateGraph(State)
    builder.add_node("router", router)
    builder.add_node("scheduler", scheduler)
    builder.add_edge(START, "router")
    builder.add_edge("router", "scheduler")
    builder.add_edge("scheduler", END)
    return builder.compile()


graph = build_graph()


def main() -> None:
    """Send somebody to one report."""
    task = json.loads(TASK.read_text(encoding="utf-8"))
    print(task["report"])
    print(graph.invoke({"report": task["report"], "crews": task["crews"]})["answer"])


if __name__ == "__main__":
    main()
