"""Energy of a host's meter between two instants: against an oracle, and against the truth.

The oracle goes by the definition in `hostenergy`, microsecond by microsecond, in fractions.
"""

from fractions import Fraction
from itertools import pairwise
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenergy_transforms.hostenergy import (
    HostEnergy,
    Part,
    cpu_energy_between,
    energy_between,
    parts_between,
)

S = 1_000_000


def row(ts_us, energy_uj, epoch=0, run=1, domain="package-0", **more):
    return {
        "ts_us": ts_us,
        "domain": domain,
        "energy_uj": energy_uj,
        "epoch": epoch,
        "run": run,
        **more,
    }


# --- the oracle ---------------------------------------------------------------------------------


def oracle_stretches(rows):
    """Readings of one run and epoch, cut where the counter falls, by their first stamp."""
    found = []
    for key in sorted({(r["run"], r["epoch"]) for r in rows}):
        of_key = {(r["ts_us"], r["energy_uj"]) for r in rows if (r["run"], r["epoch"]) == key}
        current = []
        for reading in sorted(of_key):
            if current and reading[1] < current[-1][1]:
                found.append(current)
                current = []
            current.append(reading)
        found.append(current)
    return sorted((s for s in found if s), key=lambda s: s[0][0])


def oracle_owner(stretches, t):
    """The stretch that the microsecond from t on belongs to."""
    covering = [s for s in stretches if s[0][0] <= t < s[-1][0]]
    return covering[0] if covering else None


def oracle_i(stretch, x):
    t, c = [one for one in stretch if one[0] <= x][-1]
    later = [one for one in stretch if one[0] > x]
    if not later or t == x:
        return 1000 * c
    u, d = later[0]
    return 1000 * c + floor(Fraction(1000 * (d - c) * (x - t), u - t))


def oracle(rows, start, end, limit, age):
    stretches = oracle_stretches(rows)
    owners = [oracle_owner(stretches, t) for t in range(start, end)]
    runs = []  # of microseconds with one owner
    for t, owner in enumerate(owners, start):
        if owner is None:
            continue
        if runs and runs[-1][0] is owner and runs[-1][2] == t:
            runs[-1][2] = t + 1
        else:
            runs.append([owner, t, t + 1])
    energy = low = high = 0
    for stretch, x, y in runs:
        energy += oracle_i(stretch, y) - oracle_i(stretch, x)
        before = [c for t, c in stretch if t <= x][-1]
        least = [c for t, c in stretch if t <= y][-1]
        after = [c for t, c in stretch if t >= x + age]
        most = [c for t, c in stretch if t >= y + age]
        low += max(0, 1000 * (least - after[0])) if after else 0
        if most:
            high += 1000 * (most[0] - before)
        else:
            t, c = stretch[-1]
            high += 1000 * (c - before) + limit * (y + age - t)
    covered = len([owner for owner in owners if owner is not None])
    high += limit * (end - start - covered)
    inside = sorted({start, end} | {r["ts_us"] for r in rows if start < r["ts_us"] < end})
    gap = max(b - a for a, b in pairwise(inside))
    return HostEnergy(energy if covered else None, low, high, covered, gap)


# --- random histories ---------------------------------------------------------------------------

rows_anyhow = st.lists(
    st.builds(
        row,
        st.integers(0, 60),
        st.integers(0, 40),
        epoch=st.integers(0, 2),
        run=st.integers(1, 2),
    ),
    max_size=25,
)
intervals = st.tuples(st.integers(0, 60), st.integers(1, 60)).map(lambda t: (t[0], t[0] + t[1]))


@given(rows_anyhow, intervals, st.integers(0, 9), st.integers(0, 5))
def test_any_rows_give_what_the_oracle_gives(rows, interval, limit, age):
    # Equal stamps of one epoch in one stretch have no definition of their own: one reading each.
    rows = list({(r["run"], r["epoch"], r["ts_us"]): r for r in rows}.values())
    found = energy_between(rows, *interval, limit_mw=limit, age_us=age)
    assert found == oracle(rows, *interval, limit, age)


