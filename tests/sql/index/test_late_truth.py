"""Job lists and counts that arrive after their hour was computed: new rows, and the hour again."""

from __future__ import annotations

from pathlib import Path

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tokenergy_collectors.lake import Lake
from tokenergy_sql import steps

HOURS = (T0, T0 + HOUR_US)
TABLES = ("job_index", "job_hour_index", "ledger_hour", "node_hour", "token_usage")


def power(builder: LakeBuilder) -> None:
    """A board of 200 W in two hours."""
    builder.device("A")
    builder.power("A", level(200_000, T0, T0 + 2 * HOUR_US, S))


def jobs(builder: LakeBuilder) -> None:
    builder.job("a", "A", T0 + 600 * S, T0 + 1_800 * S)


def counts(builder: LakeBuilder) -> None:
    builder.tokens("a", [(T0 + 600 * S + 10 * S * n, 50 * n) for n in range(121)])


def answers(lake: Lake, hours: list[int] | None = None) -> dict[str, list[str]]:
    """The rows of all hours, or of some; without the digests, which are over the inputs' files."""
    found = {}
    for name in TABLES:
        if hours is None or name != "job_index":
            rows = lake.read(name, hours).to_pylist()
            found[name] = sorted(repr({**row, "inputs_digest": None}) for row in rows)
    return found


def test_what_arrives_late_is_in_the_books_as_if_it_had_been_in_time(tmp_path: Path) -> None:
    late = LakeBuilder(tmp_path / "late")
    power(late)
    lake = late.build()
    assert lake.read("job_index").num_rows == 0
    second = answers(lake, [HOURS[1]])
    seen = []
    for arrives in (jobs, counts):
        raw = {path for name in ("jobs", "tokens", "power") for path in lake.files(name)}
        arrives(late)
        done = steps.index_hours(lake.root, None, None)
        seen.append(done.causes)
        # New rows: no file that was there is another one.
        assert raw < {path for name in ("jobs", "tokens", "power") for path in lake.files(name)}
    # The hour beside it may be derived again too, since readings there are looked at: to the same.
    assert ["jobs" in seen[0][T0], "tokens" in seen[1][T0]] == [True, True]
    assert answers(lake, [HOURS[1]]) == second
    (row,) = lake.read("job_index").to_pylist()
    assert row["n_generated"] == 6_000
    assert row["e_gpu_nj"] == 200 * 1_200 * 10**9
    assert row["te_gpu_out"] == 40.0

    early = LakeBuilder(tmp_path / "early")
    for first in (power, jobs, counts):
        first(early)
    assert answers(lake) == answers(early.build())
