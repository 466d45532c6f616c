"""Declared allocations: each told once, corrections told again, edges always planned."""

import pytest

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.devicehistory import Sighting
from tokenergy_collectors.sources.jobs.declared import DeclaredJobs
from tokenergy_collectors.sources.nvml.boards import Board

T0 = 1_768_464_000_000_000
HEADER = "job_id,node,device_id,start,end,name\n"


def boards():
    return [Board(None, f"GPU-{i}", i, "board", None, None, None) for i in range(2)]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "jobs.csv"
    path.write_text(HEADER + "j,n1,0,1768464000,1768464010,A\nk,n2,0,1768464000,,B\n")
    return path


def told(changes):
    return [(r["job_id"], r["device_id"], r["end_us"], r["name"]) for r in changes.rows]


def test_rows_of_this_node_are_told_once_by_uuid(path):
    jobs = DeclaredJobs("n1", boards(), path)
    changes = jobs.changes(T0)
    assert told(changes) == [("j", "GPU-0", T0 + 10_000_000, "A")]
    assert changes.edges_us == {T0, T0 + 10_000_000}
    assert changes.rows[0]["recorded_us"] == T0
    assert jobs.changes(T0 + 1) == ([], set(), [])


def test_a_changed_file_is_taken_over_and_corrections_can_be_taken_back(path):
    jobs = DeclaredJobs("n1", boards(), path)
    first = path.read_text()
    changed = first.replace("1768464010,A", "1768464020,A") + "l,n1,1,1768464005,,C\n"
    jobs.changes(T0)
    path.write_text(changed)
    changes = jobs.changes(T0 + 1)
    assert told(changes) == [
        ("j", "GPU-0", T0 + 20_000_000, "A"),
        ("l", "GPU-1", None, "C"),
    ]
    assert changes.edges_us == {T0 + 20_000_000, T0 + 5_000_000}
    path.write_text(first)
    again = jobs.changes(T0 + 2)
    assert told(again) == [("j", "GPU-0", T0 + 10_000_000, "A")]
    assert again.edges_us == set()


def test_what_the_lake_tells_is_not_recorded_again_but_its_edges_count(path):
    recorded = DeclaredJobs("n1", boards(), path).changes(T0).rows
    jobs = DeclaredJobs("n1", boards(), path, known=recorded)
    assert jobs.changes(T0 + 5) == ([], {T0, T0 + 10_000_000}, [])


def test_a_record_of_a_clock_that_ran_ahead_can_be_corrected(path):
    [recorded] = DeclaredJobs("n1", boards(), path).changes(T0 + 10**12).rows
    jobs = DeclaredJobs("n1", boards(), path, known=[{**recorded, "name": "wrong"}])
    assert jobs.changes(T0).rows[0]["recorded_us"] == T0 + 10**12 + 1


def test_a_file_that_breaks_while_running_is_told_and_rows_are_not_lost(path):
    with pytest.raises(UserError):
        DeclaredJobs("n1", boards(), path.with_name("missing.csv"))
    row = {"job_id": "r", "node": "n1", "device_id": "GPU-1", "start_us": T0, "end_us": None}
    jobs = DeclaredJobs("n1", boards(), path, rows=[{**row, "name": None}])
    good = path.read_text()
    path.write_text(HEADER + "j,n1,0,yesterday,,A\n")
    with pytest.raises(UserError, match="yesterday"):
        jobs.changes(T0)
    path.unlink()
    with pytest.raises(UserError, match="No such file"):
        jobs.changes(T0)
    path.write_text(good)
    assert [r["job_id"] for r in jobs.changes(T0).rows] == ["r", "j"]


def test_one_board_by_two_names_is_one_allocation(path):
    """As `import jobs` refuses it: which end is meant is not known."""
    row = {"job_id": "r", "node": "n1", "device_id": "GPU-1", "start_us": T0, "end_us": None}
    jobs = DeclaredJobs("n1", boards(), path, rows=[row])
    two = HEADER + "j,n1,0,1768464000,1768464010,\nj,n1,GPU-0,1768464000,{},\n"
    path.write_text(two.format(1768464050))
    for _ in range(2):
        with pytest.raises(UserError, match="one board by two names, '0' and 'GPU-0'"):
            jobs.changes(T0)
    path.write_text(two.format(1768464010))
    changes = jobs.changes(T0)
    assert [r["job_id"] for r in changes.rows] == ["r", "j", "j"]
    assert T0 + 10_000_000 in changes.edges_us


