"""The match guard: stops a run whose program sends other texts than the known prompts too often."""

from __future__ import annotations

from collections import Counter

from agl_core.errors import RolloutError
from agl_core.prompts.slot_policy import MAX_UNMATCHED
from agl_core.prompts.templates import Resources
from agl_core.rollouts import Rollout
from agl_core.text import cut

__all__ = ["MatchGuard"]

_FEW = 20
"""Of fewer texts than that, a share says little. So before, as many are allowed as of so many."""
_SHOWN = 500


class MatchGuard:
    """Counts, by slot, the texts that were left alone because they were not the known prompt.

    Args:
        max_unmatched: The share of texts that may be.
    """

    def __init__(self, max_unmatched: float = MAX_UNMATCHED) -> None:
        self._max_unmatched = max_unmatched
        self._sent: Counter[str] = Counter()
        self._unmatched: Counter[str] = Counter()
        self._seen: set[str] = set()

    def see(self, rollout: Rollout, own: Resources) -> RolloutError | None:
        """Take in a rollout; return the error if it shows that there are too many.

        The same one counts once. Rollouts on the test split only count: there everything has been
        spent.

        Args:
            rollout: The rollout.
            own: The program's own prompts that are optimized.
        """
        if rollout.id in self._seen:
            return None
        self._seen.add(rollout.id)
        for slot, use in rollout.slots.items():
            self._sent[slot] += use.calls
        self._unmatched.update(rollout.unmatched)
        if rollout.split == "test":
            return None
        for slot in rollout.unmatched:
            sent, unmatched = self._sent[slot], self._unmatched[slot]
            if slot in own and unmatched > self._max_unmatched * max(sent, _FEW):
                text = rollout.slots[slot].unmatched or ""
                return RolloutError(
                    f"{unmatched} of the {sent} texts that the program sent as {slot} were not the "
                    f"prompt that is optimized there, and were left alone: more than "
                    f"max_unmatched={self._max_unmatched:g} allows. "
                    f"One of them: {cut(text, _SHOWN)!r}. "
                    f"The prompt: {cut(own[slot].raw, _SHOWN)!r}. Declare the program's template "
                    f"with templates={{{slot!r}: ...}}, freeze the slot, or raise max_unmatched"
                )
        return None
