"""Site files for the tests: from text to places, and the problems that a text has."""

from __future__ import annotations

import tempfile
from datetime import datetime
from pathlib import Path

from tokenergy_collectors.base.errors import UserError
from tokenergy_sql.index.site import load_places
from tokenergy_sql.places import Places, PlacesError
from tokenergy_sql.places.timeline import instant_us


def at(text: str) -> int:
    """Return an instant, UTC."""
    return instant_us(datetime.fromisoformat(text))


def places_of(text: str) -> Places:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "site.toml")
        path.write_text(text, "utf-8")
        return load_places(path)


def problems_of(text: str) -> list[str]:
    """Return the problems of a site file, without its name; none if it is right."""
    try:
        places_of(text)
    except PlacesError as error:
        return [problem.partition("site.toml: ")[2] for problem in error.problems]
    except UserError as error:
        return [str(error).partition("site.toml: ")[2]]
    return []


BASE = """
[[hall]]
name = "a"
cooling = "air"
[[hall]]
name = "b"
cooling = "liquid"
[[module_type]]
name = "two"
racks = 2
cooling = "air"
rated_kw = 80
[[module]]
name = "a1"
hall = "a"
type = "two"
[[rack]]
names = ["r{1..2}"]
module = "a1"
[[rack]]
name = "r9"
hall = "b"
rated_kw = 132.5
[[placed]]
nodes = ["gpu-{1..4}"]
rack = "r1"
"""
"""Two halls, a module of two racks, a rack in a hall, four nodes."""


def meter(name: str, more: str = "", *, role: str = "it", quantity: str = "energy") -> str:
    """Return a table `[[meter]]`."""
    unit = {"energy": "kWh", "power": "kW", "volume": "L", "temperature": "C"}[quantity]
    head = f'[[meter]]\nid = "{name}"\nrole = "{role}"\n'
    return f'{head}quantity = "{quantity}"\nunit = "{unit}"\n{more}\n'
