"""The energy from grid to token: the parts add up on each side, and what is unknown is a part."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenergy_sql.report.site.balance import Balance, Part, balance_of
from tokenergy_sql.report.site.facts import Frame
from tokenergy_sql.report.site.flow import SLIM_PX, WIDE_PX, drawings, legend

energies = st.just(0.0) | st.floats(1e-9, 1e12)
"""Joules: a meter counts whole nanojoules."""

maybe = st.none() | energies
shares = st.floats(0, 1)


def sums(figure: str, roles: list[str]) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Rows of `site_sums.sql`, some of the roles missing."""
    row = st.tuples(energies, shares)
    chosen = st.dictionaries(st.sampled_from(roles), row, max_size=len(roles))
    return chosen.map(
        lambda found: [
            {"figure": figure, "role": role, "energy_j": j, "covered": covered}
            for role, (j, covered) in found.items()
        ]
    )


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    base = draw(st.sampled_from(["pue", "facility", "it"]))
    inputs = ["utility", "generator", "renewable", "district_cooling", "export"]
    rows = draw(sums(base, inputs)) if base != "it" else []
    rows += draw(sums("cooling", ["chiller", "pump"])) if base == "pue" else []
    rows += draw(sums("other", ["lighting"])) if base == "pue" else []
    accounts = ["active", "resident_idle", "free_idle", "unattributed"]
    works = st.sampled_from(["serving", "training", "other", "none"])
    boards = [
        {"account": account, "work": draw(works), "energy_j": draw(energies), "device_us": 10}
        for account in draw(st.lists(st.sampled_from(accounts), unique=True))
    ]
    gaps = {
        "account": "gap",
        "work": "none",
        "energy_j": None,
        "device_us": draw(st.integers(1, 9)),
    }
    methods = draw(
        st.lists(st.sampled_from(["measured", "modelled", "declared", "none"]), max_size=3)
    )
    hosts = [
        {
            "host_method": method,
            "energy_j": None if method == "none" else draw(energies),
            "whole_us": 5,
            "watched_us": 5,
            "known_us": 0 if method == "none" else 5,
        }
        for method in methods
    ]
    losses = draw(st.none() | st.fixed_dictionaries({"energy_j": maybe, "covered": shares}))
    curves = draw(st.none() | st.fixed_dictionaries({"energy_j": energies, "covered": shares}))
    return Frame(
        base,
        hours=1,
        in_j=None if base == "it" else draw(energies),
        it_j=None if base == "facility" else draw(energies),
        sums=tuple(rows),
        losses=losses if base != "it" else None,
        curves=curves if base != "it" else None,
        boards=(*boards, gaps) if draw(st.booleans()) else tuple(boards),
        hosts=tuple(hosts),
    )


def total(parts: list[Part]) -> float:
    return math.fsum(part.energy_j for part in parts)


def near(value: float, of: Balance) -> Any:
    return pytest.approx(value, rel=1e-9, abs=1e-9 * max(1.0, of.total_j))


@given(frames())
def test_parts_add_up_on_each_side(frame: Frame) -> None:
    found = balance_of(frame)
    if found is None:
        assert not frame.it_j
        assert not any(row["energy_j"] for row in frame.sums)
        return
    assert total(found.inputs) == near(total(found.parts), found)
    every = [*found.inputs, *found.parts, *found.it_parts, *found.accounts]
    assert all(part.energy_j > 0 or part.key in ("it", "cooling", "other") for part in every)
    assert all(part.energy_j >= 0 for part in every)
    it = [part for part in found.parts if part.key == "it"]
    assert (len(it) == 1) == (frame.it_j is not None)
    more = [found.more_it] if found.more_it else []
    if it:
        assert total([*it, *more]) == near(total(found.it_parts), found)
    boards = [part for part in found.it_parts if part.key == "boards"]
    if boards:
        assert total(boards) == near(total(found.accounts), found)
        held = [row for row in frame.boards if row["work"] != "none"]
        assert sum(j for *_, j in found.works) == near(sum(row["energy_j"] for row in held), found)
    unknown = [part for part in [*every, *more] if part.how == "unknown"]
    assert all(part.why for part in unknown)
    assert len({part.key for part in every}) == len(every)


