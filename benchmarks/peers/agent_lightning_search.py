"""One search by Agent Lightning 0.3.0's own APO. Runs in an environment that has it, not in ours.

Reads a JSON specification on standard input and writes a JSON result to the path it names. The
published parameters of its search are those of the other systems; its process strategy is the
default one.
"""

# pyright: reportMissingImports=false, reportUntypedFunctionDecorator=false
# pyright: reportUntypedBaseClass=false, reportPrivateUsage=false
# pyright: reportUnknownParameterType=false

from __future__ import annotations

import json
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

import agentlightning
import openai
from agentlightning.algorithm.apo import APO

from peers.programs import PROGRAMS, client

SPEC: dict[str, Any] = json.loads(Path(os.environ["PEERS_SPECIFICATION"]).read_text())
ROLLOUTS = Path(SPEC["log"])
PROGRAM = PROGRAMS[SPEC["scenario"]]


@agentlightning.rollout
def agent(task: Any, prompt_template: agentlightning.PromptTemplate) -> float:
    """One rollout; a line of a file tells that it was run, and how it was rewarded."""
    reward = None
    try:
        prompt = prompt_template.format()
        reward = PROGRAM.run(client().chat.completions.create, prompt, task)
        return reward
    finally:
        with ROLLOUTS.open("a") as lines:
            lines.write(f"{json.dumps(reward)}\n")


class Watched(APO[Any]):
    """Its APO, with a note of what is best after each validation. Changes nothing."""

    def __init__(self, *arguments: Any, **parameters: Any) -> None:
        super().__init__(*arguments, **parameters)
        self.curve: list[tuple[int, float, str, float]] = []

    async def evaluate_prompt_on_batch(self, prompt: Any, *rest: Any, **more: Any) -> Any:
        """Evaluate as it does."""
        result = await super().evaluate_prompt_on_batch(prompt, *rest, **more)
        if len(rest[1]) == len(SPEC["val"]):
            self.curve.append((_run(), time.time(), prompt.prompt_template.template, result[1]))
        return result


def _run() -> int:
    return len(ROLLOUTS.read_text().splitlines()) if ROLLOUTS.exists() else 0


def main() -> None:
    """Search, and write what came of it."""
    random.seed(SPEC["seed"])
    algorithm = Watched(
        openai.AsyncOpenAI(max_retries=5),
        gradient_model="gpt-4o-mini",
        apply_edit_model="gpt-4o-mini",
        **SPEC["parameters"],
    )
    trainer = agentlightning.Trainer(
        algorithm=algorithm,
        n_runners=SPEC["n_runners"],
        initial_resources={
            "prompt_template": agentlightning.PromptTemplate(
                template=PROGRAM.seed, engine="f-string"
            )
        },
        adapter=agentlightning.TraceToMessages(),
        port=SPEC["port"],
    )
    start = time.time()
    trainer.fit(agent, train_dataset=SPEC["train"], val_dataset=SPEC["val"])
    seconds = time.time() - start
    result = {
        "best": algorithm.get_best_prompt().template,
        "found": algorithm._history_best_score,
        "seconds": seconds,
        "rollouts": _run(),
        "failed": ROLLOUTS.read_text().splitlines().count("null"),
        "curve": [
            {"rollouts": n, "seconds": at - start, "prompt": prompt, "validation": score}
            for n, at, prompt, score in algorithm.curve
        ],
    }
    Path(SPEC["result"]).write_text(json.dumps(result))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
