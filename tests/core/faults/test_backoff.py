from __future__ import annotations

import random

from agl_core.faults.backoff import Backoff


def test_waits_longer_each_time_with_jitter() -> None:
    backoff = Backoff(initial=1.0, longest=6.0, rng=random.Random(0))
    for attempt, whole in ((1, 1.0), (2, 2.0), (3, 4.0), (4, 6.0), (20, 6.0)):
        waits = [backoff.seconds(attempt, None) for _ in range(100)]
        assert whole / 2 <= min(waits) < max(waits) <= whole
    assert len({backoff.seconds(1, None) for _ in range(10)}) > 1


def test_waits_at_least_what_the_service_asks_for_up_to_a_limit() -> None:
    backoff = Backoff(initial=0.1, longest=5.0)
    assert backoff.seconds(1, 3.0) == 3.0
    assert backoff.seconds(1, 3600.0) == 5.0
