"""Numbers the epochs of an energy counter: a new one begins where the counter starts again.

In: readings of one counter in time order. Out: the epoch of each. Energy is the difference of two
readings of one epoch, never across two.
"""

from __future__ import annotations


class CounterEpochs:
    """The epochs of one counter.

    Attributes:
        epoch: the current one.
        counter_mj: the latest reading of it; None if there is none yet.
    """

    def __init__(self) -> None:
        self.epoch = 0
        self.counter_mj: int | None = None

    def add(self, energy_mj: int | None) -> bool:
        """Take a reading (mJ; None: not read); return whether it began a new epoch."""
        if energy_mj is None:
            return False
        fell = self.counter_mj is not None and energy_mj < self.counter_mj
        if fell:
            self.epoch += 1
        self.counter_mj = energy_mj
        return fell

    def begin(self) -> None:
        """Have the next reading begin a new epoch, whatever it shows."""
        self.epoch += 1
        self.counter_mj = None
