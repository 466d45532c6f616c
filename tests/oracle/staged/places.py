"""What changes of a board while it is recorded: its index, its place, its limit, its partitions."""

from __future__ import annotations

from random import Random

from tests.oracle.staged.plan import EDGE, Board, History, Hold, Row, S

FOUND = EDGE - 1800 * S
"""When the boards are found first."""


def describe_boards(history: History) -> None:
    """Write the `device` rows: as found at the start, and after every change."""
    rng = history.rng("places")
    for board in history.boards:
        board.changes = [{"ts_us": board.found_us, "node": board.node, **board.described}]
    if history.has("renumbered"):
        _renumber(history, rng)
    if history.has("relabelled"):
        _relabel(history, rng)
    if history.has("mig"):
        _partition(history, rng)
    if history.has("moved"):
        _move(history, history.rng("moved"))
    for board in history.boards:
        history.rows["device"] += board.changes


def _during(board: Board, rng: Random) -> int:
    return rng.randrange(board.stamps[0], board.stamps[-1])


def _renumber(history: History, rng: Random) -> None:
    """Let the boards of a node change their indices, as they do after a boot."""
    for node in {board.node for board in history.boards}:
        of_node = [board for board in history.boards if board.node == node]
        t = _during(of_node[0], rng)
        there = [b for b in of_node if b.changes[0]["ts_us"] <= t <= b.stamps[-1]]
        order = rng.sample(there, len(there))
        found = [{**board.changes[-1], "ts_us": t} for board in there]
        for board, row, other in zip(there, found, order, strict=True):
            board.changes.append({**row, "index": other.changes[0]["index"]})


def _relabel(history: History, rng: Random) -> None:
    """Let boards be found in another rack, and all those of a node at another site."""
    sites = {board.node: rng.random() < 0.3 for board in history.boards}
    t = _during(history.boards[0], rng)
    for board in history.boards:
        if rng.random() < 0.5:
            moved = {"ts_us": _during(board, rng), "rack": rng.choice(("r1", "r3"))}
            board.changes.append({**board.changes[-1], **moved})
            board.changes.sort(key=lambda row: row["ts_us"])
        if sites[board.node]:
            # A board that takes another's place is there from its first row on.
            since = max(t, board.changes[0]["ts_us"])
            board.changes = [row for row in board.changes if row["ts_us"] <= since]
            moved = {"ts_us": since + 1, "site": f"{history.name}s2"}
            board.changes.append({**board.changes[-1], **moved})


def _move(history: History, rng: Random) -> None:
    """Take a board out of its node, and find it in another one some time later."""
    # An index, an address, a place of a replaced board would be another board's by then.
    boards = [b for b in history.boards if len(b.stamps) > 40]
    boards = [b for b in boards if not any(h.mig for h in history.holds if h.board is b)]
    # Nor are readings lost of which something was noted.
    unsuited = {"replaced", "corrected", "withdrawn", "spike", "jump", "twice"}
    if not boards or history.kinds & unsuited:
        return
    board = rng.choice(boards)
    out_us = rng.choice(board.stamps[10:-25])
    board.moved_us = out_us + rng.randrange(1, 15 * S)
    others = sorted({b.node for b in history.boards} - {board.node}) or [f"{history.name}nz"]
    board.moved_to = rng.choice(others)
    history.host_mw.setdefault(board.moved_to, 250_000)
    board.changes = [row for row in board.changes if row["ts_us"] < out_us]
    found = {"ts_us": board.moved_us, "node": board.moved_to, "index": 7, "minor": 7}
    board.changes.append({**board.changes[-1], **found, "pci": "00000000:7A:00.0"})
    for table in ("power", "state"):
        mine = [r for r in history.rows[table] if r["device_id"] == board.device_id]
        for row in mine:
            row["node"] = board.node_at(row["ts_us"])
        gone = [r for r in mine if out_us < r["ts_us"] < board.moved_us]
        history.rows[table] = [r for r in history.rows[table] if r not in gone]


def _partition(history: History, rng: Random) -> None:
    """Let some jobs hold MIG instances, and a board be divided in another way later."""
    for board in history.boards:
        holds = [h for h in history.holds if h.board is board and h.end_us is not None]
        if not holds or rng.random() < 0.5:
            continue
        for number, hold in enumerate(holds):
            instance = f"MIG-{board.device_id[4:]}-{number}"
            part_ppm = rng.choice((1_000_000 // 7, 2_000_000 // 7, 4_000_000 // 7))
            hold.mig = instance
            told = hold.share_ppm
            hold.told_ppm, hold.share_ppm = told, max(1, told * part_ppm // 1_000_000)
            history.rows["device"] += _instances(history, board, instance, hold, part_ppm, rng)


def _instances(
    history: History, board: Board, instance: str, hold: Hold, part_ppm: int, rng: Random
) -> list[Row]:
    """Return the rows of an instance: as the job found it, and of another size later."""
    row = {
        "ts_us": FOUND,
        "node": board.node,
        "device_id": instance,
        "index": None,
        "name": board.described["name"],
        "mig_parent": board.device_id,
        "mig_ppm": part_ppm,
        "emulated": True,
        "site": board.described["site"],
        "rack": board.described["rack"],
    }
    if not history.has("repartitioned"):
        return [row]
    later = max(hold.start_us, hold.end_us or 0) + rng.randrange(1, 40 * S)
    return [row, {**row, "ts_us": later, "mig_ppm": 1_000_000 // rng.choice((2, 7))}]
