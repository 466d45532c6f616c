from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.support.snapshot import snapshot
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.importers.jobs import import_jobs
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.allocations import allocations
from tokenergy_collectors.lake.contract import DEVICE
from tokenergy_collectors.sources.jobs.jobsfile import read_jobs

Write = Callable[[str | bytes], Path]
HEADER = "job_id,node,device_id,start,end\n"
T_S = 1_768_464_000
"""2026-01-15T08:00:00Z; in a list, @5 is 5 s later."""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a list and return its path; @N in it becomes N seconds after `T_S`."""

    def write(content: str | bytes) -> Path:
        path = tmp_path / "jobs.csv"
        text = content.decode() if isinstance(content, bytes) else content
        text = re.sub(r"@(\d+)", lambda found: str(T_S + int(found[1])), text)
        path.write_bytes(text.encode())
        return path

    return write


def at_us(seconds: int) -> int:
    return (T_S + seconds) * 10**6


def ends(lake: Lake) -> dict[tuple[str, str], Any]:
    return {
        (row["job_id"], row["device_id"]): row["end_us"] for row in allocations(lake).to_pylist()
    }


def test_columns_in_any_order_and_defaults(write: Write) -> None:
    path = write(
        "\ufeffend, share, device, name, node, start, job_id, user\r\n"
        ',0.333333,00,"train, big",n1,2024-01-31T12:34:56+01:00,42,\r\n'
        "2024-01-31T12:34:56,,GPU-a,,n1,1706700000.5,43,ann"
    )
    first, second = read_jobs(path)
    assert first == {
        "job_id": "42",
        "node": "n1",
        "device_id": "0",
        "start_us": 1_706_700_896_000_000,
        "end_us": None,
        "share_ppm": 333_333,
        "scheduler": "declared",
        "user": None,
        "account": None,
        "name": "train, big",
        "labels": None,
        "method": "declared",
        "cluster": None,
        "allocation_id": None,
    }
    assert (second["share_ppm"], second["user"]) == (1_000_000, "ann")
    assert (second["start_us"], second["end_us"]) == (1_706_700_000_500_000, 1_706_704_496_000_000)


def test_node_default(write: Write) -> None:
    path = write("job_id,device,start,end\nj,0,@1,\n")
    assert read_jobs(path, node_default="n7")[0]["node"] == "n7"
    with pytest.raises(UserError, match="missing column node"):
        read_jobs(path)
    assert read_jobs(write(HEADER + "j,,0,@1,\n"), node_default="n7")[0]["node"] == "n7"


def test_same_index_on_two_nodes_is_two_devices(write: Write) -> None:
    assert len(read_jobs(write(HEADER + "j,n1,0,@1,@2\nj,n2,0,@1,@3\nj,n1,00,@1,@2\n"))) == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        (HEADER, "has no jobs"),
        (HEADER + "j,n1,0,@5,@4\n", f"line 2: end '{T_S + 4}' is before start '{T_S + 5}'"),
        (HEADER + "j,n1,0,noon,@5\n", "line 2: cannot read time 'noon'"),
        (HEADER + "j,n1,0,@1,@2\n\n,n1,0,@5,@6\n", "line 4: job_id is empty"),
        (HEADER + "j,,0,@5,@6\n", "line 2: node is empty"),
        (HEADER + "j,n1,0,@1,@2\nj,n1,0,@1,@3\n", "line 3: job 'j' .* differs from line 2"),
        (HEADER + "j,n1,GPU-a,@1,@2\nj,n2,GPU-a,@1,@2", "line 3: .* differs from line 2"),
        (HEADER + "j,n1,0,1\n", "line 2: 4 values .*expected 5"),
        (HEADER + "j,n1,0,1", "line 2: 4 values .*expected 5"),
        ("job_id,node,device,start,end,colour,size\n", "unknown column colour, size"),
        ("job_id,node,device,device_id,start,end\n", "repeated column device_id"),
        ("job_id,node\n", "missing column device_id, start, end"),
        (HEADER[:-1] + ",share\nj,n1,0,@1,@2,0\n", "line 2: share '0'"),
        (HEADER[:-1] + ",share\nj,n1,0,@1,@2,1.1\n", "line 2: share '1.1'"),
        (HEADER[:-1] + ",share\nj,n1,0,@1,@2,nan\n", "line 2: share 'nan'"),
        (HEADER[:-1] + ",share\nj,n1,0,@1,@2,half\n", "line 2: share 'half'"),
        (HEADER[:-1] + ",share\nj,n1,0,@1,@2,1e-9\n", "line 2: share '1e-9'"),
        (HEADER + f"j,{'n' * 300},0,@1,@2\n", "node name"),
    ],
)
def test_bad_lists_say_one_line_and_write_nothing(
    lake: Lake, write: Write, content: str, said: str
) -> None:
    with pytest.raises(UserError, match=said) as caught:
        import_jobs(lake, write(content))
    assert "\n" not in str(caught.value)
    assert snapshot(lake) == {}


def test_importing_twice_changes_nothing(lake: Lake, write: Write) -> None:
    path = write(HEADER + "j,n1,0,@1,@2\nk,n2,GPU-b,@5000,\n")
    result = import_jobs(lake, path)
    assert (result.rows, result.written, len(result.files)) == ({"jobs": 2}, {"jobs": 2}, 2)
    before = snapshot(lake)
    assert import_jobs(lake, path).files == []
    assert snapshot(lake) == before


def test_latest_import_counts_even_when_a_correction_is_taken_back(
    lake: Lake, write: Write
) -> None:
    first = HEADER + "j,n1,0,@1,@2\nk,n1,0,@3,@4\n"
    corrected = HEADER + "j,n1,0,@1,@3\nk,n1,0,@3,@4\n"
    for text, end in ((first, 2), (corrected, 3), (first, 2), (corrected, 3)):
        result = import_jobs(lake, write(text))
        assert len(result.files) == 1
        assert ends(lake) == {("j", "n1/0"): at_us(end), ("k", "n1/0"): at_us(4)}
    assert len(lake.read("jobs")) == 5


def test_correction_counts_when_the_clock_went_back(
    lake: Lake, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_jobs(lake, write(HEADER + "j,n1,0,@1,@2\n"))
    monkeypatch.setattr("time.time_ns", lambda: 1_000)
    import_jobs(lake, write(HEADER + "j,n1,0,@1,@3\n"))
    assert ends(lake) == {("j", "n1/0"): at_us(3)}


def test_index_and_uuid_name_the_same_device(lake: Lake, write: Write) -> None:
    device = {"ts_us": at_us(1), "device_id": "GPU-a", "node": "n1", "index": 0, "emulated": False}
    lake.append("device", pa.Table.from_pylist([device], schema=DEVICE.schema()), "n1")
    import_jobs(lake, write(HEADER + "j,n1,0,@1,@2\n"))
    assert import_jobs(lake, write(HEADER + "j,n1,GPU-a,@1,@2\n")).written == {}
    assert ends(lake) == {("j", "GPU-a"): at_us(2)}


def test_running_job_that_ends(lake: Lake, write: Write) -> None:
    import_jobs(lake, write(HEADER + "j,n1,0,@1,\n"))
    assert ends(lake) == {("j", "n1/0"): None}
    import_jobs(lake, write(HEADER + "j,n1,0,@1,@9\n"))
    assert ends(lake) == {("j", "n1/0"): at_us(9)}


def known(lake: Lake, ts_us: int = T_S * 10**6 + 1, **names: int) -> None:
    rows = [
        {"ts_us": ts_us, "device_id": f"GPU-{name}", "node": "n1", "index": index, "emulated": True}
        for name, index in names.items()
    ]
    full = [{name: row.get(name) for name in DEVICE.column_names} for row in rows]
    lake.append("device", pa.Table.from_pylist(full, schema=DEVICE.schema()), "n1")


def test_a_list_of_devices_is_one_allocation_each(lake: Lake, write: Write) -> None:
    text = HEADER + 'j,n1,0-1,@1,@2\nk,n1,"2,3",@1,@2\n'
    assert import_jobs(lake, write(text)).rows == {"jobs": 4}
    assert set(ends(lake)) == {("j", "n1/0"), ("j", "n1/1"), ("k", "n1/2"), ("k", "n1/3")}


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("GPU 0", "line 2: device 'GPU 0' names no device: for index 0"),
        ("*", "line 2: device '\\*' names no device"),
        ("GPU-a", "device name fits several .* 'GPU-a' on n1 fits 2 devices"),
    ],
)
def test_what_names_no_one_device_is_refused(
    lake: Lake, write: Write, device: str, said: str
) -> None:
    known(lake, a1=0, a2=1)
    with pytest.raises(UserError, match=said):
        import_jobs(lake, write(HEADER + f"j,n1,{device},@1,@2\n"))
    assert len(lake.read("jobs")) == 0


def test_what_is_not_known_of_a_known_node_is_said(lake: Lake, write: Write) -> None:
    known(lake, a1=0, a2=1)
    rows = "".join(f"j{place},n1,{place},@1,@2\n" for place in range(9))
    result = import_jobs(lake, write(HEADER + rows + "k,n2,GPU-a1,@1,@2\nk,n1.org,nvidia1,@1,@2\n"))
    assert result.warnings == [
        "a device name fits no device of its node in 7 allocations: '2' on n1 no board had this "
        "index, '3' on n1 no board had this index, '4' on n1 no board had this index, '5' on n1 no "
        "board had this index, '6' on n1 no board had this index and 2 more",
        "a device name was read by an assumption in 1 allocation: 'nvidia1' on n1.org read as "
        "index 1",
        "the lake has no devices of the node in 1 allocation: n2",
    ]
    assert ("k", "GPU-a1") in ends(lake)


def test_nothing_is_said_of_a_lake_without_devices(lake: Lake, write: Write) -> None:
    assert import_jobs(lake, write(HEADER + "j,n1,7,@1,@2\n")).warnings == []


def test_an_index_is_that_of_the_start_of_the_job(lake: Lake, write: Write) -> None:
    known(lake, a=0, b=1)
    known(lake, at_us(10), a=1, b=0)
    import_jobs(lake, write(HEADER + "j,n1,0,@5,@6\nk,n1,0,@15,@16\n"))
    assert set(ends(lake)) == {("j", "GPU-a"), ("k", "GPU-b")}


def test_a_corrected_start_replaces_the_earlier_record(lake: Lake, write: Write) -> None:
    for start in (1, 3, 2):
        import_jobs(lake, write(HEADER + f"j,n1,0,@{start},@9\n"))
        assert [row["start_us"] for row in allocations(lake).to_pylist()] == [at_us(start)]


def test_a_list_that_has_grown_keeps_its_own_rows(lake: Lake, write: Write) -> None:
    first = HEADER + "j,n1,0,@1,@9\nj,n1,0,@3,@9\n"
    import_jobs(lake, write(first))
    assert len(allocations(lake)) == 2
    grown = first + "j,n1,0,@5,@9\nk,n1,0,@1,@9\n"
    assert import_jobs(lake, write(grown)).written == {"jobs": 4}
    assert len(allocations(lake)) == 4
    assert import_jobs(lake, write(grown)).written == {}


@pytest.mark.parametrize(
    ("first", "second", "warned"),
    [
        ("j,n1,0,@1,@9", "j,n1,1,@1,@9", True),  # the board was another one
        ("j,n1,0,@1,", "j,n1,0,@3,@9", False),  # so it does an open one
        ("j,n1,0,@1,@9", "j,n1,0,@1,@9", False),
        ("j,n1,0,@1,@9", "j,n1,0,@3,@9", False),  # a corrected start replaces the record
        ("j,n1,0,@1,@9", "j,n1,0-1,@1,@9", False),
        ("j,n1,0,@1,@9", "k,n1,1,@1,@9", False),
        ("j,n1,0,@1,@9", "j,n1,1,@9,@12", False),
    ],
)
def test_what_a_corrected_list_leaves_is_said(
    lake: Lake, write: Write, first: str, second: str, warned: bool
) -> None:
    known(lake, a=0, b=1)
    assert import_jobs(lake, write(f"{HEADER}{first}\n")).warnings == []
    said = import_jobs(lake, write(f"{HEADER}{second}\n")).warnings
    rest = "j on GPU-a from 2026-01-15T08:00:01Z"
    assert [rest in line and "which count too" in line for line in said] == [True] * warned


def test_one_board_by_two_names_is_one_allocation(lake: Lake, write: Write) -> None:
    known(lake, a=0, b=1)
    with pytest.raises(UserError, match="one board by two names, '0' and 'GPU-a'"):
        import_jobs(lake, write(HEADER + "j,n1,0,@1,@9\nj,n1,GPU-a,@1,@8\n"))
    assert len(lake.read("jobs")) == 0
    import_jobs(lake, write(HEADER + "j,n1,0,@1,@9\nj,n1,GPU-a,@1,@9\n"))
    assert ends(lake) == {("j", "GPU-a"): at_us(9)}


def test_an_allocation_is_withdrawn_once(lake: Lake, write: Write) -> None:
    import_jobs(lake, write(HEADER + "j,n1,0,@1,@9\nk,n1,0,@1,@9\n"))
    path = write(HEADER + "j,n1,0,@1,@1\n")
    assert import_jobs(lake, path).notes == ["withdrawn, since they end at their start: 1"]
    assert set(ends(lake)) == {("k", "n1/0")}
    assert import_jobs(lake, path).written == {}


def test_an_allocation_with_an_id_can_change_in_everything(lake: Lake, write: Write) -> None:
    header = HEADER[:-1] + ",share,allocation_id\n"
    import_jobs(lake, write(header + "j,n1,0,@1,@9,1,a7\nj,n1,1,@1,@9,1,a8\n"))
    import_jobs(lake, write(header + "j,n1,2,@3,@8,50%,a7\n"))
    (row,) = [r for r in allocations(lake).to_pylist() if r["allocation_id"] == "a7"]
    assert (row["device_id"], row["start_us"], row["share_ppm"]) == ("n1/2", at_us(3), 500_000)
    assert len(allocations(lake)) == 2


def test_the_same_id_in_two_clusters_is_two_jobs(lake: Lake, write: Write) -> None:
    path = write(HEADER + "17,n1,0,@1,@9\n")
    for cluster in ("a", "b", None):
        assert import_jobs(lake, path, cluster).written == {"jobs": 1}
    assert set(ends(lake)) == {("a/17", "n1/0"), ("b/17", "n1/0"), ("17", "n1/0")}
    named = write(HEADER[:-1] + ",cluster\n17,n1,0,@1,@9,a\n17,n1,0,@1,@8,\n")
    assert import_jobs(lake, named, "b").written == {"jobs": 1}
    with pytest.raises(UserError, match="--cluster: cluster 'a/b': expected a name without '/'"):
        import_jobs(lake, path, "a/b")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("j,n1,0,@1,@2,x\nk,n1,1,@1,@2,x\n", "allocation_id 'x' is on line 2 too"),
        ("j,n1,0-1,@1,@2,x\n", "allocation_id 'x' is of 2 devices"),
    ],
)
def test_an_allocation_id_is_one_allocation(lake: Lake, write: Write, rows: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        import_jobs(lake, write(HEADER[:-1] + ",allocation_id\n" + rows))


@pytest.mark.parametrize(("share", "ppm"), [("50%", 500_000), ("0.5 %", 5_000), ("100%", 10**6)])
def test_a_share_in_percent(write: Write, share: str, ppm: int) -> None:
    assert read_jobs(write(HEADER[:-1] + f",share\nj,n1,0,@1,@2,{share}\n"))[0]["share_ppm"] == ppm


def test_a_list_without_a_header_says_so(write: Write) -> None:
    with pytest.raises(UserError, match="the first line names no column: 'x,n1,0,"):
        read_jobs(write("x,n1,0,@1,@2\n"))


@pytest.mark.parametrize("digits", ["", "000", "000000", "000000000"])
def test_unix_times_in_any_unit(write: Write, digits: str) -> None:
    (job,) = read_jobs(write(HEADER + f"j,n1,0,{T_S}{digits},{T_S + 5}{digits}\n"))
    assert (job["start_us"], job["end_us"]) == (at_us(0), at_us(5))


def test_a_date_that_could_be_two_days_is_refused(write: Write) -> None:
    for text in ("03/10/2026 09:00", "3.10.2026"):
        with pytest.raises(UserError, match=r"line 2: time .* could be day 0?3 or day 10"):
            read_jobs(write(HEADER + f"j,n1,0,{text},\n"))


def test_semicolons_and_crlf(write: Write) -> None:
    text = HEADER.replace("\n", ",share\n") + "j,n1,0,2026-01-15 08:00,2026-01-15 08:01,PART\n"
    text = text.replace(",", ";").replace("\n", "\r\n").replace("PART", "0,5")
    (job,) = read_jobs(write(text))
    assert (job["start_us"], job["end_us"], job["share_ppm"]) == (at_us(0), at_us(60), 500_000)
