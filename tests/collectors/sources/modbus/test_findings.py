"""`tokenergy-collect check` reads each register once, and says what to do about those it cannot."""

import pytest

from tests.collectors.sources.modbus.rig import Rig, device
from tests.support.modbus import MeterServer, SilentServer, words_of


def test_each_register_is_read_by_itself_and_shown():
    blocks = {
        0: words_of("f", 230.1),
        2: words_of("Q", 2**64 - 2),
        6: [0xFFFF],
        7: words_of("h", -3),
    }
    registers = (("u", 0, "float32"), ("e", 2, "uint64"), ("none", 6, "uint16"), ("t", 7, "int16"))
    with MeterServer({1: blocks}) as server:
        with Rig(device(server.port, *registers, ("bad", 8, "uint16"))) as rig:
            found = rig.check()
            assert [request[2:] for request in server.requests] == [
                (0, 2), (2, 4), (6, 1), (7, 1), (8, 1)
            ]  # fmt: skip
        place = f"at 127.0.0.1:{server.port} device 1, holding register"
        assert [(one.level, one.text) for one in found] == [
            ("ok", f"u {place} 0: 230.100006104 (float32)"),
            ("ok", f"e {place} 2: 18446744073709551614 (uint64)"),
            ("warn", f"none {place} 6: reads 65535 (all ones), which means no reading"),
            ("ok", f"t {place} 7: -3 (int16)"),
            (
                "warn",
                f"bad {place} 8: the device has no register at this address (exception 2); "
                "addresses count from 0: manuals often count from 1, or write 40001 for holding "
                "register 0",
            ),
        ]


@pytest.mark.parametrize(
    ("type_", "code", "number", "shown"),
    [
        ("float32", "f", 230.5, "230.5"),
        ("uint32", "I", 1_234, "1234"),
        ("uint64", "Q", 9_876_543_210, "9876543210"),
        ("float64", "d", 0.25, "0.25"),
    ],
)
@pytest.mark.parametrize("swapped", [False, True])
def test_a_word_order_that_looks_wrong_is_told(type_, code, number, shown, swapped):
    words = words_of(code, number, swapped=swapped)
    wrong, right = ("big", "little") if swapped else ("little", "big")
    with MeterServer({1: {0: words}}) as server:
        with Rig(device(server.port, ("m", 0, type_, {"word_order": wrong}))) as rig:
            [finding] = rig.check()
            assert finding.level == "warn"
            assert f"the other word_order gives {shown}: which is it?" in finding.text
        with Rig(device(server.port, ("m", 0, type_, {"word_order": right}))) as rig:
            assert [found.level for found in rig.check()] == ["ok"]


def test_a_server_that_is_off_is_tried_once():
    port = MeterServer({}).port
    with Rig(device(port, ("a", 0, "uint16"), ("b", 1, "uint16"))) as rig:
        first, rest = rig.check()
    assert first.text.endswith(
        "no connection: connection refused; is Modbus TCP switched on there, at port "
        f"{port}, and open for this host?"
    )
    assert rest.text == f"127.0.0.1:{port} device 1: its other meters: not asked"


def test_a_device_that_is_silent_may_have_another_unit_id():
    registers = [(str(address), address, "uint16") for address in range(5)]
    with SilentServer() as server, Rig(device(server.port, *registers, timeout_s=0.2)) as rig:
        found = [one.text for one in rig.check()]
    assert len(found) == 3
    assert found[0].endswith("no answer within 0.2 s; is 1 the unit id of the meter (device_id)?")
    assert found[2].endswith("its other meters: not asked")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (1, 'no registers of this kind (exception 1); try kind = "input"'),
        (11, "does not answer (exception 11); is device_id the unit id"),
        (99, "the device refuses (exception 99)"),
    ],
)
def test_what_to_do_about_an_exception(code, words):
    answer = bytes([0, 1, 0, 0, 0, 3, 1, 0x83, code])
    with SilentServer(answer) as server, Rig(device(server.port, ("m", 0, "uint16"))) as rig:
        [finding] = rig.check()
    assert words in finding.text
