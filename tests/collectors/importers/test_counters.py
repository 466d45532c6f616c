from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.snapshot import snapshot
from tokenergy_collectors.base.csvfile import BadValueError
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.importers.counters import count_of, import_counters
from tokenergy_collectors.importers.jobs import import_jobs
from tokenergy_collectors.lake import Lake

Write = Callable[[str | bytes], Path]
T_S = 1_768_464_000
"""2026-01-15T08:00:00Z; in a file, 5 is 5 s later."""


def dated(text: str) -> str:
    """A file whose stamps below 1000 are seconds after `T_S`."""
    header, *lines = text.splitlines(keepends=True)
    names = [name.strip() for name in header.split(",")]
    place = names.index("timestamp") if "timestamp" in names else len(names)
    found = [line.split(",") for line in lines]
    for cells in found:
        if place < len(cells) and cells[place].strip().isdigit() and int(cells[place]) < 1000:
            digits = cells[place].strip()
            cells[place] = cells[place].replace(digits, str(T_S + int(digits)))
    return "".join([header, *(",".join(cells) for cells in found)])


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file, dated, and return its path."""

    def write(content: str | bytes) -> Path:
        path = tmp_path / "counters.csv"
        text = content.decode() if isinstance(content, bytes) else content
        path.write_bytes((dated(text) if text else text).encode())
        return path

    return write


def tokens(lake: Lake, kind: str) -> list[tuple[Any, ...]]:
    found = lake.read("tokens", columns=["kind", "ts_us", "value", "epoch"]).to_pylist()
    mine = [
        (r["ts_us"] // 1_000_000 - T_S, r["value"], r["epoch"]) for r in found if r["kind"] == kind
    ]
    return sorted(mine)


def test_vllm_columns_and_labels(lake: Lake, write: Write) -> None:
    path = write(
        "\ufeffgeneration_tokens_total,note,timestamp,ray_vllm_prompt_tokens,"
        "vllm:prompt_tokens_cached_total,gpu_util\r\n"
        "1.5e6,a,2026-01-15T08:00:02Z,100.0,40,7\r\n"
        ",b,1,10,NaN,7\r\n"
    )
    result = import_counters(lake, path, "n1", "job/1", "llama")
    assert tokens(lake, "prompt_computed") == [(2, 60, 0)]
    assert tokens(lake, "prompt_cached") == [(2, 40, 0)]
    assert tokens(lake, "generated") == [(2, 1_500_000, 0)]
    assert result.notes == ["skipped columns: note, gpu_util"]
    assert (result.first_us, result.last_us) == ((T_S + 1) * 10**6, (T_S + 2) * 10**6)
    assert lake.read("tokens").slice(0, 1).to_pylist()[0] == {
        "ts_us": (T_S + 2) * 10**6,
        "source_id": "import:job/1",
        "node": "n1",
        "job_id": "job/1",
        "model": "llama",
        "engine": "",
        "kind": "generated",
        "value": 1_500_000,
        "epoch": 0,
        "since_us": None,
        "metric": "generation_tokens_total",
        "series": "{}",
        "quantum": 1,
        "run": None,
        "cluster": None,
        "role": None,
    }


def test_total_is_computed_where_no_cache_is_told(lake: Lake, write: Write) -> None:
    import_counters(lake, write("timestamp,prompt_tokens\n1,10\n2,30\n"), "n1", "j", "m", "src")
    assert tokens(lake, "prompt_computed") == [(1, 10, 0), (2, 30, 0)]
    assert set(lake.read("tokens")["source_id"].to_pylist()) == {"src"}


def test_a_fall_begins_an_epoch_of_its_counter(lake: Lake, write: Write) -> None:
    path = write(
        "timestamp,tokens_predicted_total,llamacpp:prompt_tokens_total\n"
        "3,5,60\n1,10,20\n2,20,50\n4,,1\n5,7,2\n"
    )
    import_counters(lake, path, "n1", "j", "m")
    assert tokens(lake, "generated") == [(1, 10, 0), (2, 20, 0), (3, 5, 1), (5, 7, 1)]
    assert tokens(lake, "prompt_computed") == [
        *((1, 20, 0), (2, 50, 0), (3, 60, 0)),
        *((4, 1, 1), (5, 2, 1)),
    ]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(*(st.one_of(st.none(), st.integers(0, 50)) for _ in range(3))).filter(any),
        min_size=1,
        max_size=8,
    )
)
def test_no_kind_falls_within_an_epoch(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int | None, ...]]
) -> None:
    base = tmp_path_factory.mktemp("counters")
    lines = [",".join("" if n is None else str(n) for n in (i, *row)) for i, row in enumerate(rows)]
    header = "timestamp,prompt_tokens,prompt_tokens_cached,generation_tokens"
    (base / "c.csv").write_text(dated("\n".join([header, *lines]) + "\n"))
    lake = Lake(base / "lake", create=True)
    import_counters(lake, base / "c.csv", "n1", "j", "m")
    for kind in ("prompt_computed", "prompt_cached", "generated"):
        found = tokens(lake, kind)
        for before, after in pairwise(found):
            assert after[2] > before[2] or (after[2] == before[2] and after[1] >= before[1])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            "timestamp,foo,bar\n1,2,3\n",
            "no known token counter; its columns are timestamp, foo, bar",
        ),
        ("time,generation_tokens\n1,2\n", "has no column timestamp"),
        (
            "timestamp,generation_tokens,vllm:generation_tokens_total\n1,2,2\n",
            "both count generated",
        ),
        ("timestamp,generation_tokens\n", "has no readings"),
        ("timestamp,generation_tokens\n1,\n2,NaN\n", "has no readings"),
        ("timestamp,generation_tokens\n1,5\n2,5.5\n", "line 3: cannot read counter '5.5'"),
        ("timestamp,generation_tokens\n1,-5\n", "line 2: cannot read counter"),
        ("timestamp,generation_tokens\n1,inf\n", "line 2: cannot read counter"),
        ("timestamp,generation_tokens\n1,1e99999999\n", "line 2: cannot read counter"),
        ("timestamp,generation_tokens\n1,9223372036854775808\n", "line 2: cannot read counter"),
        ("timestamp,generation_tokens\n1,2,3\n", "line 2: 3 values"),
        ("timestamp,generation_tokens\nnoon,2\n", "line 2: cannot read time"),
    ],
)
def test_bad_files_say_one_line_and_write_nothing(
    lake: Lake, write: Write, content: str, said: str
) -> None:
    with pytest.raises(UserError, match=said) as caught:
        import_counters(lake, write(content), "n1", "j", "m")
    assert "\n" not in str(caught.value)
    assert snapshot(lake) == {}


def test_empty_names_are_refused(lake: Lake, write: Write) -> None:
    path = write("timestamp,generation_tokens\n1,2\n")
    with pytest.raises(UserError, match="job ''"):
        import_counters(lake, path, "n1", "", "m")


@pytest.mark.parametrize("tail", ["3", "3,19", "3,x", "0,200"])
def test_last_line_that_was_cut_off_is_no_reset(lake: Lake, write: Write, tail: str) -> None:
    path = write("timestamp,generation_tokens\n1,100\n2,190\n" + tail)
    result = import_counters(lake, path, "n1", "j", "m")
    assert tokens(lake, "generated") == [(1, 100, 0), (2, 190, 0)]
    assert result.notes == ["skipped the last line: it is cut off"]


def test_whole_last_line_needs_no_newline(lake: Lake, write: Write) -> None:
    import_counters(lake, write("timestamp,generation_tokens\n1,100\n2,190"), "n1", "j", "m")
    assert tokens(lake, "generated") == [(1, 100, 0), (2, 190, 0)]


def test_importing_twice_changes_nothing(lake: Lake, write: Write) -> None:
    text = "timestamp,trained_tokens\n1,100\n1,100\n2,50\n"
    first = import_counters(lake, write(text), "n1", "j", "m")
    assert first.notes == [
        "trained_tokens falls in 1 of 2 steps: expected totals that only grow; numbers of single "
        "requests or intervals give wrong tokens",
        "skipped repeated rows of tokens: 1",
    ]
    before = snapshot(lake)
    assert import_counters(lake, write(text), "n1", "j", "m").written == {}
    assert snapshot(lake) == before
    grown = import_counters(lake, write(text + "3,60\n"), "n1", "j", "m")
    assert grown.written == {"tokens": 1}
    assert tokens(lake, "trained") == [(1, 100, 0), (2, 50, 1), (3, 60, 1)]


def test_counts() -> None:
    assert [count_of(text) for text in ("7", " 7.0 ", "1.5e6", "0", "", "nan")] == [
        *(7, 7, 1_500_000, 0),
        *(None, None),
    ]
    with pytest.raises(BadValueError):
        count_of("seven")


def series(lake: Lake) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for row in lake.read("tokens").sort_by("ts_us").to_pylist():
        found.setdefault(row["series"], []).append(row["value"])
    return found


def test_long_form_has_a_counter_for_each_server(lake: Lake, write: Write) -> None:
    lines = [f"{t},gpu{n}:8000,{b + 10 * t}" for t in (1, 2, 3) for n, b in ((1, 500), (2, 90))]
    path = write("\n".join(["timestamp,instance,generation_tokens_total", *lines, ""]))
    import_counters(lake, path, "n1", "j", "m")
    assert series(lake) == {
        '{"instance":"gpu1:8000"}': [510, 520, 530],
        '{"instance":"gpu2:8000"}': [100, 110, 120],
    }


def test_an_engine_and_a_model_in_columns(lake: Lake, write: Write) -> None:
    path = write("timestamp,engine,model_name,generation_tokens\n1,0,a,5\n1,1,b,6\n2,0,a,7\n")
    import_counters(lake, path, "n1", "j", "m", cluster="east")
    rows = lake.read("tokens").to_pylist()
    assert {(r["engine"], r["model"], r["cluster"]) for r in rows} == {
        ("0", "a", "east"), ("1", "b", "east"),
    }  # fmt: skip


def test_a_column_not_known_is_a_label_where_a_stamp_repeats(lake: Lake, write: Write) -> None:
    text = "timestamp,backend,generation_tokens\n1,x,5\n1,y,60\n2,x,7\n2,y,80\n"
    import_counters(lake, write(text), "n1", "j", "m")
    assert series(lake) == {'{"backend":"x"}': [5, 7], '{"backend":"y"}': [60, 80]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "timestamp,generation_tokens\n1,5\n1,60\n",
            "generation_tokens is 5 in line 2 and 60 in line 3, at the same time: expected one "
            "value; if these lines are of several servers, name each in a column instance",
        ),
        (
            "timestamp,load,generation_tokens\n1,3,5\n1,4,60\n2,5,7\n2,6,80\n",
            "column 'load' has 4 values in 4 lines: expected the name of a server in it",
        ),
        (
            "timestamp,prompt_tokens,completion_tokens\n1,500,200\n",
            "column completion_tokens counts the tokens of one request",
        ),
    ],
)
def test_values_of_several_servers_without_names_are_refused(
    lake: Lake, write: Write, text: str, said: str
) -> None:
    with pytest.raises(UserError, match=said):
        import_counters(lake, write(text), "n1", "j", "m")
    assert snapshot(lake) == {}


def test_numbers_of_requests_are_told(lake: Lake, write: Write) -> None:
    path = write("timestamp,generation_tokens_total\n1,500\n2,480\n3,510\n")
    assert import_counters(lake, path, "n1", "j", "m").notes == [
        "generation_tokens_total falls in 1 of 2 steps: expected totals that only grow; numbers of "
        "single requests or intervals give wrong tokens"
    ]


def test_a_rounded_column_says_in_which_steps(lake: Lake, write: Write) -> None:
    path = write("timestamp,llamacpp:tokens_predicted_total\n1,999999\n2,1.23456e+09\n")
    import_counters(lake, path, "n1", "j", "m")
    rows = lake.read("tokens").sort_by("ts_us").to_pylist()
    assert [row["quantum"] for row in rows] == [1, 10_000]


def test_a_cluster_is_no_path(lake: Lake, write: Write) -> None:
    path = write("timestamp,generation_tokens\n1,2\n")
    with pytest.raises(UserError, match="cluster 'a/b'"):
        import_counters(lake, path, "n1", "j", "m", cluster="a/b")


GROWS = "timestamp,generation_tokens_total\n0,0\n10,7\n20,9\n"


def test_the_same_values_by_another_name_count_twice(lake: Lake, write: Write) -> None:
    for _ in range(2):
        assert import_counters(lake, write(GROWS), "n1", "j", "m").warnings == []
    for node, source in (("n1.example.org", None), ("n1", "other")):
        said = import_counters(lake, write(GROWS), node, "j", "m", source).warnings
        assert "as source 'import:j' of node n1: they count twice" in said[0]
    assert import_counters(lake, write(GROWS), "n1", "k", "m").warnings == []
    for other in (GROWS.replace("9", "8"), "timestamp,generation_tokens_total\n0,0\n10,0\n20,0\n"):
        assert import_counters(lake, write(other), "n3", "j", "m").warnings == []


@pytest.mark.parametrize(
    ("of_list", "of_tokens", "said"),
    [
        (None, "c", "have 'j', and no 'c/j'"),
        ("c", None, "have 'c/j', and no 'j'"),
        ("c", "c", None),
        (None, None, None),
    ],
)
def test_tokens_of_a_cluster_that_the_list_does_not_have(
    lake: Lake, tmp_path: Path, write: Write, of_list: str | None, of_tokens: str | None, said: str
) -> None:
    path = tmp_path / "jobs.csv"
    path.write_text(f"job_id,node,device,start,end\nj,n1,0,{T_S},\n")
    import_jobs(lake, path, of_list)
    found = import_counters(lake, write(GROWS), "n1", "j", "m", cluster=of_tokens).warnings
    assert [said in line for line in found] == [True] * (said is not None)
