"""Boards of a staged history: where they are, what they draw, and the rows that meters leave.

Power has its bends where it is read, so that a meter without error shows it without error. Meters
err by up to what docs/uncertainty.md allows their class, and often by all of it.
"""

from __future__ import annotations

from random import Random

from tests.oracle.staged.meterfaults import disturb
from tests.oracle.staged.physics import Line, Meter
from tests.oracle.staged.plan import EDGE, Board, History, Row, S

_NAMES = (
    # name, gain of the class (ppm), offset (mW), limit (mW)
    ("NVIDIA H100 80GB HBM3", 50_000, 1_200, 700_000),
    ("NVIDIA L4", 50_000, 1_200, 72_000),
    ("Tesla V100-SXM2-16GB", 50_000, 1_200, 300_000),
    ("NVIDIA GeForce RTX 3090", 55_000, 12_500, 350_000),
    ("board", 55_000, 12_500, 700_000),
)
_UPDATES = (None, 100_000, 1_000_000)


def place_boards(history: History) -> None:
    """Add one to three nodes with one to three boards each, all read once a second."""
    rng = history.rng("boards")
    start, end = _span(rng)
    for n in range(rng.choice((1, 1, 2, 2, 3))):
        node = f"{history.name}n{n}"
        if not (history.has("host_unknown") and rng.random() < 0.5):
            history.host_mw[node] = rng.randrange(0, 1_200_000, 1_000)
        site = f"{history.name}s{rng.randrange(2)}" if rng.random() < 0.9 else None
        for index in range(rng.choice((1, 2, 2, 3))):
            board = _board(history, rng, (node, index), site, (start, end))
            history.boards.append(board)
            if history.has("replaced") and rng.random() < 0.5:
                history.boards.append(_replace(history, rng, board, end))


def _span(rng: Random) -> tuple[int, int]:
    """Return the time of a history: across the edge of the hour, or on one side of it."""
    before, after = rng.randrange(40, 120), rng.randrange(40, 120)
    side = rng.random()
    if side < 0.1:
        return EDGE - (before + after) * S, EDGE - rng.randrange(0, 3) * S
    if side < 0.2:
        return EDGE + rng.randrange(0, 3) * S, EDGE + (before + after) * S
    return EDGE - before * S, EDGE + after * S


def _board(
    history: History,
    rng: Random,
    at: tuple[str, int],
    site: str | None,
    span: tuple[int, int],
) -> Board:
    """Return a board at an index of a node, watched for some time."""
    (node, index), (start, end) = at, span
    name, gain_ppm, offset_mw, limit_mw = rng.choice(_NAMES)
    first = start + rng.randrange(0, 10) * S + (rng.randrange(S) if rng.random() < 0.5 else 0)
    last = end - rng.randrange(0, 10) * S
    stamps = list(range(first, last, S))
    if history.has("jitter"):
        stamps = [t + rng.randrange(-200_000, 200_000) for t in stamps]
    described: Row = {
        "device_id": f"GPU-{history.seed:08x}-{rng.randrange(1 << 16):04x}-{index:04x}",
        "index": index,
        "name": name,
        "pci": f"00000000:{0x1A + index:02X}:00.0",
        "minor": (index + 1) % 4,
        "limit_mw": None if history.has("limit_unknown") and rng.random() < 0.5 else limit_mw,
        "update_us": rng.choice(_UPDATES),
        "site": site,
        "hall": rng.choice(("a", "b", None)),
        "pod": rng.choice(("p1", None)),
        "rack": rng.choice(("r1", "r2", None)),
        "emulated": True,
    }
    board = Board(
        described["device_id"], node, described, _power(rng, stamps, limit_mw), stamps,
        _counted(rng, stamps, history.has("rare_counter")), index=index,
    )  # fmt: skip
    if history.has("errs"):
        board.sensor = _meter(rng, gain_ppm, offset_mw)
        # A counter is as often of one error with the sensor as it is not.
        board.counter = rng.choice((board.sensor, _meter(rng, gain_ppm, offset_mw)))
    if history.has("lagging") and rng.random() < 0.7:
        _let_lag(board, rng)
    board.counter_from_mj = rng.choice((0, rng.randrange(10**9)))
    return board


