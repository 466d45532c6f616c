"""A node behind the C library, in the test's own process and at instants that the test chooses."""

from __future__ import annotations

import contextlib
import ctypes

import pynvml

from tests.support.emulated import Walk
from tokenergy_collectors.emulate.native.filling import SLOT_US
from tokenergy_collectors.emulate.native.state import StateFile


class NativeRig:
    """Publishes slots as time goes on; `to` sets the instant that the library reads."""

    def __init__(self, library, state, profile=None):
        self.library = ctypes.CDLL(str(library))
        self.library.tokenergy_at_us.argtypes = [ctypes.c_longlong]
        self.library.tokenergy_at_us.restype = None
        self.node = Walk(profile).node
        start_us, origin_us = self.node.start_us, self.node.origin_us
        self.state = StateFile(state, self.node.boards, origin_us=origin_us, start_us=start_us)
        self._published = 0
        self.to(0)

    def to(self, at_us):
        while self._published * SLOT_US <= at_us:
            self.state.publish(self._published)
            self._published += 1
        self.library.tokenergy_at_us(at_us)

    def fail(self, index, code):
        self.state.fail(index, code)

    def close(self):
        with contextlib.suppress(pynvml.NVMLError):
            while True:
                pynvml.nvmlShutdown()
        self.library.tokenergy_at_us(-1)
        self.state.close()
