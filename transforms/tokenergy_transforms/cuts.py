"""Where segments begin and end: at window edges and job edges, over the time a device was observed
and the time that a job held it; over no other time.

In: readings, allocations, the hour and the window. Out: the segments of every device.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_transforms.batch import I32, I64, Readings

_UNITS_US = {"us": 1, "ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": HOUR_US}


@dataclass(frozen=True, slots=True)
class Allocation:
    """One allocation of a device: [start, end), end None while running."""

    start_us: int
    end_us: int | None


def parse_window(text: str) -> int:
    """Return a window such as `1s`, `100ms` or `5m` in microseconds.

    Raises:
        UserError: it is not a duration, or does not divide an hour.
    """
    match = re.fullmatch(r"(\d+)(us|ms|s|m|h)", text.strip())
    window_us = int(match[1]) * _UNITS_US[match[2]] if match else 0
    if not 1_000 <= window_us <= HOUR_US or HOUR_US % window_us:
        raise UserError(
            f"window {text!r}: expected a duration of 1ms to 1h that divides an hour, "
            "such as 100ms, 1s or 5m"
        )
    return window_us


@dataclass(frozen=True, slots=True)
class Observed:
    """When a device was observed: from its first to its last reading, those around the hour too.

    `inside` says whether one of its readings is in the hour itself.
    """

    first_us: int
    last_us: int
    inside: bool


def observed_spans(loaded: Readings, hour_us: int) -> list[Observed | None]:
    """Return when each device was observed; None if it has no reading of power or energy.

    Args:
        loaded: readings of the devices.
        hour_us: start of the hour.
    """
    of_power = _spans(loaded.ts_us, loaded.offsets, hour_us)
    of_energy = _spans(loaded.counter_ts_us, loaded.counter_offsets, hour_us)
    return [united(spans) for spans in zip(of_power, of_energy, strict=True)]


def united(spans: Sequence[Observed | None]) -> Observed | None:
    """Return the time from the beginning of the first span to the end of the last."""
    known = [span for span in spans if span]
    if not known:
        return None
    return Observed(
        min(span.first_us for span in known),
        max(span.last_us for span in known),
        any(span.inside for span in known),
    )


def _spans(ts_us: I64, offsets: I64, hour_us: int) -> Iterator[Observed | None]:
    for first, last in itertools.pairwise(offsets.tolist()):
        ts = ts_us[first:last]
        if len(ts):
            inside = np.searchsorted(ts, [hour_us, hour_us + HOUR_US])
            yield Observed(int(ts[0]), int(ts[-1]), bool(inside[0] < inside[1]))
        else:
            yield None


def segments(
    observed: Sequence[Observed | None],
    allocations: Sequence[Sequence[Allocation]],
    hour_us: int,
    window_us: int,
) -> tuple[I32, I64, I64]:
    """Return the segments of an hour: device (int32), start and end (int64), S each.

    Args:
        observed: when each device was observed.
        allocations: those of each device.
        hour_us: start of the hour.
        window_us: size of the window.
    """
    devices = [np.empty(0, np.int32)]
    starts, ends = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for d, (span, of_device) in enumerate(zip(observed, allocations, strict=True)):
        seen = _observed_part(span, hour_us)
        held = _held_parts(seen, of_device, hour_us)
        cuts = _cuts(seen, held, hour_us, window_us)
        start, end = cuts[:-1], cuts[1:]
        known = _known(cuts, seen, held)
        if known is not None:
            start, end = start[known], end[known]
        devices.append(np.full(len(start), d, np.int32))
        starts.append(start)
        ends.append(end)
    return np.concatenate(devices), np.concatenate(starts), np.concatenate(ends)


def _observed_part(span: Observed | None, hour_us: int) -> tuple[int, int] | None:
    """Return the part of the hour in which a device was observed; None if it has no reading there.

    A silence that spans the whole hour is no observation, whatever is known of the hours beside it.
    """
    if not span or not span.inside:
        return None
    return max(span.first_us, hour_us), min(span.last_us, hour_us + HOUR_US)


def _held_parts(
    seen: tuple[int, int] | None, allocations: Sequence[Allocation], hour_us: int
) -> I64:
    """Return the parts of the hour in which jobs held a device: int64[n, 2], empty ones too.

    A running job holds the device until its last reading.
    """
    held = [
        (job.start_us, max(job.start_us, seen[1]) if seen and job.end_us is None else job.end_us)
        for job in allocations
        if seen or job.end_us is not None
    ]
    return np.array(held, np.int64).reshape(-1, 2).clip(hour_us, hour_us + HOUR_US)


def _cuts(seen: tuple[int, int] | None, held: I64, hour_us: int, window_us: int) -> I64:
    """Return the cuts of one device, ascending; none if it was neither observed nor held."""
    edges = [held.ravel()]
    if seen:
        left, right = seen
        windows = np.arange(hour_us + (left - hour_us) // window_us * window_us, right, window_us)
        windows = windows[(windows > left) & (windows < right)]
        edges = [windows, np.array(seen, np.int64), *edges]
    return _distinct(np.concatenate(edges))


def _known(cuts: I64, seen: tuple[int, int] | None, held: I64) -> np.ndarray | None:
    """Return which segments between cuts are observed or held; None if all are.

    Time before the first and after the last reading counts where a job held the device: it is the
    job's, and its energy is not known. Where none did, nothing is known of it, not even that the
    device was there: an edge of a job in the same hour must not make it time of the device.
    """
    if not len(cuts) or (seen and seen[0] <= cuts[0] and cuts[-1] <= seen[1]):
        return None
    holders = np.zeros(len(cuts), np.int64)
    np.add.at(holders, np.searchsorted(cuts, held[:, 0]), 1)
    np.add.at(holders, np.searchsorted(cuts, held.max(axis=1)), -1)
    known = np.cumsum(holders)[:-1] > 0
    if seen:
        known |= (cuts[:-1] >= seen[0]) & (cuts[1:] <= seen[1])
    return known


def _distinct(cuts: I64) -> I64:
    """Return cuts ascending, each once; fast where nearly all are already ascending."""
    cuts.sort(kind="stable")
    first = np.ones(len(cuts), np.bool_)
    first[1:] = cuts[1:] != cuts[:-1]
    distinct: I64 = cuts[first]
    return distinct