def _replace(history: History, rng: Random, board: Board, end: int) -> Board:
    """Return a board that takes another one's place: its index, its address, its device file."""
    until = board.stamps[rng.randrange(len(board.stamps) // 4, len(board.stamps) * 3 // 4)]
    board.stamps = [t for t in board.stamps if t <= until]
    board.counted = [t for t in board.counted if t <= until]
    site = board.described["site"]
    other = _board(history, rng, (board.node, board.index), site, (until + 5 * S, end + 15 * S))
    other.found_us = board.replaced_us = other.stamps[0] - S
    return other


def _let_lag(board: Board, rng: Random) -> None:
    """Let a board's sensor and counter be renewed only now and then, and the tool know it."""
    period = rng.choice((20_000, 100_000))
    board.phase_us = rng.randrange(period)
    quarter = "H100" in str(board.described["name"])
    board.renewed_us, board.window_us = period, period // 4 if quarter else period
    board.described.update(
        sensor_kind="instant", learned_us=period, update_us=period, counter_us=period
    )


def _power(rng: Random, stamps: list[int], limit_mw: int) -> Line:
    """Return power that is level most of the time, with steps of any size."""
    levels, level = [], rng.randrange(limit_mw // 12, limit_mw * 9 // 10)
    restless = rng.choice((0, 0.03, 0.3))
    for _ in stamps:
        if rng.random() < restless:
            level = rng.randrange(limit_mw // 12, limit_mw * 9 // 10)
        levels.append(level)
    return Line(stamps, levels)


def _counted(rng: Random, stamps: list[int], rarely: bool) -> list[int]:
    """Return when the energy counter is read: never, always, or from time to time."""
    step = rng.choice((0, 0, 1, 1, 5, 17))
    step = step if rarely else min(step, 1)
    return stamps[:: step or 1] if step else []


def _meter(rng: Random, gain_ppm: int, offset_mw: int) -> Meter:
    """Return errors of a class, often all of it; 20 ppm are left for rounding to milliwatts."""
    most = gain_ppm - 20
    gain = rng.choice((-most, most, 0, rng.randrange(-most, most)))
    offset = rng.choice((0, offset_mw, -offset_mw, rng.randrange(-offset_mw, offset_mw + 1)))
    return Meter(gain, offset)


def write_boards(history: History) -> None:
    """Write the `power` rows of the boards."""
    for board in history.boards:
        rows = disturb(history, board, power_rows(history, board))
        history.rows["power"].extend(rows)


def power_rows(history: History, board: Board) -> list[Row]:
    """Return the readings of a board; its counter is read at the edges of jobs too, if at all."""
    counted = set(board.counted)
    stamps = set(board.stamps) | counted
    if counted and history.has("edge_reads"):
        edges = {t for h in history.holds if h.board is board for t in (h.start_us, h.end_us)}
        edges = {t for t in edges if t is not None and board.stamps[0] < t < board.stamps[-1]}
        counted |= edges
        stamps |= edges
    return [_reading(board, t, t in counted) for t in sorted(stamps)]


def _reading(board: Board, t: int, counted: bool) -> Row:
    energy_mj = None
    if counted:
        since = board.power.stamps[0]
        shown_at = board.renewed(t)
        true_nj = board.power.area(since, shown_at)
        shown = board.counter.energy_mj(true_nj, shown_at - since)
        energy_mj = board.counter_from_mj + shown
    return {
        "node": board.node,
        "ts_us": t,
        "device_id": board.device_id,
        "power_mw": max(0, board.sensor.power_mw(board.displayed(t))),
        "sensor": "unknown",
        "energy_mj": energy_mj,
        "epoch": 0,
    }
