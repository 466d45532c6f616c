"""Who held which device: every job, node and device by its one name, as of the start."""

import pytest

from tests.support.lakes import T0, LakeBuilder, S
from tokenergy_collectors.lake.allocations import allocations

DAY = 86_400 * S


@pytest.fixture
def built(tmp_path):
    builder = LakeBuilder(tmp_path)
    builder.device("GPU-a", index=0)
    builder.device("GPU-b", index=1)
    return builder


def told(builder, *names):
    return [tuple(row[n] for n in names) for row in allocations(builder.lake).to_pylist()]


def test_the_latest_record_counts_and_a_correction_can_be_taken_back(built):
    for number, name in enumerate("ABA"):
        built.job("j", "GPU-a", T0, T0 + S, name=name, recorded_us=T0 + number)
    assert told(built, "name", "recorded_us") == [("A", T0 + 2)]


def test_of_two_records_at_once_the_ended_one_counts(built):
    built.job("j", "GPU-a", T0, None)
    built.job("j", "GPU-a", T0, T0 + S)
    assert told(built, "end_us") == [(T0 + S,)]


def test_an_index_is_resolved_and_corrects_the_same_allocation(built):
    built.job("j", "01", T0, None, recorded_us=T0)
    built.job("j", "GPU-b", T0, T0 + S, recorded_us=T0 + 1)
    built.job("k", "7", T0, None)
    built.job("l", "1", T0, None, node="elsewhere")
    assert told(built, "job_id", "device_id", "end_us") == [
        ("j", "GPU-b", T0 + S),
        ("l", "elsewhere/1", None),
        ("k", "n1/7", None),
    ]


def test_an_index_is_that_of_the_time_and_never_moves_an_earlier_job(built):
    built.job("before", "0", T0 + S, T0 + 2 * S)
    built.job("earlier", "0", T0 - DAY, T0 - DAY + S)
    found = told(built, "job_id", "device_id")
    assert found == [("earlier", "GPU-a"), ("before", "GPU-a")]
    for name, index in (("GPU-b", 0), ("GPU-a", 1)):
        built.device(name, index=index, ts_us=T0 + DAY)
    built.job("after", "0", T0 + DAY, None)
    built.job("other", "1", T0 + DAY, None)
    assert told(built, "job_id", "device_id") == [
        *found,
        ("other", "GPU-a"),
        ("after", "GPU-b"),
    ]


def test_a_job_id_of_two_clusters_is_two_jobs(built):
    for cluster, device in (("a", "GPU-a"), ("b", "GPU-b"), (None, "GPU-b")):
        built.job("17", device, T0, T0 + S, cluster=cluster)
    assert told(built, "job_id", "cluster", "device_id") == [
        ("a/17", "a", "GPU-a"),
        ("17", None, "GPU-b"),
        ("b/17", "b", "GPU-b"),
    ]


@pytest.mark.parametrize(
    ("recorded", "listed"),
    [
        ("gpu-01.example.org", "gpu-01"),
        ("gpu-01", "gpu-01.example.org"),
        ("gpu-01.example.org", "GPU-01.Example.org"),
    ],
)
def test_a_short_and_a_full_host_name_are_one_node(tmp_path, recorded, listed):
    builder = LakeBuilder(tmp_path)
    builder.device("GPU-a", node=recorded, index=0)
    builder.job("by index", "0", T0, None, node=listed)
    builder.job("by uuid", "GPU-a", T0 + S, None, node=listed)
    assert told(builder, "node", "device_id") == [(recorded, "GPU-a")] * 2


def test_a_short_name_that_could_be_two_nodes_is_neither(tmp_path):
    builder = LakeBuilder(tmp_path)
    for domain in ("a", "b"):
        builder.device(f"GPU-{domain}", node=f"gpu-01.{domain}.org", index=0)
    builder.job("lost", "0", T0, None, node="gpu-01")
    builder.job("found", "GPU-b", T0, None, node="gpu-01")
    assert told(builder, "job_id", "node", "device_id") == [
        ("found", "gpu-01.b.org", "GPU-b"),
        ("lost", "gpu-01", "gpu-01/0"),
    ]


@pytest.mark.parametrize("how", ["recorded", "listed"])
def test_a_node_that_comes_later_makes_no_earlier_name_ambiguous(tmp_path, how):
    builder = LakeBuilder(tmp_path)
    builder.device("GPU-a", node="gpu-01.a.org", index=0)
    builder.job("before", "0", T0 - DAY, T0, node="gpu-01")
    builder.job("j", "0", T0, T0 + S, node="gpu-01")
    if how == "recorded":
        builder.device("GPU-b", node="gpu-01.b.org", index=0, ts_us=T0 + DAY)
    else:  # a typing error in a later list
        builder.job("other", "7", T0 + DAY, T0 + DAY + S, node="gpu-01.b.org")
    builder.job("k", "0", T0 + DAY, T0 + DAY + S, node="gpu-01")
    found = dict(told(builder, "job_id", "device_id"))
    assert (found["before"], found["j"]) == ("GPU-a", "GPU-a")
    assert found["k"] == "gpu-01/0"  # now the short name could be either


