"""The places of a site as of an instant, with their meters, as a table or as JSON.

In: places, an instant. Out: rows on standard output, and lines on what is metered and what is not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from tokenergy_sql.places import ROLES, SUMS, Meter, MeterTree, Places, Spot, Tree, roles_of
from tokenergy_sql.places.exact import text_of
from tokenergy_sql.places.metered import Metered, metered
from tokenergy_sql.places.place import KINDS, Place
from tokenergy_sql.places.timeline import show_instant
from tokenergy_sql.terminal.grid import Grid, Heading
from tokenergy_sql.terminal.output import Output, Part

_HEADINGS = (
    Heading("place"),
    Heading("cooling", rank=2),
    Heading("rated kW", "right", rank=2),
    Heading("nodes", "right", rank=1),
    Heading("metered"),
    Heading("meters"),
)
_MOST_NAMED = 8


def print_places(places: Places, ts_us: int, output: Output, *, as_json: bool) -> None:
    """Print the places as of an instant, the meters at each, the sums, and what is not metered.

    Args:
        places: of a site.
        ts_us: the instant, microseconds UTC.
        output: how to print the table.
        as_json: print an object instead.
    """
    if as_json:
        tree, meters = places.at(ts_us), places.meters.at(ts_us)
        print(json.dumps(_document(places, tree, meters, ts_us), indent=1, ensure_ascii=False))
        return
    output.show_tables(place_parts(places, ts_us))


def place_parts(places: Places, ts_us: int) -> list[Part]:
    """Return the places as of an instant as a table, and the lines below it."""
    tree, meters = places.at(ts_us), places.meters.at(ts_us)
    known = metered(tree, meters)
    rows = [_row(spot, tree, meters, known) for spot in _shown(tree, meters)]
    table = Grid(_HEADINGS, rows, f"Places as of {show_instant(ts_us)}")
    sums = (*_sum_lines(meters), *_apart_lines(tree, meters))
    return [table, *_metered_lines(known), *sums, *_other_lines(places, ts_us)]


def _shown(tree: Tree, meters: MeterTree) -> Iterator[Spot]:
    """Yield what has a row: of nodes, only those with a meter, as there are many."""
    for spot in tree.root.walk():
        if spot.place.kind != "node" or meters.at_place(spot.place):
            yield spot


def _row(spot: Spot, tree: Tree, meters: MeterTree, known: dict[Place, Metered]) -> Sequence[str]:
    indent = "  " * (len(tree.path(spot.place)) - 1)
    nodes = sum(one.place.kind == "node" for one in spot.walk())
    type_ = f" ({spot.type})" if spot.type else ""
    return (
        f"{indent}{spot.place}{type_}",
        spot.cooling or "-",
        "-" if spot.rated_mw is None else f"{spot.rated_mw / 1e6:,g}",
        f"{nodes:,}" if nodes and spot.place.kind != "node" else "",
        _how(known[spot.place]),
        ", ".join(f"{meter.id} ({meter.role})" for meter in meters.at_place(spot.place)) or "-",
    )


def _how(found: Metered) -> str:
    if found.how == "around":
        return f"with {found.place}"
    return {"itself": "yes", "parts": "by its parts", "not": "NOT METERED"}[found.how]


def _metered_lines(known: dict[Place, Metered]) -> Iterator[str]:
    parts = []
    for kind in KINDS:
        of_kind = [found for place, found in known.items() if place.kind == kind]
        right = sum(found.how in ("itself", "parts") for found in of_kind)
        if of_kind:
            name = kind if kind == "site" else f"{kind}s"
            parts.append(f"{right:,} of {len(of_kind):,} {name}")
    yield f"electricity metered, alone or by all parts: {', '.join(parts)}"
    missing = [str(place) for place, found in known.items() if found.how == "not"]
    if missing:
        yield f"not metered at all: {_some(missing)}"


def _sum_lines(meters: MeterTree) -> Iterator[str]:
    """Yield the meters of each sum; of the IT sum, by the category of PUE."""
    for sum_ in SUMS:
        for category in (1, 2, 3) if sum_ == "it" else (None,):
            found = [meter.id for meter in meters.counted(roles_of(sum_, category))]
            name = sum_ if category is None else f"it (PUE category {category})"
            if found or sum_ in ("facility", "it"):
                yield f"{name}: {_some(found, ' + ') if found else 'no meter'}"


def _other_lines(places: Places, ts_us: int) -> Iterator[str]:
    losses = places.losses_at(ts_us)
    if losses:
        yield f"declared losses: {', '.join(f'{one.name} at {one.place}' for one in losses)}"
    models = [str(one.place) for one in places.pue_models_at(ts_us)]
    if models:
        yield f"modelled PUE, where none is measured: {_some(models)}"
    unsure = [
        meter.id
        for meter in places.meters.at(ts_us).meters.values()
        if meter.register.percent is None
    ]
    if unsure:
        yield f"no accuracy_percent, so no bounds: {_some(unsure)}"
    edges = places.edges(ts_us, 2**62)
    if edges:
        yield f"the next change: {show_instant(edges[0])}"


def _apart_lines(tree: Tree, meters: MeterTree) -> Iterator[str]:
    """Yield IT meters that count beside one of a place around theirs: perhaps it feeds them."""
    counted = meters.counted(roles_of("it"))
    by_place: dict[Place, str] = {meter.place: meter.id for meter in counted}
    apart: dict[str, list[str]] = {}
    for meter in counted:
        for place in tree.path(meter.place)[:-1]:
            if place in by_place:
                apart.setdefault(by_place[place], []).append(meter.id)
    for outer, inner in apart.items():
        yield (
            f"in the IT sum, {outer} counts beside {_some(inner)}, inside its place: if {outer} "
            "feeds it, name it in `feeds`, or its energy counts twice"
        )


def _some(names: Sequence[str], between: str = ", ") -> str:
    more = len(names) - _MOST_NAMED
    return between.join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _document(places: Places, tree: Tree, meters: MeterTree, ts_us: int) -> dict[str, Any]:
    known = metered(tree, meters)
    return {
        "at": show_instant(ts_us),
        "places": [
            {
                "place": str(spot.place),
                "path": [str(place) for place in tree.path(spot.place)],
                "cooling": spot.cooling,
                "rated_mw": spot.rated_mw,
                "type": spot.type,
                "meters": [meter.id for meter in meters.at_place(spot.place)],
                "metered": known[spot.place].how,
                "metered_by": list(known[spot.place].by),
            }
            for spot in tree.root.walk()
        ],
        "meters": [_meter(meter, meters) for meter in meters.meters.values()],
        "sums": _sums(meters),
        "losses": [
            {
                "name": one.name,
                "place": str(one.place),
                "points_mw": [list(p) for p in one.points_mw],
            }
            for one in places.losses_at(ts_us)
        ],
        "pue_models": [str(one.place) for one in places.pue_models_at(ts_us)],
        "next_change": next(map(show_instant, places.edges(ts_us, 2**62)), None),
    }


def _sums(meters: MeterTree) -> dict[str, Any]:
    """Return the ids of the meters of each sum; of the IT sum, by the category of PUE."""
    found: dict[str, Any] = {
        sum_: [meter.id for meter in meters.counted(roles_of(sum_))]
        for sum_ in SUMS
        if sum_ != "it"
    }
    found["it"] = {
        str(category): [meter.id for meter in meters.counted(roles_of("it", category))]
        for category in (1, 2, 3)
    }
    return found


def _meter(meter: Meter, meters: MeterTree) -> dict[str, Any]:
    percent = meter.register.percent
    return {
        "id": meter.id,
        "place": str(meter.place),
        "role": meter.role,
        "sum": ROLES[meter.role].sum,
        "quantity": meter.quantity,
        "unit": meter.unit,
        "scale": text_of(meter.register.scale),
        "feeds": meters.below(meter.id),
        "same_circuit_as": meter.same_circuit_as,
        "interval_us": meter.interval_us,
        "accuracy_percent": None if percent is None else text_of(percent),
    }
