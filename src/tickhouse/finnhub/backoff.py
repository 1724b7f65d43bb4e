"""Space out attempts to connect: full-jitter exponential back-off that only a stable connection resets."""

import random

__all__ = ["Backoff"]

MAX_DOUBLINGS = 32  # keeps the power finite over an outage of days


class Backoff:
    """Say how long to pause before the next attempt, in seconds."""

    def __init__(self, base_s: float, max_s: float, stable_after_s: float, rng: random.Random) -> None:
        self._base_s = base_s
        self._max_s = max_s
        self._stable_after_s = stable_after_s
        self._rng = rng
        self._failures = 0

    def pause_s(self, lasted_s: float, at_least_s: float = 0.0) -> float:
        """Return the pause after a connection that lasted `lasted_s`, 0 where none was made.

        A connection that ended early counts as a failure even if it was closed politely: reconnecting at once ends in
        a storm of refusals.
        """
        if lasted_s >= self._stable_after_s:
            self._failures = 0
        ceiling_s = min(self._max_s, self._base_s * 2.0 ** min(self._failures, MAX_DOUBLINGS))
        self._failures += 1
        return round(max(at_least_s, self._rng.uniform(0.0, ceiling_s)), 3)
