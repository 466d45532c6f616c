"""Keeps a state file ahead of the clock.

In: an emulated node in real time. Out: a file whose slots are written while the one before them is
read, so 10 to 20 s ahead, and a lease that is renewed several times a second. A feeder that dies or
hangs leaves a lease that runs out, and the boards are lost to their readers; none sees a value that
has stopped moving.
"""

from __future__ import annotations

from pathlib import Path

from tokenergy_collectors.base.clock import Clock
from tokenergy_collectors.emulate.native.filling import SLOT_US
from tokenergy_collectors.emulate.native.state import StateFile
from tokenergy_collectors.emulate.run.node import EmulatedNode

LEASE_US = 3_000_000
"""How long readers believe a feeder that says nothing."""


class Feeder:
    """Feeds one node's file; as a context manager it removes the file at the end.

    Args:
        node: the boards, in real time.
        clock: the clock that the node lives by.
        path: where the file is to lie.

    Raises:
        UserError: the file cannot be made, or belongs to somebody else.
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
        # latest: a slot further ahead would cost the token endpoints their present.
        while self._next * SLOT_US <= self._node.now_us() + SLOT_US:
            self.state.publish(self._next)
            self._next += 1
            self.state.keep_alive(self._clock.monotonic_us() + LEASE_US)
