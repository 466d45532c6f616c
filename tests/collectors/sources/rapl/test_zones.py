"""Which zones a host has, what they are called, and what they show."""

import pytest

from tests.support.powercap import INTEL_RANGE_UJ, Powercap, server
from tokenergy_collectors.sources.rapl.zones import Shown, find_zones, read_zone


def domains(folder):
    return [zone.domain for zone in find_zones(folder).zones]


def test_zones_are_named_by_what_they_measure_and_the_number_of_the_package(tmp_path):
    tree = server(tmp_path)
    assert domains(tree.folder) == [
        *("package-0", "core-0", "dram-0", "package-1", "core-1", "dram-1", "psys-0")
    ]
    assert find_zones(tree.folder).problems == []


def test_dies_and_further_platforms_keep_the_kernels_numbers(tmp_path):
    tree = Powercap(tmp_path)
    tree.add("intel-rapl:0", "package-1-die-0", 9)
    tree.add("intel-rapl:0:0", "dram", 9)
    tree.add("intel-rapl:1", "psys-1", 9)
    tree.add("intel-rapl:a", "package-2", 9)
    tree.add("intel-rapl:a:0", "uncore", 9)
    tree.add("intel-rapl:9", "accelerator", 9)
    tree.add("intel-rapl:10", "package-3", 9)
    assert domains(tree.folder) == [
        *("package-1-die-0", "dram-1-die-0", "psys-1"),
        *("accelerator-9", "package-2", "uncore-2", "package-3"),
    ]


def test_a_folder_with_zones_inside_each_other_is_read_too(tmp_path):
    tree = server(tmp_path)
    assert domains(tree.devices / "intel-rapl") == domains(tree.folder)


def test_two_zones_of_one_name_are_one_meter_and_a_problem(tmp_path):
    tree = server(tmp_path)
    tree.add("intel-rapl:3", "package-1", 9)
    found = find_zones(tree.folder)
    assert [zone.path.name for zone in found.zones if zone.domain == "package-1"] == [
        "intel-rapl:1"
    ]
    assert found.problems == ["intel-rapl:3: is package-1, as intel-rapl:1 is; it is not read"]


def test_links_that_lead_nowhere_are_problems(tmp_path):
    tree = server(tmp_path)
    (tree.folder / "intel-rapl:5").symlink_to(tmp_path / "hidden")
    (tree.path("intel-rapl:1:0") / "name").write_text("\n")
    found = find_zones(tree.folder)
    assert len(found.zones) == 6
    assert sorted(text.split(": its name")[0] for text in found.problems) == [
        *("intel-rapl:1:0", "intel-rapl:5")
    ]


@pytest.mark.parametrize("what", ["gone", "empty", "file"])
def test_no_tree_is_no_zones(tmp_path, what):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    assert find_zones(tmp_path / what) == ([], [])


def test_a_zone_shows_its_counter_and_its_range(tmp_path):
    tree = Powercap(tmp_path)
    tree.add("intel-rapl:0", "package-0", INTEL_RANGE_UJ, counter_uj=INTEL_RANGE_UJ)
    [zone] = find_zones(tree.folder).zones
    assert read_zone(zone) == Shown(INTEL_RANGE_UJ, INTEL_RANGE_UJ)


@pytest.mark.parametrize("text", ["", "-1\n", "1.5\n", "many\n", "²\n", "11\n", "9" * 30])
def test_what_is_no_counter_is_refused(tmp_path, text):
    tree = Powercap(tmp_path)
    tree.add("intel-rapl:0", "package-0", 10)
    tree.write("intel-rapl:0", text)
    [zone] = find_zones(tree.folder).zones
    with pytest.raises(ValueError, match="energy_uj is"):
        read_zone(zone)


@pytest.mark.parametrize("range_uj", [0, 2**63])
def test_a_range_that_cannot_be_is_refused(tmp_path, range_uj):
    tree = Powercap(tmp_path)
    tree.add("intel-rapl:0", "package-0", 10)
    (tree.path("intel-rapl:0") / "max_energy_range_uj").write_text(str(range_uj))
    [zone] = find_zones(tree.folder).zones
    with pytest.raises(ValueError, match="max_energy_range_uj is"):
        read_zone(zone)
