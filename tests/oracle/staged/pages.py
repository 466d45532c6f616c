"""What pages of token counters do to those who read them: restarts, replicas, ranks, odd values."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from random import Random

from tests.oracle.staged.plan import History, Made, Row, S
from tests.oracle.staged.servers import Server, page_rows, process

Rows = list[Row]


def write_pages(history: History, servers: list[Server]) -> None:
    """Write the rows of all servers, disturbed as drawn, and note what they really made."""
    rng = history.rng("pages")
    for server in servers:
        _begin_again(history, server, rng)
        for kind in server.kinds:
            made = history.made.setdefault((server.key, kind), Made(server.key, kind))
            made.lines += [one.counts[kind] for one in server.processes]
            rows = [row for one in server.processes for row in page_rows(server, one, kind)]
            each = [rows]
            if history.has("parallel") and rng.random() < 0.7:
                each = _parallel(history, server, rows, rng)
            each = [_changed(_OF_SERIES, history, server, rows, rng) for rows in each]
            page = [row for rows in each for row in rows]
            history.rows["tokens"] += _changed(_OF_PAGE, history, server, page, rng)


def _changed(
    changes: dict[str, Change], history: History, server: Server, rows: Rows, rng: Random
) -> Rows:
    """Return rows with some of the changes that the history has."""
    for name, change in changes.items():
        if history.has(name) and rng.random() < 0.6:
            rows = change(history, server, rows, rng)
    return rows


def series(**labels: str) -> str:
    """Return labels as the contract writes them."""
    return json.dumps(labels, sort_keys=True, separators=(",", ":"))


def _begin_again(history: History, server: Server, rng: Random) -> None:
    """Let a process die between two readings and another one begin, or two take turns."""
    (first,) = server.processes
    if len(first.stamps) < 8 or server.step_us < 5 * S:
        return
    if history.has("restarts") and rng.random() < 0.5:
        _restart(server, rng, told=True)
    elif history.has("falls") and rng.random() < 0.5:
        _restart(server, rng, told=False)
        if not _falls(server):
            server.processes = [first]
    elif history.has("taking_turns") and rng.random() < 0.5:
        _take_turns(history, server, rng)


def _restart(server: Server, rng: Random, *, told: bool) -> None:
    """Replace a process by two: the first dies unseen, and what it made last nobody read."""
    (whole,) = server.processes
    at = rng.randrange(3, len(whole.stamps) - 3)
    last, following = whole.stamps[at - 1], whole.stamps[at]
    death = rng.randrange(last + S // 10, last + server.step_us // 3)
    since = rng.randrange(last + server.step_us // 2, following - S)
    least = 10 * server.busiest
    began = whole.since_us - 12 * server.step_us
    old = process(rng, server, began, whole.stamps[:at], told=told, least=least)
    for line in old.counts.values():
        unread = rng.randrange(1 + server.busiest * (death - last) // server.step_us)
        line.stamps.append(death)
        line.values.append(line.values[-1] + unread)
    server.processes = [old, process(rng, server, since, whole.stamps[at:], told=told)]


def _falls(server: Server) -> bool:
    """Say whether the second process goes on from low values: so a restart can be seen."""
    old, new = server.processes
    return all(
        new.counts[kind].at(new.stamps[1]) < old.counts[kind].at(old.stamps[-1])
        for kind in server.kinds
    )


def _take_turns(history: History, server: Server, rng: Random) -> None:
    """Put two processes behind one address, which answer in turn."""
    (whole,) = server.processes
    since = (whole.since_us, whole.since_us - 100 * S)
    server.processes = [
        process(rng, server, since[n], whole.stamps[n::2], told=True) for n in (0, 1)
    ]


def _parallel(history: History, server: Server, rows: Rows, rng: Random) -> list[Rows]:
    """Return the rows of a page with two series, which count for themselves."""
    kind = rows[0]["kind"]
    stamps = server.processes[0].stamps
    if history.has("come_and_go") and len(stamps) > 4:
        stamps = stamps[rng.randrange(3) : len(stamps) - rng.randrange(2)]
    since = stamps[0] - server.step_us
    other = process(rng, server, since, stamps, told=False, kinds=(kind,))
    history.made[server.key, kind].lines.append(other.counts[kind])
    label, metric = (
        rng.choice(("WorkerId", "ReplicaId", "dp_rank", "engine")),
        _metric(history, kind),
    )
    return [
        [{**row, "metric": metric, "series": series(**{label: str(n)})} for row in of]
        for n, of in enumerate((rows, page_rows(server, other, kind)))
    ]


def _metric(history: History, kind: str) -> str:
    """Return the name of a metric: only SGLang's ranks count the same tokens."""
    return f"{'sglang' if history.has('ranks') else 'vllm'}:{kind}_total"