def test_a_file_that_knows_more_than_the_given_rows_counts(path):
    """They are two sources: what the file says of an allocation is no second name of its board."""
    row = {"job_id": "j", "node": "n1", "start_us": T0, "end_us": None, "name": None}
    given = [{**row, "device_id": name} for name in ("0", "1")]
    jobs = DeclaredJobs("n1", boards(), path, rows=given)
    changes = jobs.changes(T0)
    assert told(changes) == [("j", "GPU-1", None, None), ("j", "GPU-0", T0 + 10_000_000, "A")]
    assert [(r["device_id"], r["end_us"]) for r in jobs.here()] == [
        ("GPU-0", T0 + 10_000_000),
        ("GPU-1", None),
    ]


def test_one_board_under_two_names_of_its_node_is_said_so(path):
    rows = "j,n1,0,1768464000,1768464010,\nj,n1.example.org,0,1768464000,,\n"
    path.write_text(HEADER + rows)
    jobs = DeclaredJobs("n1", boards(), path)
    with pytest.raises(UserError, match=r"names, '0' on n1 and '0' on n1\.example\.org, and"):
        jobs.changes(T0)


def test_a_cluster_by_name_and_by_default_is_one(path):
    path.write_text(
        "job_id,node,device,start,end,cluster\nj,n1,0,1768464000,1768464010,\nj,n1,0,1768464000,,c\n"
    )
    with pytest.raises(UserError, match="differs from line 2"):
        DeclaredJobs("n1", boards(), path, cluster="c")


def test_a_short_node_name_and_every_name_of_a_board_are_this_node_s(path):
    path.write_text(
        "job_id,node,device,start,end\n"
        'j,n1,"0,1",1768464000,\nk,N1,nvidia1,1768464000,\nl,n1,GPU-9,1768464000,\n'
    )
    changes = DeclaredJobs("n1.example.org", boards(), path, cluster="c").changes(T0)
    assert [(r["node"], r["device_id"], r["cluster"]) for r in changes.rows] == [
        ("n1.example.org", name, "c") for name in ("GPU-0", "GPU-1", "GPU-1", "GPU-9")
    ]
    assert [text.partition(":")[0] for text in changes.remarks] == [
        "a device name was read by an assumption in 1 allocation",
        "a device name fits no device of its node in 1 allocation",
    ]


def test_a_row_that_began_earlier_means_the_board_of_that_time(path):
    before = [Sighting(T0 - 10, f"GPU-{index}", "n1", 1 - index) for index in (0, 1)]
    path.write_text(HEADER + "j,n1,0,1768464000,,A\nk,n1,0,1768464100,,A\n")
    jobs = DeclaredJobs("n1", boards(), path, sightings=before)
    assert told(jobs.changes(T0 + 50_000_000)) == [
        ("j", "GPU-1", None, "A"),
        ("k", "GPU-0", None, "A"),
    ]


def test_a_corrected_start_replaces_the_record_and_an_end_at_the_start_withdraws(path):
    jobs = DeclaredJobs("n1", boards(), path)
    jobs.changes(T0)
    path.write_text(HEADER + "j,n1,0,1768464005,1768464010,A\n")
    jobs.changes(T0 + 1)
    assert [row["start_us"] for row in jobs.here()] == [T0 + 5_000_000]
    path.write_text(HEADER + "j,n1,0,1768464005,1768464005,A\n")
    assert len(jobs.changes(T0 + 2).rows) == 1
    assert jobs.here() == []


def test_job_ids_of_two_clusters_spread_apart(path):
    text = "job_id,node,device,start,end,cluster\nj,n1,0,1768464000,,a\nj,n2,0,1768464000,,b\n"
    path.write_text(text)
    jobs = DeclaredJobs("n1", boards(), path)
    jobs.changes(T0)
    assert jobs.spread == {"b/j"}


def test_a_device_file_is_that_of_the_boards_as_they_are(path):
    found = boards()
    found[0].minor, found[1].minor = 1, 0
    path.write_text(HEADER + "j,n1,nvidia1,1768464000,,A\n")
    changes = DeclaredJobs("n1", found, path).changes(T0)
    assert told(changes) == [("j", "GPU-0", None, "A")]
    assert changes.remarks == []  # not read as an index


def test_rows_are_declared_as_they_come(path):
    jobs = DeclaredJobs("n1", boards(), path)
    row = {**jobs.changes(T0).rows[0], "job_id": "m", "device_id": "1", "allocation_id": "a"}
    del row["recorded_us"]
    jobs.declare([{**row, "end_us": None}])
    assert told(jobs.changes(T0 + 1)) == [("m", "GPU-1", None, "A")]
    jobs.declare([row])
    assert told(jobs.changes(T0 + 2)) == [("m", "GPU-1", T0 + 10_000_000, "A")]
    jobs.declare([row])
    assert told(jobs.changes(T0 + 3)) == []
