"""What may be wrong with a log as a whole, although each of its lines can be read.

In: the readings of a log, and what the lake holds already. Out: lines of text. Such readings are
kept: only who recorded them knows which of them are wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tokenergy_collectors.lake.allocations import sightings
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_collectors.lake.devicenames import uuid_key

if TYPE_CHECKING:
    from tokenergy_collectors.lake import Lake

_LEAST_US = 1_000_000


def of_order(power: pa.Table) -> Iterator[str]:
    """Yield a line for each device of which lines in no order of time cover some time twice.

    Args:
        power: rows of `power`, in the order of the log.
    """
    for device_id in pc.unique(power["device_id"]).to_pylist():
        mine = power.filter(pc.equal(power["device_id"], device_id))
        read = np.stack([mine[name].to_numpy() for name in ("ts_us", "power_mw")])
        _, places = np.unique(read, axis=1, return_index=True)  # a repeated line tells nothing new
        ts_us = read[0][np.sort(places)]
        starts = np.flatnonzero(np.diff(ts_us, prepend=ts_us[:1] + 1) < 0)
        firsts, lasts = ts_us[starts], ts_us[np.append(starts[1:], len(ts_us)) - 1]
        order = np.argsort(firsts)
        firsts, lasts = firsts[order], np.maximum.accumulate(lasts[order])
        twice_us = int(
            np.maximum(np.minimum(lasts[:-1], ts_us.max()) - firsts[1:], 0).max(initial=0)
        )
        if twice_us > _LEAST_US:
            place = int(np.argmax(lasts[:-1] - firsts[1:]))
            yield (
                f"lines of {device_id} are in no order of time, and cover the time from "
                f"{_utc(firsts[place + 1])} to {_utc(lasts[place])} twice: if the clock was set "
                "back, or logs of several devices were joined, the power of that time is wrong"
            )


def of_names(
    lake: Lake, node: str, power: pa.Table, described: Mapping[str, int | None]
) -> Iterator[str]:
    """Yield a line for each device that the lake has readings of by another name, or elsewhere.

    Args:
        lake: the lake.
        node: the node of the log.
        power: rows of `power` of the log.
        described: the log's devices, each with its index if that is known.
    """
    keys = {uuid_key(device_id): device_id for device_id in described}
    by_index = {index: device_id for device_id, index in described.items() if index is not None}
    others: dict[tuple[str, str], str] = {}
    for seen in sightings(lake):
        mine = keys.get(uuid_key(seen.device_id))
        if seen.node == node and seen.mig_parent is None and mine is None:
            mine = by_index.get(seen.index) if seen.index is not None else None
        if mine is not None and (seen.node, seen.device_id) != (node, mine):
            others[seen.node, seen.device_id] = mine
    for (other_node, other_id), mine in others.items():
        stamps = power["ts_us"].filter(pc.equal(power["device_id"], mine)).to_numpy()
        if _was_read(lake, other_node, other_id, stamps):
            yield (
                f"the lake has readings of {mine} at these times already, as {other_id} of node "
                f"{other_node}: its energy counts twice"
            )


def _was_read(lake: Lake, node: str, device_id: str, stamps: np.ndarray) -> bool:
    """Return whether a device was read between the first and the last stamp of any hour."""
    hours = stamps // HOUR_US
    for hour in np.unique(hours).tolist():
        mine = stamps[hours == hour]
        there = lake.read("power", [hour * HOUR_US], node=node, columns=["ts_us", "device_id"])
        read = there["ts_us"].filter(pc.equal(there["device_id"], device_id)).to_numpy()
        if ((read >= mine.min()) & (read <= mine.max())).any():
            return True
    return False


def _utc(ts_us: int) -> str:
    return f"{datetime.fromtimestamp(int(ts_us) // 1_000_000, UTC):%Y-%m-%dT%H:%M:%SZ}"