@pytest.mark.parametrize("how", ["withdrawn", "corrected", "replaced"])
def test_a_typing_error_that_no_longer_counts_makes_no_name_ambiguous(tmp_path, how):
    builder = LakeBuilder(tmp_path)
    builder.device("GPU-a", node="gpu-01.a.org", index=0, ts_us=T0 - DAY)
    wrong = {"node": "gpu-01.b.org", "allocation_id": "1" if how == "corrected" else None}
    builder.job("y", "0", T0 - DAY, None if how == "replaced" else T0 - S, **wrong)
    builder.job("x", "0", T0, T0 + S, node="gpu-01")
    assert ("x", "gpu-01/0") in told(builder, "job_id", "device_id")
    later = {**wrong, "recorded_us": T0 + 1}
    if how == "withdrawn":
        builder.job("y", "0", T0 - DAY, T0 - DAY, **later)
    elif how == "corrected":
        builder.job("y", "0", T0 - DAY, T0 - S, **{**later, "node": "gpu-01.a.org"})
    else:  # by one that begins after the job in question
        builder.job("y", "0", T0 + DAY, T0 + 2 * DAY, **later)
    assert ("x", "GPU-a") in told(builder, "job_id", "device_id")


def test_two_listed_nodes_are_never_one_recorded_node(tmp_path):
    builder = LakeBuilder(tmp_path)
    builder.device("GPU-a", node="gpu-01", index=0)
    for domain in ("a", "b"):
        builder.job(domain, "0", T0, None, node=f"gpu-01.{domain}.org")
    assert told(builder, "device_id") == [("gpu-01.a.org/0",), ("gpu-01.b.org/0",)]


def test_a_node_that_gets_its_full_name_keeps_its_jobs(built):
    built.device("GPU-a", index=0, ts_us=T0 + 5 * S, node="n1.example.org")
    built.job("j", "0", T0, T0 + 9 * S)
    assert told(built, "node", "start_us", "end_us") == [
        ("n1", T0, T0 + 5 * S),
        ("n1.example.org", T0 + 5 * S, T0 + 9 * S),
    ]


def test_a_board_that_moved_to_another_node_ends_its_allocation(built):
    built.device("GPU-a", index=3, ts_us=T0 + 5 * S, node="n2")
    built.job("j", "0", T0, None)
    built.job("k", "3", T0 + 6 * S, None, node="n2")
    assert told(built, "job_id", "node", "device_id", "end_us") == [
        ("j", "n1", "GPU-a", T0 + 5 * S),
        ("k", "n2", "GPU-a", None),
    ]


def test_the_rest_of_an_allocation_with_an_end_stays_claimed(built):
    """What the job held after its board was found elsewhere is unknown: it has no readings."""
    built.device("GPU-a", index=3, ts_us=T0 + 5 * S, node="n2")
    built.device("GPU-a", index=0, ts_us=T0 + 8 * S)  # it comes back: still unknown
    built.job("over", "0", T0, T0 + 5 * S)
    built.job("cut", "GPU-a", T0 + S, T0 + 9 * S)
    assert told(built, "job_id", "node", "device_id", "start_us", "end_us") == [
        ("over", "n1", "GPU-a", T0, T0 + 5 * S),
        ("cut", "n1", "GPU-a", T0 + S, T0 + 5 * S),
        ("cut", "n1", "n1/GPU-a", T0 + 5 * S, T0 + 9 * S),
    ]


def test_a_mig_instance_moves_with_its_board(built):
    instances(built, ["MIG-1"], T0, mig_ppm=500_000)
    built.job("before", "MIG-1", T0 + S, T0 + 9 * S)
    built.device("GPU-a", index=0, ts_us=T0 + 5 * S, node="n2")
    built.job("after", "MIG-1", T0 + 6 * S, T0 + 9 * S, node="n2")
    assert told(built, "job_id", "node", "device_id", "end_us") == [
        ("before", "n1", "GPU-a", T0 + 5 * S),
        ("after", "n2", "GPU-a", T0 + 9 * S),
        ("before", "n1", "n1/GPU-a", T0 + 9 * S),
    ]


def test_a_device_that_was_never_seen_keeps_its_allocation(built):
    names = ["2", "nvidia7", "00000000:FF:00.0", "GPU-unseen", "MIG-unseen"]
    for name in names:
        built.job(name, name, T0, None)
    built.job("elsewhere", "nvidia7", T0, None, node="n9")
    assert {row[0]: row[1:] for row in told(built, "job_id", "device_id", "node")} == {
        "2": ("n1/2", "n1"),
        "nvidia7": ("n1/nvidia7", "n1"),
        "00000000:FF:00.0": ("n1/00000000:FF:00.0", "n1"),
        "GPU-unseen": ("GPU-unseen", "n1"),
        "MIG-unseen": ("MIG-unseen", "n1"),
        "elsewhere": ("n9/nvidia7", "n9"),
    }


def instances(builder, names, ts_us, **more):
    for name in names:
        builder.device(name, index=None, ts_us=ts_us, mig_parent="GPU-a", **more)


def test_a_mig_instance_is_part_of_the_partition_of_its_time(built):
    instances(built, ["MIG-1", "MIG-2"], T0)
    built.job("january", "MIG-1", T0, T0 + S)
    built.job("before", "MIG-2", T0 - DAY, T0 - DAY + S)
    instances(built, ["MIG-3", "MIG-4", "MIG-5", "MIG-6"], T0 + DAY)
    built.job("february", "MIG-4", T0 + DAY, None, share_ppm=500_000)
    assert told(built, "job_id", "device_id", "share_ppm", "mig_id", "share_estimated") == [
        ("before", "GPU-a", 500_000, "MIG-2", True),
        ("january", "GPU-a", 500_000, "MIG-1", True),
        ("february", "GPU-a", 125_000, "MIG-4", True),
    ]


def test_an_instance_moves_with_what_is_known_of_it_then(built):
    instances(built, ["MIG-1"], T0, mig_ppm=285_714)
    instances(built, ["MIG-1"], T0 + DAY, mig_ppm=571_429)
    built.job("then", "MIG-1", T0, T0 + S)
    built.job("later", "MIG-1", T0 + DAY, None)
    assert told(built, "share_ppm", "share_estimated") == [(285_714, False), (571_429, False)]
