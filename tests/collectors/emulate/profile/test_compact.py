"""Ranges of nodes, whole nodes, one job a node: written compactly, the same as written out."""

import pytest

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.nameranges import expand_names
from tokenergy_collectors.emulate.profile.profile import load_profile

RANGES = """
name = "ranges"
start = 2026-01-15T08:00:00Z
duration_s = 60
seed = 7
[nodes."gpu-{08..11}"]
boards = "h100"
count = 2
[nodes.big]
boards = "v100"
[[jobs]]
id = "wide"
devices = { "gpu-{08..09}" = "all", big = [3] }
start_s = 0
end_s = 50
workload = { type = "reservation" }
[[jobs]]
id = "each"
per_node = true
devices = { "gpu-{10..11}" = [1] }
start_s = 0
end_s = 50
workload = { type = "reservation" }
[[strays]]
id = "lone"
per_node = true
devices = { "gpu-{10..11}" = [0] }
start_s = 0
end_s = 50
workload = { type = "stray" }
"""


def load(tmp_path, text=RANGES):
    path = tmp_path / "ranges.toml"
    path.write_text(text)
    return load_profile(path)


def test_names():
    assert expand_names("gpu-{8..10}.x") == ["gpu-8.x", "gpu-9.x", "gpu-10.x"]
    assert expand_names("gpu-{098..101}") == ["gpu-098", "gpu-099", "gpu-100", "gpu-101"]
    assert expand_names("gpu-{1}") == ["gpu-{1}"]
    assert expand_names("plain") == ["plain"]


def test_a_compact_profile_is_written_out(tmp_path):
    profile = load(tmp_path)
    assert list(profile.nodes) == ["gpu-08", "gpu-09", "gpu-10", "gpu-11", "big"]
    assert {job.id: job.devices for job in profile.jobs} == {
        "wide": {"gpu-08": [0, 1], "gpu-09": [0, 1], "big": [3]},
        "each-gpu-10": {"gpu-10": [1]},
        "each-gpu-11": {"gpu-11": [1]},
    }
    assert [stray.id for stray in profile.strays] == ["lone-gpu-10", "lone-gpu-11"]


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("{08..11}", "{11..08}", ["'gpu-{11..08}'", "1 to 10000"]),
        ("{08..11}", "{0..99999}", ["100000 names"]),
        ("nodes.big", "nodes.gpu-10", ["'gpu-10' is declared twice"]),
        ("big = [3]", "gpu-09 = [0]", ["'wide'", "'gpu-09' twice"]),
        ("{08..09}", "{06..09}", ["'wide'", "'gpu-06'", "allowed nodes: gpu-08"]),
        ('gpu-{10..11}" = [1]', 'gpu-{10..11}" = [2]', ["'each-gpu-10'", "0 to 1"]),
        ('= "all"', '= "most"', ["devices.gpu-08", "list"]),
        ("per_node = true", "per_node = 1", ["per_node", "False"]),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path, old, new, parts):
    assert old in RANGES
    with pytest.raises(UserError) as caught:
        load(tmp_path, RANGES.replace(old, new, 1))
    line = str(caught.value)
    assert "\n" not in line
    for part in parts:
        assert part in line, line


def test_the_shipped_fleet_has_a_thousand_gpus_of_many_kinds():
    profile = load_profile("fleet")
    assert sum(node.count for node in profile.nodes.values()) == 1_024
    assert len({node.boards for node in profile.nodes.values()}) == 7
    assert max(len(job.devices) for job in profile.jobs) >= 16
