"""Which meters of a host may be added up."""

from pathlib import Path

import pytest

from tokenergy_collectors.lake.hostdomains import RAPL_KINDS, Kind, added_up, rapl_kind


def test_no_kind_that_is_added_is_inside_another_one_that_is():
    added = {name for name, kind in RAPL_KINDS.items() if kind.added}
    assert added == {"package", "dram"}
    for name in added:
        assert not added & set(RAPL_KINDS[name].inside)


def test_what_a_kind_is_inside_of_is_a_kind_and_contains_all_that_is_inside_it():
    for kind in RAPL_KINDS.values():
        for outer in kind.inside:
            assert set(RAPL_KINDS[outer].inside) <= set(kind.inside)


def test_packages_and_memory_are_added_and_parts_and_platforms_are_not():
    found = ["psys-0", "package-1", "dram-1", "core-1", "uncore-0", "package-0-die-1", "dram-0"]
    assert added_up(found * 2) == ["dram-0", "dram-1", "package-0-die-1", "package-1"]


@pytest.mark.parametrize(
    "domain", ["psu", "package", 'psys{zone="0"}', "module:GPU-1", "packages-0", "gpu-0", ""]
)
def test_other_meters_are_no_rapl_meters(domain):
    assert rapl_kind(domain) is None
    assert added_up([domain]) == []


def test_the_page_says_what_the_data_says():
    page = Path(__file__).parents[3] / "docs" / "host-energy.md"
    found = {}
    for line in page.read_text("utf-8").splitlines():
        if line.startswith("| `") and "-N`" in line:
            domain, _, inside, added = (cell.strip() for cell in line.strip("|").split("|"))
            outer = tuple(filter(None, inside.split(", ")))
            found[domain.strip("`").removesuffix("-N")] = Kind(outer, added == "yes")
    assert found == RAPL_KINDS
