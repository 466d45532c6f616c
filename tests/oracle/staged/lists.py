"""Lists of jobs, as schedulers tell them: corrected, read twice, and with all names of a device."""

from __future__ import annotations

from random import Random

from tests.oracle.staged.jobs import RECORDED, job_row
from tests.oracle.staged.plan import Board, History, Hold, Row, S

LATER = RECORDED + 60 * S
"""When a corrected list is read."""


def write_lists(history: History) -> None:
    """Write the rows of `jobs`: all of a first list, and what a later list corrects of it."""
    rng = history.rng("lists")
    for number, hold in enumerate(history.holds):
        if history.has("allocation_ids"):
            hold.allocation = f"{history.name}.{number}"
        right = _row(history, hold, rng)
        wrong = _wrong(history, hold, right, rng)
        if wrong is None:
            history.rows["jobs"].append(right)
            continue
        history.rows["jobs"].append(wrong)
        rows = history.late if history.has("late") else history.rows
        rows["jobs"].append({**right, "recorded_us": LATER})
    if history.has("read_twice"):
        history.rows["jobs"] += [
            {**row, "recorded_us": row["recorded_us"] + rng.choice((0, 1, S))}
            for row in history.rows["jobs"]
            if rng.random() < 0.5 and row["recorded_us"] < LATER
        ]
    if history.has("withdrawn"):
        _withdraw(history, rng)


def _row(history: History, hold: Hold, rng: Random) -> Row:
    """Return the true record of a hold, with one of the names of its device."""
    row = job_row(hold, hold.board)
    if history.has("aliases") and rng.random() < 0.5:
        row["node"] += ".dc.example"
    if hold.mig is None:
        names = _names(history, hold)
        row["device_id"] = rng.choice(names)
    return row


def _names(history: History, hold: Hold) -> list[str]:
    """Return the names of a board as of the start of a hold."""
    board, names = hold.board, [hold.board.device_id]
    gone = board.replaced_us is not None and hold.start_us >= board.replaced_us
    gone = gone or (board.moved_us is not None and hold.start_us >= board.moved_us)
    if gone or (board.found_us > RECORDED and hold.start_us < board.found_us):
        return names  # its place was another board's at that time
    if history.has("by_index"):
        names.append(str(index_at(board, hold.start_us)))
    if history.has("by_name"):
        uuid = board.device_id
        names += [uuid.lower(), uuid.upper(), uuid.removeprefix("GPU-"), uuid[:-2]]
        names += [str(board.described["pci"]), str(board.described["pci"]).lower()[4:]]
        names.append(f"nvidia{board.described['minor']}")
    return names


def index_at(board: Board, t: int) -> int:
    """Return the index of a board as of an instant: its latest row until then, else the first."""
    found = [row for row in board.changes if row["ts_us"] <= t] or board.changes[:1]
    return int(found[-1]["index"])


def _wrong(history: History, hold: Hold, right: Row, rng: Random) -> Row | None:
    """Return what the first list said of a hold; None if it was right."""
    if not history.has("corrected") or rng.random() < 0.5:
        return None
    what = rng.choice(("end", "share", "start", "device"))
    if what == "end" or hold.end_us is None:
        end = None if rng.random() < 0.3 else hold.start_us + rng.randrange(1, 90 * S)
        return {**right, "end_us": end}
    if what == "share":
        return {**right, "share_ppm": rng.randrange(1, 1_000_001)}
    if what == "start":
        # Without an id of its own, an allocation is known by what it shares with the later list.
        start = rng.randrange(hold.start_us - 20 * S, hold.end_us)
        end = None if start % 3 == 0 else hold.end_us + S  # it may still have been running
        return {**right, "start_us": start, "end_us": end}
    if history.has("allocation_ids"):
        other = rng.choice(history.boards)
        return {**right, "device_id": other.device_id, "node": other.node}
    return None


def _withdraw(history: History, rng: Random) -> None:
    """Add a record that a later one takes back: it ends where it starts."""
    hold, board = rng.choice(history.holds), rng.choice(history.boards)
    false = {**job_row(hold, board), "start_us": hold.start_us - 3 * S, "allocation_id": None}
    false["end_us"] = hold.start_us + 3 * S
    if any(h.board is board and h.key == hold.key for h in history.holds):
        return
    history.rows["jobs"].append(false)
    taken_back = {**false, "end_us": false["start_us"], "recorded_us": LATER}
    rows = history.late if history.has("late") else history.rows
    rows["jobs"].append(taken_back)
