"""Cooling that stands in no hall: what of the site's is left when the halls' own is taken off."""

from __future__ import annotations

from typing import Any

import pytest

from tokenergy_sql.terminal.coolingfigures import shared_cooling
from tokenergy_sql.terminal.coolingwhatif import rest_per_it


def row(place: str, cooling: float | None, it_kwh: float, **more: Any) -> dict[str, Any]:
    known = None if cooling is None else 1.0
    return {
        "place": place,
        "from_us": 0,
        "cooling": cooling,
        "it_kwh": it_kwh,
        "cooling_coverage_of_period": known,
        "it_coverage_of_period": 1.0,
        **more,
    }


A, B = row("hall:a", 0.2, 1_000.0), row("hall:b", 0.05, 3_000.0)
SITE = row("site", 0.15, 4_000.0)


def test_by_hand() -> None:
    """600 kWh of the site, 200 and 150 in halls: 250 are left, over 4,000 of IT."""
    rows = [SITE, A, B]
    assert shared_cooling(A, rows) == shared_cooling(B, rows) == pytest.approx(250 / 4_000)
    assert shared_cooling(SITE, rows) is None
    assert shared_cooling(row("module:a1", 0.1, 10.0), rows) is None


def test_a_hall_without_cooling_of_its_own_takes_nothing_off() -> None:
    bare = row("hall:b", None, 3_000.0)
    assert shared_cooling(bare, [SITE, A, bare]) == pytest.approx(400 / 4_000)


@pytest.mark.parametrize("place", ["site", "hall:b"])
@pytest.mark.parametrize("name", ["cooling_coverage_of_period", "it_coverage_of_period"])
def test_sums_of_different_times_are_not_subtracted(place: str, name: str) -> None:
    rows = [one | {name: 0.9} if one["place"] == place else one for one in (SITE, A, B)]
    assert shared_cooling(A, rows) is None


def test_only_rows_of_the_same_period_count() -> None:
    later = [one | {"from_us": 1, "cooling": 0.5} for one in (SITE, B)]
    assert shared_cooling(A, [SITE, A, B, *later]) == pytest.approx(250 / 4_000)


def test_without_the_site_or_its_cooling_it_is_unknown() -> None:
    assert shared_cooling(A, [A, B]) is None
    assert shared_cooling(A, [SITE | {"cooling": None}, A, B]) is None
    assert shared_cooling(A, [SITE | {"it_kwh": None}, A, B]) is None


def test_the_rest_of_the_building_is_of_one_time() -> None:
    """PUE 1.3 less 0.2 of cooling: 0.1. Of different times one is not taken off the other."""
    known = {"pue": 1.3, "pue_coverage_of_period": 1.0}
    assert rest_per_it(A | known, None) == pytest.approx(0.1)
    assert rest_per_it(A | known | {"pue_coverage_of_period": 0.5}, None) is None
    # A hall without a PUE takes that of the site; one without any has none.
    none = {"pue": None, "pue_coverage_of_period": None}
    assert rest_per_it(A | none, SITE | known) == pytest.approx(0.15)
    assert rest_per_it(A | none, SITE | none) is None
    assert rest_per_it(A | none, None) is None
