"""Work on several items at a time, and take the results in the order of the items.

In: items and a function that mostly runs without the interpreter's lock. Out: its results. Only a
few items are ahead of the one whose result is taken, so memory holds as many.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

THREADS = min(os.cpu_count() or 1, 8)
"""More would wait for the interpreter's lock, or for the disk."""


def in_order(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int = THREADS
) -> Iterator[Result]:
    """Yield `function(item)` of each item, in their order.

    Args:
        function: may be called by several threads at once. What it raises is raised here.
        items: taken in this thread, one for each result that is taken.
        threads: how many items are worked on at a time.
    """
    with ThreadPoolExecutor(threads) as pool:
        ahead: deque[Future[Result]] = deque()
        try:
            for item in items:
                ahead.append(pool.submit(function, item))
                if len(ahead) > threads:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for one in ahead:
                one.cancel()