@given(frames())
def test_ribbons_are_as_high_as_the_boxes_they_enter(frame: Frame) -> None:
    found = balance_of(frame)
    if found is None:
        return
    for drawing in drawings(found, [], "kWh", 1 / 3.6e6):
        picture = drawing.picture
        assert picture.width == (WIDE_PX if drawing.kind == "wide" else SLIM_PX)
        ids = {pattern.id for pattern in drawing.patterns}
        fills = {box.color for box in picture.boxes} | {one.color for one in picture.ribbons}
        assert {fill[5:-1] for fill in fills if fill.startswith("url(#")} <= ids
        assert all(0 <= box.x < picture.width for box in picture.boxes)
        assert max(box.y + box.height for box in picture.boxes) <= picture.height + 1e-6
        first = sum(box.height for box in picture.boxes if box.x == 0)
        for box in picture.boxes:
            if drawing.kind == "wide" and box.label == "IT":
                [it] = [part for part in found.parts if part.key == "it"]
                share = it.energy_j / found.total_j
                assert box.height == pytest.approx(first * share, rel=1e-6, abs=1e-6)
        for left in {box.x for box in picture.boxes}:
            column = sum(box.height for box in picture.boxes if box.x == left)
            leaving = [r.height for r in picture.ribbons if r.path.startswith(f"M{left + 12:.1f},")]
            entering = [r.height for r in picture.ribbons if f" {left:.1f}," in r.path]
            # The last of IT and of the boards goes nowhere; all that comes in goes on.
            assert sum(leaving) <= column + 1e-6
            assert left or sum(leaving) == pytest.approx(column, abs=1e-6)
            assert not entering or sum(entering) <= column + 1e-6
    hows = legend(found)
    assert hows
    assert len(hows) == len(set(hows))


USUAL = Frame(
    "pue",
    hours=3,
    in_j=100.0,
    it_j=70.0,
    sums=(
        {"figure": "pue", "role": "utility", "energy_j": 100.0, "covered": 1.0},
        {"figure": "cooling", "role": "chiller", "energy_j": 20.0, "covered": 0.9},
        {"figure": "other", "role": "lighting", "energy_j": 1.0, "covered": 1.0},
    ),
    losses={"energy_j": 4.0, "covered": 1.0},
    boards=({"account": "active", "work": "serving", "energy_j": 40.0, "device_us": 10},),
    hosts=({"energy_j": 20.0, "whole_us": 5, "watched_us": 5, "known_us": 5},),
)


def parts(frame: Frame) -> dict[str, tuple[float, str]]:
    found = balance_of(frame)
    assert found is not None
    every = [*found.inputs, *found.parts, *found.it_parts]
    more = [found.more_it] if found.more_it else []
    return {part.key: (round(part.energy_j, 9), part.how) for part in [*every, *more]}


def label(frame: Frame, key: str) -> str:
    found = balance_of(frame)
    assert found is not None
    return next(p.label for p in [*found.parts, *found.it_parts] if p.key == key)


def test_what_is_left_is_unknown_and_never_zero() -> None:
    assert parts(USUAL) == {
        "utility": (100.0, "measured"),
        "it": (70.0, "measured"),
        "cooling": (20.0, "measured"),
        "other": (1.0, "measured"),
        "losses": (4.0, "measured"),
        "rest": (5.0, "unknown"),
        "boards": (40.0, "measured"),
        "hosts-declared": (20.0, "declared"),
        "other_it": (10.0, "declared"),
    }
    assert label(USUAL, "rest") == "not metered or not known"


def test_a_part_without_meters_is_named_in_what_is_left() -> None:
    bare = replace(USUAL, sums=USUAL.sums[:1], losses=None)
    assert parts(bare)["rest"] == (30.0, "unknown")
    assert label(bare, "rest") == "cooling, UPS losses: not metered"
    assert "cooling" not in parts(bare)


