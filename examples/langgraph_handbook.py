"""A LangGraph program that answers questions from a handbook: it searches, then it answers.

    python examples/langgraph_handbook.py "How many days of holiday has somebody in the office?"

It needs OPENAI_API_KEY, and takes OPENAI_BASE_URL and OPENAI_MODEL from the environment; the
search needs bm25s.
"""

import os
import re
import sys
from typing import TypedDict

import handbook
from langchain_core.messages import SystemMessage
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

SEARCHER_PROMPT = "You search a handbook.\nEnd with a line `Search: <the words to search for>`."
ANSWERER_PROMPT = "You answer from the documents.\nEnd with a line `Answer: <a number, its unit>`."


class State(TypedDict):
    """A question, what the search for it found, and the answer."""

    question: str
    documents: list[str]
    answer: str


def build_graph() -> CompiledStateGraph:
    """Searcher, answerer."""
    llm = ChatOpenAI(model=os.environ.get("OPENAI_MODEL", "gpt-4o-mini"))

    def searcher(state: State) -> dict[str, list[str]]:
        reply = llm.invoke([SystemMessage(SEARCHER_PROMPT), ("user", state["question"])])
        written = re.findall(r"Search: *(.+)", reply.text)
        return {"documents": handbook.search(written[-1] if written else state["question"])}

    def answerer(state: State) -> dict[str, str]:
        documents = state["documents"] or ["none"]
        told = "\n".join([state["question"], "", "Documents:", *documents])
        reply = llm.invoke([SystemMessage(ANSWERER_PROMPT), ("user", told)])
        return {"answer": reply.text}

    builder = StateGraph(State)
    builder.add_node("searcher", searcher)
    builder.add_node("answerer", answerer)
    builder.add_edge(START, "searcher")
    builder.add_edge("searcher", "answerer")
    builder.add_edge("answerer", END)
    return builder.compile()


graph = build_graph()


def to_input(task: dict) -> dict:
    """The graph's input for a task."""
    return {"question": task["question"]}


def main() -> None:
    """Answer one question, from the command line or the first of the test split."""
    question = " ".join(sys.argv[1:]) or handbook.load_tasks("test")[0]["question"]
    print(question)
    print(graph.invoke({"question": question})["answer"])


if __name__ == "__main__":
    main()
