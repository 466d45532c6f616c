"""The methods for a host's energy, each alone and in their order, on plain numbers."""

from __future__ import annotations

import random

import pytest

from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.hosting.cpu import Cpu
from tokenergy_sql.hosting.deciding import DOUBTS, Shown, host_of
from tokenergy_sql.hosting.host import Boards, Host
from tokenergy_sql.hosting.measured import Input, measured
from tokenergy_sql.hosting.modelled import Model, modelled
from tokenergy_sql.metering.amount import Amount

BOARDS = Boards(6_000, 5_700, 6_300, 2 * HOUR_US, 2 * HOUR_US)
METERS = Amount(10_000, 9_900, 10_100)
MODEL = Model(100, 1_100_000, 50_000, 7, 9, 20_000, 0, 10_000, 0, 10_000)


def input_(meters: Amount = METERS, boards: Boards = BOARDS, known_us: int = HOUR_US) -> Input:
    return Input(meters, boards, known_us, ("bmc",))


def cpu(nj: int | None, surely_nj: int | None = None) -> Cpu:
    least = nj or 0
    domains = ("package-0",)
    return Cpu(nj, least, nj, least if surely_nj is None else surely_nj, HOUR_US, domains)


def shown(
    input_: Input | None = None,
    cpu: Cpu | None = None,
    model: Model | None = None,
    declared_mw: int | None = None,
    boards: Boards = BOARDS,
) -> Shown:
    return Shown(HOUR_US, boards, input_, cpu, model, declared_mw)


def test_measured_is_the_input_less_the_boards_with_both_bounds() -> None:
    assert measured(input_(), HOUR_US) == Host("measured", 4_000, 3_600, 4_400, HOUR_US)


