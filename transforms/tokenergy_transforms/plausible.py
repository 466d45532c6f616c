"""Leaves out readings that no board can have given: of power, and of the energy counter.

In: readings of some devices, ascending in time, and the most that each board can draw. Out: those
to integrate, and where some were left out.

A power reading above the most is left out. A step of the counter is plausible if it does not fall
and needs no more than the most for its time, and a second more: a counter is renewed in steps.
Readings between two implausible steps are a glitch if the counter goes on within 10 s from before
them; they are left out. Otherwise the counter began again there: a new epoch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from tokenergy_transforms import anomalies
from tokenergy_transforms.batch import I64, Anomalies, Readings


@dataclass(frozen=True, slots=True)
class Plausible:
    """What readings of D devices are measured against.

    Attributes:
        most_mw: int64[D], the most that each board can be believed to draw.
        boots_us: returns when the host was started again, ascending; None: counters are not judged.
    """

    most_mw: I64
    boots_us: Callable[[], I64] | None = None


def without_high_power(loaded: Readings, most_mw: I64) -> tuple[Readings, I64, I64]:
    """Leave out power readings above the most of their board.

    Args:
        loaded: readings in any order inside a device.
        most_mw: int64[D].

    Returns:
        the readings kept, and of those left out the devices' places and the stamps.
    """
    from tokenergy_transforms import counters

    nothing = np.empty(0, np.int64)
    if not counters.any_above(loaded.power_mw, loaded.offsets, most_mw):
        return loaded, nothing, nothing
    device = np.repeat(np.arange(len(loaded.devices)), np.diff(loaded.offsets))
    kept = loaded.power_mw <= most_mw[device]
    offsets = np.searchsorted(device[kept], np.arange(len(loaded.devices) + 1)).astype(np.int64)
    fewer = replace(
        loaded, ts_us=loaded.ts_us[kept], power_mw=loaded.power_mw[kept], offsets=offsets
    )
    return fewer, device[~kept], loaded.ts_us[~kept]


def is_doubtful(loaded: Readings, most_mw: I64) -> tuple[bool, bool]:
    """Return if any counter has an implausible step or a new epoch, and if any was silent.

    Others need not be `judged`: a host can have started again only in a silence.
    """
    from tokenergy_transforms import counters

    stepped, silent = counters.look_at_steps(
        loaded.counter_ts_us, loaded.counter_mj, loaded.counter_epoch, loaded.counter_offsets,
        most_mw,
    )  # fmt: skip
    return bool(stepped), bool(silent)


def judged(loaded: Readings, most_mw: I64, boots_us: I64) -> Readings:
    """Leave out glitches of the counters, and number their epochs.

    Args:
        loaded: readings, ascending inside a device; the epochs are those of the files.
        most_mw: int64[D].
        boots_us: when the host was started again, ascending.
    """
    from tokenergy_transforms import counters

    ts, mj, offsets = loaded.counter_ts_us, loaded.counter_mj, loaded.counter_offsets
    kept, epochs = np.ones(len(ts), np.bool_), np.zeros(len(ts), np.int32)
    leaps = np.zeros(len(ts), np.bool_)
    boot = np.searchsorted(boots_us, ts, "right").astype(np.int64)
    for d in range(len(loaded.devices)):
        first, last = offsets[d], offsets[d + 1]
        counters.judge(
            first, last, ts, mj, loaded.counter_epoch, boot, most_mw[d], kept, epochs, leaps
        )
    device = np.repeat(np.arange(len(loaded.devices)), np.diff(offsets))
    left = np.searchsorted(device[kept], np.arange(len(loaded.devices) + 1)).astype(np.int64)
    wrong = ~kept
    spans = anomalies.around(device[wrong], ts[wrong], anomalies.COUNTER_GLITCH, ts[kept], left)
    # Where the counter leaps and goes on from there, the time of the leap is what is not known.
    after = np.flatnonzero(leaps)
    leapt = Anomalies(
        device[after].astype(np.int32), ts[after - 1], ts[after],
        np.full(len(after), anomalies.COUNTER_GLITCH, np.int32),
    )  # fmt: skip
    return replace(
        loaded,
        counter_ts_us=ts[kept],
        counter_mj=mj[kept],
        counter_epoch=epochs[kept],
        counter_offsets=left,
        anomalies=anomalies.joined([loaded.anomalies, spans, leapt]),
    )
