"""One meter id belongs to one meter, in all sources together."""

import pytest

from tokenergy_collectors.sources.meters.settings import refuse_shared, refuse_twice


def test_a_meter_of_two_sources_is_refused():
    refuse_shared({"modbus": ["a", "b"], "nut": ["c"]})
    with pytest.raises(ValueError, match=r"meter 'b' is used in \[\[modbus\]\] and in \[\[nut\]\]"):
        refuse_shared({"modbus": ["a", "b"], "nut": ["c", "b"]})
    with pytest.raises(ValueError, match="meter 'b' is used twice"):
        refuse_shared({"modbus": ["a"], "nut": ["c", "b", "b"]})


def test_a_meter_or_a_device_with_two_tables_is_refused():
    refuse_twice(["a", "b"], ["x", "y"])
    with pytest.raises(ValueError, match="meter 'a' is used twice"):
        refuse_twice(["a", "b", "a"], ["x"])
    with pytest.raises(ValueError, match="x has two tables"):
        refuse_twice(["a"], ["x", "x"])
