"""Work on several items at a time: the order of results, how far ahead it goes, errors."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tokenergy_transforms.inorder import in_order


def test_results_come_in_the_order_of_the_items() -> None:
    """The first item ends last: it waits for all others that are worked on beside it."""
    others = threading.Semaphore(0)

    def work(item: int) -> int:
        if item == 0:
            for _ in range(2):
                others.acquire()
        else:
            others.release()
        return item * item

    assert list(in_order(work, range(6), threads=3)) == [0, 1, 4, 9, 16, 25]


def test_only_a_few_items_are_ahead_of_the_result_that_is_taken() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(100):
            taken.append(item)
            yield item

    results = in_order(lambda item: item, items(), threads=2)
    for number in range(10):
        assert next(results) == number
        assert len(taken) <= number + 3
    results.close()


def test_an_error_is_raised_where_its_result_is_taken() -> None:
    def work(item: int) -> int:
        return 10 // (item - 2)

    results = in_order(work, range(5), threads=2)
    assert [next(results), next(results)] == [-5, -10]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_no_items() -> None:
    assert list(in_order(str, [])) == []
