"""The PUE of halls from rows alone: any rows, in any order."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.lakes import HOUR_US
from tokenergy_sql.metering.pue import LEAST_COVERED_US, WHOLE_PPB, measured

KWH = 3_600 * 10**12


def row(place: str, figure: str, above: int, below: int, covered_us: int) -> dict[str, Any]:
    """A row of site_hour; its bounds are a per mille off."""
    known = {"place": place, "figure": figure, "covered_us": covered_us}
    for side, amount in (("above", above), ("below", below)):
        known |= {side: amount, f"{side}_low": amount - amount // 1000}
        known |= {f"{side}_high": amount + amount // 1000}
    return known


AMOUNT = st.integers(1, 10**21)
"""Up to a gigawatt for a quarter of an hour."""

COVERED = st.integers(LEAST_COVERED_US, HOUR_US)
HALLS = ("a", "b", "c")
NODES: dict[str, str | None] = {"n1": "a", "n2": "b", "n3": "c", "n4": "a"}


@given(
    halls=st.lists(st.tuples(AMOUNT, st.fractions(1, 3), COVERED), min_size=3, max_size=3),
    more=st.fractions(0, 1),
    covered_us=COVERED,
    order=st.randoms(),
)
def test_halls_have_what_comes_into_the_site(
    halls: list[tuple[int, Fraction, int]], more: Fraction, covered_us: int, order: Any
) -> None:
    rows = [
        row(f"hall:{name}", "intake", int(it * pue) + 1, it, known_us)
        for name, (it, pue, known_us) in zip(HALLS, halls, strict=True)
    ]
    intake = sum(one["above"] * HOUR_US // one["covered_us"] for one in rows)
    it_nj = sum(one["below"] * HOUR_US // one["covered_us"] for one in rows)
    whole = int(intake * (1 + more)) + 1
    site = row("site", "pue", whole * covered_us // HOUR_US + 1, it_nj // 4 + 1, covered_us)
    rows.append(site)
    order.shuffle(rows)
    found = measured(rows, HALLS, NODES)
    assert {node: pue.place for node, pue in found.items()} == {
        node: f"hall:{hall}" for node, hall in NODES.items()
    }
    of_halls = {pue.place: pue.facility_nj for pue in found.values()}
    assert sum(of_halls.values()) == site["above"] * HOUR_US // covered_us
    for pue in found.values():
        assert WHOLE_PPB <= pue.low_ppb <= pue.ppb
        assert pue.high_ppb is not None
        assert pue.ppb <= pue.high_ppb


@pytest.mark.parametrize(
    ("covered_us", "known"), [(LEAST_COVERED_US, True), (LEAST_COVERED_US - 1, False), (0, False)]
)
def test_half_an_hour_is_the_least(covered_us: int, known: bool) -> None:
    found = measured([row("site", "pue", 3 * KWH, 2 * KWH, covered_us)], (), {"n": None})
    assert bool(found) == known
    if known:
        assert (found["n"].ppb, found["n"].facility_nj) == (WHOLE_PPB * 3 // 2, 6 * KWH)


def test_nothing_comes_of_nothing() -> None:
    assert measured([], HALLS, NODES) == {}
    assert measured([row("site", "pue", KWH, 0, HOUR_US)], (), {"n": None}) == {}
    assert measured([row("site", "pue", KWH, KWH, HOUR_US)], (), {}) == {}
