"""The truth of a node that ended before its profile did.

In: a profile and a time. Out: the profile as if it ended then, and the truth up to then. The same
profile always gives the same node, so a second node runs the shortened profile on a virtual clock.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from tokenergy_collectors.base.clock import VirtualClock
from tokenergy_collectors.emulate.profile.jobs import Placed
from tokenergy_collectors.emulate.profile.profile import Profile
from tokenergy_collectors.emulate.run.node import EmulatedNode

_Placed = TypeVar("_Placed", bound=Placed)


def shorten(profile: Profile, duration_us: int) -> Profile:
    """Return a profile that ends at `duration_us`: no later jobs, and running ones end there."""
    return profile.model_copy(
        update={
            "duration_s": duration_us / 1e6,
            "jobs": _shortened(profile.jobs, duration_us),
            "strays": _shortened(profile.strays, duration_us),
        }
    )


def _shortened(placed: Sequence[_Placed], duration_us: int) -> list[_Placed]:
    return [
        one.model_copy(update={"end_s": min(one.end_us, duration_us) / 1e6})
        for one in placed
        if one.start_us < duration_us
    ]


def write_truth_until(node: EmulatedNode, ended_us: int, path: Path) -> None:
    """Write the truth of a node from its beginning to `ended_us` (profile time) as JSON.

    Raises:
        UserError: the file cannot be written.
    """
    clock = VirtualClock(node.start_us)
    twin = EmulatedNode(shorten(node.profile, ended_us), node.node, clock)
    clock.sleep_until(clock.monotonic_us() + ended_us, threading.Event())
    twin.write_truth(path)
