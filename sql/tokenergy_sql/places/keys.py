"""All tables of places and meters; the site file's model is these and the constants."""

from __future__ import annotations

from pydantic import Field

from tokenergy_collectors.base.strict import Strict
from tokenergy_sql.places.meterkeys import LossKeys, MeterKeys
from tokenergy_sql.places.placekeys import (
    HallKeys,
    ModuleKeys,
    ModuleTypeKeys,
    PlacedKeys,
    RackKeys,
)
from tokenergy_sql.places.puemodelkeys import PueModelKeys


class PlaceKeys(Strict):
    """The tables of places and meters in the site file."""

    hall: list[HallKeys] = Field(default_factory=list)
    module_type: list[ModuleTypeKeys] = Field(default_factory=list)
    module: list[ModuleKeys] = Field(default_factory=list)
    rack: list[RackKeys] = Field(default_factory=list)
    placed: list[PlacedKeys] = Field(default_factory=list)
    meter: list[MeterKeys] = Field(default_factory=list)
    loss: list[LossKeys] = Field(default_factory=list)
    pue_model: list[PueModelKeys] = Field(default_factory=list)
