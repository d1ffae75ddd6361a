"""Discretion: what is kept of a run, and handed to its algorithm, of all that was said in it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from agl_core.datasets import Dataset, Task
from agl_core.privacy.redaction import WITHHELD_PROMPT, Redaction
from agl_core.prompts.binding import SlotUse
from agl_core.prompts.provenance import Rendered
from agl_core.prompts.sightings import Sighting, Sightings
from agl_core.prompts.slots import SlotRecord
from agl_core.prompts.templates import PromptTemplate
from agl_core.rewards.reward import Reward
from agl_core.rollouts import Rollout

__all__ = ["NOT_CAPTURED", "Discretion"]

NOT_CAPTURED = "[not captured]"
"""What stands in the place of tasks, outputs and other texts, where content is not captured."""


@dataclass(frozen=True, slots=True)
class Discretion:
    """Decides what is kept of the records of a run.

    The algorithm is handed the same: so a run that is read back from the store goes on as one that
    was never interrupted. Prompts are not content, and are checked at the start: they can be
    written as they are.
    """

    redaction: Redaction = field(default_factory=Redaction)
    capture_content: bool = True
    """Whether anything is kept of tasks, inputs, outputs, messages and feedback."""

    def settings(self) -> dict[str, Any]:
        """Return what has to be the same when a run is resumed, where it is not the default."""
        settings: dict[str, Any] = {}
        if not self.capture_content:
            settings["capture_content"] = False
        if self.redaction.fingerprint:
            settings["redact"] = self.redaction.fingerprint
        return settings

    def content(self, data: Any) -> Any:
        """Return what is kept of something that was said in a rollout, or given to it."""
        if data is None or data == "":
            return data
        return self.redaction.data(data) if self.capture_content else NOT_CAPTURED

    def text(self, text: str) -> str:
        """Return what is kept of a text of that kind."""
        if not text:
            return text
        return self.redaction.text(text) if self.capture_content else NOT_CAPTURED

    def task(self, task: Task) -> Task:
        """Return a task as it is kept; its key stays the same."""
        data = self.content(task.data)
        return task if data == task.data else replace(task, data=data)

    def dataset(self, dataset: Dataset) -> Dataset:
        """Return a dataset of tasks as they are kept."""
        return Dataset(dataset.split, [self.task(task) for task in dataset])

    def task_name(self, task: Task) -> str:
        """Return what a task is called in what is kept: an id of its own is content, too."""
        return self.task(task).name

    def rollout(self, rollout: Rollout, task: Task) -> Rollout:
        """Return a rollout as it is kept. Its spans are: they are redacted when they are made."""
        reward, kept = rollout.reward, self.task(task)
        return replace(
            rollout,
            task=kept.data,
            task_name=kept.name,
            reward=None if reward is None else self._reward(reward),
            error=None if rollout.error is None else self.redaction.text(rollout.error),
            output=self.content(rollout.output),
            slots={name: self._use(use) for name, use in rollout.slots.items()},
            sightings=None if rollout.sightings is None else self._sightings(rollout.sightings),
        )

    def record(self, record: SlotRecord) -> SlotRecord:
        """Return what is known of a slot as it is kept.

        A prompt that could not be written back is none to optimize.
        """
        kept = replace(
            record,
            samples=tuple(dict.fromkeys(map(self.text, record.samples))),
            variables={
                name: tuple(dict.fromkeys(map(self.text, values)))
                for name, values in record.variables.items()
            },
        )
        if record.prompt is None or self._template(record.prompt) is not None:
            return kept
        return replace(
            kept, prompt=None, source=None, variables={}, default=False, reason=WITHHELD_PROMPT
        )

    def _reward(self, reward: Reward) -> Reward:
        feedback = self.text(reward.feedback)
        return reward if feedback == reward.feedback else Reward(reward, feedback, reward.metrics)

    def _template(self, template: PromptTemplate | None) -> PromptTemplate | None:
        if template is None or self.redaction.text(template.raw) != template.raw:
            return None
        return template

    def _use(self, use: SlotUse) -> SlotUse:
        return replace(
            use,
            original=self.text(use.original),
            sent=self.text(use.sent),
            template=self._template(use.template),
            unmatched=None if use.unmatched is None else self.text(use.unmatched),
        )

    def _sightings(self, sightings: Sightings) -> Sightings:
        kept = {name: self._sighting(sighting) for name, sighting in sightings.slots.items()}
        inputs = [self.text(text) for text in sightings.inputs]
        if kept == sightings.slots and inputs == sightings.inputs:
            return sightings
        return Sightings(kept, inputs, withheld=True)

    def _sighting(self, sighting: Sighting) -> Sighting:
        texts: dict[str, Rendered | None] = {}
        counts: Counter[str] = Counter()
        for text, rendered in sighting.texts.items():
            written = self.text(text)
            texts[written] = self._rendered(rendered)
            counts[written] += sighting.counts[text]
        return replace(sighting, texts=texts, counts=counts)

    def _rendered(self, rendered: Rendered | None) -> Rendered | None:
        template = None if rendered is None else self._template(rendered.template)
        if rendered is None or template is None:
            return None
        values = {name: self.text(str(value)) for name, value in rendered.values.items()}
        return Rendered(template, values)
