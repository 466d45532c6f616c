"""Site files of halls with loops, as text and as what follows from it."""

from __future__ import annotations

import tomllib

from tokenergy_sql.cooling.declared import Declared, declared_of
from tokenergy_sql.index.site import SiteFile
from tokenergy_sql.places import Places, build


def known_of(text: str) -> tuple[Places, Declared]:
    """Return the places of a site file, and how they are cooled."""
    file = SiteFile.model_validate(tomllib.loads(text))
    places = build(file, "site.toml")
    return places, declared_of(file.cooling, places, "site.toml")


def meter(id_: str, quantity: str, unit: str, role: str, place: str, **more: object) -> str:
    """Return a table of a meter; `more` are further keys."""
    keys = {"id": id_, "quantity": quantity, "unit": unit, "role": role, "place": place}
    shown = {name: f'"{value}"' for name, value in keys.items()}
    shown |= {name: str(value) for name, value in more.items()}
    return "\n[[meter]]\n" + "\n".join(f"{name} = {value}" for name, value in shown.items()) + "\n"


def loop(
    name: str,
    place: str,
    flow: tuple[str, str] = ("flow", "L/s"),
    flow_keys: dict[str, object] | None = None,
    degree_keys: dict[str, object] | None = None,
) -> str:
    """Return the three meters of a loop: `flow-NAME`, `supply-NAME` and `return-NAME`."""
    flow_keys = {"resolution": 0.001, **(flow_keys or {})}
    degree_keys = {"resolution": 0.001, **(degree_keys or {})}
    return (
        meter(f"flow-{name}", *flow, "coolant_flow", place, **flow_keys)
        + meter(f"supply-{name}", "temperature", "°C", "supply_temp", place, **degree_keys)
        + meter(f"return-{name}", "temperature", "°C", "return_temp", place, **degree_keys)
    )


HALLS = """
[[hall]]
name = "a"
cooling = "air"
[[hall]]
name = "b"
cooling = "liquid"
[[module]]
names = ["b{1..2}"]
hall = "b"
"""
