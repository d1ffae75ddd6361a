"""What the seed's first rollouts say about the agent: does it work, and does it use its prompts?"""

from __future__ import annotations

from collections.abc import Sequence

from agl_core.errors import RolloutError
from agl_core.prompts.templates import Resources
from agl_core.rollouts import Rollout

__all__ = ["SeedCheck", "raise_if_all_fail", "raise_if_none_reads"]

# So many rollouts of the seed tell an agent that does not work from one that often fails.
_PLAIN = 8


class SeedCheck:
    """Looks at rollouts of the seed until it is plain whether the agent works.

    Args:
        seed: The seed's prompts.
        tasks: How many validation tasks there are; if few, all of them are waited for.
    """

    def __init__(self, seed: Resources, tasks: int) -> None:
        self._seed = seed
        self._wanted = min(_PLAIN, tasks)
        self._rollouts: list[Rollout] = []
        self._done = False

    def see(self, rollouts: Sequence[Rollout]) -> None:
        """Take in further rollouts of the seed.

        Raises:
            RolloutError: If all of the first ones failed, or none read a prompt of the seed.
        """
        if self._done:
            return
        self._rollouts += rollouts
        if len(self._rollouts) < self._wanted:
            return
        self._done = True
        raise_if_all_fail(self._rollouts)
        raise_if_none_reads(self._rollouts, self._seed)
        self._rollouts.clear()


def raise_if_none_reads(rollouts: Sequence[Rollout], prompts: Resources) -> None:
    """Stop a run whose agent never uses the prompts that it is given.

    Raises:
        RolloutError: If no rollout read any of the prompts.
    """
    names = prompts.keys()
    if not any(names & (rollout.reads | rollout.slots.keys()) for rollout in rollouts):
        raise RolloutError(
            f"no rollout read a prompt that is to be optimized ({', '.join(names)}): the agent "
            "ran, but changing these prompts cannot change what it does. Use the prompt that "
            "the agent is handed, or check the names of the slots"
        )


def raise_if_all_fail(rollouts: Sequence[Rollout]) -> None:
    """Stop a run whose agent does not work at all.

    Raises:
        RolloutError: If there are rollouts and every one failed; with the first traceback.
    """
    if not rollouts or any(rollout.status == "succeeded" for rollout in rollouts):
        return
    first = rollouts[0]
    if all(rollout.status == "unavailable" for rollout in rollouts):
        what = "the model service could not be reached in any of"
    else:
        what = "the agent failed in all of"
    raise RolloutError(
        f"{what} {len(rollouts)} rollouts with its own prompts; "
        f"the first one, task {first.task_name}:\n{first.error}"
    )
