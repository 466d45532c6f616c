"""The wet bulb of outdoor air, by psychrolib (ASHRAE Handbook, Fundamentals 2017, chapter 1)."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType

import numpy as np

from tokenergy_sql.cooling.laws import Floats

_MOST_SHARE = 1.0


@cache
def _psychrolib() -> ModuleType:
    """Return psychrolib in SI units, as plain Python.

    With numba at hand it would compile its functions for 7 s, to work out 8,760 hours that take
    plain Python 0.6 s.
    """
    with _hidden("numba"):
        import psychrolib
    psychrolib.SetUnitSystem(psychrolib.SI)
    found: ModuleType = psychrolib
    return found


@contextmanager
def _hidden(name: str) -> Iterator[None]:
    """Let imports of a module fail for a while, as if it were not installed."""
    before = sys.modules.get(name)
    # None makes an import fail; the stubs know of modules alone.
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]
        if before is not None:
            sys.modules[name] = before


def wet_bulb_c(dry_c: Floats, humidity: Floats, dew_c: Floats, pressure_pa: Floats) -> Floats:
    """Return the wet bulb of each hour, °C (n,); NaN where it is not known.

    Args:
        dry_c: dry bulb, °C (n,).
        humidity: relative, 0 to 1 (n,); NaN where unknown.
        dew_c: dew point, °C (n,), used where humidity is unknown; NaN where that is unknown too.
        pressure_pa: (n,).
    """
    psychrolib = _psychrolib()

    def one(dry: float, share: float, dew: float, pressure: float) -> float:
        if not (math.isfinite(dry) and math.isfinite(pressure)):
            return math.nan
        if math.isfinite(share):
            wet = psychrolib.GetTWetBulbFromRelHum(dry, min(share, _MOST_SHARE), pressure)
        elif math.isfinite(dew):
            wet = psychrolib.GetTWetBulbFromTDewPoint(dry, min(dew, dry), pressure)
        else:
            return math.nan
        return float(wet)

    columns = (dry_c.tolist(), humidity.tolist(), dew_c.tolist(), pressure_pa.tolist())
    return np.array([one(*hour) for hour in zip(*columns, strict=True)], np.float64)


def standard_pressure_pa(elevation_m: float) -> float:
    """Return the pressure of the standard atmosphere at an elevation, Pa."""
    return float(_psychrolib().GetStandardAtmPressure(elevation_m))
