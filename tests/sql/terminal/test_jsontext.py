"""JSON of query results: what RFC 8259 allows, exact, and every column."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenergy_collectors.lake import Lake
from tokenergy_sql.terminal.jsontext import finite, text, unique
from tokenergy_sql.terminal.output import Output
from tokenergy_sql.terminal.query import run_query

# The strategies leave out what no column holds: keys that differ only in type.
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**127), 2**127)
    | st.floats()
    | st.text()
    | st.decimals(allow_nan=False, allow_infinity=False, places=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


def answer(lake: Lake, sql: str, output_format: str = "json") -> str:
    out = io.StringIO()
    run_query(lake, sql, Output(output_format), out)
    return out.getvalue()


def strictly(found: str) -> Any:
    """Read JSON as a reader that knows no Infinity, and no name twice."""

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len({name for name, _ in pairs}) == len(pairs)
        return dict(pairs)

    def refuse(name: str) -> Any:
        raise ValueError(name)

    return json.loads(found, parse_constant=refuse, object_pairs_hook=members, parse_float=Decimal)


@given(values)
def test_any_value_is_json_and_reads_back(value: Any) -> None:
    def expected(one: Any) -> Any:
        if isinstance(one, dict):
            return {key: expected(inner) for key, inner in one.items()}
        if isinstance(one, list):
            return [expected(inner) for inner in one]
        if isinstance(one, float):
            return Decimal(repr(one)) if abs(one) < float("inf") else None
        return one

    assert strictly(text(value)) == expected(value)


def test_two_columns_of_one_name(lake: Lake) -> None:
    (row,) = strictly(answer(lake, "SELECT 1 AS x, 2 AS x, 3 AS x_2"))
    assert row == {"x": 1, "x_3": 2, "x_2": 3}
    assert answer(lake, "SELECT 1 AS x, 2 AS x", "csv") == "x,x\n1,2\n"


@given(st.lists(st.sampled_from(["x", "x_2", "x_2_2", "y", ""])))
def test_names_are_unique_and_none_that_is_alone_is_changed(names: list[str]) -> None:
    found = unique(names)
    assert len(found) == len(names) == len({*found})
    assert all(
        f == n for f, n in zip(found, names, strict=True) if names.index(n) == found.index(f)
    )
    assert {*names} <= {*found}


def test_what_has_no_name_in_json_is_null(lake: Lake) -> None:
    sql = "SELECT 'inf'::DOUBLE a, 'nan'::FLOAT b, [1.5, '-inf'::DOUBLE] c, {'n': 'nan'::DOUBLE} d"
    (row,) = strictly(answer(lake, sql))
    assert row == {"a": None, "b": None, "c": [Decimal("1.5"), None], "d": {"n": None}}
    assert finite({"a": [float("inf"), 1, {"b": float("nan")}]}) == {"a": [None, 1, {"b": None}]}


def test_numbers_keep_all_their_digits(lake: Lake) -> None:
    sql = (
        "SELECT 9007199254740993::BIGINT a, 170141183460469231731687303715884105727::HUGEINT b, "
        "0.10::DECIMAL(4, 2) c, 12345678901234567890123456789012345678::DECIMAL(38, 0) d, 1e300 e"
    )
    found = answer(lake, sql)
    assert strictly(found) == [
        {
            "a": 9007199254740993,
            "b": 170141183460469231731687303715884105727,
            "c": Decimal("0.10"),
            "d": 12345678901234567890123456789012345678,
            "e": Decimal("1e300"),
        }
    ]
    assert '"c": 0.10' in found


def test_what_python_would_change_is_as_duckdb_writes_it(lake: Lake) -> None:
    sql = (
        "SELECT INTERVAL 14 MONTH i, '\\xAAz'::BLOB b, 'infinity'::TIMESTAMP t, "
        "DATE '2026-01-15' d, TIME '01:02:03' c, '101'::BIT s, MAP {1: 2} m, ['a\\x01'::BLOB] l"
    )
    (row,) = strictly(answer(lake, sql))
    assert row == {
        "i": "1 year 2 months",
        "b": "\\xAAz",
        "t": "infinity",
        "d": "2026-01-15",
        "c": "01:02:03",
        "s": "101",
        "m": {"1": 2},
        "l": ["a\\x01"],
    }
    csv = answer(lake, "SELECT INTERVAL 14 MONTH i, 'infinity'::TIMESTAMP t", "csv")
    assert csv == "i,t\n1 year 2 months,infinity\n"


def test_the_order_of_rows_is_kept(lake: Lake) -> None:
    sql = "SELECT x, DATE '2026-01-01' + x::INT d FROM range(9999) r(x) ORDER BY x DESC"
    assert [row["x"] for row in strictly(answer(lake, sql))] == list(range(9998, -1, -1))


def test_statements_without_rows(lake: Lake) -> None:
    for sql in ("SET threads = 2", "CREATE TABLE t (i INT)", "SELECT 1 WHERE false"):
        assert strictly(answer(lake, sql)) == []
