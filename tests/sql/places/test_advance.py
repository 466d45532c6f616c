"""How far a register went: against a simulated meter that knows what it counted."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sql.places.files import at, meter, places_of
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.places import EVIDENCE, Advance, Meters, Reading
from tokenergy_sql.places.units import BILLION

T0 = at("2026-07-01T00:00:00")
JULY = "2026-07-01T00:00:00Z"
KWH = 3_600_000 * 10**9
WAY_BACK = "register_bits = 16\nmax_per_h = 60_000"


def meters_of(*entries: str) -> Meters:
    return places_of("".join(meter("m", entry) for entry in entries)).meters


def advance(
    meters: Meters, before: float, after: float, hours: float = 1, start: float = 0
) -> Advance:
    """Return the advance between two readings in counts, `hours` apart; the first at T0 + start."""
    first = Reading(T0 + int(start * HOUR_US), round(before * BILLION))
    last = Reading(T0 + int((start + hours) * HOUR_US), round(after * BILLION))
    return meters.advance("m", first, last)


def test_a_register_grows() -> None:
    assert advance(meters_of("accuracy_percent = 0"), 100, 110) == Advance(
        Fraction(10 * KWH), 9 * KWH, 11 * KWH, "grew"
    )
    scaled = meters_of('scale = "400/5"\nresolution = 0.01\naccuracy_percent = 1')
    found = advance(scaled, 100, 100.5)
    assert found.value == 40 * KWH
    assert (found.low, found.high) == (49 * 80 * 99 * KWH // 10**4, 51 * 80 * 101 * KWH // 10**4)
    assert advance(meters_of(""), 5, 5) == Advance(Fraction(0), None, None, "grew")


def test_a_fall_adds_nothing_unless_a_rollover_is_declared() -> None:
    assert advance(meters_of(""), 99_999, 4) == Advance(None, 0, None, "fell")
    assert advance(meters_of("max_per_h = 50"), 99_999, 4, 2) == Advance(None, 0, 101 * KWH, "fell")
    rolls = meters_of("rollover = 100_000\naccuracy_percent = 0")
    assert advance(rolls, 99_999, 4) == Advance(Fraction(5 * KWH), 4 * KWH, 6 * KWH, "rolled_over")


def test_a_reset_is_no_rollover() -> None:
    # From the middle of the range to its beginning: half the range in an hour.
    assert advance(meters_of("rollover = 100_000"), 49_000, 4).evidence == "fell"
    assert advance(meters_of("rollover = 100_000"), 60_000, 4).evidence == "rolled_over"
    known = meters_of("rollover = 100_000\nmax_per_h = 1000")
    assert advance(known, 60_000, 4) == Advance(None, 0, 1001 * KWH, "fell")
    assert advance(known, 99_500, 4).value == 504 * KWH


def test_growth_beyond_what_the_circuit_carries_is_not_added() -> None:
    assert advance(meters_of("max_per_h = 50"), 100, 151).value == 51 * KWH  # one step more
    assert advance(meters_of("max_per_h = 50"), 100, 152) == Advance(None, 0, 51 * KWH, "too_fast")
    # max_per_h is in the unit after scale, the register before it.
    assert advance(meters_of("max_per_h = 50\nscale = 10"), 100, 107).evidence == "too_fast"


def test_several_rollovers() -> None:
    meters = meters_of(f"{WAY_BACK}\naccuracy_percent = 0")
    assert advance(meters, 65_000, 500).evidence == "rolled_over"
    found = advance(meters, 1000, 2000, hours=2)
    assert found == Advance(None, 999 * KWH, (1001 + 65_536) * KWH, "ambiguous")
    assert advance(meters, 1000, 2000).evidence == "grew"


def test_a_reading_out_of_range() -> None:
    for before, after in ((-1, 5), (5, -1), (65_536, 5), (5, 65_536)):
        found = advance(meters_of("register_bits = 16"), before, after)
        assert found == Advance(None, 0, None, "out_of_range")


def test_a_meter_is_replaced() -> None:
    old, new = f"accuracy_percent = 0\nuntil = {JULY}", f"accuracy_percent = 0\nfrom = {JULY}"

    def over(first: str, second: str) -> Advance:
        return advance(meters_of(first, second), 5_000, 30, hours=2, start=-1)

    # Not told what the registers showed at the change: unknown, also the part of the new meter.
    assert over(old, new) == Advance(None, None, None, "replaced")
    known = over(f"{old}\nregister_last = 5_040", f"{new}\nregister_first = 10.5")
    assert known == Advance(
        Fraction(119 * KWH, 2), 57 * KWH + KWH // 2, 61 * KWH + KWH // 2, "replaced"
    )
    # One of the two: at least its growth.
    half = over(f"{old}\nregister_last = 5_040", new)
    assert half == Advance(None, 39 * KWH, None, "replaced")
    # An hour without a meter: what was used then is unknown.
    later = new.replace("T00:", "T00:30:").replace(":00:00Z", ":00Z")
    gap = over(f"{old}\nregister_last = 5_040", f"{later}\nregister_first = 10")
    assert gap == Advance(None, (39 + 19) * KWH, None, "unmetered")


def test_a_meter_is_replaced_twice_between_two_readings() -> None:
    middle = "2026-07-01T00:20:00Z"
    found = advance(
        meters_of(
            f"until = {JULY}\nregister_last = 110",
            f"from = {JULY}\nuntil = {middle}\nregister_first = 1\nregister_last = 4",
            f"from = {middle}\nregister_first = 0\nscale = 10",
        ),
        100, 2, hours=2, start=-1,
    )  # fmt: skip
    assert found == Advance(Fraction((10 + 3 + 20) * KWH), None, None, "replaced")


def test_a_reading_of_no_meter() -> None:
    assert advance(meters_of(f"until = {JULY}"), 1, 2).evidence == "unmetered"
    assert advance(meters_of(f"from = {JULY}"), 1, 2, start=-0.5).evidence == "unmetered"


def test_readings_must_be_in_order_and_of_a_sum() -> None:
    with pytest.raises(ValueError, match="ascending"):
        advance(meters_of(""), 1, 2, hours=0)
    power = places_of(meter("m", quantity="power")).meters
    with pytest.raises(ValueError, match="momentary"):
        advance(power, 1, 2)


def test_every_evidence_has_its_meaning() -> None:
    assert all(EVIDENCE.values())


@given(
    st.lists(st.tuples(st.integers(1, 300), st.fractions(0, 1)), min_size=1, max_size=30),
    st.sampled_from([8, 10, 16]),
    st.integers(0, 2**16),
    st.fractions(min_value=Fraction(97, 100), max_value=Fraction(103, 100)),
)
def test_a_simulated_register(
    steps: list[tuple[int, Fraction]], bits: int, start: int, gain: Fraction
) -> None:
    """A register of few bits, read often enough: every rollover is found, no count is lost.

    The meter counts true energy × gain, shows whole counts, and rolls over at 2^bits.
    """
    most = 200  # counts an hour, of a tenth of a kWh: less than the smallest register holds
    meters = places_of(
        meter("m", f"scale = 0.1\nregister_bits = {bits}\nmax_per_h = 20\naccuracy_percent = 4")
    ).meters
    modulus = 2**bits
    counted = Fraction(start)
    reading = Reading(T0, math.floor(counted) % modulus * BILLION)
    for minutes, load in steps:
        # Never so long that more than a range could pass.
        hours = min(Fraction(minutes, 60), Fraction(modulus - 2, most + 1) - Fraction(1, 100))
        used = hours * most * load / Fraction(103, 100)
        before, counted = counted, counted + used * gain
        after = Reading(
            reading.ts_us + math.ceil(hours * HOUR_US), math.floor(counted) % modulus * BILLION
        )
        found = meters.advance("m", reading, after)
        assert found.value == (math.floor(counted) - math.floor(before)) * Fraction(KWH, 10)
        assert found.evidence == ("rolled_over" if after.value_n < reading.value_n else "grew")
        assert found.low is not None
        assert found.high is not None
        assert found.low <= used * KWH / 10 <= found.high
        reading = after


@given(st.integers(0, 255), st.integers(0, 255), st.integers(1, 2000), st.integers(1, 400))
def test_evidence_against_all_numbers_of_rollovers(
    before: int, after: int, minutes: int, most: int
) -> None:
    meters = meters_of(f"register_bits = 8\nmax_per_h = {most}")
    found = advance(meters, before, after, hours=minutes / 60)
    limit = Fraction(most * int(minutes / 60 * HOUR_US), HOUR_US) + 1
    possible = [n for n in (after - before + 256 * k for k in range(900)) if 0 <= n <= limit]
    if len(possible) == 1:
        assert found.value == possible[0] * KWH
    else:
        assert found.value is None
        expected = "ambiguous" if possible else "fell" if after < before else "too_fast"
        assert found.evidence == expected
