"""Keeps a state file ahead of the clock.

In: an emulated node in real time. Out: a file whose slots are written while the one before them is
read, so 10 to 20 s ahead, and a lease that is renewed several times a second. A feeder that dies or
hangs leaves a lease that runs out, and readers get GPU_IS_LOST instead of a value that has stopped
moving.
"""

from __future__ import annotations

from pathlib import Path

from tokenergy_collectors.base.clock import Clock
from tokenergy_collectors.emulate.native.filling import SLOT_US
from tokenergy_collectors.emulate.native.state import StateFile
from tokenergy_collectors.emulate.run.node import EmulatedNode

LEASE_US = 3_000_000
"""How long readers trust a feeder that has stopped renewing the lease."""


class Feeder:
    """Feeds one node's file; as a context manager it removes the file at the end.

    Args:
        node: the boards, in real time.
        clock: the node's clock.
        path: where to put the file.

    Raises:
        UserError: the file cannot be made, or is not ours to replace.
    """

    def __init__(self, node: EmulatedNode, clock: Clock, path: Path) -> None:
        self._node = node
        self._clock = clock
        self._next = 0
        self.state = StateFile(path, node.boards, origin_us=node.origin_us, start_us=node.start_us)

    def __enter__(self) -> Feeder:
        self.feed()
        return self

    def __exit__(self, *_: object) -> None:
        self.state.close()

    def feed(self) -> None:
        """Renew the lease, and write the slots whose turn it is."""
        self.state.keep_alive(self._clock.monotonic_us() + LEASE_US)
        # A slot is a chunk of the physics, and workloads keep one chunk of history behind the
        # latest: one slot further ahead, the token endpoints could not read the present.
        while self._next * SLOT_US <= self._node.now_us() + SLOT_US:
            self.state.publish(self._next)
            self._next += 1
            self.state.keep_alive(self._clock.monotonic_us() + LEASE_US)
