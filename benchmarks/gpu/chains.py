"""The statistics by a chain of array calls: what one would write with CuPy, or with cuDF.

In: the arrays of a `Batch` on the device, windows that touch, and no spacing longer than a window
(as `benchmarks/integration/workload.py` makes them). Out: the columns of `contest.COMPARED`. Both
take their array module as an argument, so that tests run them on NumPy and pandas.
"""

from __future__ import annotations

from typing import Any

from tokenergy_transforms.batch import NONE, Batch

_MASK = 2**32 - 1
Arrays = dict[str, Any]


def upload(xp: Any, batch: Batch) -> Arrays:
    """Return the arrays of a batch on the device, and stamps made unique over all devices."""
    a = {name: xp.asarray(getattr(batch, name)) for name in Batch.__slots__}
    origin = int(batch.seg_start_us.min()) - 10**10
    span = 10**11

    def device_of(offsets: Any, count: int) -> Any:
        return xp.searchsorted(offsets[1:], xp.arange(count), side="right")

    a["device"] = device_of(a["offsets"], len(batch.ts_us))
    counter_device = device_of(a["counter_offsets"], len(batch.counter_ts_us))
    a["key"] = a["ts_us"] - origin + a["device"] * span
    a["counter_key"] = a["counter_ts_us"] - origin + counter_device * span
    seg_base = a["seg_device"].astype(xp.int64) * span - origin
    a["start_key"], a["end_key"] = a["seg_start_us"] + seg_base, a["seg_end_us"] + seg_base
    return a


def by_cupy(xp: Any, a: Arrays) -> Arrays:
    """Integrate with array calls alone: searches, scatters and one sort."""
    count = len(a["start_key"])
    seg, power = _inside(xp, a)
    out = _percentiles(xp, xp.sort(seg << 32 | power) & _MASK, xp.bincount(seg, minlength=count))
    parts = _parts(xp, a)
    for name in ("energy_nj", "covered_us"):
        out[name] = xp.zeros(count, xp.uint64)
        xp.add.at(out[name], parts["seg"], parts[name].astype(xp.uint64))
    for name in ("max_gap_us", "rise_mw_s", "fall_mw_s"):
        out[name] = xp.zeros(count, xp.uint64)
        xp.maximum.at(out[name], parts["seg"], parts[name].astype(xp.uint64))
    return _finish(xp, a, out)


def by_cudf(xp: Any, df: Any, a: Arrays) -> Arrays:
    """Integrate with data frames: one sorted for the ranks, one grouped for the rest."""
    count = len(a["start_key"])
    seg, power = _inside(xp, a)
    frame = df.DataFrame({"seg": seg, "power": power}).sort_values(["seg", "power"])
    out = _percentiles(xp, xp.asarray(frame["power"].values), xp.bincount(seg, minlength=count))
    how = {"energy_nj": "sum", "covered_us": "sum"}
    how |= dict.fromkeys(("max_gap_us", "rise_mw_s", "fall_mw_s"), "max")
    grouped = df.DataFrame(_parts(xp, a)).groupby("seg").agg(how).sort_index()
    for name in how:
        out[name] = xp.asarray(grouped[name].values)
    return _finish(xp, a, out)


def _segment_of(xp: Any, a: Arrays) -> Any:
    return xp.searchsorted(a["start_key"], a["key"], side="right") - 1


def _inside(xp: Any, a: Arrays) -> tuple[Any, Any]:
    """Return segment and power of every reading in a segment."""
    seg = _segment_of(xp, a)
    inside = a["key"] < a["end_key"][seg]
    return seg[inside], a["power_mw"].astype(xp.int64)[inside]


def _percentiles(xp: Any, ordered: Any, readings: Any) -> Arrays:
    """Pick ranks from values ordered by segment and value."""
    first = xp.cumsum(readings) - readings
    out = {"readings": readings, "min_mw": ordered[first], "max_mw": ordered[first + readings - 1]}
    for q in (50, 95, 99):
        out[f"p{q}_mw"] = ordered[first + (readings * q + 99) // 100 - 1]
    return out


def _parts(xp: Any, a: Arrays) -> Arrays:
    """Cut every pair of neighbours at the edge it crosses: a row for each part."""
    seg, ts, p = _segment_of(xp, a), a["ts_us"], a["power_mw"].astype(xp.int64)
    pair = xp.flatnonzero(a["device"][:-1] == a["device"][1:])
    t0, t1, p0, p1 = ts[pair], ts[pair + 1], p[pair], p[pair + 1]
    left, right = seg[pair], seg[pair + 1]
    dt, edge = t1 - t0, a["seg_start_us"][right]
    near = dt <= a["gap_limit_us"][a["device"][pair]]
    whole = xp.where(near, (p0 + p1) * dt >> 1, 0)
    cut = xp.flatnonzero((right != left) & (edge < t1))
    x, d = (edge - t0)[cut], dt[cut]
    m = p0[cut] * (d - x) + p1[cut] * x
    before, covered = whole.copy(), xp.where(near, dt, 0)
    before[cut] = xp.where(near[cut], ((p0[cut] + m // d) * x + m % d * x // d) >> 1, 0)
    before_us = covered.copy()
    before_us[cut] = xp.where(near[cut], x, 0)
    slope = xp.where(near, (p1 - p0) * 1_000_000, 0)
    rows = {
        "seg": (left, right[cut]),
        "energy_nj": (before, (whole - before)[cut]),
        "covered_us": (before_us, (covered - before_us)[cut]),
        "max_gap_us": (dt, d),
    }
    for name, sign in (("rise_mw_s", 1), ("fall_mw_s", -1)):
        steep = xp.maximum(sign * slope, 0) // dt
        rows[name] = (steep, steep[cut])
    return {name: xp.concatenate(both) for name, both in rows.items()}


def _finish(xp: Any, a: Arrays, out: Arrays) -> Arrays:
    """Add the mean and the counter's difference."""
    energy, covered = out["energy_nj"].astype(xp.int64), out["covered_us"].astype(xp.int64)
    out["mean_mw"] = energy / covered
    known0, at0 = _counter(xp, a, a["start_key"])
    known1, at1 = _counter(xp, a, a["end_key"])
    out["counter_nj"] = xp.where(known0 & known1, at1 - at0, NONE)
    return out


def _counter(xp: Any, a: Arrays, cut: Any) -> tuple[Any, Any]:
    """Return whether the counter is known at cuts, and its value there in nJ since its first."""
    key, mj = a["counter_key"], a["counter_mj"]
    right = xp.minimum(xp.searchsorted(key, cut), len(key) - 1)
    left = xp.maximum(right - 1, 0)
    on = key[right] == cut
    dt, x = xp.maximum(key[right] - key[left], 1), cut - key[left]
    near = (x >= 0) & (x < dt) & (dt <= 3_000_000_000)
    grown = (mj[right] - mj[left]) * 1_000_000
    x = xp.where(near, x, 0)
    part = grown // dt * x + grown % dt * x // dt
    origin = mj[0]
    value = xp.where(on, (mj[right] - origin) * 1_000_000, (mj[left] - origin) * 1_000_000 + part)
    return on | near, value
