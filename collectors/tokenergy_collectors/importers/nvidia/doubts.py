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

from tokenergy_collectors.lake.contract import HOUR_US, POWER
from tokenergy_collectors.lake.devicenames import uuid_key
from tokenergy_collectors.lake.identity import sightings
from tokenergy_collectors.lake.reading import BrokenFileError, read_columns

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


def of_overlap(lake: Lake, node: str, power: pa.Table, log: str) -> Iterator[str]:
    """Yield a line for each device of which the lake has other readings of the same time.

    One clock gives each instant once: the readings of a log and of an earlier one take turns, or
    are the same.

    Args:
        lake: the lake.
        node: the node of the log.
        power: rows of `power` of the log.
        log: its name.
    """
    mine = {name: _readings(power, name) for name in pc.unique(power["device_id"]).to_pylist()}
    hours = np.unique(power["ts_us"].to_numpy() // HOUR_US).tolist()
    for path in lake.files("power", [hour * HOUR_US for hour in hours], node):
        try:
            there = read_columns(path, POWER, ["ts_us", "device_id", "power_mw"])
        except (BrokenFileError, FileNotFoundError):  # whoever reads its rows moves it away
            continue
        for device_id in sorted({*pc.unique(there["device_id"]).to_pylist()} & {*mine}):
            span = _both_alone(mine[device_id], _readings(there, device_id))
            if span is not None:
                del mine[device_id]  # one line says enough
                yield (
                    f"{log} and {path.name} of the lake have different readings of {device_id} "
                    f"from {_utc(span[0])} to {_utc(span[1])}: if the clock was set back between "
                    "two logs, the power of that time is wrong"
                )


def _readings(power: pa.Table, device_id: str) -> np.ndarray:
    """Return the stamps and powers of a device: int64[2, n], each once, ascending."""
    mine = power.filter(pc.equal(power["device_id"], device_id))
    mine = mine.filter(mine["power_mw"].is_valid())
    read = np.stack([mine[name].to_numpy().astype(np.int64) for name in ("ts_us", "power_mw")])
    return np.unique(read, axis=1)


def _both_alone(one: np.ndarray, other: np.ndarray) -> tuple[int, int] | None:
    """Return the time that two records cover, if each has readings there that the other has not.

    A second is none, nor is a single reading, which may be of an edge of that time.
    """
    if not one.size or not other.size:
        return None
    first_us, last_us = max(one[0, 0], other[0, 0]), min(one[0, -1], other[0, -1])
    if last_us - first_us <= _LEAST_US:
        return None
    inside = [r[:, (r[0] >= first_us) & (r[0] <= last_us)] for r in (one, other)]
    _, count = np.unique(np.concatenate(inside, axis=1), axis=1, return_counts=True)
    both = int((count > 1).sum())
    alone = min(record.shape[1] - both for record in inside)
    return (int(first_us), int(last_us)) if alone > 1 else None


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
