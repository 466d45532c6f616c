"""Numbers the epochs of an energy counter: each restart of the counter begins a new one.

In: readings of one counter in time order. Out: the epoch of each. Energy is the difference of two
readings of the same epoch, never of two epochs.
"""

from __future__ import annotations


class CounterEpochs:
    """The epochs of one counter.

    Attributes:
        epoch: the current one.
        counter_mj: its latest reading; None if it has none yet.
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
        """Begin a new epoch with the next reading, whatever its value."""
        # Without an earlier value the next reading cannot begin a second epoch by falling.
        self.epoch += 1
        self.counter_mj = None
