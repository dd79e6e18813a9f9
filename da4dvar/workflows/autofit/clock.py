"""The time that a run may take."""

from __future__ import annotations

import time
from copy import copy


class Clock:
    """Wall-clock time since the clock was made, and what is left of the time allowed.

    Parameters
    ----------
    minutes : float
        Time allowed.

    Examples
    --------
    >>> clock = Clock(minutes=1.0)
    >>> 59 < clock.left() <= 60
    True
    """

    def __init__(self, minutes: float) -> None:
        self.minutes, self.reserved, self._begin = minutes, 0.0, time.monotonic()

    def spent(self) -> float:
        """Return the seconds since the clock was made."""
        return time.monotonic() - self._begin

    def left(self, share: float = 1.0) -> float:
        """Return the seconds until a share of the time allowed has passed; negative if it has."""
        return share * 60 * self.minutes - self.reserved - self.spent()

    def without(self, seconds: float) -> Clock:
        """Return this clock with less time left, as some seconds are kept for later."""
        out = copy(self)
        out.reserved += seconds
        return out
