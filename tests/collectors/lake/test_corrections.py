"""Which records count: the later list corrects the earlier one, and no list corrects itself."""

from __future__ import annotations

from typing import Any

import pytest

from tokenergy_collectors.lake.corrections import Records


def row(start: int, end: int | None, recorded: int, **more: Any) -> dict[str, Any]:
    held = {"job_id": "j", "device_id": "d", "start_us": start, "end_us": end}
    return {**held, "recorded_us": recorded, "cluster": None, "allocation_id": None, **more}


def spans(*rows: dict[str, Any]) -> list[tuple[int, int | None]]:
    return [(r["start_us"], r["end_us"]) for r in Records(rows).current()]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([row(0, 60, 1), row(30, 60, 2)], [(30, 60)]),
        ([row(30, 60, 1), row(0, 60, 2)], [(0, 60)]),
        ([row(0, 60, 1), row(30, None, 2)], [(30, None)]),
        ([row(0, 60, 1), row(30, 60, 1)], [(0, 60), (30, 60)]),  # one list
        ([row(0, 60, 1), row(60, 90, 2)], [(0, 60), (60, 90)]),  # they only touch
        ([row(0, None, 1), row(30, 60, 2)], [(30, 60)]),  # it ran when it was listed first
        ([row(0, None, 1), row(30, None, 2)], [(30, None)]),  # and still runs
        ([row(30, None, 1), row(0, None, 2)], [(0, None)]),
        ([row(30, None, 1), row(0, 30, 2)], [(0, 30), (30, None)]),  # they only touch
        ([row(0, None, 1), row(30, None, 1)], [(0, None), (30, None)]),  # one list
        ([row(0, None, 1), row(30, None, 2), row(0, None, 3)], [(0, None)]),
        ([row(0, None, 1), row(0, 20, 2), row(30, None, 3)], [(0, 20), (30, None)]),  # run again
        ([row(0, 60, 1), row(30, 60, 2), row(0, 60, 3)], [(0, 60)]),  # taken back
        ([row(0, 60, 1), row(0, 0, 2)], []),  # withdrawn
        ([row(0, 60, 1), row(30, 60, 2), row(30, 30, 3)], []),
        ([row(0, 60, 1), row(30, 30, 2)], [(0, 60)]),
        ([row(0, 9, 1), row(20, 90, 1), row(30, 40, 2)], [(0, 9), (30, 40)]),
        ([row(0, 60, 1), row(30, 60, 2, job_id="k")], [(0, 60), (30, 60)]),
        ([row(0, 60, 1), row(30, 60, 2, cluster="c")], [(0, 60), (30, 60)]),
        ([row(0, 60, 1), row(30, 60, 2, device_id="e")], [(0, 60), (30, 60)]),
    ],
)
def test_records_without_an_id(rows: list[dict[str, Any]], expected: list[Any]) -> None:
    assert spans(*rows) == expected
    assert spans(*reversed(rows)) == expected


def test_an_id_lets_anything_be_corrected() -> None:
    first = row(0, 60, 1, allocation_id="7", share_ppm=1)
    second = row(100, 160, 2, allocation_id="7", device_id="e", job_id="k", share_ppm=2)
    assert Records([first, second]).current() == [second]
    other = row(0, 60, 1, allocation_id="7", cluster="c")
    assert Records([first, second, other]).current() == [other, second]
    assert Records([first, row(5, 5, 3, allocation_id="7")]).current() == []


def test_a_record_with_an_id_replaces_one_without_and_not_the_reverse() -> None:
    plain, named = row(0, 60, 1), row(30, 60, 2, allocation_id="7")
    assert Records([plain, named]).current() == [named]
    later = row(0, 60, 3)
    assert Records([named, later]).current() == [later, named]


def listed(*rows: dict[str, Any]) -> list[dict[str, Any]]:
    return [{key: value for key, value in r.items() if key != "recorded_us"} for r in rows]


def test_a_list_records_what_differs_and_what_that_would_replace() -> None:
    records = Records([row(0, 60, 1), row(30, 60, 1), row(70, 80, 1), row(0, 0, 1, job_id="w")])
    same = listed(row(0, 60, 0), row(30, 60, 0), row(70, 80, 0), row(0, 0, 0, job_id="w"))
    assert records.to_record(same) == []
    assert records.to_record([*same, *listed(row(45, 65, 0))]) == [0, 1, 4]
    assert records.to_record(listed(row(45, 65, 0))) == [0]


def test_what_a_corrected_list_leaves_is_named() -> None:
    held = [row(0, 60, 1), row(0, 60, 1, device_id="e"), row(90, None, 1, job_id="k")]
    held = [{**one, "node": "n"} for one in held]
    new = {**row(0, 60, 2, device_id="f"), "node": "n"}
    assert Records([*held, new]).rest([new]) == held[:2]  # moved to f? then d and e are withdrawn
    assert Records([*held, new]).rest([*held, new]) == []
    for other in ({"node": "m"}, {"start_us": 60, "end_us": 70}, {"end_us": 0}):
        one = {**new, **other}
        assert Records([*held, one]).rest([one]) == []
    closed = {**row(95, 99, 2, job_id="k", cluster="c"), "node": "n"}
    assert Records([*held, closed]).rest([closed]) == held[2:]


def test_a_new_record_outranks_those_of_a_clock_that_was_ahead() -> None:
    records = Records([row(0, 60, 10**15), row(0, 60, 5, job_id="k")])
    assert records.outranks_us(listed(row(30, 60, 0))) == 10**15 + 1
    assert records.outranks_us(listed(row(0, 9, 0, job_id="k"))) == 6
    assert records.outranks_us(listed(row(0, 9, 0, job_id="new"))) == 0


def test_many_records_of_one_job_and_device_are_quick() -> None:
    rows = [row(10 * i, 10 * i + 5, i) for i in range(50_000)]
    assert len(Records(rows).current()) == 50_000
