"""A small cluster for tests: one node, four boards, a minute; and a node to walk through it."""

from __future__ import annotations

import threading
import tomllib
from typing import Any

from tokenergy_collectors.base.clock import VirtualClock
from tokenergy_collectors.emulate.profile.profile import Profile
from tokenergy_collectors.emulate.run.node import EmulatedNode

SMALL = """
name = "small"
start = 2026-01-15T08:00:00Z
duration_s = 60
seed = 7

[boards.h100]
name = "NVIDIA H100 80GB HBM3"
idle_w = 80
idle_spread_w = 10
limit_w = 700
load_spread = 0.015

[nodes.n1]
boards = "h100"
count = 4
rack = "r1"

[[jobs]]
id = "chat"
user = "ada"
devices = { n1 = [0, 1] }
start_s = 5
end_s = 41.234567

[jobs.workload]
type = "inference"
model = "m-8b"
log = "azure_conv"
rate = 2.0
load_s = 4
cached_fraction = 0.5
step_us = 6_500
per_sequence_us = 60
per_prompt_token_us = 32

[[jobs]]
id = "train"
devices = { n1 = [2] }
start_s = 3.000001
end_s = 50
workload = { type = "training", model = "m-1b", tokens_per_step = 1000, load_s = 2 }

[[jobs]]
id = "held"
devices = { n1 = [2] }
start_s = 50
end_s = 60
workload = { type = "reservation" }

[[strays]]
id = "notebook"
devices = { n1 = [3] }
start_s = 10
end_s = 30
workload = { type = "stray", burst_s = 2, pause_s = 2 }
"""


def small_profile(**board: Any) -> Profile:
    """The small profile, with some keys of its boards replaced."""
    values = tomllib.loads(SMALL)
    values["boards"]["h100"] |= board
    return Profile.model_validate(values)


class Walk:
    """A node and the virtual clock it lives by."""

    def __init__(self, profile: Profile | None = None, node: str = "n1") -> None:
        profile = profile or small_profile()
        self.clock = VirtualClock(profile.start_us)
        self.node = EmulatedNode(profile, node, self.clock)
        self._origin_us = self.clock.monotonic_us()

    def to(self, at_us: int) -> None:
        self.clock.sleep_until(self._origin_us + at_us, threading.Event())
