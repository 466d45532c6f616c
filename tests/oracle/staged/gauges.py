"""State gauges of a staged history: whether SMs were busy and processes ran, on some boards."""

from __future__ import annotations

from tests.oracle.staged.plan import History, S


def write_gauges(history: History) -> None:
    """Write `state` rows of some boards, with holes, and with lists of processes now and then."""
    rng = history.rng("gauges")
    for board in history.boards:
        if rng.random() < 0.4:
            continue
        often, busy = rng.choice((1, 1, 3, 10)), rng.random()
        first, last = board.stamps[0], board.stamps[-1]
        for t in range(first + rng.randrange(S), last, often * S):
            if rng.random() < 0.1:
                continue
            pids = rng.choice((None, None, [], [4711])) if rng.random() < 0.3 else None
            util = None if rng.random() < 0.1 else rng.choice((0, 90)) if rng.random() < busy else 0
            history.rows["state"].append(
                {
                    "node": board.node,
                    "ts_us": t,
                    "device_id": board.device_id,
                    "sm_util": util,
                    "mem_util": util,
                    "sm_mhz": 1200,
                    "temp_c": 50,
                    "throttle": 0,
                    "pids": pids,
                }
            )
