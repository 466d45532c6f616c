"""The `modbus` source against pymodbus' real server: readings are rows, and nothing else is."""

import math
import struct
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.collectors.sources.modbus.rig import T0_US, N, Rig, S, device
from tests.support.modbus import CODES, MeterServer, words_of

POWER, ENERGY, LOST = ("power", 0, "float32"), ("energy", 10, "uint64"), "meter_lost"
METERS = {0: words_of("f", 123_456.5), 10: words_of("Q", 2**64 - 2)}


def test_registers_become_rows_exactly():
    swapped = {"word_order": "little"}
    blocks = METERS | {
        20: words_of("Q", 9_876_543_210_123, swapped=True),
        30: words_of("f", 0.1),
        40: words_of("h", -5),
    }
    with MeterServer({1: blocks}) as server:
        registers = (("swapped", 20, "uint64", swapped), ("tenth", 30, "float32"))
        with Rig(device(server.port, POWER, ENERGY, *registers, ("t", 40, "int16"))) as rig:
            [health] = rig.run(0)
            assert (health.source, health.succeeded) == (f"modbus/127.0.0.1:{server.port}/1", True)
            common = {"ts_us": T0_US, "node": "n1", "source": "modbus", "average_us": None}
            assert rig.rows == [
                common | {"meter_id": meter, "value_n": value_n, "resolution_n": step_n}
                for meter, value_n, step_n in (
                    ("power", 123_456_500_000_000, N // 128),
                    ("energy", 18_446_744_073_709_551_614 * N, N),
                    ("swapped", 9_876_543_210_123 * N, N),
                    ("tenth", 100_000_001, 8),  # float32 has 0.100000001490116..., in steps of 7.5
                    ("t", -5 * N, N),
                )
            ]
            assert server.requests == [(1, 3, 0, 41)]  # one request, gaps included
            assert rig.events == []


@st.composite
def layouts(draw):
    """Registers of all types, with gaps between them: address, type, word order, number."""
    found, address = [], draw(st.integers(0, 300))
    for _ in range(draw(st.integers(1, 40))):
        type_, code = draw(st.sampled_from(list(CODES.items())))
        size = struct.calcsize(code)
        [number] = struct.unpack(f">{code}", draw(st.binary(min_size=size, max_size=size)))
        found.append((address, type_, draw(st.sampled_from(["big", "little"])), number))
        address += size // 2 + draw(st.sampled_from([0, 0, 1, 16, 17]))
    return found


@settings(max_examples=40, deadline=None)  # each example starts a server
@given(layouts())
def test_any_registers_are_read_back(layout):
    blocks, registers, expected = {}, [], {}
    for address, type_, order, number in layout:
        blocks[address] = words_of(CODES[type_], number, swapped=order == "little")
        meter = str(address)
        registers.append((meter, address, type_, {"word_order": order, "invalid": []}))
        if math.isfinite(number) and abs(number) < 1e29:
            expected[meter] = round(Fraction(number) * N)
    with MeterServer({1: blocks}) as server, Rig(device(server.port, *registers)) as rig:
        rig.run(0)
        assert dict(rig.values()) == expected
        assert len(rig.events) == len(layout) - len(expected)
        assert all(request[3] <= 125 for request in server.requests)


def test_registers_that_are_far_apart_or_of_another_kind_have_requests_of_their_own():
    blocks = {0: [1], 17: [2], 35: [3], 300: [4]}
    with MeterServer({1: blocks}) as server:
        registers = [(str(address), address, "uint16") for address in blocks]
        registers[1] += ({"kind": "input"},)
        with Rig(device(server.port, *registers)) as rig:
            rig.run(0)
            assert dict(rig.values()) == {"0": N, "17": 2 * N, "35": 3 * N, "300": 4 * N}
            assert sorted(server.requests) == [
                (1, 3, 0, 1), (1, 3, 35, 1), (1, 3, 300, 1), (1, 4, 17, 1)
            ]  # fmt: skip


def test_addresses_between_meters_need_not_exist():
    blocks = {0: [1], 2: [2], 5: [3], 6: [4]}
    registers = [(str(address), address, "uint16") for address in blocks]
    with (
        MeterServer({1: blocks}, holes=True) as server,
        Rig(device(server.port, *registers)) as rig,
    ):
        rig.run(0)
        assert dict(rig.values()) == {"0": N, "2": 2 * N, "5": 3 * N, "6": 4 * N}
        assert rig.events == []
        server.requests.clear()
        rig.run(10)
        assert server.requests == [(1, 3, 0, 1), (1, 3, 2, 1), (1, 3, 5, 2)]


def test_one_bad_address_loses_no_other_meter():
    blocks = {address: [address] for address in range(8)}
    good = [(str(address), address, "uint16") for address in blocks]
    with (
        MeterServer({1: blocks}) as server,
        Rig(device(server.port, *good, ("bad", 9, "uint16"))) as rig,
    ):
        [health] = rig.run(0)
        assert dict(rig.values()) == {str(address): address * N for address in blocks}
        why = "bad: the device has no register at this address (exception 2)"
        where = f"127.0.0.1:{server.port} device 1, holding register 9"
        assert rig.events == [(LOST, f"{why}; {where}")]
        assert (health.succeeded, rig.kinds()) == (False, [LOST])
        server.requests.clear()
        rig.run(10)
        # What was refused is not asked again in the same way: the parts that worked are kept.
        assert [request[2:] for request in server.requests] == [
            (0, 4), (4, 2), (6, 1), (7, 1), (9, 1)
        ]  # fmt: skip
        assert len(rig.values()) == 8
        assert rig.kinds() == []


def test_a_device_with_a_limit_of_its_own_is_read_in_smaller_requests():
    blocks = {0: list(range(100))}
    registers = [(str(address), address, "uint16") for address in range(100)]
    limited = MeterServer({1: blocks}, lambda request: 3 if request[3] > 30 else None)
    with limited as server, Rig(device(server.port, *registers)) as rig:
        assert [health.succeeded for health in rig.run(0)] == [True]
        assert len(rig.values()) == 100
        server.requests.clear()
        rig.run(10)
        assert [request[3] for request in server.requests] == [25, 25, 25, 25]
        rig.run(3600)
        assert max(request[3] for request in server.requests) == 100  # it may accept them again


@pytest.mark.parametrize("code", [6, 11])
def test_a_device_that_is_busy_or_off_is_not_asked_register_by_register(code):
    blocks = {0: list(range(9))}
    registers = [(str(address), address, "uint16") for address in range(9)]
    with (
        MeterServer({1: blocks}, lambda _: code) as server,
        Rig(device(server.port, *registers)) as rig,
    ):
        rig.run(0)
        assert len(server.requests) == 1
        assert rig.kinds() == [LOST] * 9


@pytest.mark.parametrize(
    ("type_", "words", "why"),
    [
        ("uint16", [0xFFFF], "reads 65535 (all ones), which means no reading"),
        ("uint64", [0xFFFF] * 4, "reads 18446744073709551615 (all ones), which means no reading"),
        ("int32", [0x8000, 0], "reads -2147483648 (the smallest int32), which means no reading"),
        ("float32", words_of("f", math.nan), "reads nan, which is no reading"),
        ("float64", words_of("d", -math.inf), "reads -inf, which is no reading"),
        ("float64", words_of("d", 1e30), "reads 1e+30, which is too large for a meter"),
    ],
)
def test_what_means_no_reading_is_an_event_and_no_row(type_, words, why):
    with (
        MeterServer({1: {0: words, 8: [7]}}) as server,
        Rig(device(server.port, ("m", 0, type_), ("good", 8, "uint16"))) as rig,
    ):
        [health] = rig.run(25)  # three readings
        assert [meter for meter, _ in rig.values()] == ["good"] * 3
        place = f"127.0.0.1:{server.port} device 1, holding register 0"
        assert rig.events == [(LOST, f"m: {why}; {place}")]
        assert (health.runs, health.failures) == (3, 3)
        server.put(0, [0] * len(words))
        assert rig.run(10)[0].succeeded
        assert rig.values() == [("m", 0), ("good", 7 * N)]
        assert rig.events[1:] == [("meter_found", "m gives readings again")]


def test_numbers_that_mean_no_reading_may_be_named():
    with (
        MeterServer({1: {0: [0xFFFF, 0x8000], 2: words_of("f", -9999.9)}}) as server,
        Rig(
            device(
                server.port,
                ("full", 0, "uint16", {"invalid": []}),
                ("named", 1, "uint16", {"invalid": [1, 0x8000]}),
                ("float", 2, "float32", {"invalid": [-9999.9]}),
            )
        ) as rig,
    ):
        rig.run(0)
        assert rig.values() == [("full", 65_535 * N)]
        assert [detail.split(";")[0] for _, detail in rig.events] == [
            "named: reads 32768, which means no reading",
            "float: reads -9999.9, which means no reading",
        ]


def test_a_server_that_dies_and_comes_back(capsys):
    with MeterServer({1: dict(METERS)}) as server:
        with Rig(device(server.port, POWER, ENERGY)) as rig:
            rig.run(10)
            assert len(rig.values()) == 4
            server.kill()
            [health] = rig.run(300)
            assert (rig.values(), rig.kinds()) == ([], [LOST, LOST])
            assert not health.succeeded
            server.start()
            rig.run(61)  # the longest wait
            assert rig.kinds() == ["meter_found", "meter_found"]
            assert {meter for meter, _ in rig.values()} == {"power", "energy"}
            assert [health.succeeded for health in rig.run(10)] == [True]
        lines = capsys.readouterr().err.splitlines()
        assert ["source_failed" in line or "source_works" in line for line in lines] == [True] * 2
        assert "2 of 2 meters give no reading; power: no connection: connection refused" in lines[0]


def test_a_server_that_is_away_is_asked_less_and_less_often():
    with Rig(device(_unused_port(), POWER, every_s=1.0, timeout_s=0.2)) as rig:
        tries = []
        reader = rig.source._readers[0]
        read = reader._link.read
        reader._link.read = lambda *args: (tries.append(rig.clock.monotonic_us()), read(*args))[1]
        rig.run(300)
        waits = [(two - one) // S for one, two in pairwise(tries)]
        assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
        assert rig.kinds() == [LOST]


def test_a_server_that_closed_an_idle_connection_loses_nothing():
    with MeterServer({1: dict(METERS)}) as server, Rig(device(server.port, POWER)) as rig:
        rig.run(0)
        server.kill()
        server.start()
        assert [health.succeeded for health in rig.run(10)] == [True]
        assert len(rig.values()) == 2
        assert rig.kinds() == []


def test_devices_behind_one_gateway_share_a_connection():
    with MeterServer({1: {0: [1]}, 7: {0: [7]}}) as server:
        one = device(server.port, ("a", 0, "uint16"))
        two = device(server.port, ("b", 0, "uint16"), device_id=7)
        with Rig(one, two) as rig:
            rig.run(20)
            assert set(rig.values()) == {("a", N), ("b", 7 * N)}
            assert server.connections == 1


def test_an_emulated_node_reads_no_meters():
    with Rig(device(_unused_port(), POWER)) as rig:
        rig.host.emulated = True
        assert type(rig.source)(rig.keys, rig.host)._readers == []
        assert [str(found) for found in rig.check()] == [
            "ok    modbus    not read on an emulated node"
        ]


def _unused_port():
    return MeterServer({}).port
