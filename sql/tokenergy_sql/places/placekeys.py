"""The tables of `site.toml` that say what stands where: halls, modules, racks, nodes.

In: tables of TOML. Out: models that refuse unknown keys and values. What they mean together is
checked in `placing.py`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tokenergy_sql.places.dated import Dated, Name, Named, Names, misfit

Cooling = Literal["air", "liquid", "mixed"]

Kw = Annotated[float, Field(gt=0, le=10_000_000)]


class HallKeys(Named):
    """A hall of the site."""

    cooling: Cooling | None = None
    rated_kw: Kw | None = None


class ModuleTypeKeys(Named):
    """A type of module: how many racks it holds, and what it is rated for."""

    racks: int = Field(ge=1, le=10_000)
    cooling: Cooling | None = None
    rated_kw: Kw | None = None


class ModuleKeys(Named):
    """A module (pod, container, row) in a hall."""

    hall: Name
    type: Name | None = None


class RackKeys(Named):
    """A rack in a module, or in a hall without modules."""

    module: Name | None = None
    hall: Name | None = None
    rated_kw: Kw | None = None

    @model_validator(mode="after")
    def _one_place(self) -> RackKeys:
        if (self.module is None) == (self.hall is None):
            raise misfit("module, hall", "expected one: where the rack stands")
        return self


class PlacedKeys(Dated):
    """Nodes, and the rack that they are in."""

    node: Name | None = None
    nodes: Names | None = None
    rack: Name

    @model_validator(mode="after")
    def _one_of_both(self) -> PlacedKeys:
        if (self.node is None) == (self.nodes is None):
            raise misfit("node, nodes", 'expected one: node = "n1", or nodes = ["gpu-{00..15}"]')
        return self

    @property
    def all_names(self) -> list[str]:
        """Return the nodes of the entry."""
        return [self.node] if self.node is not None else list(self.nodes or ())
