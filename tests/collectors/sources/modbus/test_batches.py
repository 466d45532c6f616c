"""Few requests read all registers, and none asks for more than the protocol allows."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenergy_collectors.sources.modbus.batches import MOST_GAP, MOST_WORDS, make_batches
from tokenergy_collectors.sources.modbus.settings import Register


def register(address, type_="uint16", kind="holding"):
    return Register(meter=f"{kind} {address}", address=address, type=type_, kind=kind)


def spans(*registers):
    return [(batch.address, batch.count) for batch in make_batches(registers)]


@pytest.mark.parametrize(
    ("registers", "expected"),
    [
        ([register(0), register(17)], [(0, 18)]),  # 16 between them
        ([register(0), register(18)], [(0, 1), (18, 1)]),
        ([register(17), register(0)], [(0, 18)]),
        ([register(0, "uint64"), register(20)], [(0, 21)]),
        ([register(at) for at in range(0, 125, 2)], [(0, 125)]),
        ([register(at) for at in range(0, 127, 2)], [(0, 125), (126, 1)]),
        ([register(at, "uint32") for at in range(1, 127, 2)], [(1, 124), (125, 2)]),
        ([register(0), register(1, kind="input")], [(0, 1), (1, 1)]),
        ([register(65_535)], [(65_535, 1)]),
    ],
)
def test_neighbours_share_a_request(registers, expected):
    assert spans(*registers) == expected


@given(st.sets(st.tuples(st.sampled_from(["holding", "input"]), st.integers(0, 600))))
def test_every_register_is_read_once(places):
    registers = [register(address, kind=kind) for kind, address in places]
    batches = make_batches(registers)
    assert sorted(one.meter for batch in batches for one in batch.registers) == sorted(
        one.meter for one in registers
    )
    for batch in batches:
        assert batch.count <= MOST_WORDS
        assert len({one.kind for one in batch.registers}) == 1
        for one, two in pairwise(batch.registers):
            assert 0 <= two.address - one.end <= MOST_GAP
