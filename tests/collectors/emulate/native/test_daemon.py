"""Our own daemon, unmodified and without --emulate, on emulated boards of another process."""

from __future__ import annotations

import sys

from tests.support.emulated import SMALL
from tests.support.feeding import Feeding, Truth
from tokenergy_collectors.emulate.profile.profile import load_profile
from tokenergy_collectors.lake import Lake

MS = 1_000
FAR_US = 200 * MS
"""A stamp is the middle of its call, which may have been held up on a busy machine."""


def when_us(truth, board, counter_mj, near_us):
    """Return the first instant near a stamp at which the counter shows a value; None if none."""
    low, high = near_us - FAR_US, near_us + FAR_US
    if not truth.counter_mj(board, low) <= counter_mj <= truth.counter_mj(board, high):
        return None
    while low < high:
        middle = (low + high) // 2
        if truth.counter_mj(board, middle) < counter_mj:
            low = middle + 1
        else:
            high = middle
    return low


def test_the_daemon_reads_the_truth(library, tmp_path):
    del library
    profile, lake = tmp_path / "small.toml", tmp_path / "lake"
    # All boards draw enough from the first seconds on for a kilojoule each.
    profile.write_text(
        SMALL.replace("start_s = 5\n", "start_s = 1\n").replace("start_s = 10", "start_s = 1")
    )
    with Feeding(profile, tmp_path) as fed:
        collect = [sys.executable, "-m", "tokenergy_collectors"]
        assert "FAIL" not in fed.run(*collect, "check", "--lake", lake, "--node", "n1")
        fed.run(*collect, "run", "--lake", lake, "--node", "n1", "--duration", "12s")
    truth = Truth(load_profile(profile), "n1", 60_000_000)
    clock = min(Lake(lake).read("clock").to_pylist(), key=lambda row: row["monotonic_us"])
    ahead_us = clock["ts_us"] - clock["monotonic_us"] + fed.origin_us
    devices = {row["device_id"]: row for row in Lake(lake).read("device").to_pylist()}
    assert set(devices) == {identity.uuid for identity in truth.identities}
    power = Lake(lake).read("power").to_pylist()
    for board, identity in enumerate(truth.identities):
        rows = sorted(
            (r for r in power if r["device_id"] == identity.uuid), key=lambda r: r["ts_us"]
        )
        learned_us = devices[identity.uuid]["update_us"]
        assert learned_us is None or 80_000 < learned_us < 120_000
        for row in rows:
            at_us = row["ts_us"] - ahead_us
            assert row["sensor"] == "instant"
            shown = truth.readings_w(board, at_us - FAR_US, at_us + FAR_US, average=False)
            assert row["power_mw"] / 1e3 in shown
        counters = [(r["ts_us"] - ahead_us, r["energy_mj"]) for r in rows if r["energy_mj"]]
        assert len(counters) > 10
        found_us = [when_us(truth, board, value, at_us) for at_us, value in counters]
        assert None not in found_us
        # Between its first and its last counter it has what the board had, to the millijoule.
        energy_mj = counters[-1][1] - counters[0][1]
        assert energy_mj > 1_000_000
        assert abs(energy_mj - 1e3 * truth.energy_j(board, found_us[0], found_us[-1])) < 2
    kinds = {row["kind"] for row in Lake(lake).read("event").to_pylist()}
    assert not kinds & {"lost", "error", "counter_reset"}
