"""Makes one rising counter of one that begins again at 0 every few minutes.

In: what a zone shows, in time order. Out: its energy since an epoch began, and the number of that
epoch: a new one begins where nobody can know how often the counter passed its range, or that it is
the same counter. Energy is the difference of two readings of one epoch.
"""

from __future__ import annotations

from dataclasses import dataclass, field

SLACK_US = 100_000
"""A value may be older than its stamp. The meters renew it about once a millisecond; this leaves
room for a busy host."""


@dataclass(slots=True)
class Unwrapped:
    """The rising counter of one zone.

    Attributes:
        most_w: watts that the zone never exceeds; W x us = uJ.
        energy_uj: the counter plus a range for each time that it began again in this epoch.
        epoch: the number of this epoch, from 0.
    """

    most_w: int
    energy_uj: int = 0
    epoch: int = 0
    _last: tuple[int, int, int] | None = None
    _broken: str | None = field(default=None)

    def take(self, at_us: int, counter_uj: int, range_uj: int) -> str | None:
        """Take a reading; return why it begins another epoch, or None if it does not.

        The counter passed its range at most once since the last reading if the zone cannot use up
        a range in that time. Then the energy between the two is the remainder of their difference.

        Args:
            at_us: when it was read, on a clock that runs while the host sleeps (us).
            counter_uj: what the zone shows.
            range_uj: where the counter begins again.
        """
        why = self._broken
        if self._last is not None:
            last_us, last_uj, last_range_uj = self._last
            most_uj = self.most_w * (at_us - last_us + SLACK_US)
            used_uj = (counter_uj - last_uj) % range_uj
            if range_uj != last_range_uj:
                why = f"its range is now {range_uj} uJ"
            elif most_uj >= range_uj:
                why = f"it was not read for so long that {self.most_w} W may pass its range"
            elif used_uj > most_uj:
                fell = "fell" if counter_uj < last_uj else "rose"
                why = f"it {fell} by more than {self.most_w} W can explain"
            else:
                self.energy_uj += used_uj
        if self._last is None or why is not None:
            self.energy_uj = counter_uj
            self.epoch += why is not None
        self._last, self._broken = (at_us, counter_uj, range_uj), None
        return why

    def end(self, why: str) -> None:
        """Have the next reading begin another epoch, whatever it shows."""
        if self._last is not None:
            self._last, self._broken = None, why
