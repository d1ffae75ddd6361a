"""The plain `openai` client: prompts and spans of its model calls.

A client is no agent, so there is nothing here to wrap: wrap the function that uses it.

How slots are named:

- After the user's code that calls the client: ``openai:my_app.answer#system`` is the system prompt
  of the first call in the function ``answer`` of the module ``my_app``, ``my_app.answer.2`` that of
  the second one, as they stand in the source. A method is ``my_app.Agent.answer``, a function in
  another one ``my_app.outer.inner``. A call by another name, such as ``ask`` for
  ``client.chat.completions.create``, is ``my_app.answer.ask``.
- The module has the name by which it is imported also where it is the program that is run:
  ``python my_app.py`` and ``import my_app`` have the same slots.
- The first system text of a call is ``#system``, the second ``#system.2``: ``instructions``, then
  messages with the role ``system`` or ``developer``, or further text parts of such a message. What
  the program sends as the user's message, or as the text that is the ``input`` of a response, and
  is a prompt all the same is ``#user``, ``#user.2`` in the same way.
- ``openai:unknown#system`` is the prompt of calls that no code of the user's makes: those whose
  task or thread was started with the client's own method, as `asyncio.to_thread` may be. A
  coroutine of the client that was made into a task is known by where it was made, unless it is one
  of ``with_raw_response``.

Covered are chat completions and responses: ``create``, ``parse`` and ``stream``, sync and async,
streamed, raw, through Azure's client classes, and also by methods that the program had in hand
before the hooks were there. Calls that an agent framework makes are left to its own integration.

Not covered: responses over a websocket (``responses.connect``), realtime, assistants and threads,
prompts stored at OpenAI, and a prompt in ``extra_body``.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from agl_adapters.integration import Target
from agl_core.errors import UnknownAgentError
from agl_core.tracing.tracing import Tracing

__all__ = ["OpenAIIntegration"]


class OpenAIIntegration:
    """The integration of the `openai` package; see `agl_adapters.integration.Integration`."""

    name: str = "openai"
    packages: tuple[str, ...] = ("openai",)

    def recognizes(self, target: object) -> bool:
        """Tell that a client, or anything else of the package, is no agent."""
        return False

    def adapt(self, target: Any) -> Target:
        """Refuse; see `recognizes`.

        Raises:
            UnknownAgentError: Always.
        """
        raise UnknownAgentError(
            f"{type(target).__name__} is a client, not an agent: wrap the function that calls it"
        )

    @contextmanager
    def hooks(self, tracing: Tracing) -> Generator[None]:
        """Put prompts into the client's model calls, record and meter them; see `Integration`.

        Raises:
            MissingDependencyError: If the client or its instrumentor is not installed.
            UnsupportedVersionError: If one of them lacks what the hooks stand on.
        """
        from agl_adapters.requirements import check_all
        from agl_integrations.openai.compat import REQUIREMENTS

        check_all(REQUIREMENTS)
        from agl_integrations.openai.metering import metered_requests
        from agl_integrations.openai.prompts import client_prompts
        from agl_integrations.openai.spans import client_spans

        with metered_requests(), client_spans(tracing), client_prompts(tracing):
            yield
