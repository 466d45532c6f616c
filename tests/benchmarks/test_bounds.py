"""The table of bounds: a short trial booked in both ways, and what is made of plain numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from benchmarks.accuracy.design import KINDS, profile
from benchmarks.accuracy.table import into_page
from benchmarks.bounds import table
from benchmarks.bounds.__main__ import PAGE
from benchmarks.bounds.table import Row
from benchmarks.bounds.trials import (
    OWN_PPM,
    REFERENCE_PPM,
    Booked,
    Card,
    Cards,
    Job,
    errors_of,
    run_kind,
)

from tokenergy_collectors.emulate.profile import blueprint

COUNTED, PARTLY = KINDS[0], KINDS[6]  # a V100 with its counter, an H100 without one
CARDS = [Card(100, 100 + n / 64, 98, 102 + n / 64, 100) for n in range(-64, 65)]
"""Off by 1 % at most; their bounds are 4 % wide, twice as wide as they differ."""


def row(wider: float = 0, calibrated: float = 0, *, kind: object = COUNTED) -> Row:
    """A row whose bounds reach further by so many per cent, by class and calibrated."""
    found = [
        [replace(card, high_j=card.high_j + more) for card in CARDS] for more in (wider, calibrated)
    ]
    return Row(kind, 10, *found)  # type: ignore[arg-type]  # one of two kinds, by name


def test_the_verdict_says_what_the_width_is_owed_to() -> None:
    assert row().spread == pytest.approx(2)
    assert row().verdict == "met"
    assert row(1.9).verdict == "met"
    assert row(2.1).verdict == "calibrate"
    assert row(2.1, 2.1).verdict == "MISSED"
    # Three quarters of 605 W over 10 s beside 100 J are far more than that.
    assert row(2.1, 2.1, kind=PARTLY).verdict == "unseen"


def test_truths_outside_are_missed_in_either_way_of_booking() -> None:
    outside = replace(CARDS[0], low_j=100.5)
    one, two = [*CARDS[1:], outside], [*CARDS[2:], outside, outside]
    assert Row(COUNTED, 10, one, CARDS).verdict == "met"  # 99.2 %
    assert Row(COUNTED, 10, two, CARDS).verdict == "MISSED"
    assert Row(COUNTED, 10, CARDS, two).verdict == "MISSED"


def test_jobs_count_by_squares_too() -> None:
    job = Job(100, 98, 102, 99, 101)
    assert job.inside
    assert job.rss_inside
    outside = replace(job, rss_low_j=100.5)
    good, bad = (
        Booked({}, {10: [job] * 99 + [outside]}),
        Booked({}, {10: [job] * 98 + [outside] * 2}),
    )
    assert table.passed([(good, good)], [row()])
    assert not table.passed([(good, bad)], [row()])
    assert not table.passed([(good, good)], [row(2.1, 2.1)])


def test_published_cards_differ_as_far_as_their_class_allows() -> None:
    rows = {differ: [] for differ in get_args(Cards)}
    for differ, found in rows.items():
        for kind in KINDS:
            one = profile(kind, 2, ("constant",), 64, errors_of(kind, differ))
            boards = [blueprint.sensor(one, node, n) for node in one.nodes for n in range(64)]
            found.append(max(abs(board.counter_gain_ppm) for board in boards))
            others = kind.board == "rtx4090"
            if differ == "published":
                assert max(abs(b.gain_ppm) for b in boards) <= (55_000 if others else 50_000)
                assert max(abs(b.offset_mw) for b in boards) <= (12_500 if others else 1_200)
    assert all(n > 40_000 for n in rows["published"])
    assert all(n <= 10_000 for n in rows["emulated"])


def test_a_short_trial_is_booked_in_both_ways(tmp_path: Path) -> None:
    of_class, calibrated = run_kind(COUNTED, "emulated", (2,), 2)
    found = table.rows(COUNTED, (of_class, calibrated))
    assert [len(cards) for cards in (found[0].of_class, found[0].calibrated)] == [8, 8]
    assert found[0].covered
    assert len(of_class.jobs[2]) == 4
    for before, after in zip(found[0].of_class, found[0].calibrated, strict=True):
        assert before.booked_j == after.booked_j == before.corrected_j
        assert after.width < 0.5 * before.width
        assert after.corrected_j != after.booked_j
    assert table.width(found[0].calibrated) > 200 * (OWN_PPM + REFERENCE_PPM) / 1e6
    page = tmp_path / "page.md"
    page.write_text(PAGE.read_text("utf-8"), encoding="utf-8")
    into_page(page, table.markdown([(of_class, calibrated)], found), table.BEGIN, table.END)
    lines = page.read_text("utf-8").splitlines()
    header = f"| {' | '.join(table.HEADER)} |"
    assert header in PAGE.read_text("utf-8").splitlines()
    made = lines[lines.index(header) + 2]
    assert made.count("|") == len(table.HEADER) + 1
    assert lines[lines.index(header) + 3] == ""
