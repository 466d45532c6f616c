"""Devices of the kubelet become boards, MIG instances and shares of them."""

import json

import pytest

from tests.collectors.sources.kubernetes.rig import GPU, MIG, Rig, number_instances
from tests.support.kubelet import claim, pod

POOL = "n1"


def held(rows):
    return [(row["job_id"], row["device_id"], row["share_ppm"]) for row in rows]


def test_a_board_belongs_to_the_pod_with_its_names(rig):
    rig.kubelet.pods = [pod("web-0", GPU[1], namespace="team-a", container="server"), pod("none")]
    [row] = rig.run(1)
    assert (row["job_id"], row["device_id"], row["share_ppm"]) == (
        "team-a/web-0",
        GPU[1],
        1_000_000,
    )
    assert (row["scheduler"], row["method"]) == ("kubernetes", "podresources")
    assert (row["user"], row["name"], row["end_us"]) == ("team-a", "server", None)
    assert json.loads(row["labels"])["resource"] == "nvidia.com/gpu"


def test_two_replicas_of_a_board_are_half_of_it_each(rig):
    ids = [f"{GPU[0]}::{number}" for number in range(2)]
    rig.kubelet.allocatable = ids
    rig.kubelet.pods = [pod("a", ids[0]), pod("b", ids[1], resource="nvidia.com/gpu.shared")]
    rows = rig.run(1)
    assert held(rows) == [("default/a", GPU[0], 500_000), ("default/b", GPU[0], 500_000)]


def test_a_pod_with_two_of_four_replicas_has_half_of_the_board(rig):
    ids = [f"{GPU[0]}::{number}" for number in range(4)]
    rig.kubelet.allocatable = ids
    rig.kubelet.pods = [pod("a", ids[0], ids[1]), pod("b", ids[3])]
    assert set(held(rig.run(1))) == {("default/a", GPU[0], 500_000), ("default/b", GPU[0], 250_000)}


def test_replicas_are_those_that_are_listed_where_nobody_says_how_many_there_are(rig):
    rig.kubelet.has_allocatable = False
    rig.kubelet.pods = [pod("a", f"{GPU[0]}::3")]
    assert held(rig.run(3)) == [("default/a", GPU[0], 250_000)]
    [said] = rig.said()
    assert "PodResources v1" in said


def test_a_kubelet_that_forgets_its_devices_for_a_moment_changes_no_share(rig):
    rig.kubelet.allocatable = [f"{GPU[0]}::{number}" for number in range(4)]
    rig.kubelet.pods = [pod("a", f"{GPU[0]}::0")]
    assert held(rig.run(1)) == [("default/a", GPU[0], 250_000)]
    rig.kubelet.allocatable = []
    assert rig.run(130) == []
    assert rig.kubelet.calls.count("GetAllocatableResources") == 3


def test_mig_instances_by_uuid_and_their_replicas(rig):
    rig.kubelet.allocatable = [f"{MIG[1]}::0", f"{MIG[1]}::1"]
    rig.kubelet.pods = [
        pod("a", MIG[0], resource="nvidia.com/mig-3g.20gb"),
        pod("b", f"{MIG[1]}::1", resource="nvidia.com/mig-4g.20gb.shared"),
    ]
    assert held(rig.run(1)) == [("default/a", MIG[0], 1_000_000), ("default/b", MIG[1], 500_000)]


def test_device_files_and_the_instances_on_them(rig, monkeypatch):
    number_instances(monkeypatch)
    rig.kubelet.allocatable = ["nvidia1/vgpu0", "nvidia1/vgpu1", "nvidia1/vgpu2"]
    rig.kubelet.pods = [
        pod("whole", "nvidia3"),  # minor number 3 is index 0
        pod("part", "nvidia0/gi2"),
        pod("third", "nvidia1/vgpu2"),
    ]
    assert held(rig.run(1)) == [
        ("default/whole", GPU[0], 1_000_000),
        ("default/part", MIG[1], 1_000_000),
        ("default/third", GPU[2], 333_333),
    ]


@pytest.mark.parametrize(
    ("device", "why"),
    [
        ("GPU-99999999-0000-4000-8000-000000000000", "fits no board or MIG instance"),
        ("nvidia9", "fits the minor number of no board"),
        ("nvidia0/gi7", "names an instance that"),
        ("0000:17:00.0", "neither a UUID nor a device file"),
    ],
)
def test_a_device_that_is_no_known_board_is_claimed_and_told_once(rig, monkeypatch, device, why):
    number_instances(monkeypatch)
    rig.kubelet.pods = [pod("a", device)]
    assert held(rig.run(5)) == [("default/a", device, 1_000_000)]
    [said] = [text for text in rig.said() if device in text]
    assert why in said
    assert any(level == "warn" and why in text for level, text in rig.findings())


