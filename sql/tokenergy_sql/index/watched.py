"""How long each node was watched in an hour: the time for which one of its boards was booked.

In: the segments of an hour. Out: the length of the union of their times, a node each. The power of
a host belongs to that time, however many of its boards were read in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tokenergy_collectors.lake.contract import HOUR_US

if TYPE_CHECKING:
    from tokenergy_transforms.booking.hour import Hour


def watched(hour: Hour) -> dict[str, Any]:
    """Return `node` (names) and `watched_us` (int64), in the order of `hour.nodes`."""
    device = np.repeat(np.arange(len(hour.devices)), np.diff(hour.offsets))
    # Segments of a board follow each other without a hole as long as it is watched.
    begins = np.ones(len(device), np.bool_)
    begins[1:] = (
        (device[1:] != device[:-1])
        | (hour.node[1:] != hour.node[:-1])
        | (hour.start_us[1:] != hour.end_us[:-1])
    )
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(device))[: len(first)] - 1
    node = hour.node[first].astype(np.int64)
    # Two hours a node on one axis: times of different nodes never meet, and one sort does for all.
    origin_us = int(hour.start_us.min(initial=np.iinfo(np.int64).max)) if len(first) else 0
    shift_us = node * 2 * HOUR_US - origin_us
    start_us, end_us = hour.start_us[first] + shift_us, hour.end_us[last] + shift_us
    order = np.argsort(start_us, kind="stable")
    node, start_us, end_us = node[order], start_us[order], end_us[order]
    reached_us = np.concatenate([[0], np.maximum.accumulate(end_us)[:-1]])[: len(end_us)]
    watched_us = np.zeros(len(hour.nodes), np.int64)
    np.add.at(watched_us, node, np.maximum(end_us - np.maximum(start_us, reached_us), 0))
    return {"node": hour.nodes, "watched_us": watched_us}
