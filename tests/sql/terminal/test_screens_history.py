"""Tables of revisions, of what is due, of comparisons and of an explanation at four widths.

Rows are written by hand, with what is awkward: long names, many digits, unknown and negative
values. See `test_screens.py` for how to write the files again.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.sql.terminal.shown import FRENCH, LONG, T0, WIDE, Parts, Row, on_file, screens
from tokenergy_sql.demo.score import KINDS, Scored
from tokenergy_sql.explain import columns
from tokenergy_sql.explain.text import grid_of
from tokenergy_sql.gate.chance import Chance
from tokenergy_sql.gate.points import Bins, Point, Stratum
from tokenergy_sql.gate.side import Sample, Setup, Side
from tokenergy_sql.gate.verdict import Outcome, Wanted
from tokenergy_sql.index.due import Due
from tokenergy_sql.migration.migrate import counts_grid, state_grid
from tokenergy_sql.migration.survey import TableState
from tokenergy_sql.revisions.diff import Difference, Moved, MovedMeter, MovedSignal
from tokenergy_sql.terminal.comparetable import compare_parts
from tokenergy_sql.terminal.duetable import due_parts
from tokenergy_sql.terminal.gatetext import parts_of
from tokenergy_sql.terminal.history import difference_parts
from tokenergy_sql.terminal.scoretable import score_table

HOUR = 3_600_000_000
DIGEST = "5983a2eb0c1d4f6798abcdef01234567"


def _diff() -> Parts:
    hours = [T0 + i * HOUR for i in range(5)]
    moved = [
        Moved(
            *(LONG, hours, 123_456_789.1, 123_556_789.1, 152_400_000.0, None),
            *(1_578_106_880, 1_578_106_999, ["power", "site", "tokens"]),
        ),
        Moved(WIDE, hours[:1], None, 1.5, None, None, None, None, ["index"]),
    ]
    meters = [
        MovedMeter("pdu-a1-north-annex", "nJ", hours[:2], 3.6e21, 3.7e21, HOUR, 2 * HOUR),
        MovedMeter("water", "uL", hours[:1], None, 1.25e12, 0, HOUR),
    ]
    signals = [
        MovedSignal(
            *(FRENCH, "carbon_marginal", "ug CO2e", hours, 4.56789e12, 4.56999e12),
            *(3.6e18, 3.7e18),
        ),
        MovedSignal(LONG, "price", "1e-9 EUR", hours[:1], 1.2e11, None, 3.6e15, None),
    ]
    found = Difference(moved, meters, signals, hours, hours * 20)
    return difference_parts(found, "Revision 1233 to 1234")


def _stale() -> Parts:
    nodes = tuple(f"gpu-{i:04}: power" for i in range(12))
    found = [
        Due(T0, "stale", ("power", "site", "tokens")),
        Due(T0 + HOUR, "missed", nodes),
        Due(T0 + 2 * HOUR, "lost", ("gpu-0001-north-annex-rack-12.example.org: segment",)),
    ]
    return due_parts(found, 1_234)


def _gate() -> Parts:
    setup = Setup("inference", "NVIDIA H100 80GB HBM3", 8, (300_000, 700_000))
    samples = [
        Sample("a", T0 + i * HOUR, setup, HOUR, 10**9, 1_234_567_890, 0.0, 5 * 10**17)
        for i in range(3)
    ]
    strata = [Stratum(Point(setup, i, 1), samples, samples) for i in range(2)]
    alone = Stratum(Point(Setup("inference", None, 1, (None, None)), None, None), [], samples[:1])
    hour = {"tokens": 1_234_567_890, "emulated": False}
    base = Side(f"job:{LONG}", [hour | {"model": "llama-3.3-70b-instruct"}], [], [])
    head = Side("model:llama,day:2026-01-15..2026-01-22", [hour | {"model": FRENCH}], [], [])
    outcome = Outcome(
        *("cannot_tell", ("chance", "meters"), base, head, Wanted(), "hour", Bins(1_234.5, 2.0)),
        *(strata, [alone], Chance(1.0123, 0.98, 1.04, 600, (72, 1_234)), 0.93, float("inf")),
        *((0.95, 1.05), 0.12, (0.91, 0.6543), (0.4048, 0.4051)),
    )
    return parts_of(outcome)


def _compare() -> Parts:
    rows = [
        Row(
            **{"job_id": LONG, "model": "llama-3.3-70b-instruct", "gpu": "H100", "devices": 8},
            **{"duration_s": 12_345.6, "tokens": 1_578_106_880, "tokens_per_s": 127_827.1},
            **{"requests": 1_234_567, "requests_failed": 12, "ttft_median_ms": 123.4},
            **{"ttft_p99_ms": 1_234.5, "latency_median_ms": 2_345.6, "latency_p99_ms": 34_567.8},
            **{"gpu_j": 123_456_789.1, "mean_w": 5_432.1, "j_per_token": 0.07823},
            **{"j_per_token_low": 0.0764, "j_per_token_high": 0.0801, "ratio": 1.0},
            **{"ratio_low": 1.0, "ratio_high": 1.0, "reason_codes": ""},
        ),
        Row(
            **{"job_id": WIDE, "gpu": "H200", "devices": 16, "duration_s": 1.2, "tokens": 0},
            reason_codes="no_tokens,partial_energy,unmetered_devices",
        ),
    ]
    return compare_parts(rows)


def _score() -> Parts:
    tokens = dict.fromkeys(KINDS, 0)
    jobs = [
        Scored(LONG, True, 10**20, 10**20 + 10**15, 9 * 10**19, 2 * 10**20, 0, tokens, {**tokens},
               None, None, None),
        Scored(WIDE, False, 10**12, None, None, None, 0, {**tokens, KINDS[0]: 1}, {**tokens},
               None, None, None),
    ]  # fmt: skip
    return [score_table(jobs)]


def _migrate() -> Parts:
    power = TableState("raw", 123_456, 987_654_321_012)
    missing = {"n_joint", "tokenergy", "te_low", "te_high", "coverage", "te_gpu_prefill_low"}
    index = TableState("derived", 1_234, 56_789, 1_200, missing)
    before = {"power": power, "job_index": index}
    return [state_grid(before), counts_grid(before, {**before, "power": TableState("raw")})]


_ALLOCATION = Row(
    **{"node": "gpu-0001-north-annex", "device_id": "GPU-8f6e4c2a-1b3d-5f79-a0c2-e4f6a8b0c2d4"},
    **{"start_us": T0, "end_us": T0 + 123_456_789, "share_ppm": 1_000_000, "scheduler": "slurm"},
    **{"method": "accounting", "recorded_us": T0},
)
_DEVICE = Row(
    **{**_ALLOCATION, "name": "NVIDIA H100 80GB HBM3", "limit_mw": 700_000},
    **{"sensor_kind": "instant", "learned_us": 100_123, "counter_us": 20_012},
)
_LEDGER = Row(
    **{**_ALLOCATION, "account": "job", "attribution": "whole_board", "rows": 1_234_567},
    **{"device_us": 1_234_567_890_123, "energy_nj": 123_456_789_012_345_678, "k_min": 0.9987},
    **{"low_nj": 120_000_000_000_000_000, "high_nj": 127_000_000_000_000_000, "k_max": 1.0012},
)
_COUNTER = Row(
    **{"kind": "generated", "source_id": "http://gpu-0001:8000/metrics", "engine": "vllm"},
    **{"readings": 12_345, "first_us": T0, "first_value": 0, "last_us": T0 + HOUR},
    **{"last_value": 1_578_106_880, "epochs": 2},
)
_USAGE = Row(kind="generated", tokens=1_578_106_880, low=1_578_106_000, high=1_578_107_760)
_HOST = Row(
    **{"node": "gpu-0001-north-annex", "host_method": "modelled", "watched_us": HOUR},
    **{"device_us": 8 * HOUR, "capacity_us": 8 * HOUR, "node_host_nj": 4_567_890_123_456_789},
    e_host_nj=4_567_890_123_456_789,
)
_HOUR = Row(
    **{"hour_us": T0, "e_gpu_nj": 123_456_789_012_345_678, "pue_ppb": 1_234_567_890},
    **{"e_facility_nj": 152_415_787_501_905_985, "revision": 1_234, "inputs_digest": DIGEST},
    **{"derived_at": "2026-01-15T09:00:12+00:00", "causes": ["power", "site"]},
    reason_codes="partial_energy,unmetered_devices",
)
EXPLAINED = {
    "allocations": (columns.ALLOCATIONS, [_ALLOCATION, Row({**_ALLOCATION, "end_us": None})]),
    "devices": (columns.DEVICES, [_DEVICE]),
    "ledger": (columns.LEDGER, [_LEDGER, Row({**_LEDGER, "energy_nj": None, "k_min": None})]),
    "counters": (columns.COUNTERS, [_COUNTER]),
    "token_usage": (columns.TOKEN_USAGE, [_USAGE]),
    "hosts": (columns.HOSTS, [_HOST, Row({**_HOST, "host_method": "none", "e_host_nj": None})]),
    "hours": (columns.HOURS, [_HOUR]),
}


TABLES: dict[str, Callable[[], Parts]] = {
    "compare": _compare,
    "diff": _diff,
    "explain": lambda: [grid_of(rows, shown) for shown, rows in EXPLAINED.values()],
    "gate": _gate,
    "migrate": _migrate,
    "score": _score,
    "stale": _stale,
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_at_four_widths(name: str) -> None:
    assert screens(lambda _: TABLES[name]()) == on_file(name)
