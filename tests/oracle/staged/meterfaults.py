"""What meters of boards do wrong: silence, impossible values, two readings at once, a new count."""

from __future__ import annotations

from random import Random

from tests.oracle.staged.plan import EDGE, Board, History, Row


def disturb(history: History, board: Board, rows: list[Row]) -> list[Row]:
    """Return the readings of a board as they are recorded."""
    rng = history.rng(f"faults {board.device_id}")
    if len(rows) < 30:
        return rows
    for name, change in _CHANGES.items():
        if history.has(name) and rng.random() < 0.6:
            rows = change(history, board, rows, rng)
    return rows


def _doubt(history: History, board: Board, t: int, code: str) -> None:
    """Note a code for those who hold a board around an instant, well inside."""
    for hold in history.holds:
        end = board.stamps[-1] if hold.end_us is None else hold.end_us
        if hold.board is board and hold.start_us < t < end and hold.share_ppm > 1000:
            history.doubt(hold.key, f"energy {code}", code)


def _silence(history: History, board: Board, rows: list[Row], rng: Random) -> list[Row]:
    """Leave out all readings of some time."""
    at = rng.randrange(3, len(rows) - 10)
    found = rows[:at] + rows[at + rng.randrange(2, 20) :]
    over_hour = found[at - 1]["ts_us"] < EDGE < found[min(at, len(found) - 1)]["ts_us"]
    return rows if over_hour and not history.has("silence_over_hour") else found


def _restarted(history: History, board: Board, rows: list[Row], rng: Random) -> list[Row]:
    """Let the energy counter begin again, and the reader notice it."""
    at = rng.randrange(3, len(rows) - 3)
    zero = next((r["energy_mj"] for r in rows[at:] if r["energy_mj"] is not None), 0)
    return rows[:at] + [
        {**r, "epoch": r["epoch"] + 1, "energy_mj": _less(r["energy_mj"], zero)} for r in rows[at:]
    ]


def _less(value: int | None, zero: int) -> int | None:
    return None if value is None else value - zero


def _spike(history: History, board: Board, rows: list[Row], rng: Random) -> list[Row]:
    """Show a power that no board can draw, once."""
    at = rng.randrange(3, len(rows) - 3)
    limit_mw = board.described["limit_mw"]
    most_mw = 4_000_000 if limit_mw is None else limit_mw * 3 // 2
    power_mw = rng.choice((most_mw + 1_000, most_mw * 20))
    _doubt(history, board, rows[at]["ts_us"], "implausible_power")
    return [*rows[:at], {**rows[at], "power_mw": power_mw}, *rows[at + 1 :]]


def _jump(history: History, board: Board, rows: list[Row], rng: Random) -> list[Row]:
    """Show a count that is far too high, or too low, once."""
    places = [i for i, r in enumerate(rows) if r["energy_mj"] is not None][2:-2]
    if not places:
        return rows
    at = rng.choice(places)
    off_mj = rng.choice((10**9, -(10**8)))  # more than any board can draw in that time
    if rows[at]["energy_mj"] + off_mj < 0:
        return rows
    _doubt(history, board, rows[at]["ts_us"], "counter_glitch")
    jumped = {**rows[at], "energy_mj": rows[at]["energy_mj"] + off_mj}
    return [*rows[:at], jumped, *rows[at + 1 :]]


def _twice(history: History, board: Board, rows: list[Row], rng: Random) -> list[Row]:
    """Show two powers at one stamp, as a log with stamps to the second does."""
    at = rng.randrange(3, len(rows) - 3)
    other = {**rows[at], "power_mw": rows[at]["power_mw"] + 2 * rng.randrange(-2000, 2000)}
    other["power_mw"] = max(0, other["power_mw"])
    if other["power_mw"] != rows[at]["power_mw"]:
        _doubt(history, board, rows[at]["ts_us"], "equal_stamps")
    return [*rows[: at + 1], other, *rows[at + 1 :]]


_CHANGES = {
    "silence": _silence,
    "new_count": _restarted,
    "spike": _spike,
    "jump": _jump,
    "twice": _twice,
}
