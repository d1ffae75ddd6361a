"""A LangGraph program that books meeting rooms: one node gathers the rooms, one decides.

    python examples/langgraph_room_booking.py "A room on 2026-03-03, 10:00-11:00, for 5 people."

It needs OPENAI_API_KEY, and takes OPENAI_BASE_URL and OPENAI_MODEL from the environment.
"""

import os
import sys

import rooms
from langchain_core.messages import BaseMessage, SystemMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.prebuilt import ToolNode

PLANNER_PROMPT = "You gather what is needed to book a meeting room."
DECIDER_PROMPT = "You are a booking assistant."

list_rooms = tool(rooms.list_rooms)


def build_graph() -> CompiledStateGraph:
    """Planner, tools, decider."""
    llm = ChatOpenAI(model=os.environ.get("OPENAI_MODEL", "gpt-4o-mini"))
    llm_with_tools = llm.bind_tools([list_rooms])

    def planner(state: MessagesState) -> dict[str, list[BaseMessage]]:
        messages = [SystemMessage(PLANNER_PROMPT), *state["messages"]]
        return {"messages": [llm_with_tools.invoke(messages)]}

    def decider(state: MessagesState) -> dict[str, list[BaseMessage]]:
        messages = [SystemMessage(DECIDER_PROMPT), *state["messages"]]
        return {"messages": [llm.invoke(messages)]}

    builder = StateGraph(MessagesState)
    builder.add_node("planner", planner)
    builder.add_node("tools", ToolNode([list_rooms]))
    builder.add_node("decider", decider)
    builder.add_edge(START, "planner")
    builder.add_edge("planner", "tools")
    builder.add_edge("tools", "decider")
    builder.add_edge("decider", END)
    return builder.compile()


graph = build_graph()


def book_room(request: str) -> str:
    """Run the graph on one request; return the decider's answer."""
    state = graph.invoke({"messages": [("user", request)]})
    return state["messages"][-1].content


def main() -> None:
    """Answer one request, from the command line or the first of the test split."""
    request = " ".join(sys.argv[1:]) or rooms.load_tasks("test")[0]["input"]
    print(request)
    print(book_room(request))


if __name__ == "__main__":
    main()
