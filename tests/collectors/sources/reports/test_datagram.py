"""Reports that are none, each with the reason."""

import json

import pytest

from tokenergy_collectors.sources.reports.datagram import Report, parse

GOOD = {"v": 1, "job": "ft", "session": "ab", "began": 1_768_464_000.5, "total": 7}


def test_a_report() -> None:
    assert parse(json.dumps(GOOD).encode()) == Report(
        "ft", None, None, "loop", "trained", 0, "ab", 1_768_464_000_500_000, 7
    )
    more = {**GOOD, "cluster": "c", "model": "m", "source": "s", "kind": "generated", "rank": 3}
    assert parse(json.dumps({**more, "unknown": [1]}).encode()) == Report(
        "ft", "c", "m", "s", "generated", 3, "ab", 1_768_464_000_500_000, 7
    )


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "is not JSON"),
        (b"\xff", "is not JSON"),
        (b"[" * 4000, "is not JSON"),
        (b"[]", "is not an object"),
        ({"v": 2}, "is not an object"),
        ({"job": None}, "has no job or no session"),
        ({"session": None}, "has no job or no session"),
        ({"job": "a\nb"}, "job is not a printable text"),
        ({"job": 17}, "job is not a printable text"),
        ({"job": "x" * 513}, "job is not a printable text"),
        ({"cluster": "a/b"}, "cluster has a slash"),
        ({"kind": "seen"}, "kind is none of"),
        ({"total": -1}, "total is not a whole number"),
        ({"total": 2**53 + 1}, "total is not a whole number"),
        ({"total": 1.5}, "total is not a whole number"),
        ({"total": True}, "total is not a whole number"),
        ({"rank": "0"}, "rank is not a whole number"),
        ({"began": None}, "began is not a time"),
        ({"began": float("nan")}, "began is not a time"),
        ({"began": 5}, "outside the years"),
        (b" " * 5000, "is longer than 4096 bytes"),
    ],
)
def test_what_is_no_report(data: bytes | dict, why: str) -> None:
    if isinstance(data, dict):
        data = json.dumps({**GOOD, **data}).encode()
    with pytest.raises(ValueError, match=why):
        parse(data)