@st.composite
def histories(draw):
    """A meter's true course, microsecond by microsecond, and rows that a source made of it.

    The counter is restarted now and then; values are up to `age` older than their stamps.
    """
    age = draw(st.integers(0, 3))
    power = draw(st.lists(st.integers(0, 5), min_size=80, max_size=80))  # mW
    epochs = draw(st.lists(st.sampled_from([0] * 12 + [1]), min_size=80, max_size=80))
    true_nj = [0]
    for one in power:
        true_nj.append(true_nj[-1] + 1000 * one)  # steps of 1 uJ, as a counter has
    rows, epoch, offset = [], 0, 0
    for t in sorted(draw(st.sets(st.integers(age, 80), max_size=30))):
        if any(epochs[max(0, t - 1) : t]):
            epoch += 1
            offset = draw(st.integers(0, 1000))
            last = t
        at = t - draw(st.integers(0, age))
        # An older value than the last reading's is not shown: a counter does not fall.
        at = max(at, last) if rows and rows[-1]["epoch"] == epoch else at
        last = at
        rows.append(row(t, true_nj[at] // 1000 + offset, epoch))
    return true_nj, rows, age


@given(histories(), st.integers(0, 79), st.integers(1, 80))
def test_the_truth_lies_within_the_bounds(history, start, length):
    true_nj, rows, age = history
    end = min(80, start + length)
    found = energy_between(rows, start, end, limit_mw=5000, age_us=age)
    assert found.low_nj <= true_nj[end] - true_nj[start] <= found.high_nj
    assert found.low_nj <= (found.energy_nj or 0) <= found.high_nj


@given(rows_anyhow, st.lists(st.integers(0, 60), min_size=3, max_size=8, unique=True))
def test_adjoining_intervals_add_up_to_the_whole(rows, edges):
    edges.sort()
    whole = energy_between(rows, edges[0], edges[-1])
    parts = [energy_between(rows, a, b) for a, b in pairwise(edges)]
    assert sum(part.covered_us for part in parts) == whole.covered_us
    assert sum(part.energy_nj or 0 for part in parts) == (whole.energy_nj or 0)
    assert all((part.energy_nj is None) == (part.covered_us == 0) for part in parts)


@given(rows_anyhow, intervals)
def test_parts_are_the_interval_without_a_hole(rows, interval):
    parts = parts_between(rows, *interval)
    assert [parts[0].start_us, *(part.end_us for part in parts)] == [
        *(part.start_us for part in parts),
        interval[1],
    ]
    assert parts[0].start_us == interval[0]
    found = energy_between(rows, *interval)
    known = [part for part in parts if part.energy_nj is not None]
    assert sum(part.energy_nj for part in known) == (found.energy_nj or 0)
    assert sum(part.end_us - part.start_us for part in known) == found.covered_us


# --- the rules, one by one ----------------------------------------------------------------------


def test_a_counter_bridges_a_gap_of_its_epoch():
    rows = [row(0, 10), row(10 * S, 60), row(3_600 * S, 9_000)]
    assert energy_between(rows, 0, 3_600 * S) == HostEnergy(
        *(8_990_000, 8_990_000, 8_990_000, 3_600 * S, 3_590 * S)
    )


def test_edges_are_interpolated_and_the_bounds_hold_both_sides_of_them():
    rows = [row(0, 0), row(100, 100), row(200, 300), row(300, 400)]
    found = energy_between(rows, 50, 250)
    assert found == HostEnergy(300_000, 200_000, 400_000, 200, 100)


def test_interpolation_rounds_down_so_that_parts_telescope():
    rows = [row(0, 0), row(3, 1)]
    energies = [energy_between(rows, t, t + 1).energy_nj for t in range(3)]
    assert energies == [333, 333, 334]


def test_between_two_epochs_nothing_is_known():
    rows = [row(0, 0), row(100, 500, 0), row(200, 7, 1), row(300, 107, 1)]
    assert parts_between(rows, 0, 300) == [
        *(Part(0, 100, 500_000), Part(100, 200, None), Part(200, 300, 100_000))
    ]
    assert energy_between(rows, 0, 300) == HostEnergy(600_000, 600_000, None, 200, 100)
    bounded = energy_between(rows, 0, 300, limit_mw=9_000)
    assert (bounded.low_nj, bounded.high_nj) == (600_000, 600_000 + 900_000)


@pytest.mark.parametrize("change", [{"run": 2}, {"epoch": 1}])
def test_another_run_or_epoch_is_another_counter_although_it_rises(change):
    rows = [row(0, 0), row(100, 100), row(200, 200, **change), row(300, 300, **change)]
    assert energy_between(rows, 0, 300).energy_nj == 200_000


def test_rows_without_epochs_are_cut_where_the_counter_falls():
    rows = [
        {"ts_us": t, "domain": "psu", "energy_uj": uj}
        for t, uj in [(0, 50), (100, 90), (200, 3), (300, 13)]
    ]
    assert energy_between(rows, 0, 300) == HostEnergy(50_000, 50_000, None, 200, 100)


def test_nothing_known_is_none_and_never_0():
    only_power = row(5, None)
    for rows in ([], [only_power], [row(5, 10)], [row(100, 1), row(200, 2)]):
        found = energy_between(rows, 0, 10, limit_mw=2)
        assert (found.energy_nj, found.low_nj, found.high_nj, found.covered_us) == (None, 0, 20, 0)
        assert energy_between(rows, 0, 10).high_nj is None
        assert parts_between(rows, 0, 10) == [Part(0, 10, None)]
    assert energy_between([row(5, 10)], 0, 10).max_gap_us == 5


def test_a_meter_that_used_nothing_used_0():
    assert energy_between([row(0, 7), row(10, 7)], 0, 10).energy_nj == 0


def test_time_that_two_runs_stamp_counts_once():
    rows = [row(0, 0), row(100, 100), row(60, 0, run=2), row(160, 200, run=2)]
    assert parts_between(rows, 0, 160) == [Part(0, 100, 100_000), Part(100, 160, 120_000)]


def test_of_two_runs_that_began_together_the_earlier_counts():
    rows = [row(0, 0), row(100, 100), row(0, 0, run=2), row(100, 900, run=2)]
    for order in (rows, rows[::-1]):
        assert energy_between(order, 0, 100).energy_nj == 100_000


@given(rows_anyhow, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(rows, rng):
    shuffled = list(rows)
    rng.shuffle(shuffled)
    assert energy_between(shuffled, 5, 55) == energy_between(rows, 5, 55)


def test_old_values_widen_the_bounds():
    rows = [row(0, 0), row(100, 100), row(200, 200), row(300, 300), row(400, 400)]
    assert energy_between(rows, 100, 300, age_us=1) == HostEnergy(
        *(200_000, 100_000, 300_000, 200, 100)
    )
    # The last value may lack what was used in the last microsecond.
    assert energy_between(rows, 300, 400, age_us=1).high_nj is None
    assert energy_between(rows, 300, 400, age_us=1, limit_mw=70).high_nj == 100_070


def test_a_step_of_the_register_is_missing_each_time_it_begins_again():
    range_uj = 262_143_328_850
    rows = [
        row(0, 5, counter_uj=5, range_uj=range_uj),
        row(100, range_uj + 5, counter_uj=5, range_uj=range_uj),
        row(200, 3 * range_uj + 5, counter_uj=5, range_uj=range_uj),
    ]
    found = energy_between(rows, 0, 200)
    assert found.high_nj - found.energy_nj == 3 * 62 * 1000  # a step is 61.035 uJ
    assert found.low_nj == found.energy_nj
    assert energy_between(rows, 100, 200).high_nj == 1000 * (2 * range_uj + 2 * 62)


@pytest.mark.parametrize("bad", [(5, 5, {}), (5, 4, {}), (0, 1, {"age_us": -1})])
def test_an_interval_without_time_is_refused(bad):
    start, end, more = bad
    with pytest.raises(ValueError, match="start < end"):
        energy_between([], start, end, **more)


# --- a node -------------------------------------------------------------------------------------


def node_rows(**energies):
    return [
        row(t, uj * t // 10, domain=domain.replace("_", "-"))
        for domain, uj in energies.items()
        for t in (-10_000, 0, 10, 20_000)
    ]


def test_packages_and_their_memory_are_added_and_nothing_twice():
    rows = node_rows(
        package_0=100, package_1=70, core_0=60, uncore_0=5, dram_0=20, dram_1=10, psys_0=900
    )
    rows += [row(0, 0, domain="module:GPU-1"), row(10, 5000, domain="module:GPU-1")]
    found = cpu_energy_between(rows, 0, 10)
    assert found.energy_nj == 200_000
    assert (found.covered_us, found.max_gap_us) == (10, 10)
    assert found.low_nj == 0  # values may be 1 ms old, and the interval is shorter
    assert found.high_nj > found.energy_nj


def test_a_package_that_was_not_read_leaves_the_node_unknown():
    rows = [*node_rows(package_0=100), row(3, 1, domain="package-1")]
    found = cpu_energy_between(rows, 0, 10, limits_mw={"package-1": 1_000})
    assert (found.energy_nj, found.covered_us) == (None, 0)
    assert found.high_nj is not None
    assert cpu_energy_between(rows, 0, 10).high_nj is None


def test_parts_and_platform_alone_are_no_node():
    assert cpu_energy_between(node_rows(core_0=5, psys_0=9), 0, 10) is None
    assert cpu_energy_between([], 0, 10) is None