def test_devices_of_other_vendors_are_one_finding(rig):
    rig.kubelet.pods = [
        pod("a", "eth1", resource="intel.com/sriov"),
        pod("b", "card0", resource="amd.com/gpu"),
        pod("c", claims=[claim("net", ("dra.net", POOL, "eth0"))]),
    ]
    assert rig.run(2) == []
    [found] = [text for _, text in rig.findings() if "ignored" in text]
    assert found.endswith("amd.com/gpu, dra.net, intel.com/sriov")


def slices(folder, *devices, wrap=lambda attributes: {"attributes": attributes}):
    path = folder / "slices.json"
    spec = {"driver": "gpu.nvidia.com", "pool": {"name": POOL}}
    spec["devices"] = [
        {"name": name} | wrap({key: {"string": value} for key, value in given.items()})
        for name, given in devices
    ]
    path.write_text(json.dumps({"items": [{"spec": spec}]}))
    return str(path)


@pytest.mark.parametrize(
    "wrap", [lambda given: {"attributes": given}, lambda given: {"basic": {"attributes": given}}]
)
def test_claims_are_found_by_their_attributes(tmp_path, wrap):
    path = slices(
        tmp_path,
        ("gpu-0", {"uuid": GPU[2].lower()}),
        ("mig-a", {"uuid": MIG[0].lower(), "parentUUID": GPU[3], "profile": "3g.20gb"}),
        ("mig-b", {"parentUUID": GPU[3].lower(), "gpu.nvidia.com/profile": "4g.20gb"}),
        wrap=wrap,
    )
    rig = Rig(tmp_path, resource_slices=path)
    rig.kubelet.start()
    rig.kubelet.pods = [
        pod(name, claims=[claim("c", ("gpu.nvidia.com", POOL, device))])
        for name, device in (("whole", "gpu-0"), ("part", "mig-a"), ("made", "mig-b"))
    ]
    try:
        assert held(rig.run(1)) == [
            ("default/whole", GPU[2], 1_000_000),
            ("default/part", MIG[0], 1_000_000),
            ("default/made", GPU[3], 571_429),
        ]
    finally:
        rig.kubelet.stop()


def test_two_pods_of_one_claim_have_half_of_it_each_and_one_has_it_all_again(rig):
    # gpu-N is minor number N; index and number agree for none of these boards but none is 5.
    rig.source._poll._devices._boards[0].minor = 0
    rig.source._poll._devices._boards[3].minor = 3
    shared = claim("c", ("gpu.nvidia.com", POOL, "gpu-0"))
    rig.kubelet.pods = [pod("a", claims=[shared]), pod("b", claims=[shared])]
    assert held(rig.run(1)) == [("default/a", GPU[0], 500_000), ("default/b", GPU[0], 500_000)]
    rig.kubelet.pods = [pod("a", claims=[shared])]
    rows = rig.run(40)
    assert [(r["job_id"], r["share_ppm"], r["end_us"] is None) for r in rows] == [
        ("default/a", 500_000, False),
        ("default/a", 1_000_000, True),
        ("default/b", 500_000, False),
    ]


def test_a_claim_that_could_be_two_boards_is_claimed_and_told_once(rig):
    rig.kubelet.pods = [pod("a", claims=[claim("c", ("gpu.nvidia.com", POOL, "gpu-0"))])]
    name = f"gpu.nvidia.com/{POOL}/gpu-0"
    assert held(rig.run(3)) == [("default/a", name, 1_000_000)]
    [said] = [text for text in rig.said() if name in text]
    assert "could be 2 boards; give the attributes" in said


def test_a_file_of_slices_that_cannot_be_read_is_told_once_until_it_can(tmp_path):
    path = tmp_path / "slices.json"
    path.write_text("[1]")
    rig = Rig(tmp_path, resource_slices=str(path))
    rig.kubelet.start()
    rig.kubelet.pods = [pod("a", claims=[claim("c", ("gpu.nvidia.com", POOL, "x"))])]
    try:
        rig.run(3)
        assert len([text for text in rig.said() if "kubectl get resourceslices" in text]) == 1
        slices(tmp_path, ("x", {"uuid": GPU[0]}))
        assert held(rig.run(1))[-1] == ("default/a", GPU[0], 1_000_000)
    finally:
        rig.kubelet.stop()
