"""Tables of loads, limits, stores and flexible jobs at four widths: the files in `screens/`.

Rows are written by hand, with what is awkward: long names, many digits, unknown and negative
values. See `test_screens.py` for how to write the files again.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.sql.terminal.shown import FRENCH, LONG, T0, WIDE, Parts, Row, on_file, screens
from tokenergy_sql.flexibility.caps import Wanted as CapsWanted
from tokenergy_sql.flexibility.shift import EXACT, Wanted
from tokenergy_sql.flexibility.signal import Signal
from tokenergy_sql.gridload.complying import Behind, Moment, Result
from tokenergy_sql.gridload.limits import Limit
from tokenergy_sql.gridload.sharing import Figures, JobPart, Shared
from tokenergy_sql.terminal.captable import caps_table
from tokenergy_sql.terminal.complytable import limits_table, result_row
from tokenergy_sql.terminal.loadtable import profile_table, spans_table
from tokenergy_sql.terminal.responsetable import event_parts, responses_table
from tokenergy_sql.terminal.shifttable import shift_lines, shift_table
from tokenergy_sql.terminal.storagetable import study_parts
from tokenergy_sql.terminal.swingtable import swing_parts
from tokenergy_transforms.loadprofile.loadcourse import LoadCourse
from tokenergy_transforms.loadprofile.swings import Swing
from tokenergy_transforms.storage.asking import Answered

HOUR = 3_600_000_000
MW = 1_000_000_000
"""A megawatt in mW."""

_LOADS = [
    Row(
        **{"hour_us": T0, "kind": "site", "group_id": "site", "metered": 16_384},
        **{"mean_mw": 12_345 * MW / 1e3, "max_mw": 14_999.4 * MW / 1e3, "swing_share": 0.2345},
        **{"up_1s_mw": 1.234e9, "down_1s_mw": 2.345e9, "battery_nj": 98_765 * 10**12},
        **{"dominant_hz": 0.4321, "dominant_swing_share": 0.0567, "limit_hz": 5.0},
        **{"reason_codes": "shared_estimate,unmetered_devices", "emulated": True},
    ),
    Row(
        **{"hour_us": T0, "kind": "job", "group_id": LONG, "metered": 8, "mean_mw": 4_567_890},
        **{"max_mw": 5_600_000, "swing_share": 0.009, "limit_hz": 0.5},
        **{"reason_codes": "ramp_not_resolved,no_line"},
    ),
    Row(hour_us=T0 + HOUR, kind="rack", group_id="b4-r12", metered=0, reason_codes="not_metered"),
]


def _course(reasons: tuple[str, ...] = ()) -> LoadCourse:
    n = 36_000
    return LoadCourse(
        *("site", "site", T0, 100_000, np.full(n, 10**12), np.ones(n, bool), 100_000, 5.0),
        *(16_384, 16_380, "connection", False, reasons),
    )


def shared_swings() -> Shared:
    whole = Figures(12.3e9, 1.234e9, 14.99e9, 2.1e9, 4.2e9, {"0.5-1 Hz": 9e8})
    less = Figures(7.7e9, 0.234e9, 9.99e9, 1.1e9, None, {"0.5-1 Hz": 1e8})
    swing = Swing(0.432, 0.021, 1.1e9, 45.6, 0.02, 70, narrow=False)
    jobs = [
        JobPart(LONG, 4.56e9, less, {"0.5-1 Hz": 0.987}, 1.02, -0.01, 1.5e9, 1.157),
        JobPart(WIDE, 1.2e7, whole, {"0.1-0.5 Hz": None}, -0.02, 0.5),
    ]
    return Shared(_course(), whole, swing, jobs, 1.1e9, 2.345e8)


def _swings() -> Parts:
    return [
        *swing_parts(shared_swings()),
        *swing_parts(Shared(_course(), None, reasons={"no_segment", "not_metered"})),
    ]


def results() -> list[Result]:
    ramp = Limit("our contract, 4.2", "ramp", 250e6, False, "kW", "connection", 0.98, 1_000_000)
    band = Limit(
        *("subsynchronous band of the machine", "band_rms", 0.01, True, "percent", "it", 0.95),
        band_hz=(0.1, 2.5),
    )
    peak = Limit("peak", "peak", 15e9, False, "MW", "boards", 0.95, average_us=900_000_000)
    jobs = [Behind(LONG, 123.4e6, 300e6), Behind(FRENCH, -5.6e6, 430e6)]
    moments = [Moment(T0 + 123_456_000, 424.2e6, jobs)]
    return [
        Result(
            ramp, ("site", "site"), "metered", 424.2e6, 250e6, "fail", "", 0.9987, moments, True
        ),
        Result(
            *(band, ("hall", "hall:b"), "modelled", None, None, "unobservable"),
            *("readings show up to 0.5 Hz, the band ends at 2.5 Hz", 0.12, [], False),
        ),
        Result(
            *(peak, ("rack", "b4-r12"), "read", 14_999e6, 15e9, "pass", "", 1.0),
            *([Moment(T0, 14_999e6)], False),
        ),
    ]


def _comply() -> Parts:
    return [limits_table([result_row(one) for one in results()])]


def _study(**more: object) -> Row:
    return Row(
        {
            **{"kind": "site", "group_id": "site", "ramp_mw_s": 1e6, "charge_ppm": 948_683},
            **{"peak_mw": 12_000e6, "load_max_mw": 14_999e6, "load_ramp_mw_s": 2.1e9},
            **{"optimal_energy_nj": 123.4 * 3.6e15, "optimal_power_mw": 3.2e9, "coverage": 0.998},
            **{"causal_energy_nj": 234.5 * 3.6e15, "causal_power_mw": 3.9e9, "parts": 3},
            **{"full_cycles_per_day": 1_234.5, "loss_nj": 5e15, "pooling_energy": 1.42},
            **{"reserve_nj": 5 * 3.6e15, "reason_codes": "gaps,unmetered_devices"},
            **more,
        }
    )


def _storage() -> Parts:
    part = _study(kind="hall", group_id="hall:b", optimal_energy_nj=None, pooling_energy=None)
    part |= {"causal_energy_nj": None, "reason_codes": "ramp_not_resolved", "reserve_nj": 0}
    job = _study(kind="job", group_id=LONG, reserve_nj=0, reason_codes="", pooling_energy=None)
    sweep = [
        Row(
            **{"energy_nj": e * 3.6e15, "power_mw": p * 1e8, "kept": e * p > 40_000},
            **{"reached_ramp_mw_s": 1e12 / e / p},
        )
        for e in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)
        for p in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_234)
    ]
    answers = [Answered(_study(), [part], sweep, ""), Answered(job, [], [], "")]
    return study_parts(answers, [answers[0].study, part, job])


def _shift() -> Parts:
    carbon = Signal((T0,), (T0 + HOUR,), (1,), "carbon_marginal", "gCO2e/kWh", "FR-north")
    price = Signal((T0,), (T0 + HOUR,), (1,), "price", "EUR/kWh", "day-ahead")
    wanted = Wanted((carbon, price))
    units = {"carbon_unit": "gCO2e", "money_unit": "EUR"}
    rows = [
        Row(
            **{"job_id": LONG, "flexible_hours": 8, "from_us": T0, "to_us": T0 + 5 * HOUR},
            **{"kwh": 12_345.6, "carbon_before": 4_567_890.1, "carbon_saved": 1_234_567.8},
            **{"carbon_saved_low": 1_100_000, "carbon_saved_high": 1_300_000, **units},
            **{"money_before": 1_234.5, "money_saved": -12.34, "money_saved_low": -13.1},
            **{"money_saved_high": -11.9},
        ),
        Row(
            **{"job_id": FRENCH, "flexible_hours": 0.5, "from_us": T0, "kwh": 0.0123, **units},
            **{"why_not_moved": "the signal is not known for all hours in which it could run"},
        ),
    ]
    totals = Row(
        **{"moved": 1, "jobs": 2, "kwh_moved": 12_345.6, "carbon_saved": 1_234_567.8},
        **{"carbon_before": 4_567_890.1, "carbon_saved_low": 1.1e6, "carbon_saved_high": 1.3e6},
        **{"money_saved": -12.34, "money_before": 1_234.5, "unknown": 1, "plan": EXACT},
    )
    return [shift_table(rows, wanted), *shift_lines(totals, wanted)]


def _caps() -> Parts:
    rows = [
        Row(
            **{"model": "llama-3.3-70b-instruct", "gpu": "NVIDIA H100 80GB HBM3", "boards": 8},
            **{"cap_w": cap, "hours": 1_234, "watts": 4_321.9, "tokens_s": 12_345.6, "te": 0.3501},
            **{"te_low": 0.3412, "te_high": 0.3598, "saved_j_per_token": saved},
            **{"lost_tokens_s": lost, "capped_share": 0.91, "reaches": "yes", "verdict": verdict},
            **{"left_out": "mixed_caps:12,few_tokens:3"},
        )
        for cap, saved, lost, verdict in (
            (300, 0.1234, 1_234.5, "saves J/token"),
            (700, None, None, "highest cap"),
        )
    ]
    rows.append(Row(gpu=None, boards=1, cap_w=112.5, hours=1, verdict="too few hours", te=1.2e-5))
    more = [*rows, Row({**rows[0], "boards": 16, "te": 0.3456})]
    return [caps_table(rows, CapsWanted(least_tokens_s=10_000)), caps_table(more, CapsWanted())]


_EVENT = Row(
    **{"event_id": "event-2026-01-15-evening-peak", "program": "capacity market", "opt": "optIn"},
    **{"from_us": T0, "to_us": T0 + 2 * HOUR, "requested_kw": 2_500, "baseline_kw": 12_345.6},
    **{"actual_kw": 9_876.5, "given_kw": 2_469.1, "given_low_kw": 2_300, "given_high_kw": 2_600},
    **{"given_kwh": 4_938.2, "verdict": "given", "rebound_kwh": -123.4, "boundary": "connection"},
    **{"baseline": "mean of 10 days, adjusted", "why": "short_baseline,gap_in_meter"},
    days="2026-01-14,2026-01-13,2026-01-12,2026-01-09,2026-01-08,2026-01-07,2026-01-06",
)


def _response() -> Parts:
    other = Row(event_id="e2", from_us=T0, why="cancelled", baseline=None, verdict=None)
    return [responses_table([_EVENT, other])]


def _response_of_an_event() -> Parts:
    slices = [
        Row(
            **{"from_us": T0 + i * HOUR, "to_us": T0 + (i + 1) * HOUR, "requested_kw": 2_500},
            **{"baseline_kw": 12_345.6, "actual_kw": 9_876.5, "given_kw": 2_469.1 - 3_000 * i},
        )
        for i in range(2)
    ]
    able = [
        Row(
            **{"job_id": LONG, "flexible_hours": 8, "could_kw": 1_234.5, "during_kw": 12.3},
            **{"gave_kw": 1_222.2, "gave_kwh": 2_444.4, "tokens_s_before": 1_234_567.8},
            **{"tokens_lost": 8_888_888_888, "tokens_lost_per_kwh": 3_636_429},
        ),
        Row(job_id=WIDE, could_kw=0.123),
    ]
    return event_parts(_EVENT, slices, able)


TABLES: dict[str, Callable[[], Parts]] = {
    "caps": _caps,
    "comply": _comply,
    "load_profile": lambda: [profile_table(_LOADS)],
    "load_profile_of_a_span": lambda: [spans_table(_LOADS, T0, T0 + HOUR, "connection")],
    "response": _response,
    "response_of_an_event": _response_of_an_event,
    "shift": _shift,
    "storage": _storage,
    "swings": _swings,
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_at_four_widths(name: str) -> None:
    assert screens(lambda _: TABLES[name]()) == on_file(name)
