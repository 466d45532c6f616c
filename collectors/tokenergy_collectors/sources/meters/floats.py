"""How fine a binary floating-point number is.

In: a number of IEEE 754. Out: the step to the next one.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Literal

from tokenergy_collectors.sources.meters.values import BILLION

FloatType = Literal["float32", "float64"]

_FLOATS: dict[FloatType, tuple[int, int]] = {"float32": (24, -149), "float64": (53, -1074)}
"""Digits of a type's mantissa (bits), and the exponent of its smallest step."""


def float_step_n(number: float, type_: FloatType) -> int:
    """Return the step between a type's numbers at this one, in billionths, rounded up.

    A float32 counter stops counting single units at 2^24: its row says so.
    """
    digits, lowest = _FLOATS[type_]
    exponent = math.frexp(number)[1] - digits if number else lowest
    return math.ceil(Fraction(2) ** max(exponent, lowest) * BILLION)
