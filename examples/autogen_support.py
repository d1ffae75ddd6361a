"""A support desk on AutoGen: one agent that looks up orders, pays back, replaces, or hands over.

    python examples/autogen_support.py

It needs OPENAI_API_KEY, and takes OPENAI_BASE_URL and OPENAI_MODEL from the environment.
"""

import asyncio
import os

import support
from autogen_agentchat.agents import AssistantAgent
from autogen_ext.models.openai import OpenAIChatCompletionClient

CLERK_PROMPT = "You work at the support desk of a shop. Solve the ticket with your tools."

# AutoGen warns if the service answers with another name than the full one.
MODEL = os.environ.get("OPENAI_MODEL", "gpt-4o-mini-2024-07-18")


def build_clerk(shop: support.Shop) -> AssistantAgent:
    """The agent, with the tools of a shop; it calls them until it has something to say."""
    return AssistantAgent(
        "clerk",
        OpenAIChatCompletionClient(model=MODEL),
        tools=[
            shop.find_order,
            shop.check_stock,
            shop.refund,
            shop.send_replacement,
            shop.escalate,
        ],
        system_message=CLERK_PROMPT,
        max_tool_iterations=6,
    )


async def handle(task: dict) -> list[str]:
    """Handle one ticket in a fresh shop; return what was done to the shop."""
    shop = support.Shop()
    await build_clerk(shop).run(task=task["ticket"])
    return shop.done


def main() -> None:
    """Handle the first ticket of the test split."""
    task = support.load_tasks("test")[0]
    print(task["ticket"])
    print(asyncio.run(handle(task)))


if __name__ == "__main__":
    main()
