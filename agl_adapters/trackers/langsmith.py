"""The LangSmith hub: prompts pushed to it and pulled from it. Needs the extra ``langsmith``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from agl_adapters.trackers.tracker import Tracker, registered_names, text_with_fields
from agl_core.errors import ConfigurationError, MissingDependencyError
from agl_core.prompts.templates import Engine, PromptTemplate, Resources
from agl_core.result import TrainResult

__all__ = ["LangSmithHub", "hub_name", "pull_prompts", "push_prompts"]

_TEMPLATE = ["langchain", "prompts", "prompt", "PromptTemplate"]
_SYSTEM = ["langchain", "prompts", "chat", "SystemMessagePromptTemplate"]
_CHAT = ["langchain", "prompts", "chat", "ChatPromptTemplate"]
_ENGINES: Mapping[str, Engine] = {"f-string": "f-string", "jinja2": "jinja"}
"""Of LangChain's notations those that ours can say."""


class LangSmithHub(Tracker):
    """Pushes the best prompts of a run to the hub, if the verdict is ``improved``.

    Args:
        api_url: Where LangSmith is; by default where its own settings (``LANGSMITH_ENDPOINT``) say.
        api_key: The key; by default ``LANGSMITH_API_KEY``.

    Raises:
        MissingDependencyError: If langsmith is not installed.
    """

    def __init__(self, api_url: str | None = None, api_key: str | None = None) -> None:
        super().__init__()
        _langsmith()
        self._place = {"api_url": api_url, "api_key": api_key}

    def result(self, result: TrainResult) -> None:
        """Push the prompts."""
        if result.verdict == "improved":
            push_prompts(result.best, message=f"agl-adapters run {result.run}", **self._place)


def push_prompts(
    prompts: Mapping[str, str | PromptTemplate],
    *,
    api_url: str | None = None,
    api_key: str | None = None,
    message: str = "",
) -> Mapping[str, str]:
    """Commit prompts to the hub, each under `hub_name` of its name, private if it is new.

    On the hub each is a chat prompt of one system message, as LangChain's ``pull_prompt`` takes it.

    Returns:
        The commit by name; of a prompt that was there already as it is, that commit.

    Raises:
        ConfigurationError: If one is a Jinja template, if two slots would have one name, or if the
            hub refuses it.
        MissingDependencyError: If langsmith is not installed.
    """
    hub = _Hub(api_url, api_key)
    names = registered_names(prompts, hub_name)
    return {slot: hub.push(name, slot, prompts[slot], message) for slot, name in names.items()}


def pull_prompts(
    names: Mapping[str, str | None] | list[str],
    *,
    api_url: str | None = None,
    api_key: str | None = None,
) -> Resources:
    """Return prompts of the hub by slot, as `use_prompts` and `Trainer` take them.

    What the hub holds is read as data: no object that it describes is made.

    Args:
        names: Slots, or slots with a commit or a tag each; None for the latest.
        api_url: Where LangSmith is; by default where its own settings say.
        api_key: The key.

    Raises:
        ConfigurationError: If there is no such prompt, or none with a system message of text.
        MissingDependencyError: If langsmith is not installed.
    """
    hub = _Hub(api_url, api_key)
    wanted = names if isinstance(names, Mapping) else dict.fromkeys(names)
    return {
        slot: _from_manifest(hub.commit(hub_name(slot), version or "latest").manifest, slot)
        for slot, version in wanted.items()
    }


def hub_name(slot: str) -> str:
    """Return what a slot is called on the hub: lower case, digits, hyphens and underscores."""
    return re.sub(r"[^a-z0-9_-]+", "-", slot.lower()).strip("-")


class _Hub:
    """The hub by the client of the langsmith package, with errors that are ours."""

    def __init__(self, api_url: str | None, api_key: str | None) -> None:
        langsmith = _langsmith()
        self._errors: Any = langsmith.utils
        # It is to trace nothing: without batches it starts no thread.
        self._client: Any = langsmith.Client(
            api_url=api_url, api_key=api_key, auto_batch_tracing=False
        )

    def push(self, name: str, slot: str, prompt: str | PromptTemplate, message: str) -> str:
        """Commit a prompt; return the commit."""
        try:
            self._client.push_prompt(
                name,
                object=_manifest(prompt),
                description=f"{slot}, by agl-adapters",
                commit_description=message or None,
            )
        except self._errors.LangSmithConflictError:
            pass  # the hub takes no commit that changes nothing
        except self._errors.LangSmithError as error:
            raise ConfigurationError(f"the hub did not take {name}: {error}") from error
        return str(self.commit(name, "latest").commit_hash)

    def commit(self, name: str, version: str) -> Any:
        """Return a commit of a prompt."""
        try:
            return self._client.pull_prompt_commit(f"{name}:{version}", skip_cache=True)
        except self._errors.LangSmithNotFoundError as error:
            raise ConfigurationError(f"the hub has no prompt {name}:{version}") from error
        except self._errors.LangSmithError as error:
            raise ConfigurationError(f"cannot read {name} from the hub: {error}") from error


def _manifest(prompt: str | PromptTemplate) -> dict[str, Any]:
    """Return a prompt as LangChain serializes one."""
    text = text_with_fields(
        prompt, lambda piece: piece.replace("{", "{{").replace("}", "}}"), "{{{}}}".format
    )
    names = [] if isinstance(prompt, str) else sorted(prompt.variables)
    fields = {"input_variables": names, "template": text, "template_format": "f-string"}
    system = _object(_SYSTEM, {"prompt": _object(_TEMPLATE, fields)})
    return _object(_CHAT, {"input_variables": names, "messages": [system]})


def _object(path: list[str], arguments: dict[str, Any]) -> dict[str, Any]:
    return {"lc": 1, "type": "constructor", "id": path, "kwargs": arguments}


def _from_manifest(manifest: Any, slot: str) -> PromptTemplate:
    chat = _arguments(manifest, _CHAT[-1])
    messages: Any = [] if chat is None else chat.get("messages")
    templates = [manifest]
    for message in messages if isinstance(messages, list) else []:
        system = _arguments(message, _SYSTEM[-1])
        if system is not None:
            templates.append(system.get("prompt"))
    for prompt in _texts(templates):
        engine = _ENGINES.get(prompt.get("template_format", "f-string"))
        if engine is not None:
            return PromptTemplate(prompt["template"], engine)
    raise ConfigurationError(
        f"what the hub has as {hub_name(slot)} has no system message of text with {{name}} in it"
    )


def _texts(templates: list[Any]) -> Iterator[Mapping[str, Any]]:
    for template in templates:
        found = _arguments(template, _TEMPLATE[-1])
        if found is not None and isinstance(found.get("template"), str):
            yield found


def _arguments(data: Any, kind: str) -> Mapping[str, Any] | None:
    """Return the arguments of a serialized object, if it is of a kind."""
    if not isinstance(data, Mapping):
        return None
    path, arguments = data.get("id"), data.get("kwargs")
    if not isinstance(path, list) or path[-1:] != [kind] or not isinstance(arguments, Mapping):
        return None
    return arguments


def _langsmith() -> Any:
    try:
        import langsmith
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "this needs LangSmith: pip install 'agl-adapters[langsmith]'"
        ) from error
    return langsmith
