"""Jobs of a staged history: who holds which board from when to when, and the lists that say so."""

from __future__ import annotations

from random import Random

from tests.oracle.staged.plan import EDGE, Board, History, Hold, Row, S

_SHARES = (1_000_000, 1_000_000, 1_000_000, 500_000, 300_000)
_BESIDE = (0, 0, 1, -1, 2, -2)
RECORDED = EDGE - 1800 * S
"""When the first list is read."""


def place_jobs(history: History) -> None:
    """Give boards to up to five jobs: whole or in part, alone or together, at any instants."""
    rng = history.rng("jobs")
    for number in range(rng.choice((1, 2, 2, 3, 4, 5))):
        job = f"{history.name}j{number}"
        boards = rng.sample(history.boards, min(len(history.boards), rng.choice((1, 1, 1, 2, 3))))
        first = min(board.stamps[0] for board in boards)
        last = max(board.stamps[-1] for board in boards)
        beside = _BESIDE if history.has("slivers") else (0,)
        start, end = sorted(_instant(rng, first, last, beside) for _ in range(2))
        if start == end and not history.has("slivers"):
            end += 7 * S
        running = rng.random() < 0.08
        share = rng.choice(_SHARES)
        if history.has("slivers") and rng.random() < 0.3:
            share = 1
        for board in boards:
            if rng.random() < 0.1 and start < end:
                start = rng.randrange(start, end)  # a job may grow
            history.holds.append(Hold(job, board, start, None if running else end, share))


def _instant(rng: Random, first: int, last: int, beside: tuple[int, ...]) -> int:
    """Return an edge of a job: on or beside an hour, on a second, anywhere, outside the record."""
    kind = rng.random()
    if kind < 0.25:
        return EDGE + rng.choice(beside)
    if kind < 0.35:
        return rng.randrange(first, last) // S * S + rng.choice(beside)
    if kind < 0.45:
        return rng.choice((first, last)) + rng.choice(beside) * rng.choice((1, 7 * S))
    return rng.randrange(first, last)


def job_row(hold: Hold, board: Board, recorded_us: int = RECORDED) -> Row:
    """Return the record of a hold as the scheduler tells it."""
    row = {
        "node": board.node_at(hold.start_us),
        "job_id": hold.job,
        "device_id": hold.mig or board.device_id,
        "start_us": hold.start_us,
        "end_us": hold.end_us,
        "share_ppm": hold.share_ppm if hold.told_ppm is None else hold.told_ppm,
        "scheduler": "declared",
        "user": f"{board.node.split(chr(110))[0]}u{sum(hold.job.encode()) % 3}",
        "method": "declared",
        "recorded_us": recorded_us,
    }
    if hold.cluster is not None:
        row["cluster"] = hold.cluster
    if hold.allocation is not None:
        row["allocation_id"] = hold.allocation
    return row
