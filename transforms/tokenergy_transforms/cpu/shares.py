"""Shares of whole numbers, rounded down, many at once: what a cut leaves on its left.

In: wholes, spans and parts. Out: floor(whole * part / span), exact. With whole = q span + r this
is q part + floor(r part / span). Quotients of integers below 2^53, taken in double precision and
rounded to nearest, have the true floor (see `columns.py`), and vector units divide doubles but no
integers; larger numbers are divided as integers.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from tokenergy_transforms.maths import share

EXACT_WHOLE = 1 << 53
EXACT_SPAN = 1 << 26
"""Below this the square of a span, in us, is below 2^53: 67 seconds."""


@njit(cache=True, error_model="numpy")
def share_all(whole, span, part, count, found):  # type: ignore[no-untyped-def]
    """Write floor(whole * part / span) of the first `count` places.

    Args:
        whole, span, part: int64; 0 <= part <= span < 2^32, 0 < span, 0 <= whole.
        found: int64, written.
    """
    widest = largest = np.int64(0)
    for i in range(count):
        widest = max(widest, span[i])
        largest = max(largest, whole[i])
    if widest < EXACT_SPAN and largest < EXACT_WHOLE:
        for i in range(count):
            span_d = np.float64(span[i])
            q = np.int64(np.float64(whole[i]) / span_d)
            r = whole[i] - q * span[i]
            found[i] = q * part[i] + np.int64(np.float64(r * part[i]) / span_d)
    else:
        for i in range(count):
            found[i] = share(whole[i], span[i], part[i])