def test_a_rest_is_filled_in_between_nothing_and_all_that_the_node_draws() -> None:
    known_us = HOUR_US * 95 // 100
    found = measured(input_(known_us=known_us), HOUR_US)
    assert isinstance(found, Host)
    assert (found.nj, found.covered_us) == (4_000 * 100 // 95, known_us)
    # 5 % of the hour over 95 % of it, of 10,100.
    assert (found.low_nj, found.high_nj) == (3_600, 4_400 + 532)


@pytest.mark.parametrize(("known_us", "counts"), [(3_240_000_000, True), (3_239_999_999, False)])
def test_nine_tenths_are_enough(known_us: int, counts: bool) -> None:
    found = measured(input_(known_us=known_us), HOUR_US)
    assert isinstance(found, Host) if counts else found == "meter_in_part"


def test_whatever_the_rest_was_it_is_within_the_bounds() -> None:
    """Powers of minutes at random; the meter is right, and some minutes of it are missing."""
    chance = random.Random(5)
    for _ in range(300):
        host = [chance.randrange(1, 1_000) for _ in range(60)]
        boards = [chance.randrange(0, 3_000) for _ in range(60)]
        known = sorted(chance.sample(range(60), chance.randrange(54, 61)))
        of_boards = sum(boards[k] for k in known)
        whole = of_boards + sum(host[k] for k in known)
        found = measured(
            Input(
                Amount(whole, whole, whole),
                Boards(of_boards, of_boards, of_boards, 60, 60),
                len(known),
                (),
            ),
            60,
        )
        assert isinstance(found, Host)
        assert found.nj is not None
        assert found.low_nj is not None
        assert found.high_nj is not None
        mean = whole / len(known)
        rest = sum(host[k] for k in {*range(60)}.difference(known))
        # Within the bounds unless the host alone drew more in the rest than the node does usually.
        if rest <= mean * (60 - len(known)):
            assert found.low_nj <= sum(host) <= found.high_nj
        assert found.low_nj <= found.nj <= found.high_nj


def test_a_meter_that_counts_less_than_the_boards_is_refused_and_named() -> None:
    found = host_of(shown(input_(Amount(5_999, 5_900, 6_100)), declared_mw=1))
    assert found == Host("declared", HOUR_US, HOUR_US, HOUR_US, HOUR_US, ("below_boards",))
    assert host_of(shown(input_(Amount(6_000, 5_900, 6_100)))).nj == 0


def test_a_meter_without_an_accuracy_has_no_upper_bound() -> None:
    found = host_of(shown(input_(Amount(10_000, None, None)), cpu(1_500)))
    assert found == Host("measured", 4_000, 1_500, None, HOUR_US, ("no_accuracy",))


def test_a_model_adds_its_parts_and_its_errors() -> None:
    found = modelled(MODEL, cpu(3_000), BOARDS, HOUR_US)
    value = 100 * HOUR_US + 3_300 + 300
    off = -(-20_000 * (value + 6_000) // 1_000_000)
    low, high = value - 7 * HOUR_US - 15 - off, value + 9 * HOUR_US + 15 + off
    assert found == Host("modelled", value, low, high, HOUR_US)


def test_of_less_than_an_hour_a_model_is_relatively_less_sure() -> None:
    quarter_us = HOUR_US // 4
    boards = BOARDS._replace(device_us=HOUR_US // 2, covered_us=HOUR_US // 2)
    found = modelled(MODEL._replace(input_ppm=0), cpu(0), boards, quarter_us)
    assert isinstance(found, Host)
    assert found.nj == 100 * quarter_us + 300
    assert found.low_nj == found.nj - 15 - 7 * HOUR_US // 2


def test_boards_that_are_known_in_part_are_filled_in_up_to_their_bounds() -> None:
    boards = Boards(5_700, 5_700, 9_000, 2 * HOUR_US, 2 * HOUR_US * 95 // 100)
    found = modelled(MODEL._replace(input_ppm=0), cpu(0), boards, HOUR_US)
    assert isinstance(found, Host)
    assert found.nj == 100 * HOUR_US + 300
    assert found.high_nj == 109 * HOUR_US + 450
    assert found.covered_us == HOUR_US * 95 // 100
    few = boards._replace(covered_us=HOUR_US)
    assert modelled(MODEL, cpu(0), few, HOUR_US) == "boards_in_part"


@pytest.mark.parametrize(
    ("cpu_mw", "gpu_mw", "counts"),
    [
        (10_000, 0, True),
        (10_001, 0, False),
        (0, 10_001, False),
        (2_000, 3_000, True),
        (1_999, 3_000, False),
        (2_000, 2_999, False),
    ],
)
def test_a_model_says_nothing_of_other_loads(cpu_mw: int, gpu_mw: int, counts: bool) -> None:
    least = {} if (cpu_mw, gpu_mw)[1] in (0, 10_001) else {"cpu_least_mw": 2_000}
    least |= {"gpu_least_mw": 3_000} if least else {}
    drawn = gpu_mw * HOUR_US
    found = modelled(
        MODEL._replace(**least),
        cpu(cpu_mw * HOUR_US),
        Boards(drawn, drawn, drawn, HOUR_US, HOUR_US),
        HOUR_US,
    )
    assert isinstance(found, Host) if counts else found == "outside_model"


def test_a_model_of_processors_needs_them_and_another_does_not() -> None:
    assert modelled(MODEL, None, BOARDS, HOUR_US) == "no_cpu"
    assert modelled(MODEL, cpu(None), BOARDS, HOUR_US) == "no_cpu"
    found = modelled(MODEL._replace(cpu_ppm=0), None, BOARDS, HOUR_US)
    assert isinstance(found, Host)
    assert found.nj == 100 * HOUR_US + 300


def test_measured_then_modelled_then_declared_then_none() -> None:
    every = shown(input_(), cpu(0), MODEL, 77)
    assert host_of(every).method == "measured"
    assert host_of(every._replace(input=None)).method == "modelled"
    assert host_of(every._replace(input=None, model=None)).method == "declared"
    last = host_of(every._replace(input=None, model=None, declared_mw=None))
    assert last == Host("none", None, 0, None, 0)
    assert host_of(shown()) == Host("none", None, None, None, 0)


def test_processors_alone_are_a_lower_bound_and_no_value() -> None:
    assert host_of(shown(cpu=cpu(5_000))) == Host("none", None, 5_000, None, 0)


def test_a_declaration_keeps_its_value_and_bounds() -> None:
    whole = 77 * HOUR_US
    found = host_of(shown(cpu=cpu(whole), declared_mw=77))
    assert found == Host("declared", whole, whole, whole, HOUR_US)


def test_processors_refute_a_declaration() -> None:
    surely = 77 * HOUR_US + 1
    found = host_of(shown(cpu=cpu(surely), declared_mw=77))
    assert found == Host("declared", surely, surely, None, HOUR_US, ("declared_below_cpu",))


def test_processors_refute_a_meter_and_a_model() -> None:
    surely = 200 * HOUR_US
    found = host_of(shown(input_(), cpu(0, surely), MODEL, 300))
    doubts = ("measured_below_cpu", "modelled_below_cpu")
    assert found == Host("declared", 300 * HOUR_US, 300 * HOUR_US, 300 * HOUR_US, HOUR_US, doubts)


def test_processors_raise_the_lower_bound() -> None:
    found = host_of(shown(input_(), cpu(3_800)))
    assert (found.nj, found.low_nj, found.high_nj) == (4_000, 3_800, 4_400)
    assert host_of(shown(input_(), cpu(3_000))).low_nj == 3_600


def test_every_doubt_has_a_meaning() -> None:
    cases = [
        shown(input_(known_us=1), cpu(0), MODEL._replace(gpu_most_mw=0), 0),
        shown(input_(Amount(0, 0, 0)), None, MODEL),
        shown(input_(Amount(10_000, None, None))),
        shown(input_(), cpu(0, HOUR_US), MODEL._replace(base_mw=0), 0),
        shown(None, None, MODEL, boards=BOARDS._replace(covered_us=0)),
    ]
    found = {doubt for case in cases for doubt in host_of(case).doubts}
    assert found == {*DOUBTS}
