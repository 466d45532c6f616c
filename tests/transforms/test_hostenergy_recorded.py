"""A real recording of RAPL counters (tests/data/README.md), integrated and worked out by hand."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from math import floor
from pathlib import Path

import pytest

from tokenergy_collectors.sources.rapl.unwrap import Unwrapped
from tokenergy_transforms.hostenergy import cpu_energy_between, energy_between

LOG = Path(__file__).parents[1] / "data" / "wattameter_rapl.log"
DOMAINS = {"package-0": 2, "core-0": 3, "package-1": 4, "core-1": 5}
"""The column of each counter, after the stamp and the duration of the reading."""

WATTS = 4
"""How many columns further the program that recorded it says what it took the power for."""


def stamp_us(text):
    moment = datetime.strptime(text, "%Y-%m-%d_%H:%M:%S.%f").replace(tzinfo=UTC)
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@pytest.fixture(scope="module")
def log():
    found = [line.split() for line in LOG.read_text("utf-8").splitlines() if line[0] != "#"]
    assert len(found) == 140
    return [(stamp_us(line[0]), line) for line in found]


def rows(log, domain):
    return [
        {"ts_us": ts, "domain": domain, "energy_uj": int(line[DOMAINS[domain]])} for ts, line in log
    ]


def counter_nj(log, domain, at_us):
    """The counter at an instant, by the text of the readings around it."""
    (t, before), (u, after) = next((a, b) for a, b in pairwise(log) if a[0] <= at_us < b[0])
    c, d = (1000 * int(line[DOMAINS[domain]]) for line in (before, after))
    return floor(c + Fraction((d - c) * (at_us - t), u - t))


def test_the_recording_is_what_its_lines_say(log):
    assert log[0][0] == stamp_us("2025-10-07_09:38:40.623688")
    assert log[-1][0] == stamp_us("2025-10-07_09:38:54.674944")
    found = energy_between(rows(log, "package-0"), log[0][0], log[-1][0])
    assert found.energy_nj == 1000 * (25350875877 - 23803563318) == found.low_nj == found.high_nj
    assert found.covered_us == 14_051_256
    assert found.max_gap_us == max(b[0] - a[0] for a, b in pairwise(log))


@pytest.mark.parametrize("domain", DOMAINS)
def test_between_two_instants_it_is_what_one_works_out_by_hand(log, domain):
    start_us, end_us = stamp_us("2025-10-07_09:38:45.0"), stamp_us("2025-10-07_09:38:50.0")
    found = energy_between(rows(log, domain), start_us, end_us)
    by_hand = counter_nj(log, domain, end_us) - counter_nj(log, domain, start_us)
    assert found.energy_nj == by_hand
    inside = [int(line[DOMAINS[domain]]) for ts, line in log if start_us <= ts <= end_us]
    assert found.low_nj == 1000 * (inside[-1] - inside[0])
    assert found.low_nj < by_hand < found.high_nj
    assert found.high_nj - found.low_nj < 2 * 2 * 0.1003 * 160e9  # two readings, below 160 W
    assert found.covered_us == 5 * 1_000_000


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_program_that_recorded_it_says_the_same(log, domain):
    watts = [float(line[DOMAINS[domain] + WATTS]) for _, line in log]
    joules = sum(w * (b[0] - a[0]) / 1e6 for w, (a, b) in zip(watts, pairwise(log), strict=False))
    found = energy_between(rows(log, domain), log[0][0], log[-1][0])
    assert found.energy_nj / 1e9 == pytest.approx(joules, rel=1e-3)


def test_the_node_is_its_two_packages(log):
    every = [row for domain in DOMAINS for row in rows(log, domain)]
    found = cpu_energy_between(every, log[0][0], log[-1][0])
    first, last = log[0][1], log[-1][1]
    assert found.energy_nj == 1000 * sum(int(last[k]) - int(first[k]) for k in (2, 4))
    # `core` cannot stand for its package: here it is less than a thousandth of it.
    core_uj = int(last[DOMAINS["core-0"]]) - int(first[DOMAINS["core-0"]])
    assert 1000 * core_uj < found.energy_nj / 1000


@pytest.mark.parametrize("range_uj", [65_532_610_987, 120_000_000, 70_000_000])
def test_it_is_the_same_however_often_the_counter_begins_again(log, range_uj):
    counter = Unwrapped(most_w=290)
    begun = 0
    folded = []
    for ts_us, line in log:
        shown_uj = int(line[2]) % range_uj
        begun += bool(folded) and shown_uj < folded[-1]["counter_uj"]
        assert counter.take(ts_us, shown_uj, range_uj) is None
        more = {"counter_uj": shown_uj, "range_uj": range_uj, "epoch": counter.epoch}
        folded.append({"ts_us": ts_us, "energy_uj": counter.energy_uj, **more})
    found = energy_between(folded, log[0][0], log[-1][0])
    assert found.energy_nj == 1000 * (25350875877 - 23803563318)
    assert begun == (int(log[-1][1][2]) // range_uj) - (int(log[0][1][2]) // range_uj)
    assert found.high_nj - found.energy_nj == 1000 * begun * (range_uj // (2**32 - 1) + 1)