def test_losses_by_curves_are_labelled_and_leave_less_unknown() -> None:
    by_curve = replace(USUAL, losses=None, curves={"energy_j": 3.0, "covered": 0.9})
    assert parts(by_curve)["curves"] == (3.0, "modelled")
    assert parts(by_curve)["rest"] == (6.0, "unknown")
    assert label(by_curve, "curves") == "UPS and distribution, modelled"
    assert label(by_curve, "rest") == "not metered or not known"
    # Those beside a UPS with two meters, of another one, come on top.
    both = parts(replace(by_curve, losses=USUAL.losses))
    assert (both["losses"], both["curves"], both["rest"]) == (
        (4.0, "measured"),
        (3.0, "modelled"),
        (2.0, "unknown"),
    )


def test_unknown_hosts_and_gaps_are_in_what_is_left_of_it() -> None:
    unknown = replace(
        USUAL, hosts=({"energy_j": None, "whole_us": 5, "watched_us": 5, "known_us": 0},)
    )
    assert parts(unknown)["other_it"] == (30.0, "unknown")
    assert label(unknown, "other_it") == "hosts and other IT: not known"
    some = replace(
        USUAL,
        hosts=(*USUAL.hosts, {"energy_j": None, "whole_us": 5, "watched_us": 5, "known_us": 0}),
    )
    assert label(some, "other_it") == "hosts in part and other IT: not known"
    gap = {"account": "gap", "work": "none", "energy_j": None, "device_us": 1}
    gappy = replace(USUAL, boards=(*USUAL.boards, gap))
    assert parts(gappy)["other_it"] == (10.0, "unknown")
    late = replace(USUAL, hosts=({**USUAL.hosts[0], "whole_us": 6},))
    assert label(late, "other_it") == "other IT, GPUs in gaps: not known"
    nobody = replace(USUAL, boards=(), hosts=())
    assert parts(nobody)["other_it"] == (70.0, "unknown")


def test_measured_hosts_leave_a_measured_rest() -> None:
    hosts = (
        {
            "host_method": "measured",
            "energy_j": 20.0,
            "whole_us": 5,
            "watched_us": 5,
            "known_us": 5,
        },
    )
    found = parts(replace(USUAL, hosts=hosts))
    assert found["hosts-measured"] == (20.0, "measured")
    assert found["other_it"] == (10.0, "measured")
    mixed = ({**hosts[0], "host_method": "measured+modelled"},)
    assert parts(replace(USUAL, hosts=mixed))["hosts-modelled"] == (20.0, "modelled")


def test_more_than_the_meters_show_is_a_part_too() -> None:
    hot = replace(USUAL, it_j=90.0)
    assert parts(hot)["more"] == (15.0, "unknown")
    assert "rest" not in parts(hot)
    hosts = replace(
        USUAL, hosts=({"energy_j": 50.0, "whole_us": 5, "watched_us": 5, "known_us": 5},)
    )
    assert parts(hosts)["more_it"] == (20.0, "unknown")
    assert "other_it" not in parts(hosts)


def test_one_side_alone() -> None:
    it = replace(USUAL, base="it", in_j=None, sums=(), losses=None)
    assert parts(it)["in"] == (70.0, "unknown")
    facility = Frame("facility", hours=1, in_j=100.0, sums=(
        {"figure": "facility", "role": "utility", "energy_j": 100.0, "covered": 1.0},
    ))  # fmt: skip
    assert parts(facility) == {"utility": (100.0, "measured"), "rest": (100.0, "unknown")}
    assert label(facility, "rest") == "IT, cooling, UPS losses: not metered"
    assert balance_of(Frame("")) is None


def test_energy_given_back_and_bought_cold() -> None:
    more = (
        {"figure": "pue", "role": "export", "energy_j": 6.0, "covered": 1.0},
        {"figure": "pue", "role": "district_cooling", "energy_j": 8.0, "covered": 1.0},
    )
    found = parts(replace(USUAL, sums=(*USUAL.sums, *more)))
    assert found["export"] == (6.0, "measured")
    assert found["cold"] == found["district_cooling"] == (8.0, "measured")
    # 108 come in, 109 are metered where they go.
    assert found["more"] == (1.0, "unknown")
