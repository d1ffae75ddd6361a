"""Demonstrations: runs that went well, shown in the prompt as examples."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import quantiles

from agl_core.candidates import Candidate
from agl_core.prompts.rewrites import InvalidRewriteError, check_rewrite
from agl_core.prompts.templates import PromptTemplate
from agl_core.rollouts import Rollout
from agl_core.session import Session
from agl_core.spans import genai
from agl_core.spans.messages import Message
from agl_core.spans.model_calls import model_calls

__all__ = ["Demonstrations"]

_HEAD = "# Examples\n\nRuns on other tasks that went well. Do as they do."


@dataclass(frozen=True, slots=True)
class Demonstrations:
    """Adds examples to the prompts of a candidate: what a model was sent there, and its answer.

    They are taken from training rollouts among the best tenth by reward and above the candidate's
    own mean, those first whose task has failed most often. A rollout that repeats a validation or
    test task, or gives away its answer, is left out (see `OverlapGuard`); so is one that is too
    long, or that the template's engine cannot hold as plain text.
    """

    count: int
    """Examples per prompt, at most."""
    max_prompt_chars: int
    """The longest prompt that is accepted, in characters."""

    def added(
        self, session: Session, candidate: Candidate, rollouts: Sequence[Rollout]
    ) -> Candidate | None:
        """Return the candidate with examples; None if there is nothing to show."""
        mean = session.validation_score(candidate.resources) or 0.0
        chosen = [r for r in _best(rollouts, mean) if not _is_held_out(session, r)]
        resources = dict(candidate.resources)
        for name, prompt in candidate.resources.items():
            shown = self._with_examples(session, name, prompt, chosen, only=len(resources) == 1)
            if shown is not None:
                resources[name] = shown
        if resources == dict(candidate.resources):
            session.say("no run to show as an example: none was good enough, apart and short")
            return None
        return replace(
            candidate,
            resources=resources,
            parent=candidate.id,
            edit=f"up to {self.count} examples of runs that went well",
            round=candidate.round + 1,
            score=None,
            metadata={"branch": "examples"},
            critiques=(),
            edits={},
        )

    def _with_examples(
        self,
        session: Session,
        name: str,
        prompt: PromptTemplate,
        rollouts: Sequence[Rollout],
        *,
        only: bool,
    ) -> PromptTemplate | None:
        shown: PromptTemplate | None = None
        text, added = f"{prompt.raw}\n\n{_HEAD}", 0
        for rollout in rollouts:
            example = _example(rollout, name, only)
            if added == self.count:
                break
            if example is None or session.gives_away(*example):
                continue
            plain = prompt.escaped(f"<example>\n{example[0]}\n</example>")
            if plain is None:
                continue
            longer = f"{text}\n\n{plain}"
            try:
                shown = check_rewrite(
                    prompt, longer, self.max_prompt_chars, session.constraints.get(name)
                )
            except InvalidRewriteError:
                continue
            text, added = longer, added + 1
        return shown


def _best(rollouts: Sequence[Rollout], mean: float) -> Iterator[Rollout]:
    """Yield the best rollouts, one per task, those of the hardest tasks first."""
    scored = [(r.score, r) for r in rollouts if r.score is not None]
    scores = [score for score, _ in scored]
    if len(scores) < 2:
        return
    bar = quantiles(scores, n=10, method="inclusive")[-1]
    failures: dict[str, float] = {}
    best: dict[str, tuple[float, Rollout]] = {}
    for score, rollout in scored:
        key = rollout.task_key
        failures[key] = failures.get(key, 0.0) + max(0.0, bar - score)
        good = score >= bar and score > mean and rollout.status == "succeeded"
        if good and (key not in best or score >= best[key][0]):
            best[key] = score, rollout
    for key in sorted(best, key=lambda key: -failures[key]):
        yield best[key][1]


def _is_held_out(session: Session, rollout: Rollout) -> bool:
    task = json.dumps(rollout.task, ensure_ascii=False)
    return rollout.split != "train" or session.repeats_judged_task(task)


def _example(rollout: Rollout, name: str, only: bool) -> tuple[str, str] | None:
    """Return what was said in the last call with this prompt, and the answer; None if unknown."""
    calls = model_calls(genai.of_the_agent(rollout.spans))
    own = [span for span in calls if genai.slot(span) == name] or (calls if only else [])
    for span in reversed(own):
        sent = [m for m in genai.input_messages(span) if m["role"] not in ("system", "developer")]
        answers = genai.output_messages(span)
        if sent and answers:
            lines = [_line(message) for message in (*sent, answers[0])]
            return "\n".join(lines), _line(answers[0])
    return None


def _line(message: Message) -> str:
    calls = [
        f"[calls {call['name']}({call['arguments']})]" for call in message.get("tool_calls", ())
    ]
    return f"{message['role']}: " + "\n".join(filter(None, [message["content"], *calls]))