def _labels(row: Row) -> dict[str, str]:
    labels: dict[str, str] = json.loads(row.get("series") or "{}")
    return labels


def _ranks(history: History, server: Server, rows: Rows, rng: Random) -> Rows:
    """Print every counter once a rank: the ranks count the same tokens."""
    return [
        {
            **row,
            "metric": _metric(history, row["kind"]),
            "series": series(**_labels(row), tp_rank=str(rank)),
        }
        for rank in range(rng.choice((2, 4)))
        for row in rows
    ]


def _two_names(history: History, server: Server, rows: Rows, rng: Random) -> Rows:
    """Print every counter under an old and a new name."""
    return [
        {**row, "metric": f"{name}_{row['kind']}", "series": series(**_labels(row))}
        for name in ("vllm:old", "vllm:new")
        for row in rows
    ]


def _renamed(history: History, server: Server, rows: Rows, rng: Random) -> Rows:
    """Print every counter under a new name after the server was updated, and so begun again."""
    if len(server.processes) < 2:
        return rows
    after = server.processes[1].stamps[0]
    return [
        {
            **row,
            "metric": f"vllm:{'new' if row['ts_us'] >= after else 'old'}_{row['kind']}",
            "series": series(**_labels(row)),
        }
        for row in rows
    ]


def _missing(history: History, server: Server, rows: Rows, rng: Random) -> Rows:
    """Leave a series out of some pages, but not out of those that show its steepest growth.

    The tool's bounds of unseen time assume that it was seen.
    """
    kept = [n in (0, 1, 2, len(rows) - 1) or rng.random() < 0.7 for n in range(len(rows))]
    steps = [after["value"] - before["value"] for before, after in pairwise(rows)]
    steepest = steps.index(max(steps)) if steps else 0
    return [row for n, row in enumerate(rows) if kept[n] or n - steepest in (0, 1)]


def _odd_value(history: History, server: Server, rows: Rows, rng: Random) -> Rows:
    """Print one value that is far too low, or far too high, in the middle."""
    if len(rows) < 7 or len(server.processes) > 1:
        return rows
    at = rng.randrange(3, len(rows) - 3)
    value = rows[at]["value"]
    odd = rng.choice((0, value // 3, value * 7 + 10**9))
    if odd > value or odd < rows[at - 1]["value"]:
        rows = [*rows[:at], {**rows[at], "value": odd}, *rows[at + 1 :]]
        start, end = _job_time(history, server, rows)
        if start <= rows[at]["ts_us"] <= end:
            history.doubt(server.key, "tokens token_anomaly", "token_anomaly")
    return rows


def _coarse(history: History, server: Server, rows: Rows, rng: Random) -> Rows:
    """Print values with six digits, as some servers do."""
    found = []
    for row in rows:
        quantum = 10 ** max(0, len(str(row["value"])) - 6)
        value = (row["value"] + quantum // 2) // quantum * quantum
        found.append({**row, "value": value, "quantum": quantum})
    # One alone may be an odd value, which is left out.
    start, end = _job_time(history, server, rows)
    last = [row["quantum"] > 1 for row in found if start <= row["ts_us"] <= end][-2:]
    if last == [True, True] and server.kinds[0] in ("generated", "trained"):
        history.doubt(server.key, "tokens coarse_counter", "coarse_counter")
    return found


def _job_time(history: History, server: Server, rows: Rows) -> tuple[int, int]:
    """Return from when to when a server's job holds boards; until the last row if it runs."""
    held = [hold for hold in history.holds if hold.key == server.key]
    ends = [hold.end_us or rows[-1]["ts_us"] for hold in held]
    return min(hold.start_us for hold in held), max(ends)


def _runs(history: History, server: Server, rows: Rows, rng: Random) -> Rows:
    """Let the collector be started again while it reads."""
    stamps = sorted(row["ts_us"] for row in rows)
    after = rng.choice(stamps)
    return [{**row, "run": 3 + (row["ts_us"] >= after)} for row in rows]


Change = Callable[[History, Server, Rows, Random], Rows]

_OF_SERIES: dict[str, Change] = {
    "missing": _missing,
    "odd_value": _odd_value,
    "coarse": _coarse,
}

_OF_PAGE: dict[str, Change] = {
    "runs": _runs,
    "two_names": _two_names,
    "renamed": _renamed,
    "ranks": _ranks,
}


def share_names(history: History, servers: list[Server]) -> None:
    """Let servers on two nodes have one name, and one model."""
    rng = history.rng("names of servers")
    for server in servers:
        if history.has("same_source") and rng.random() < 0.7:
            server.row.update(source_id="vllm", model=f"{history.name}m0", engine="")
            server.row["node"] = f"{server.row['node']}x{servers.index(server)}"
