"""Long loops beside the sampling, which give it its turn now and then.

In: many items. Out: the same items. Python lets another thread wait for up to 5 ms, which is a late
tick; a loop that sleeps for no time at all lets it go on at once.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

_A_TURN = 200
"""A turn takes about a fifth of a millisecond."""

Item = TypeVar("Item")


def in_turns(items: Iterable[Item]) -> Iterator[Item]:
    """Yield items, with a pause of no length now and then."""
    for number, item in enumerate(items):
        if number % _A_TURN == 0:
            time.sleep(0)
        yield item
