from __future__ import annotations

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
pytestmark = pytest.mark.usefixtures("years_from_1970")
HEADER = "job_id,node,device_id,start,end\n"


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
    }
    assert (second["share_ppm"], second["user"]) == (1_000_000, "ann")
    assert (second["start_us"], second["end_us"]) == (1_706_700_000_500_000, 1_706_704_496_000_000)


def test_node_default(write: Write) -> None:
    path = write("job_id,device,start,end\nj,0,1,\n")
    assert read_jobs(path, node_default="n7")[0]["node"] == "n7"
    with pytest.raises(UserError, match="missing column node"):
        read_jobs(path)
    assert read_jobs(write(HEADER + "j,,0,1,\n"), node_default="n7")[0]["node"] == "n7"


def test_same_index_on_two_nodes_is_two_devices(write: Write) -> None:
    assert len(read_jobs(write(HEADER + "j,n1,0,1,2\nj,n2,0,1,3\nj,n1,00,1,2\n"))) == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        (HEADER, "has no jobs"),
        (HEADER + "j,n1,0,5,4\n", "line 2: end '4' is not after start '5'"),
        (HEADER + "j,n1,0,5,5\n", "line 2: end '5' is not after"),
        (HEADER + "j,n1,0,noon,5\n", "line 2: cannot read time 'noon'"),
        (HEADER + "j,n1,0,1,2\n\n,n1,0,5,6\n", "line 4: job_id is empty"),
        (HEADER + "j,,0,5,6\n", "line 2: node is empty"),
        (HEADER + "j,n1,0,1,2\nj,n1,0,1,3\n", "line 3: job 'j' .* differs from line 2"),
        (HEADER + "j,n1,GPU-a,1,2\nj,n2,GPU-a,1,2", "line 3: .* differs from line 2"),
        (HEADER + "j,n1,0,1\n", "line 2: 4 values .*expected 5"),
        (HEADER + "j,n1,0,1", "line 2: 4 values .*expected 5"),
        ("job_id,node,device,start,end,colour,size\n", "unknown column colour, size"),
        ("job_id,node,device,device_id,start,end\n", "repeated column device_id"),
        ("job_id,node\n", "missing column device_id, start, end"),
        (HEADER[:-1] + ",share\nj,n1,0,1,2,0\n", "line 2: share '0'"),
        (HEADER[:-1] + ",share\nj,n1,0,1,2,1.1\n", "line 2: share '1.1'"),
        (HEADER[:-1] + ",share\nj,n1,0,1,2,nan\n", "line 2: share 'nan'"),
        (HEADER[:-1] + ",share\nj,n1,0,1,2,half\n", "line 2: share 'half'"),
        (HEADER[:-1] + ",share\nj,n1,0,1,2,1e-9\n", "line 2: share '1e-9'"),
        (HEADER + f"j,{'n' * 300},0,1,2\n", "node name"),
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
    path = write(HEADER + "j,n1,0,1,2\nk,n2,GPU-b,5000,\n")
    result = import_jobs(lake, path)
    assert (result.rows, result.written, len(result.files)) == ({"jobs": 2}, {"jobs": 2}, 2)
    before = snapshot(lake)
    assert import_jobs(lake, path).files == []
    assert snapshot(lake) == before


def test_latest_import_counts_even_when_a_correction_is_taken_back(
    lake: Lake, write: Write
) -> None:
    first = HEADER + "j,n1,0,1,2\nk,n1,0,3,4\n"
    corrected = HEADER + "j,n1,0,1,3\nk,n1,0,3,4\n"
    for text, end_us in ((first, 2), (corrected, 3), (first, 2), (corrected, 3)):
        result = import_jobs(lake, write(text))
        assert len(result.files) == 1
        assert ends(lake) == {("j", "n1/0"): end_us * 10**6, ("k", "n1/0"): 4 * 10**6}
    assert len(lake.read("jobs")) == 5


def test_correction_counts_when_the_clock_went_back(
    lake: Lake, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_jobs(lake, write(HEADER + "j,n1,0,1,2\n"))
    monkeypatch.setattr("time.time_ns", lambda: 1_000)
    import_jobs(lake, write(HEADER + "j,n1,0,1,3\n"))
    assert ends(lake) == {("j", "n1/0"): 3 * 10**6}


def test_index_and_uuid_name_the_same_device(lake: Lake, write: Write) -> None:
    device = {"ts_us": 1, "device_id": "GPU-a", "node": "n1", "index": 0, "emulated": False}
    lake.append("device", pa.Table.from_pylist([device], schema=DEVICE.schema()), "n1")
    import_jobs(lake, write(HEADER + "j,n1,0,1,2\n"))
    assert import_jobs(lake, write(HEADER + "j,n1,GPU-a,1,2\n")).written == {}
    assert ends(lake) == {("j", "GPU-a"): 2 * 10**6}


def test_running_job_that_ends(lake: Lake, write: Write) -> None:
    import_jobs(lake, write(HEADER + "j,n1,0,1,\n"))
    assert ends(lake) == {("j", "n1/0"): None}
    import_jobs(lake, write(HEADER + "j,n1,0,1,9\n"))
    assert ends(lake) == {("j", "n1/0"): 9 * 10**6}
