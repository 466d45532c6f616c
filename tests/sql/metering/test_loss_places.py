"""Which losses add to what meters show: on any chain of devices, each one counts at most once."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from tests.sql.places.files import places_of
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.metering.figures import moments_of
from tokenergy_sql.metering.pue import measured, modelled
from tokenergy_sql.places import SITE

ROLES = ("utility", "ups_in", "ups_out", "pdu_in", "pdu_out", "it")
"""From the grid to the servers; a device loses energy between each two of them."""

IT = {"ups_out", "pdu_out", "it"}
T0 = 1_768_464_000_000_000


def chain(there: list[bool], sides: list[str]) -> str:
    """A site with meters at some of the points, and a curve for each device next to one."""
    points = [at for at, is_there in enumerate(there) if is_there]
    text = ""
    for number, at in enumerate(points):
        feeds = f'feeds = ["m{points[number + 1]}"]\n' if number + 1 < len(points) else ""
        text += f'[[meter]]\nid = "m{at}"\nquantity = "power"\nunit = "kW"\n'
        text += f'role = "{ROLES[at]}"\n{feeds}'
    for device, side in enumerate(sides):
        at = device if side == "before" else device + 1
        # What two meters of a UPS or PDU show is refused already.
        both = device in (1, 3) and there[device] and there[device + 1]
        if there[at] and not both:
            text += (
                f'[[loss]]\nname = "d{device}"\npoints = [[0, 1], [100, 2]]\n'
                f'between = ["m{at}"]\nmetered = "{side}"\n'
            )
    return text


@given(
    st.lists(st.booleans(), min_size=6, max_size=6),
    st.lists(st.sampled_from(["before", "behind"]), min_size=5, max_size=5),
)
@example([True] * 6, ["before"] * 5)
@example([True, True, False, False, True, True], ["behind"] * 5)
@example([False, True, False, True, True, False], ["before"] * 5)
def test_each_device_counts_once_and_none_that_it_energy_holds(
    there: list[bool], sides: list[str]
) -> None:
    text = chain(there, sides)
    places = places_of(text)
    ((_, moment),) = moments_of(places, (T0, T0 + HOUR_US))
    sums = moment.sums_of(SITE)
    found = {name: int(name[1:]) for name in sums.curves}
    ends = [at for at, is_there in enumerate(there) if is_there and ROLES[at] in IT]
    first_it = ends[0] if ends else len(ROLES)
    counted = [*found.values()]
    inputs = [int(one[1:]) for one, sign in sums.lost.items() if sign > 0]
    outputs = [int(one[1:]) for one, sign in sums.lost.items() if sign < 0]
    for begin, end in zip(inputs, outputs, strict=True):
        counted += range(begin, end)
    assert len(counted) == len({*counted})
    # Device d lies between the points d and d + 1: behind the first IT meter it is in IT energy.
    assert all(device < first_it for device in counted)
    # And no curve outside of IT and of a pair of meters is forgotten.
    declared = {int(name[1:]) for name in places.losses}
    assert {one for one in declared if one < first_it} <= {*counted}


def row(place: str, figure: str, covered_us: int, above: int) -> dict[str, Any]:
    sides = {f"{side}{end}": 100 for side in ("above", "below") for end in ("", "_low", "_high")}
    return {"place": place, "figure": figure, "covered_us": covered_us, **sides, "above": above}


covers = st.sampled_from([0, HOUR_US // 2 - 1, HOUR_US // 2, HOUR_US])
aboves = st.sampled_from([99, 100, 140])


@given(st.tuples(covers, aboves), st.tuples(covers, aboves), st.tuples(covers, aboves))
def test_a_modelled_pue_holds_for_nodes_that_no_meter_speaks_for(
    own: tuple[int, int], of_hall: tuple[int, int], of_site: tuple[int, int]
) -> None:
    """The first that is known for half of the hour and not below 1: meters, hall, site."""
    rows = [
        row("hall:a", "pue", *own),
        row("hall:a", "pue_modelled", *of_hall),
        row("site", "pue_modelled", *of_site),
    ]
    nodes = {"n1": "a", "n2": None}

    def good(one: tuple[int, int]) -> bool:
        return one[0] * 2 >= HOUR_US and one[1] >= 100

    by_meters, by_model = measured(rows, ["a"], nodes), modelled(rows, nodes)
    assert ("n1" in by_meters) == good(own)
    expected = "hall:a" if good(of_hall) else "site" if good(of_site) else None
    assert (by_model["n1"].place if "n1" in by_model else None) == expected
    assert ("n2" in by_model) == good(of_site)
    for pue in by_model.values():
        assert pue.facility_nj is None
        assert pue.ppb >= 10**9
